"""The commands about questions to models: why one will or will not be asked, and which are dead letters."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline.commands.arguments import HERE, AsJson, ProjectDir, out
from pipeline.commands.endings import OK, SOME_FAILED, emit, say


def explain(
    what: Annotated[str, typer.Argument(help="A recording's path or name, or the start of any id.")],
    project: ProjectDir = HERE,
    as_json: AsJson = False,
) -> int:
    """Why models will or will not be asked about a recording or a segment again, and what changed."""
    from pipeline.commands.explain_text import explain_lines
    from pipeline.explain import explain as look_up
    from pipeline.project import open_project

    with open_project(project) as opened:
        found = look_up(opened, what)
    if as_json:
        emit(found)
    else:
        for line in explain_lines(found):
            say(out, line)
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
