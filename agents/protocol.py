"""What is asked of a model and what comes back: `Request`, `Response`, and the `Provider` protocol."""

from __future__ import annotations

import json
from functools import cached_property
from typing import Any, Literal, NamedTuple, Protocol

from pydantic import BaseModel, ConfigDict, Field, InstanceOf

from schemas.ids import content_digest
from schemas.parts import MediaRef, Usage
from schemas.ports import TokenLogprob
from schemas.records import Annotation, Check, Sample
from schemas.settings_types import Section
from schemas.taxonomy import Taxonomy

Takes = Literal["text", "images", "audio", "video"]


class TextPart(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    text: str


class MediaPart(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    ref: MediaRef


class AnswerSchema(dict[str, Any]):
    """A JSON schema of an answer. One object serves all questions with the same labels; it is never changed."""

    @cached_property
    def digest(self) -> str:
        return content_digest(self)


class Request(BaseModel):
    """One question to one model. Its `digest` is what identifies a paid call: everything that can change the
    answer is in it (prompt text, media recipes, answer schema, sampling), nothing else (no retries, no keys).

    `sample`, `annotation`, `check` and `taxonomy` are for keyless providers, which read them instead of the text;
    `local_inputs` then holds their digests, so that the question still names all that it depends on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    purpose: Literal["annotate", "judge"]
    model: str
    deployment: str = (
        ""  # which server: it may serve other weights under the model's name; "": the vendor's own
    )
    system: str
    parts: tuple[TextPart | MediaPart, ...]
    answer_schema: InstanceOf[AnswerSchema] = Field(exclude=True)
    sampling: dict[str, Any] = {}
    replicate: int = 0
    occasion: str = ""  # a question that is put again later, to see whether the model still answers alike
    variant: int = 0
    local_inputs: tuple[str, ...] = ()
    # What the prompt had no room for, lines by section. The text says it too, so the digest need not.
    left_out: dict[str, int] = Field(default={}, exclude=True)

    # Of a question in two steps: the digest of what will be asked next, as far as it is known. It is part of the
    # record's question, and not of this call, so that another second question does not buy the first one again.
    follow_up: str = Field(default="", exclude=True)

    sample: Sample | None = Field(default=None, exclude=True)
    annotation: Annotation | None = Field(default=None, exclude=True)
    check: Check | None = Field(default=None, exclude=True)
    taxonomy: Taxonomy | None = Field(default=None, exclude=True)

    @cached_property
    def digest(self) -> str:
        # Without what stands at its default: a field that is added later re-buys no answer.
        asked = self.model_dump(mode="json", exclude_defaults=True)
        return content_digest({**asked, "answer_schema": self.answer_schema.digest})

    @property
    def question_digest(self) -> str:
        """What identifies the question: this call, and the one that will follow it."""
        return content_digest([self.digest, self.follow_up]) if self.follow_up else self.digest

    def but(self, **changes: Any) -> Request:
        """The same request with some fields changed. (`model_copy` would take the old digest along.)"""
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        return type(self)(**{**fields, **changes})

    @property
    def size_bytes(self) -> int:
        """How much is sent, media aside."""
        texts = [part.text for part in self.parts if isinstance(part, TextPart)]
        return sum(len(text.encode()) for text in (self.system, *texts, json.dumps(self.answer_schema)))


class RateLimits(NamedTuple):
    """What a server says of its limits. None: not told.

    How much a window allows, what is left of it, and in how many seconds it is whole again.
    """

    requests: int | None = None
    requests_left: int | None = None
    requests_reset_s: float | None = None
    tokens: int | None = None
    tokens_left: int | None = None
    tokens_reset_s: float | None = None


class Response(NamedTuple):
    """A provider's answer: `text` is the raw answer text, kept before it is parsed. `usage` None: not told.

    `logprobs` None: not asked for, or not told. `limits` is for the engine, which keeps to
    them; nothing else depends on it.
    """

    text: str
    model_version: str | None
    usage: Usage | None
    finish_reason: str | None = None  # "stop" | "length" | "refusal" | "content_filter" | vendor's own
    logprobs: tuple[TokenLogprob, ...] | None = None
    limits: RateLimits | None = None


class MediaLoader(Protocol):
    """Bytes of a piece of media; made again when the cache does not hold it."""

    def __call__(self, ref: MediaRef) -> bytes: ...


class Provider(Protocol):
    """One file per protocol. `wire` is False for providers that put no request on a network.

    `vendor_url` is where a section without `base_url` asks, and `vendor` whose prices hold there; "" without a
    wire. `options` is the class of what only this provider knows (`agents.providers.options`).
    """

    name: str
    vendor: str
    wire: bool
    vendor_url: str
    options: type[Section]

    async def complete(self, request: Request, load: MediaLoader) -> Response:
        """Ask once; no retries inside.

        Raises:
            ProviderError: with `transient` set as the engine's retry loop needs it.
        """

    async def close(self) -> None: ...
