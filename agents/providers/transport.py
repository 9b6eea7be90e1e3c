"""How questions are sent: by aiohttp, also where a vendor's library insists on the face of httpx2.

The libraries build the requests. What lies between is aiohttp's, because httpx2's pool looks at every open
connection for every request: at 256 at a time that takes longer than all the rest.

No redirect is followed: it would carry the key and somebody's recording to whoever a server names. No proxy and
no password file of the environment is used. What is honoured are `SSL_CERT_FILE` and `SSL_CERT_DIR`: the
certificates that are trusted in place of the system's.
"""

from __future__ import annotations

import io
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import httpx2
from aiohttp.abc import AbstractStreamWriter
from yarl import URL

from agents.providers.broken import in_words
from schemas.errors import UserError

LONGEST_REPLY_BYTES = 64 << 20
PIECE_BYTES = 1 << 18  # of what is written to a file while it comes
OK = 200
ACCEPTED = "gzip, deflate"  # what aiohttp unpacks by itself
# The body is unpacked; these would no longer fit.
OF_THE_TRANSFER = frozenset({"content-encoding", "content-length", "transfer-encoding"})

Headers = list[tuple[str, str]]


def is_ok(status: int) -> bool:
    """A server between may say 201 (created) to what is posted."""
    return OK <= status < 300


class Reply(NamedTuple):
    """What came back, unpacked; `headers` finds a name in any letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Connections:
    """A pool of connections without a limit: how many questions are under way is the engine's say.

    There is no limit of time either: whoever asks sets one around the whole of it.
    """

    def __init__(self) -> None:
        """Raises UserError: the certificates that the environment names cannot be read."""
        self._trusted = _trusted()
        self._session: aiohttp.ClientSession | None = None

    async def send(self, method: str, url: URL, headers: Headers, body: bytes) -> Reply:
        """Send once.

        Raises:
            httpx2.RequestError: no connection, one that broke, or a reply that is too long or no UTF-8.
        """
        async with self._sent(method, url, headers, _Whole(io.BytesIO(body))) as answer:
            return Reply(answer.status, answer.headers, await _body(answer))

    async def upload(self, url: URL, headers: Headers, body: Any) -> Reply:
        """Send a form or an open file without holding it whole; raises as `send` does."""
        async with self._sent("POST", url, headers, body) as answer:
            return Reply(answer.status, answer.headers, await _body(answer))

    async def download(self, url: URL, headers: Headers, to: Path) -> Reply:
        """Write a body of any length to a file; the reply holds it only where the server refuses.

        Raises:
            httpx2.RequestError: no connection, or one that broke.
        """
        async with self._sent("GET", url, headers, None) as answer:
            if not is_ok(answer.status):
                return Reply(answer.status, answer.headers, await _body(answer))
            with to.open("wb") as file:
                async for piece in answer.content.iter_chunked(PIECE_BYTES):
                    file.write(piece)
            return Reply(answer.status, answer.headers, b"")

    @asynccontextmanager
    async def _sent(
        self, method: str, url: URL, headers: Headers, data: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        try:
            async with self._open().request(
                method, url, headers=headers, data=data, allow_redirects=False
            ) as answer:
                yield answer
        except (aiohttp.ClientError, OSError) as error:
            raise httpx2.NetworkError(in_words(error)) from error

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:  # it belongs to the event loop in which it is used
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, ssl=self._trusted),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
                trust_env=False,
            )
        return self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


class _Whole(aiohttp.payload.BytesIOPayload):
    """A body that is given to the connection at once: in pieces, those of all questions would go in turn, and
    each would be under way for as long as all of them."""

    async def write_with_length(self, writer: AbstractStreamWriter, _: int | None) -> None:
        await writer.write(self._value.getvalue())


async def _body(answer: aiohttp.ClientResponse) -> bytes:
    """The whole body, which must be UTF-8. Of a refusal, whose status says enough, what can be read of it."""
    pieces, size, refused = [], 0, not is_ok(answer.status)
    try:
        async for piece in answer.content.iter_any():
            pieces.append(piece)
            size += len(piece)
            if size > LONGEST_REPLY_BYTES:
                raise httpx2.DecodingError(f"a reply of more than {LONGEST_REPLY_BYTES} bytes")
    except (aiohttp.ClientError, OSError, httpx2.DecodingError):
        if not refused:
            raise
    body = b"".join(pieces)
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as error:
        if not refused:
            raise httpx2.DecodingError(f"not UTF-8: {error}") from error
        return body.decode("utf-8", "replace").encode()
    return body


@cache
def _trusted() -> ssl.SSLContext:
    """Certificates are read once: it takes longer than a question.

    Raises:
        UserError: those that the environment names cannot be read.
    """
    try:
        return httpx2.create_ssl_context()
    except OSError as error:
        message = f"the trusted certificates cannot be read ({error.strerror or error})"
        raise UserError("bad_certificates", message, "mend or unset SSL_CERT_FILE and SSL_CERT_DIR") from None


class AiohttpTransport(httpx2.AsyncBaseTransport):
    """The connections as httpx2 wants them."""

    def __init__(self) -> None:
        self._connections = Connections()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Raises httpx2.RequestError as the libraries expect it."""
        url = URL(str(request.url), encoded=True)
        headers = request.headers.multi_items()
        reply = await self._connections.send(request.method, url, headers, request.content)
        told = [pair for pair in reply.headers.items() if pair[0].lower() not in OF_THE_TRANSFER]
        return httpx2.Response(reply.status, headers=told, content=reply.body, request=request)

    async def aclose(self) -> None:
        await self._connections.close()


def http_client() -> httpx2.AsyncClient:
    """A client for one event loop; whoever makes it closes it."""
    return httpx2.AsyncClient(
        transport=AiohttpTransport(),
        timeout=None,
        follow_redirects=False,
        trust_env=False,
        headers={"accept-encoding": ACCEPTED},
    )
