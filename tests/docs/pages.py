"""The pages of the documentation as the tests read them."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)


def pages() -> list[Path]:
    """Every Markdown page for readers: the repository's root and `docs/`."""
    return [*sorted(REPO.glob("*.md")), *sorted((REPO / "docs").rglob("*.md"))]


def name(page: Path) -> str:
    return page.relative_to(REPO).as_posix()


@cache
def text(page: str) -> str:
    return (REPO / page).read_text("utf-8")


def blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of a page in one language ("" for none)."""
    return [body for tag, body in FENCE.findall(text(page)) if tag == language]


def commands(page: str, program: str) -> list[list[str]]:
    """Every call of a program in blocks without a language or in inline code, as words; comments are left out."""
    code = blocks(page, "")
    code += re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text(page), flags=re.DOTALL))
    lines = [re.sub(r"\s#.*", "", line) for block in code for line in block.splitlines()]
    parts = [part.strip() for line in lines for part in re.split(r"&&|\|", line)]
    return [part.split() for part in parts if part == program or part.startswith(f"{program} ")]
