"""OpenAI, and every server that speaks its chat-completions protocol (vLLM, SGLang, Ollama, LM Studio).

Options of the project file (`options`, all of them part of the question's identity):
`response_format`: "json_schema" (default), "json_object" or "none", for servers without strict schemas;
`max_tokens_field`: "max_completion_tokens" (default) or "max_tokens", for older servers;
`video`: "video_url" sends the clip itself (vLLM and SGLang know this part; OpenAI does not);
`extra_body`: a table that is added to the request's body.
"""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import json
from typing import Any
from urllib.parse import urlsplit

import openai

from agents.jsontext import storable
from agents.protocol import MediaLoader, Request, Response, TextPart
from agents.providers.common import bad_reply, connection_error, status_error, timeout_error, usage
from agents.providers.headers import rate_limits
from agents.providers.transport import http_client
from schemas.parts import MediaRef, Usage
from schemas.settings_models import ModelSection, secret

DEFAULT_KEY_ENV = "OPENAI_API_KEY"


class OpenAICompatibleProvider:
    """Asks by chat completions with a strict JSON schema; retries are the engine's."""

    name = "openai_compatible"
    wire = True
    vendor_url = "https://api.openai.com/v1"  # given, so that no environment variable redirects a run

    def __init__(self, section: ModelSection) -> None:
        self.section = section
        self._key = _key(section)
        self.base_url = section.base_url or self.vendor_url
        self._client = openai.AsyncOpenAI(
            api_key=self._key or "none",  # the client insists on a text
            base_url=self.base_url,
            max_retries=0,
            timeout=section.timeout_s,
            http_client=http_client(section.timeout_s),
        )
        # What the library has read from the environment, for whatever server is asked.
        self._client.organization = self._client.project = None
        self._client._custom_headers = {}

    async def complete(self, request: Request, load: MediaLoader) -> Response:
        """Ask once.

        Raises:
            ProviderError: refused, unreachable, too slow, or an answer that is not of the protocol.
        """
        body = await asyncio.to_thread(_body, request, load)
        options = request.sampling.get("options", {})
        try:
            async with asyncio.timeout(self.section.timeout_s):
                raw = await self._client.chat.completions.with_raw_response.create(
                    **body, extra_body=options.get("extra_body")
                )
                content, headers = raw.http_response.content, raw.http_response.headers
        except (TimeoutError, openai.APITimeoutError):
            raise timeout_error(self.section.timeout_s) from None
        except openai.APIStatusError as error:
            # Not chained: the vendor's own error repeats the key.
            headers = error.response.headers
            raise status_error(
                error.status_code, error.message, headers, self._key, body=error.body
            ) from None
        except openai.APIConnectionError as error:
            raise connection_error(error, self._key) from None
        return self._response(content)._replace(limits=rate_limits(headers))

    async def close(self) -> None:
        await self._client.close()

    def _response(self, content: bytes) -> Response:
        paid: Usage | None = None
        try:
            data = json.loads(content)
            counts = data.get("usage") or {}
            paid = usage(self.section, counts.get("prompt_tokens"), counts.get("completion_tokens"))
            choice = data["choices"][0]
            message = choice["message"]
            text = message.get("content") or ""
            refusal = message.get("refusal")
            finish_reason = "refusal" if refusal else choice.get("finish_reason")
            return Response(
                text=storable(str(refusal or text)),
                model_version=data.get("model"),
                usage=paid,
                finish_reason=finish_reason,
            )
        except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
            problem = f"not a chat completion ({type(error).__name__}): {content[:80]!r}"
            raise bad_reply(problem, self._key, paid) from None


def _key(section: ModelSection) -> str:
    """The key from the environment; a server on this machine that names no variable needs none."""
    if section.api_key_env is None and _is_loopback(section.base_url):
        return ""
    return secret(section.api_key_env or DEFAULT_KEY_ENV, needed_by=section.name)


def _is_loopback(url: str | None) -> bool:
    host = urlsplit(url).hostname if url else None
    if host is None:
        return False
    try:
        return ipaddress.ip_address(str(host)).is_loopback
    except ValueError:
        return host == "localhost"


def _body(request: Request, load: MediaLoader) -> dict[str, Any]:
    sampling = request.sampling
    options = sampling.get("options", {})
    content = [
        {"type": "text", "text": part.text} if isinstance(part, TextPart) else _media(part.ref, load)
        for part in request.parts
    ]
    body: dict[str, Any] = {
        "model": request.model,
        "messages": [
            {"role": "system", "content": request.system},
            {"role": "user", "content": content},
        ],
        options.get("max_tokens_field", "max_completion_tokens"): sampling["max_output_tokens"],
    }
    body |= {key: sampling[key] for key in ("temperature", "seed") if key in sampling}
    response_format = options.get("response_format", "json_schema")
    if response_format == "json_schema":
        schema = {"name": request.purpose, "strict": True, "schema": request.answer_schema}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif response_format == "json_object":
        body["response_format"] = {"type": "json_object"}
    return body


def _media(ref: MediaRef, load: MediaLoader) -> dict[str, Any]:
    data = base64.b64encode(load(ref)).decode("ascii")
    if ref.kind == "audio":
        return {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}
    kind = "image_url" if ref.kind == "image" else "video_url"
    return {"type": kind, kind: {"url": f"data:{ref.mime_type};base64,{data}"}}
