"""Commands that are printed can be pasted: with the program as it was called and the project as it was given.

Messages name commands in their short form, `emotrace run`; only the command line knows the rest.
"""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

NAME = "emotrace"
COMMAND = re.compile(
    r"\bemotrace (ingest|run|status|show|explain|dead-letters|review|release)\b(?! --project)"
)
HINTS = ("remedy", "retry")  # the fields of an output that tell a person what to type


def command(*words: str | Path) -> str:
    """A command line with its words quoted, e.g. command("verify", path)."""
    return f"{program()} {shlex.join(map(str, words))}"


def program() -> str:
    """How this program is called: its name where that finds it, else the path it was called by."""
    called = Path(sys.argv[0])
    found = shutil.which(NAME)
    if called.name != NAME or (found is not None and Path(found).resolve() == called.resolve()):
        return NAME
    return shlex.quote(sys.argv[0])


def complete(hint: str) -> str:
    """A hint with the project that this call was given written into its commands."""
    project = _project_given()
    option = f" --project {shlex.quote(project)}" if project is not None else ""
    return COMMAND.sub(lambda found: f"{program()} {found[1]}{option}", hint)


def completed(value: Any) -> Any:
    """An output as plain data, with every hint in it complete."""
    if isinstance(value, list):
        return [completed(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: complete(item) if key in HINTS and isinstance(item, str) else completed(item)
        for key, item in value.items()
    }


def _project_given() -> str | None:
    """The value of `--project` on this command line."""
    for word, following in pairwise([*sys.argv[1:], None]):
        if word == "--project":
            return following
        if word is not None and word.startswith("--project="):
            return word.partition("=")[2]
    return None
