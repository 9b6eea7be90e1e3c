"""The review server of one project. `emotrace review` starts it by the string `review_ui.app:create_app`."""

from __future__ import annotations

import shlex
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from pipeline.artifacts import Artifacts
from review_ui.auth import Guard, Keyring
from review_ui.deps import Desk, NoNameError, RefusedError, tell_operator
from review_ui.names import names_cookie
from review_ui.pages import HERE, error_page
from review_ui.queue import Queue
from review_ui.routes import items, media, start
from schemas.errors import UserError
from schemas.settings import artifacts_url, store_url
from schemas.settings_file import load_settings
from schemas.store import Store
from schemas.taxonomy import load_taxonomy

BUSY_TIMEOUT_S = 3.0  # a person waits for the answer


def create_app(project_dir: Path, *, token: str, reviewer: str | None = None) -> FastAPI:
    """The server for one project; `reviewer` is the name that the start page proposes.

    Serve it without access log: the first address holds the token.

    Raises:
        UserError: no project, bad settings, or a store that cannot be opened.
        ValueError: an empty token.
    """
    settings = load_settings(project_dir)
    taxonomy = load_taxonomy(settings.project.taxonomy, project_dir)
    store = Store.open(store_url(project_dir, settings), busy_timeout_s=BUSY_TIMEOUT_S)
    # No generated API pages: they load scripts from elsewhere.
    app = FastAPI(title="emotrace review", openapi_url=None, docs_url=None, redoc_url=None)
    app.state.desk = Desk(
        project_name=settings.project.name,
        run_command=f"emotrace run --project {shlex.quote(str(project_dir))}",
        taxonomy=taxonomy,
        store=store,
        artifacts=Artifacts(artifacts_url(project_dir, settings)),
        queue=Queue(store, taxonomy.name, seed=settings.project.seed),
        keyring=Keyring(token),
        default_reviewer=reviewer or settings.review.reviewer,
        names_cookie=names_cookie(project_dir),
    )
    for module in (start, items, media):
        app.include_router(module.router)
    app.mount("/static", StaticFiles(directory=HERE / "static"))
    _add_error_pages(app)
    app.add_middleware(Guard, keyring=app.state.desk.keyring, served_as=settings.review.served_as)
    return app


def _add_error_pages(app: FastAPI) -> None:
    @app.exception_handler(RefusedError)
    def refused(_request: Request, error: RefusedError) -> Response:
        return error_page(error.status, error.message, link=True)

    @app.exception_handler(NoNameError)
    def no_name(_request: Request, _error: NoNameError) -> Response:
        return RedirectResponse("/start", 303)

    @app.exception_handler(UserError)
    def user_error(_request: Request, error: UserError) -> Response:
        tell_operator(error)
        return error_page(
            503,
            "This cannot be read just now, and nothing was stored. Go back and try again in a moment; "
            "if it stays so, tell the person who runs this review.",
        )

    @app.exception_handler(HTTPException)
    def http_error(_request: Request, error: HTTPException) -> Response:
        return error_page(error.status_code, f"{error.detail}.", link=True)

    @app.exception_handler(RequestValidationError)
    def bad_request(_request: Request, _error: RequestValidationError) -> Response:
        return error_page(400, "This address or form is not understood.", link=True)
