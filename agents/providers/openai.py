"""OpenAI by its Responses API, which also tells refusals and answers that were cut off apart.

Nothing is left to be stored at the vendor (`store` is false). The API takes text and pictures, and knows no seed.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from agents.protocol import MediaPart, Request, Response, TextPart
from agents.providers.common import cannot, count, tidy, told, usage
from agents.providers.openai_base import OpenAIBase
from agents.providers.openai_client import Media, token_logprobs
from agents.providers.options import ExtraBody, Options
from agents.questions.datatext import storable
from schemas.errors import ProviderError
from schemas.parts import Usage
from schemas.settings_models import ModelSection

FINISH_REASONS = {"max_output_tokens": "length", "content_filter": "content_filter"}
TRANSIENT_FAILURES = {"server_error": "server_error", "rate_limit_exceeded": "rate_limited"}
LOGPROBS = "message.output_text.logprobs"


class ResponsesOptions(Options):
    reasoning_effort: str | None = None
    image_detail: Literal["auto", "low", "high"] = "auto"
    extra_body: ExtraBody = Field({})


class OpenAIProvider(OpenAIBase[ResponsesOptions]):
    """Asks by responses with a strict JSON schema."""

    name = "openai"
    options = ResponsesOptions
    path = "/responses"

    @classmethod
    def refuse(cls, section: ModelSection) -> None:
        if more := [kind for kind in section.takes if kind in ("audio", "video")]:
            remedy = 'take "images", or set provider = "openai_compatible" for models that hear'
            raise cannot(section, "takes", f"the Responses API takes no {more[0]}", remedy)
        if section.seed is not None:
            remedy = 'remove seed, or set provider = "openai_compatible"'
            raise cannot(section, "seed", "the Responses API knows no seed", remedy)

    def body(self, request: Request, media: Media) -> dict[str, Any]:
        sampling, chosen = request.sampling, self.chosen
        content = [
            {"type": "input_text", "text": part.text}
            if isinstance(part, TextPart)
            else self._picture(part, media)
            for part in request.parts
        ]
        body: dict[str, Any] = {
            "model": request.model,
            "instructions": request.system,
            "input": [{"role": "user", "content": content}],
            "max_output_tokens": sampling["max_output_tokens"],
            "store": False,
        }
        if "temperature" in sampling:
            body["temperature"] = sampling["temperature"]
        if self.section.answer_format == "json_schema":
            schema = {"name": request.purpose, "strict": True, "schema": request.answer_schema}
            body["text"] = {"format": {"type": "json_schema", **schema}}
        elif self.section.answer_format == "json_object":
            body["text"] = {"format": {"type": "json_object"}}
        if (alternatives := sampling.get("top_logprobs")) is not None:
            body |= {"include": [LOGPROBS], "top_logprobs": alternatives}
        if chosen.reasoning_effort is not None:
            body["reasoning"] = {"effort": chosen.reasoning_effort}
        return body | chosen.extra_body

    def _picture(self, part: MediaPart, media: Media) -> dict[str, Any]:
        return {
            "type": "input_image",
            "image_url": media.data_url(part.ref),
            "detail": self.chosen.image_detail,
        }

    def paid(self, data: dict[str, Any]) -> Usage | None:
        counts = data.get("usage") or {}
        return usage(
            self.section,
            counts.get("input_tokens"),
            counts.get("output_tokens"),
            cached=count((counts.get("input_tokens_details") or {}).get("cached_tokens")),
            reasoning=count((counts.get("output_tokens_details") or {}).get("reasoning_tokens")),
        )

    def response(self, data: dict[str, Any], paid: Usage | None) -> Response:
        """Raises ProviderError for an answer that says it has failed, ValueError for one that has not ended."""
        status = data["status"]
        if status == "failed":
            raise self._failure(data.get("error") or {}, paid)
        if status not in ("completed", "incomplete"):
            raise ValueError(status)
        parts = [part for item in data["output"] if item["type"] == "message" for part in item["content"]]
        refusal = "".join(part["refusal"] for part in parts if part["type"] == "refusal")
        written = [part for part in parts if part["type"] == "output_text"]
        why = str((data.get("incomplete_details") or {}).get("reason") or status)
        finish_reason = "stop" if status == "completed" else FINISH_REASONS.get(why, why)
        return Response(
            text=storable(refusal or "".join(part["text"] for part in written)),
            model_version=told(data.get("model")),
            usage=paid,
            finish_reason="refusal" if refusal else told(finish_reason),
            logprobs=token_logprobs([row for part in written for row in part.get("logprobs") or ()]),
        )

    def _failure(self, error: dict[str, Any], paid: Usage | None) -> ProviderError:
        code = str(error.get("code"))
        message = tidy(f"{code}: {error.get('message')}", self.client.key)
        transient = code in TRANSIENT_FAILURES
        return ProviderError(
            TRANSIENT_FAILURES.get(code, "bad_request"), message, transient=transient, usage=paid
        )
