"""A model that says in words that it will not answer, where its vendor does not say so in a field."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path

DATA_FILE = Path(__file__).parents[1] / "data" / "refusals.toml"
HEAD_CHARS = 400  # a refusal stands at the beginning
NEAR_CHARS = 120  # between the opening and the inability


def is_refusal(text: str) -> bool:
    """Whether a text that holds no answer refuses to give one. In doubt it does not."""
    head = re.sub(r"\s+", " ", text[:HEAD_CHARS].replace("\u2019", "'")).lower().lstrip(" *_#>\"'-")
    return any(pattern.match(head) for pattern in _patterns())


@cache
def _patterns() -> tuple[re.Pattern[str], ...]:
    languages = tomllib.loads(DATA_FILE.read_text(encoding="utf-8")).values()
    return tuple(
        re.compile(
            rf"(?:{_any(words['opening'])}).{{0,{NEAR_CHARS}}}?(?:{_any(words['unable'])}){_also(words)}"
        )
        for words in languages
    )


def _any(phrases: list[str]) -> str:
    return "|".join(map(re.escape, phrases))


def _also(words: dict[str, list[str]]) -> str:
    return f"|(?:{_any(words['alone'])})" if "alone" in words else ""
