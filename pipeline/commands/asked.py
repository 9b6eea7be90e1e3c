"""The commands that look something up: all that is known of it, why models will be asked, what was given up."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from pipeline.commands.arguments import HERE, AsJson, ProjectDir, out
from pipeline.commands.endings import OK, SOME_FAILED, emit, say

if TYPE_CHECKING:
    from pipeline.outputs import ExplainOutput, Output
    from pipeline.project import Project

Found = TypeVar("Found", bound="Output")


def show(
    what: Annotated[str, typer.Argument(help="A recording's path or name, or the start of any id.")],
    project: ProjectDir = HERE,
    as_json: AsJson = False,
) -> int:
    """Everything known about a recording or a segment."""
    from pipeline.commands.show import print_show
    from pipeline.commands.show import show as look_up

    return _look_up(look_up, what, project, as_json, partial(print_show, out))


def explain(
    what: Annotated[str, typer.Argument(help="A recording's path or name, or the start of any id.")],
    project: ProjectDir = HERE,
    as_json: AsJson = False,
) -> int:
    """Why models will or will not be asked about a recording or a segment again, and what changed."""
    from pipeline.commands.explain_text import explain_lines
    from pipeline.explain import explain as look_up

    def tell(found: ExplainOutput) -> None:
        for line in explain_lines(found):
            say(out, line)

    return _look_up(look_up, what, project, as_json, tell)


def _look_up(
    find: Callable[[Project, str], Found],
    what: str,
    project: Path,
    as_json: bool,
    tell: Callable[[Found], None],
) -> int:
    """Find something in a project, and print it as one object or `tell` it."""
    from pipeline.project import open_project

    with open_project(project) as opened:
        found = find(opened, what)
    if as_json:
        emit(found)
    else:
        tell(found)
    return OK


def dead_letters(project: ProjectDir = HERE, as_json: AsJson = False) -> int:
    """Questions to models that are not sent again by themselves, with reason; run --retry-failed sends them."""
    from pipeline.commands.explain_text import dead_letter_lines
    from pipeline.outputs import DeadLettersOutput
    from pipeline.project import open_project
    from pipeline.status import dead_letters as standing

    with open_project(project) as opened:
        letters = standing(opened.store)
    if as_json:
        emit(DeadLettersOutput(dead_letters=letters))
    else:
        for line in dead_letter_lines(letters):
            say(out, line)
    return SOME_FAILED if letters else OK
