"""Google Gemini through google-genai, with images, sound and video inline.

Options of the project file (`options`): `video_fps`: frames per second at which the model samples a clip;
`api_version`: "v1" (default) or "v1beta".
"""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
from google import genai
from google.genai import errors, types

from agents.jsontext import storable
from agents.protocol import MediaLoader, MediaPart, Request, Response, TextPart
from agents.providers.common import bad_reply, connection_error, status_error, timeout_error, usage
from agents.providers.transport import http_client
from schemas.settings_models import ModelSection, secret

DEFAULT_KEY_ENV = "GEMINI_API_KEY"
DEFAULT_API_VERSION = "v1"  # said, because the library else reads an environment variable
FINISH_REASONS = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "MODEL_ARMOR": "content_filter",
}


class GeminiProvider:
    """Asks by generateContent with a JSON schema; the library's own retries are off (its default)."""

    name = "gemini"
    wire = True
    vendor_url = "https://generativelanguage.googleapis.com"  # given: no environment variable redirects a run

    def __init__(self, section: ModelSection) -> None:
        self.section = section
        self._key = secret(section.api_key_env or DEFAULT_KEY_ENV, needed_by=section.name)
        self.base_url = section.base_url or self.vendor_url
        self._http = http_client(section.timeout_s)
        options = types.HttpOptions(
            base_url=self.base_url,
            api_version=section.options.get("api_version", DEFAULT_API_VERSION),
            timeout=round(section.timeout_s * 1000),
            retry_options=types.HttpRetryOptions(attempts=1),
            httpx_async_client=self._http,
        )
        self._client = genai.Client(api_key=self._key, vertexai=False, http_options=options)

    async def complete(self, request: Request, load: MediaLoader) -> Response:
        """Ask once.

        Raises:
            ProviderError: refused, unreachable, too slow, or an answer that is not of the protocol.
        """
        contents = await asyncio.to_thread(_contents, request, load)
        try:
            async with asyncio.timeout(self.section.timeout_s):
                answer = await self._client.aio.models.generate_content(
                    model=request.model, contents=contents, config=_config(request)
                )
        except (TimeoutError, httpx2.TimeoutException):
            raise timeout_error(self.section.timeout_s) from None
        except errors.APIError as error:
            # Not chained: the vendor's own error repeats the key.
            headers = getattr(error.response, "headers", None) or {}
            message = str(error.message or error.status or "")
            raise status_error(error.code, message, headers, self._key, body=error.details) from None
        except httpx2.TransportError as error:
            raise connection_error(error, self._key) from None
        except (ValueError, errors.UnknownApiResponseError) as error:
            raise bad_reply(f"not a Gemini answer: {error}", self._key) from None
        return self._response(answer)

    async def close(self) -> None:
        await self._client.aio.aclose()
        self._client.close()
        await self._http.aclose()

    def _response(self, answer: types.GenerateContentResponse) -> Response:
        counts = answer.usage_metadata or types.GenerateContentResponseUsageMetadata()
        written = None
        if counts.prompt_token_count is not None:  # a count of nothing is left out
            # Thoughts are billed as output.
            written = (counts.candidates_token_count or 0) + (counts.thoughts_token_count or 0)
        paid = usage(self.section, counts.prompt_token_count, written)
        if not answer.candidates and not (answer.prompt_feedback and answer.prompt_feedback.block_reason):
            raise bad_reply("neither a candidate nor a reason for blocking the prompt", self._key, paid)
        text, finish_reason = _text(answer)
        return Response(
            text=storable(text),
            model_version=answer.model_version,
            usage=paid,
            finish_reason=finish_reason,
        )


def _text(answer: types.GenerateContentResponse) -> tuple[str, str | None]:
    """The answer without the model's thoughts, and why it ended; a blocked prompt has no candidate."""
    if not answer.candidates:
        feedback = answer.prompt_feedback
        return (feedback.block_reason_message if feedback else None) or "", "content_filter"
    candidate = answer.candidates[0]
    parts = (candidate.content.parts if candidate.content else None) or []
    text = "".join(part.text or "" for part in parts if not part.thought)
    if candidate.finish_reason is None:
        return text, None
    name = candidate.finish_reason.value
    return text, FINISH_REASONS.get(name, name.lower())


def _config(request: Request) -> types.GenerateContentConfig:
    sampling = request.sampling
    return types.GenerateContentConfig(
        system_instruction=request.system,
        response_mime_type="application/json",
        response_json_schema=request.answer_schema,
        temperature=sampling.get("temperature"),
        seed=sampling.get("seed"),
        max_output_tokens=sampling["max_output_tokens"],
    )


def _contents(request: Request, load: MediaLoader) -> types.Content:
    fps = request.sampling.get("options", {}).get("video_fps")
    parts = [
        types.Part(text=part.text) if isinstance(part, TextPart) else _media(part, load, fps)
        for part in request.parts
    ]
    return types.Content(role="user", parts=parts)


def _media(part: MediaPart, load: MediaLoader, fps: Any) -> types.Part:
    blob = types.Blob(data=load(part.ref), mime_type=part.ref.mime_type)
    if part.ref.kind == "clip" and fps is not None:
        return types.Part(inline_data=blob, video_metadata=types.VideoMetadata(fps=float(fps)))
    return types.Part(inline_data=blob)
