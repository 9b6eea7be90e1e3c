"""The HTTP client that the vendors' libraries send with: aiohttp behind the face of httpx2, which they insist on.

Requests are built and answers are read by the libraries. What lies between is aiohttp's, because httpx2's pool
looks at every open connection for every request: at 256 at a time that takes longer than all the rest.

No redirect is followed: it would carry the key and somebody's recording to whoever a server names. No proxy and
no password file of the environment is used. What is honoured are `SSL_CERT_FILE` and `SSL_CERT_DIR`: the
certificates that are trusted in place of the system's.
"""

from __future__ import annotations

import io
import ssl
from functools import cache

import aiohttp
import httpx2

LONGEST_REPLY_BYTES = 64 << 20
# aiohttp has unpacked the body; the lengths would no longer fit.
OF_THE_TRANSFER = frozenset({b"content-encoding", b"content-length", b"transfer-encoding"})


def http_client(timeout_s: float) -> httpx2.AsyncClient:
    """A client for one event loop; whoever makes it closes it."""
    return httpx2.AsyncClient(
        transport=AiohttpTransport(timeout_s),
        timeout=timeout_s,
        follow_redirects=False,
        trust_env=False,
        headers={"accept-encoding": "gzip, deflate"},
    )


class AiohttpTransport(httpx2.AsyncBaseTransport):
    """Sends over a pool of connections without a limit: how many are under way is the engine's say."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._trusted = _trusted()
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Raises httpx2.RequestError as the libraries expect it: broken, too slow, or not readable."""
        try:
            async with self._open().request(
                request.method,
                str(request.url),
                headers=request.headers.multi_items(),
                data=aiohttp.payload.BytesIOPayload(io.BytesIO(request.content)),
                allow_redirects=False,
            ) as answer:
                body = await _body(answer, request)
        except TimeoutError as error:
            raise httpx2.ReadTimeout(str(error), request=request) from error
        except (aiohttp.ClientError, OSError) as error:
            raise httpx2.NetworkError(str(error), request=request) from error
        headers = [pair for pair in answer.raw_headers if pair[0].lower() not in OF_THE_TRANSFER]
        return httpx2.Response(answer.status, headers=headers, content=body, request=request)

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, ssl=self._trusted),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=self._timeout,
                trust_env=False,
            )
        return self._session

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()


@cache
def _trusted() -> ssl.SSLContext:
    """Certificates are read once: it takes longer than a question."""
    return httpx2.create_ssl_context()


async def _body(answer: aiohttp.ClientResponse, request: httpx2.Request) -> bytes:
    """The whole body, which must be UTF-8 where the answer is one."""
    pieces, size = [], 0
    async for piece in answer.content.iter_any():
        pieces.append(piece)
        size += len(piece)
        if size > LONGEST_REPLY_BYTES:
            raise httpx2.DecodingError(f"a reply of more than {LONGEST_REPLY_BYTES} bytes", request=request)
    body = b"".join(pieces)
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise httpx2.DecodingError(f"not UTF-8: {error}", request=request) from error
    return body
