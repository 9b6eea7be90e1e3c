"""Google Gemini through google-genai, with pictures, sound and video inline; a clip is sent with its sound."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal

import httpx2
from google import genai
from google.genai import errors, types
from pydantic import Field

from agents.protocol import MediaLoader, MediaPart, Request, Response, TextPart
from agents.providers.common import (
    NOT_OF_THE_PROTOCOL,
    bad_reply,
    request_error,
    status_error,
    timeout_error,
    told,
    usage,
)
from agents.providers.options import Options, read_options
from agents.providers.transport import http_client
from agents.questions.datatext import storable
from schemas.parts import Usage
from schemas.ports import TokenLogprob
from schemas.settings_models import ModelSection, secret
from schemas.settings_types import NotNegative

DEFAULT_KEY_ENV = "GEMINI_API_KEY"
MODALITIES = ("TEXT", "IMAGE", "AUDIO", "VIDEO")
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


class GeminiOptions(Options):
    """`api_version` has a default of its own, because the library else reads an environment variable."""

    api_version: Literal["v1", "v1beta"] = "v1"
    video_fps: Annotated[float, Field(gt=0, le=24)] | None = None
    video_start_s: NotNegative | None = None
    video_end_s: NotNegative | None = None
    media_resolution: Literal["low", "medium", "high"] | None = None
    thinking_level: Literal["minimal", "low", "medium", "high"] | None = None
    thinking_budget: Annotated[int, Field(ge=-1)] | None = None


class GeminiProvider:
    """Asks by generateContent with a JSON schema; the library's own retries are off."""

    name = "gemini"
    vendor = "gemini"
    wire = True
    options = GeminiOptions
    vendor_url = "https://generativelanguage.googleapis.com"  # given: no environment variable redirects a run

    def __init__(self, section: ModelSection) -> None:
        self.section, self.chosen = section, read_options(GeminiOptions, section)
        self.key = secret(section.api_key_env or DEFAULT_KEY_ENV, needed_by=section.name)
        self.base_url = section.base_url or self.vendor_url
        self._http = http_client()
        self._client = self.client_over(httpx_async_client=self._http)

    def client_over(self, **http: httpx2.AsyncClient | httpx2.Client) -> genai.Client:
        """The library, sending by what is given."""
        options = types.HttpOptions(
            base_url=self.base_url,
            api_version=self.chosen.api_version,
            timeout=round(self.section.timeout_s * 1000),
            retry_options=types.HttpRetryOptions(attempts=1),
            **http,
        )
        return genai.Client(api_key=self.key, vertexai=False, http_options=options)

    async def complete(self, request: Request, load: MediaLoader) -> Response:
        """Ask once.

        Raises:
            ProviderError: refused, unreachable, too slow, or an answer that is not of the protocol.
        """
        asked = self.asked(request, load)
        with self.told():
            async with asyncio.timeout(self.section.timeout_s):
                answer = await self._client.aio.models.generate_content(**asked)
        return self.response(answer)

    @contextmanager
    def told(self) -> Iterator[None]:
        """The library's errors as ours; raises ProviderError."""
        try:
            yield
        except (TimeoutError, httpx2.TimeoutException):
            raise timeout_error(self.section.timeout_s) from None
        except errors.APIError as error:
            # Not chained: the vendor's own error repeats the key.
            headers = getattr(error.response, "headers", None) or {}
            message = str(error.message or error.status or "")
            raise status_error(error.code, message, headers, self.key, body=error.details) from None
        except httpx2.RequestError as error:
            raise request_error(error, self.key) from None
        except (*NOT_OF_THE_PROTOCOL, errors.UnknownApiResponseError) as error:
            raise bad_reply(f"not a Gemini answer ({type(error).__name__}): {error}", self.key) from None

    async def close(self) -> None:
        await self._client.aio.aclose()
        self._client.close()
        await self._http.aclose()

    def response(self, answer: types.GenerateContentResponse) -> Response:
        """An answer as it is kept; raises ProviderError where it holds none."""
        paid = self._usage(answer.usage_metadata or types.GenerateContentResponseUsageMetadata())
        if not answer.candidates and not (answer.prompt_feedback and answer.prompt_feedback.block_reason):
            raise bad_reply("neither a candidate nor a reason for blocking the prompt", self.key, paid)
        text, finish_reason = _text(answer)
        return Response(
            text=storable(text),
            model_version=told(answer.model_version),
            usage=paid,
            finish_reason=told(finish_reason),
            logprobs=_logprobs(answer.candidates[0].logprobs_result) if answer.candidates else None,
        )

    def _usage(self, counts: types.GenerateContentResponseUsageMetadata) -> Usage | None:
        if counts.prompt_token_count is None:
            return None
        # A count of nothing is left out. Thoughts are billed as output.
        return usage(
            self.section,
            counts.prompt_token_count,
            (counts.candidates_token_count or 0) + (counts.thoughts_token_count or 0),
            by_modality={
                part.modality.value.lower(): part.token_count
                for part in counts.prompt_tokens_details or ()
                if part.modality is not None and part.modality.value in MODALITIES
            },
            cached=counts.cached_content_token_count,
            reasoning=counts.thoughts_token_count,
        )

    def asked(self, request: Request, load: MediaLoader) -> dict[str, Any]:
        """The question as the library takes it."""
        contents = self._contents(request, load)
        return {"model": request.model, "contents": contents, "config": self._config(request)}

    def _config(self, request: Request) -> types.GenerateContentConfig:
        sampling, chosen, answer_format = request.sampling, self.chosen, self.section.answer_format
        alternatives = sampling.get("top_logprobs")
        thinking = {"thinking_budget": chosen.thinking_budget, "thinking_level": chosen.thinking_level}
        resolution = chosen.media_resolution and f"MEDIA_RESOLUTION_{chosen.media_resolution.upper()}"
        return types.GenerateContentConfig(
            system_instruction=request.system,
            response_mime_type=None if answer_format == "text" else "application/json",
            response_json_schema=ordered(request.answer_schema) if answer_format == "json_schema" else None,
            temperature=sampling.get("temperature"),
            seed=sampling.get("seed"),
            max_output_tokens=sampling["max_output_tokens"],
            response_logprobs=None if alternatives is None else True,
            logprobs=alternatives or None,
            automatic_continuation=False,  # it would send more than was written down
            media_resolution=None if resolution is None else types.MediaResolution(resolution),
            thinking_config=types.ThinkingConfig.model_validate(thinking)
            if any(value is not None for value in thinking.values())
            else None,
        )

    def _contents(self, request: Request, load: MediaLoader) -> types.Content:
        parts = [
            types.Part(text=part.text) if isinstance(part, TextPart) else self._media(part, load)
            for part in request.parts
        ]
        return types.Content(role="user", parts=parts)

    def _media(self, part: MediaPart, load: MediaLoader) -> types.Part:
        blob = types.Blob(data=load(part.ref), mime_type=part.ref.mime_type)
        fps, start_s, end_s = self.chosen.video_fps, self.chosen.video_start_s, self.chosen.video_end_s
        if part.ref.kind != "clip" or (fps, start_s, end_s) == (None, None, None):
            return types.Part(inline_data=blob)
        offsets = [None if at is None else f"{at:g}s" for at in (start_s, end_s)]
        shown = types.VideoMetadata(fps=fps, start_offset=offsets[0], end_offset=offsets[1])
        return types.Part(inline_data=blob, video_metadata=shown)


def ordered(schema: Any) -> Any:
    """The schema with `propertyOrdering` in every object: the model then writes the properties in this order.

    Reference: https://ai.google.dev/gemini-api/docs/structured-output
    """
    if isinstance(schema, list):
        return [ordered(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: ordered(value) for key, value in schema.items()}
    if schema.get("type") == "object" and isinstance(schema.get("properties"), dict):
        inner["propertyOrdering"] = list(schema["properties"])
    return inner


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


def _logprobs(told: types.LogprobsResult | None) -> tuple[TokenLogprob, ...] | None:
    chosen = (told.chosen_candidates if told else None) or []
    others = [step.candidates or [] for step in (told.top_candidates if told else None) or []]
    others += [[]] * (len(chosen) - len(others))
    if not chosen or any(token.log_probability is None for token in chosen):
        return None
    return tuple(
        TokenLogprob(
            storable(token.token or ""),
            token.log_probability or 0.0,
            tuple(
                (storable(other.token or ""), other.log_probability)
                for other in step
                if other.log_probability is not None
            ),
        )
        for token, step in zip(chosen, others, strict=False)
    )
