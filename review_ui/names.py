"""The names that were given in a browser: a cookie that outlives the token, kept apart for each project.

It proposes the last name, and it tells when somebody would label as another person what this browser has shown
already. It grants nothing, so it is not signed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from starlette.responses import Response

from pipeline.policy import reviewer_key

MOST = 8
KEPT_S = 180 * 24 * 3600
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


def names_cookie(project_dir: Path) -> str:
    """Cookies do not know ports: two projects on one machine must not share a name."""
    return f"emotrace_names_{hashlib.sha256(str(project_dir.resolve()).encode()).hexdigest()[:8]}"


def read_names(cookies: Mapping[str, str], cookie: str) -> tuple[str, ...]:
    """The names given in this browser, newest first."""
    return tuple(name for name in cookies.get(cookie, "").split(":")[:MOST] if _NAME.fullmatch(name))


def other_names(names: tuple[str, ...], name: str) -> tuple[str, ...]:
    """The names that are not this person's, however spelt."""
    return tuple(other for other in names if reviewer_key(other) != reviewer_key(name))


def write_names(response: Response, cookie: str, names: tuple[str, ...], name: str, *, secure: bool) -> None:
    """Keep `name` as the newest."""
    kept = (name, *other_names(names, name))[:MOST]
    response.set_cookie(cookie, ":".join(kept), max_age=KEPT_S, httponly=True, samesite="lax", secure=secure)
