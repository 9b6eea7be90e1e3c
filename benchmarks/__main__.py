"""`make bench NAME=x` runs one benchmark (`ARGS` go to it), `make bench` lists them."""

from __future__ import annotations

import ast
import importlib
import sys
from pathlib import Path

HERE = Path(__file__).parent
HELPERS = (
    *("__main__", "paired", "evidence_media", "evidence_voice", "evidence_face", "evidence_five"),
    *("evidence_probes", "evidence_published"),
)


def benchmarks() -> dict[str, str]:
    """Name of every benchmark, and the first line that it says of itself."""
    paths = {path.stem: path for path in sorted(HERE.glob("*.py")) if path.stem not in HELPERS}
    texts = {name: ast.get_docstring(ast.parse(path.read_text("utf-8"))) for name, path in paths.items()}
    return {name: (text or "").partition("\n")[0] for name, text in texts.items()}


def main(names: list[str]) -> None:
    known = benchmarks()
    if not names:
        for name, line in known.items():
            print(f"{name:12} {line}")
    elif names[0] not in known:
        sys.exit(f"no benchmark {names[0]} -> make bench NAME={'|'.join(known)}")
    else:
        importlib.import_module(f"benchmarks.{names[0]}").main(*names[1:])


if __name__ == "__main__":
    main(sys.argv[1:])
