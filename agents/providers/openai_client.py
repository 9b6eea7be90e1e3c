"""What both APIs of OpenAI share: the client, its key, its errors, and how parts are written."""

from __future__ import annotations

import asyncio
import base64
import json
from codecs import getincrementaldecoder
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import httpx2
import openai
from pydantic_core import to_json

from agents.jsontext import storable
from agents.protocol import MediaLoader, Response
from agents.providers.common import bad_reply, request_error, status_error, timeout_error
from agents.providers.headers import rate_limits
from agents.providers.transport import http_client
from schemas.parts import MediaRef, Usage
from schemas.ports import TokenLogprob
from schemas.settings_models import ModelSection, secret
from schemas.settings_types import is_loopback

DEFAULT_KEY_ENV = "OPENAI_API_KEY"
VENDOR_URL = "https://api.openai.com/v1"  # given, so that no environment variable redirects a run
HEADERS = {"content-type": "application/json"}


class Reply(NamedTuple):
    content: bytes
    headers: Mapping[str, str]


class OpenAIClient:
    """Sends a body to a path once. The library builds the request, aiohttp sends it, retries are the engine's."""

    def __init__(self, section: ModelSection) -> None:
        """Raises UserError when the variable that holds the key is not set."""
        self.key = _key(section)
        self.base_url = section.base_url or VENDOR_URL
        self._timeout_s = section.timeout_s
        self._client = openai.AsyncOpenAI(
            api_key=self.key or "none",  # the client insists on a text
            base_url=self.base_url,
            max_retries=0,
            timeout=section.timeout_s,
            http_client=http_client(section.timeout_s),
        )
        # What the library has read from the environment, for whatever server is asked.
        self._client.organization = self._client.project = None
        self._client._custom_headers = {}

    async def ask(
        self,
        path: str,
        body: Callable[[], dict[str, Any]],
        paid: Callable[[dict[str, Any]], Usage | None],
        read: Callable[[dict[str, Any], Usage | None], Response],
    ) -> Response:
        """What `paid` and `read` make of the answer to `body`, which is made in a thread of its own.

        The library's typed methods would look at every node of the answer schema, to change nothing.

        Raises:
            ProviderError: refused, unreachable, too slow, or an answer that is not of the protocol.
        """
        content = await asyncio.to_thread(lambda: to_json(body()))
        try:
            async with asyncio.timeout(self._timeout_s):
                reply: httpx2.Response = await self._client.post(
                    path, cast_to=httpx2.Response, content=content, options={"headers": HEADERS}
                )
        except (TimeoutError, openai.APITimeoutError):
            raise timeout_error(self._timeout_s) from None
        except openai.APIStatusError as error:
            # Not chained: the vendor's own error repeats the key.
            headers = error.response.headers
            raise status_error(error.status_code, error.message, headers, self.key, body=error.body) from None
        except openai.APIConnectionError as error:
            raise request_error(error.__cause__ or error, self.key) from None
        used: Usage | None = None
        try:
            data = json.loads(reply.content)
            used = paid(data)
            return read(data, used)._replace(limits=rate_limits(reply.headers))
        except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
            problem = f"not an answer of the protocol ({type(error).__name__}): {reply.content[:80]!r}"
            raise bad_reply(problem, self.key, used) from None

    async def close(self) -> None:
        await self._client.close()


def _key(section: ModelSection) -> str:
    """The key from the environment; a server on this machine that names no variable needs none."""
    if section.api_key_env is None and is_loopback(section.base_url):
        return ""
    return secret(section.api_key_env or DEFAULT_KEY_ENV, needed_by=section.name)


def data_url(ref: MediaRef, load: MediaLoader) -> str:
    return f"data:{ref.mime_type};base64,{base64_text(ref, load)}"


def base64_text(ref: MediaRef, load: MediaLoader) -> str:
    return base64.b64encode(load(ref)).decode("ascii")


def token_logprobs(rows: Any) -> tuple[TokenLogprob, ...] | None:
    """The tokens of an answer as both APIs tell them, None where they tell none.

    A token may end within a character, so the text is made of the bytes, where they are told.
    """
    if not rows:
        return None
    decoder = getincrementaldecoder("utf-8")("replace")

    def text(row: Mapping[str, Any]) -> str:
        told = row.get("bytes")
        return storable(row["token"] if told is None else decoder.decode(bytes(told)))

    return tuple(
        TokenLogprob(text(row), float(row["logprob"]), tuple(map(_other, row.get("top_logprobs") or ())))
        for row in rows
    )


def _other(row: Mapping[str, Any]) -> tuple[str, float]:
    told = row.get("bytes")
    text = row["token"] if told is None else bytes(told).decode("utf-8", "replace")
    return storable(text), float(row["logprob"])
