"""What routes ask for: the open project, the session, a checked form."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request

from pipeline.artifacts import Artifacts
from review_ui.auth import Keyring, Session
from review_ui.names import other_names, read_names
from review_ui.queue import Person, Queue
from schemas.errors import UserError
from schemas.store import Store
from schemas.taxonomy import Taxonomy


@dataclass(frozen=True)
class Desk:
    """One project opened for review."""

    project_name: str
    run_command: str  # what makes missing clips again
    taxonomy: Taxonomy
    store: Store
    artifacts: Artifacts
    queue: Queue
    keyring: Keyring
    default_reviewer: str | None
    names_cookie: str


class RefusedError(Exception):
    """Ends a request with an error page of one line."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class NoNameError(Exception):
    """The person has not given a name yet: the start page asks for it."""


def tell_operator(error: UserError) -> None:
    """Paths and remedies are for the terminal of whoever runs the server, not for a rater's page."""
    sys.stderr.write(f"{error}\n")


def desk_of(request: Request) -> Desk:
    return cast(Desk, request.app.state.desk)


def session_of(request: Request) -> Session:
    """The session that the guard let in."""
    return cast(Session, request.state.session)


TheDesk = Annotated[Desk, Depends(desk_of)]
TheSession = Annotated[Session, Depends(session_of)]


def reviewer_of(request: Request, desk: TheDesk, session: TheSession) -> Person:
    if session.reviewer is None:
        raise NoNameError
    names = read_names(request.cookies, desk.names_cookie)
    return Person(session.reviewer, other_names(names, session.reviewer))


async def posted_form(request: Request, desk: TheDesk, session: TheSession) -> dict[str, str]:
    """The text fields of a form that carries this session's CSRF token; files are ignored."""
    async with request.form() as data:
        form = {name: value for name, value in data.items() if isinstance(value, str)}
    if not desk.keyring.is_csrf(session, form.get("csrf", "")):
        raise RefusedError(403, "This form is not from your session and was not stored: open the page again.")
    return form


TheReviewer = Annotated[Person, Depends(reviewer_of)]
TheForm = Annotated[dict[str, str], Depends(posted_form)]
