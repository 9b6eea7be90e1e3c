"""What both APIs of OpenAI share: the client, its key, its errors, and how parts are written."""

from __future__ import annotations

import json
import secrets
from codecs import getincrementaldecoder
from collections.abc import Callable, Mapping
from typing import Any

import openai
import pybase64
from openai._models import FinalRequestOptions
from pydantic_core import to_json
from yarl import URL

from agents.protocol import MediaLoader, Response
from agents.providers.common import NOT_OF_THE_PROTOCOL, bad_reply
from agents.providers.headers import rate_limits
from agents.providers.server import Server
from agents.providers.transport import Headers, Reply, http_client
from agents.questions.datatext import storable
from schemas.parts import MediaRef, Usage
from schemas.ports import TokenLogprob
from schemas.settings_models import ModelSection, secret
from schemas.settings_types import is_loopback

DEFAULT_KEY_ENV = "OPENAI_API_KEY"
VENDOR_URL = "https://api.openai.com/v1"  # given, so that no environment variable redirects a run
REFUSALS = range(400, 600)  # HTTP statuses
STAND_IN = f"media-{secrets.token_hex(16)}"  # for media in a body that is being written; in no data by chance


class Media:
    """The media of one body, in the order in which they stand in it.

    JSON is written around stand-ins: to look at every letter of a clip takes longer than to send it.
    """

    def __init__(self, load: MediaLoader) -> None:
        self._load = load
        self._encoded: list[bytes] = []

    def base64(self, ref: MediaRef) -> str:
        self._encoded.append(pybase64.b64encode(self._load(ref)))
        return STAND_IN

    def data_url(self, ref: MediaRef) -> str:
        return f"data:{ref.mime_type};base64,{self.base64(ref)}"

    def put_into(self, body: dict[str, Any]) -> bytes:
        """The body as JSON, with the media in their places."""
        first, *rest = to_json(body).split(STAND_IN.encode())
        pairs = zip(self._encoded, rest, strict=True)
        return b"".join([first, *(piece for pair in pairs for piece in pair)])


class OpenAIClient(Server):
    """Sends a body to one path. The library builds the request, aiohttp sends it, retries are the engine's.

    What the library builds is the same for every question but the body: it does so once. Its own methods would
    look at every node of the answer schema for each question, to change nothing.
    """

    def __init__(self, section: ModelSection, path: str) -> None:
        """Raises UserError when the variable that holds the key is not set."""
        super().__init__(_key(section), section.base_url or VENDOR_URL, section.timeout_s)
        self.path = path
        self._url, self.headers = _built(self.key, self.base_url, path)

    async def ask(
        self,
        body: Callable[[Media], dict[str, Any]],
        load: MediaLoader,
        paid: Callable[[dict[str, Any]], Usage | None],
        read: Callable[[dict[str, Any], Usage | None], Response],
    ) -> Response:
        """What `paid` and `read` make of the answer to `body`.

        Raises:
            ProviderError: refused, unreachable, too slow, or an answer that is not of the protocol.
        """
        content = written(body, load)
        reply = await self.answered(self.connections.send("POST", self._url, self.headers, content))
        response = self.read(lambda: json.loads(reply.body), reply.body, paid, read)
        return response._replace(limits=rate_limits(reply.headers))

    def read(
        self,
        data: Callable[[], Any],
        shown: bytes,
        paid: Callable[[dict[str, Any]], Usage | None],
        read: Callable[[dict[str, Any], Usage | None], Response],
    ) -> Response:
        """What `paid` and `read` make of an answer; `shown` is what is told of one that cannot be read.

        Raises:
            ProviderError: it is not of the protocol, or says that it has failed.
        """
        used: Usage | None = None
        try:
            told = data()
            used = paid(told)
            return read(told, used)
        except NOT_OF_THE_PROTOCOL as error:
            if used is None and (status := _status_within(shown)) is not None:
                raise self.refused(Reply(status, {}, shown)) from None
            problem = f"not an answer of the protocol ({type(error).__name__}): {self._begin(shown)}"
            raise bad_reply(problem, self.key, used) from None

    def _begin(self, body: bytes) -> str:
        """The first bytes of a body without the key: one that is cut through would show half of it."""
        hidden = body.replace(self.key.encode(), b"[key]") if self.key else body
        return repr(hidden[:80])


def _status_within(body: bytes) -> int | None:
    """The HTTP status that is told in a body, where the reply itself says 200: a server between has begun to
    answer before the model failed.

    Reference: https://openrouter.ai/docs/api/reference/errors-and-debugging
    """
    try:
        code = json.loads(body)["error"]["code"]
    except NOT_OF_THE_PROTOCOL:
        return None
    return code if type(code) is int and code in REFUSALS else None


def written(body: Callable[[Media], dict[str, Any]], load: MediaLoader) -> bytes:
    """A body as JSON in one line, with its media."""
    media = Media(load)
    return media.put_into(body(media))


def _built(key: str, base_url: str, path: str) -> tuple[URL, Headers]:
    """Address and headers of a question, as the library builds them."""
    client = openai.AsyncOpenAI(
        api_key=key or "none",  # the client insists on a text
        base_url=base_url,
        max_retries=0,
        http_client=http_client(),
    )
    # What the library has read from the environment, for whatever server is asked.
    client.organization = client.project = None
    client._custom_headers = {}
    json_type = {"content-type": "application/json"}
    request = client._build_request(
        FinalRequestOptions.construct(method="post", url=path, content=b"", headers=json_type)
    )
    headers = [(name, value) for name, value in request.headers.multi_items() if name != "content-length"]
    return URL(str(request.url), encoded=True), headers


def _key(section: ModelSection) -> str:
    """The key from the environment; a server on this machine that names no variable needs none."""
    if section.api_key_env is None and is_loopback(section.base_url):
        return ""
    return secret(section.api_key_env or DEFAULT_KEY_ENV, needed_by=section.name)


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
