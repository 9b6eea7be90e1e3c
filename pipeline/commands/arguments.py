"""What commands have in common: the options that every one of them has, and where they print."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

FILE_WIDTH = 160  # of tables that go to a file or another program
HERE = Path()

ProjectDir = Annotated[
    Path, typer.Option("--project", help="The project folder.", show_default="current folder")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout, everything else on stderr.")]

out = Console(width=None if sys.stdout.isatty() else FILE_WIDTH)
