"""Chat completions: OpenAI, and every server that speaks this protocol (vLLM, SGLang, Ollama, LM Studio).

What a model behind it can do is not told by the protocol. The project file says it: `takes` and `gives`.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from agents.protocol import Request, Response, TextPart
from agents.providers.common import cannot, count, told, usage
from agents.providers.openai_base import OpenAIBase
from agents.providers.openai_client import Media, token_logprobs
from agents.providers.options import ExtraBody, Options
from agents.questions.datatext import storable
from schemas.parts import MediaRef, Usage
from schemas.settings_models import ModelSection

MODALITIES = ("text", "image", "audio", "video")  # of the tokens of a prompt, where a server tells them apart


class ChatOptions(Options):
    max_tokens_field: Literal["max_completion_tokens", "max_tokens"] = "max_completion_tokens"
    reasoning_effort: str | None = None
    image_detail: Literal["auto", "low", "high"] | None = None
    extra_body: ExtraBody = Field({})


class OpenAICompatibleProvider(OpenAIBase[ChatOptions]):
    """Asks by chat completions; what a model cannot is neither sent nor asked."""

    name = "openai_compatible"
    options = ChatOptions
    path = "/chat/completions"

    @classmethod
    def refuse(cls, section: ModelSection) -> None:
        if section.base_url is None and "video" in section.takes:
            remedy = 'take "images": key frames stand for the clip'
            raise cannot(section, "takes", "OpenAI takes no video", remedy)

    def body(self, request: Request, media: Media) -> dict[str, Any]:
        sampling, chosen = request.sampling, self.chosen
        content = [
            {"type": "text", "text": part.text}
            if isinstance(part, TextPart)
            else self._media(part.ref, media)
            for part in request.parts
        ]
        body: dict[str, Any] = {
            "model": request.model,
            "messages": [
                {"role": "system", "content": request.system},
                {"role": "user", "content": content},
            ],
            chosen.max_tokens_field: sampling["max_output_tokens"],
        }
        body |= {key: sampling[key] for key in ("temperature", "seed") if key in sampling}
        if self.section.answer_format == "json_schema":
            schema = {"name": request.purpose, "strict": True, "schema": request.answer_schema}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        elif self.section.answer_format == "json_object":
            body["response_format"] = {"type": "json_object"}
        if (alternatives := sampling.get("top_logprobs")) is not None:
            body |= {"logprobs": True, "top_logprobs": alternatives}
        if chosen.reasoning_effort is not None:
            body["reasoning_effort"] = chosen.reasoning_effort
        return body | chosen.extra_body

    def _media(self, ref: MediaRef, media: Media) -> dict[str, Any]:
        if ref.kind == "audio":
            return {"type": "input_audio", "input_audio": {"data": media.base64(ref), "format": "wav"}}
        if ref.kind == "clip":  # no part of OpenAI's; vLLM and SGLang have it
            return {"type": "video_url", "video_url": {"url": media.data_url(ref)}}
        detail = {"detail": self.chosen.image_detail} if self.chosen.image_detail else {}
        return {"type": "image_url", "image_url": {"url": media.data_url(ref), **detail}}

    def paid(self, data: dict[str, Any]) -> Usage | None:
        counts = data.get("usage") or {}
        of_input = counts.get("prompt_tokens_details") or {}
        of_output = counts.get("completion_tokens_details") or {}
        return usage(
            self.section,
            counts.get("prompt_tokens"),
            counts.get("completion_tokens"),
            by_modality={name: of_input.get(f"{name}_tokens") for name in MODALITIES},
            cached=count(of_input.get("cached_tokens")),
            reasoning=count(of_output.get("reasoning_tokens")),
        )

    def response(self, data: dict[str, Any], paid: Usage | None) -> Response:
        choice = data["choices"][0]
        message = choice["message"]
        refusal = message.get("refusal")
        return Response(
            text=storable(str(refusal or _text(message.get("content")))),
            model_version=told(data.get("model")),
            usage=paid,
            finish_reason="refusal" if refusal else told(choice.get("finish_reason")),
            logprobs=token_logprobs((choice.get("logprobs") or {}).get("content")),
        )


def _text(content: Any) -> str:
    """What was written. Some servers give it in parts, of which those with text count, thoughts do not."""
    if isinstance(content, list):
        return "".join(part["text"] for part in content if part.get("type", "text") == "text")
    if not isinstance(content, str | None):
        raise TypeError(type(content).__name__)
    return content or ""
