"""Who may talk to the review server: the token, the signed session cookie, and the guard before every route."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
from collections.abc import Collection
from dataclasses import dataclass, replace
from urllib.parse import urlencode, urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from review_ui.pages import error_page

MAX_BODY_BYTES = 256 * 1024  # a form with long comments on every claim stays far below
SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; object-src 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # "no-referrer" would turn the Origin of our own forms into "null".
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True)
class Session:
    """One browser that showed the token. `reviewer` is None until the person gave a name."""

    sid: str
    reviewer: str | None = None


class Keyring:
    """Everything that is derived from the token: signatures, session cookies, CSRF tokens."""

    def __init__(self, token: str) -> None:
        if not token:
            raise ValueError("the review server needs a token")
        self._token = token.encode()
        self._key = hmac.digest(self._token, b"emotrace review", "sha256")

    @property
    def cookie_name(self) -> str:
        """Cookies do not know ports: two servers on one machine must not share a name."""
        return f"emotrace_review_{self._mac('cookie', '')[:8]}"

    def is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self._token)

    def sign(self, purpose: str, text: str) -> str:
        return f"{text}.{self._mac(purpose, text)}"

    def verify(self, purpose: str, signed: str) -> str | None:
        """The text that was signed for this purpose, None for anything else."""
        text, _, mac = signed.rpartition(".")
        return text if hmac.compare_digest(mac.encode(), self._mac(purpose, text).encode()) else None

    def csrf(self, session: Session) -> str:
        return self._mac("csrf", session.sid)

    def is_csrf(self, session: Session, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self.csrf(session).encode())

    def read_session(self, cookie: str) -> Session | None:
        text = self.verify("session", cookie)
        if text is None:
            return None
        sid, _, reviewer = text.partition(":")
        return Session(sid, reviewer or None)

    def write_session(self, response: Response, session: Session, *, secure: bool) -> None:
        response.set_cookie(
            self.cookie_name,
            self.sign("session", f"{session.sid}:{session.reviewer or ''}"),
            httponly=True,
            # Not "strict": a link in a mail or a wiki page would arrive without it. What changes anything is a
            # form, which needs the CSRF token and our own Origin.
            samesite="lax",
            secure=secure,
        )

    def _mac(self, purpose: str, text: str) -> str:
        return hmac.new(self._key, f"{purpose}\0{text}".encode(), hashlib.sha256).hexdigest()


class Guard:
    """ASGI middleware: nothing, not even a style sheet, leaves the server without a session.

    It takes the token from the address once, refuses foreign hosts (DNS rebinding), foreign origins and
    oversized forms, and puts the security headers on every response. The CSRF token is checked where the
    form is read (`review_ui.deps.posted_form`).
    """

    def __init__(self, app: ASGIApp, keyring: Keyring, served_as: Collection[str]) -> None:
        """`served_as` are the host names that it answers to beside those of this machine alone."""
        self._app = app
        self._keyring = keyring
        self._served_as = {name.lower() for name in served_as}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        request = Request(scope)
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                MutableHeaders(scope=message).update(SECURITY_HEADERS)
            await send(message)

        try:
            await (self._answer_at_once(request) or self._app)(scope, receive, send_with_headers)
        except Exception:
            # Answered here, because what Starlette itself would answer to a defect passes no middleware.
            if not started:
                failed = error_page(500, "This went wrong here; the terminal of emotrace review says why.")
                await failed(scope, receive, send_with_headers)
            raise

    def _answer_at_once(self, request: Request) -> Response | None:
        """A refusal, or the log-in redirect; None when the request may go on."""
        if not self._is_served(request.headers.get("host", "")):
            return error_page(
                403, "This address is not served here: open the one that emotrace review printed."
            )
        session = self._keyring.read_session(request.cookies.get(self._keyring.cookie_name, ""))
        if "token" in request.query_params and request.method == "GET":
            return self._log_in(request, session)
        if session is None:
            return error_page(403, "No access: open the address with the token that emotrace review printed.")
        if request.method == "POST":
            refusal = _post_refusal(request)
            if refusal is not None:
                return refusal
        request.state.session = session
        return None

    def _is_served(self, host: str) -> bool:
        """Another site whose name leads here (DNS rebinding) would read what its visitors may read."""
        try:
            name = urlsplit(f"//{host}").hostname
        except ValueError:
            return False
        return name is not None and (name in self._served_as or _is_loopback(name))

    def _log_in(self, request: Request, session: Session | None) -> Response:
        if not self._keyring.is_token(request.query_params["token"]):
            return error_page(403, "Wrong token: open the address that emotrace review printed last.")
        rest = [(key, value) for key, value in request.query_params.multi_items() if key != "token"]
        # A path that starts with two slashes would be read as another host.
        path = "/" + request.url.path.lstrip("/")
        response = RedirectResponse(path + (f"?{urlencode(rest)}" if rest else ""), 303)
        self._keyring.write_session(response, session or new_session(), secure=is_https(request))
        return response


def new_session() -> Session:
    return Session(secrets.token_urlsafe(18))


def named(session: Session, reviewer: str) -> Session:
    return replace(session, reviewer=reviewer)


def is_https(request: Request) -> bool:
    return request.url.scheme == "https"


def _is_loopback(name: str) -> bool:
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _post_refusal(request: Request) -> Response | None:
    # Host and port only: behind a proxy that speaks TLS the scheme of the Origin differs from ours.
    if urlsplit(request.headers.get("origin", "")).netloc != request.headers.get("host", ""):
        return error_page(403, "This form came from another site and was not stored: open the page again.")
    length = request.headers.get("content-length", "")
    if not length.isdecimal():
        return error_page(411, "A form needs a length.")
    if int(length) > MAX_BODY_BYTES:
        return error_page(413, "This form is too large: shorten the comments.")
    return None
