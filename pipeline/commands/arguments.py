"""What commands have in common: their program, the options that every one of them has, and where they print."""

from __future__ import annotations

import sys
from collections.abc import Callable
from inspect import cleandoc
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pipeline.commands.endings import OK

FILE_WIDTH = 160  # of tables that go to a file or another program
HERE = Path()

ProjectDir = Annotated[
    Path, typer.Option("--project", help="The project folder.", show_default="current folder")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout, everything else on stderr.")]

out = Console(width=None if sys.stdout.isatty() else FILE_WIDTH)
app = typer.Typer(
    name="emotrace",
    help="From raw recordings of people to a released, explainable emotion dataset.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _tell_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        out.print(f"emotrace {version('emotrace')}", highlight=False)
        raise typer.Exit(OK)


@app.callback()
def program(
    _version: Annotated[
        bool, typer.Option("--version", help="Tell the version.", callback=_tell_version, is_eager=True)
    ] = False,
) -> None:
    """From raw recordings of people to a released, explainable emotion dataset."""


def command(name: str, example: str) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Register a command whose help ends with an example; it returns its exit status.

    The list of commands tells the whole first line of each: by itself it would be cut off after a few words.
    """

    def registered(run: Callable[..., int]) -> Callable[..., int]:
        short = cleandoc(run.__doc__ or "").partition("\n")[0]
        return app.command(name, epilog=f"Example: {example}", short_help=short)(run)

    return registered
