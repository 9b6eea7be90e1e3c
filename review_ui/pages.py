"""Templates: autoescaped, and a name that is missing is an error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2
from starlette.responses import HTMLResponse

HERE = Path(__file__).parent
_environment = jinja2.Environment(
    loader=jinja2.FileSystemLoader(HERE / "templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def clock(seconds: float) -> str:
    """A time for people: 3.42 s as "0:03.42"."""
    minutes, rest = divmod(round(seconds, 2), 60)
    return f"{int(minutes)}:{rest:05.2f}"


_environment.filters["clock"] = clock


def page(template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    return HTMLResponse(_environment.get_template(template).render(**values), status_code=status)


def error_page(status: int, message: str, *, link: bool = False) -> HTMLResponse:
    """A page with one clear line, and a link to the next item for those who would get there."""
    return page("error.html", status=status, code=status, message=message, link=link)
