"""The start page: who is reviewing."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from review_ui.auth import is_https, named
from review_ui.deps import TheDesk, TheForm, TheSession
from review_ui.forms import FormError, read_name
from review_ui.names import read_names, write_names
from review_ui.pages import page

router = APIRouter()


@router.get("/")
def home(session: TheSession) -> Response:
    return RedirectResponse("/start" if session.reviewer is None else "/next", 303)


@router.get("/start")
def start_page(request: Request, desk: TheDesk, session: TheSession) -> Response:
    last = read_names(request.cookies, desk.names_cookie)[:1]
    return page(
        "start.html",
        project=desk.project_name,
        csrf=desk.keyring.csrf(session),
        name=session.reviewer or desk.default_reviewer or "".join(last),
        error="",
    )


@router.post("/start")
def start(request: Request, desk: TheDesk, session: TheSession, form: TheForm) -> Response:
    """Keep the name in the signed cookie and in the one that outlives it, and go to the first item."""
    try:
        name = read_name(form)
    except FormError as error:
        return page(
            "start.html",
            status=400,
            project=desk.project_name,
            csrf=desk.keyring.csrf(session),
            name=form.get("reviewer", ""),
            error=str(error),
        )
    response = RedirectResponse("/next", 303)
    secure = is_https(request)
    desk.keyring.write_session(response, named(session, name), secure=secure)
    write_names(
        response, desk.names_cookie, read_names(request.cookies, desk.names_cookie), name, secure=secure
    )
    return response
