"""How a command ends: its exit status, and what it tells when it could not do its work.

Exit status: 0 all well; 1 finished but some items failed; 2 the user must change something; 130 interrupted.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

from rich.console import Console

from pipeline.commands.hints import complete, completed
from schemas.errors import UserError

if TYPE_CHECKING:
    from pipeline.outputs import Output

OK, SOME_FAILED, USER_MUST_ACT, INTERRUPTED = 0, 1, 2, 130

err = Console(stderr=True)


def say(console: Console, text: str) -> None:
    """One line as it is: names of files and people are not markup, and a terminal may wrap it where it likes."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def emit(output: Output) -> None:
    """The one JSON object of a command."""
    sys.stdout.write(json.dumps(completed(output.model_dump(mode="json")), ensure_ascii=False) + "\n")
    sys.stdout.flush()


def fail(error: UserError, arguments: list[str]) -> NoReturn:
    """Exit status 2, with one line or one JSON object."""
    if "--json" in arguments:
        from pipeline.outputs import ErrorBody, ErrorOutput

        body = ErrorBody(
            code=error.code, message=error.message, remedy=error.remedy, file=error.file, line=error.line
        )
        emit(ErrorOutput(error=body))
    else:
        _print_error(error)
    sys.exit(USER_MUST_ACT)


def _print_error(error: UserError) -> None:
    told = replace(error, remedy=complete(error.remedy))
    err.print(f"emotrace: {told}", style="bold red", markup=False, highlight=False, soft_wrap=True)


def interrupted(arguments: list[str]) -> NoReturn:
    """Exit status 130, with one line or one JSON object."""
    if "--json" in arguments:
        from pipeline.outputs import ErrorBody, ErrorOutput

        emit(
            ErrorOutput(
                error=ErrorBody(code="interrupted", message="interrupted", remedy="run it again to go on")
            )
        )
    else:
        err.print("emotrace: interrupted; what is done is kept, run it again to go on")
    sys.exit(INTERRUPTED)


def usage_error(error: Exception) -> UserError | None:
    """A wrong command line as a UserError; None for anything else, which is a bug and keeps its traceback."""
    message = getattr(error, "format_message", None)
    if message is None:
        return None
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "emotrace"
    return UserError("usage", str(message()), f"see: {path} --help")
