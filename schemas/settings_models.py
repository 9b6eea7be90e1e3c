"""Settings of annotators and judges: whom to ask, how, and how much it may cost."""

from __future__ import annotations

import os
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from schemas.errors import UserError
from schemas.languages import known_language
from schemas.settings_types import (
    Name,
    NotNegative,
    Positive,
    Section,
    is_loopback,
    variable_name,
    web_address,
    wrong_at,
)

MAX_VARIANTS = 5  # instructions in agents/prompts/variants


class ModelSection(Section):
    """What annotators and judges have in common: a provider, a model, and how to ask it."""

    name: Name
    provider: str
    model: str
    family: Name | None = None  # None: told by the model's name
    base_url: Annotated[str, AfterValidator(web_address)] | None = None
    deployment: str | None = None  # None: told by base_url
    local: bool | None = None  # whether the server is yours; None: when base_url is this machine
    api_key_env: Annotated[str, AfterValidator(variable_name)] | None = None
    takes: tuple[Literal["text", "images", "audio", "video"], ...] = ("text", "images")
    gives: tuple[Literal["json_schema", "json_object", "logprobs", "batches"], ...] = ("json_schema",)
    mode: Literal["live", "batch"] = "live"  # batch: asked in the vendor's batches, for less and later
    batch_questions: Annotated[int, Field(ge=1)] | None = None  # of one job; None: all that its vendor takes
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    temperature: NotNegative | None = None
    answer_language: Annotated[str, AfterValidator(known_language)] = "en"
    max_output_tokens: Annotated[int, Field(ge=1)] = 2000
    seed: int | None = None
    replicates: Annotated[int, Field(ge=1)] = 1
    concurrency: Annotated[int, Field(ge=1)] = 8
    timeout_s: Positive = 120.0
    attempts: Annotated[int, Field(ge=1)] = 5
    patience_s: NotNegative = 600.0
    requests_per_minute: Annotated[int, Field(ge=1)] | None = None
    tokens_per_minute: Annotated[int, Field(ge=1)] | None = None
    usd_per_million_input_tokens: NotNegative | None = None
    usd_per_million_output_tokens: NotNegative | None = None
    usd_per_million_audio_tokens: NotNegative | None = None  # of the input; None: as all other input
    tokens_per_image: Annotated[int, Field(ge=0)] | None = None
    tokens_per_audio_s: NotNegative | None = None
    tokens_per_video_s: NotNegative | None = None
    options: dict[str, Any] = {}

    @model_validator(mode="after")
    def _local_has_an_address(self) -> ModelSection:
        if self.local and self.base_url is None:
            raise wrong_at("a server of your own needs its base_url", "local", remedy="add base_url")
        return self

    @model_validator(mode="after")
    def _gives_what_is_asked(self) -> ModelSection:
        if self.top_logprobs is not None and "logprobs" not in self.gives:
            message = "it is not said that the model tells them"
            raise wrong_at(message, "top_logprobs", remedy='add "logprobs" to gives')
        return self

    @property
    def answer_format(self) -> Literal["json_schema", "json_object", "text"]:
        """What the answer is asked to be: the strictest form that the model is said to keep to."""
        if "json_schema" in self.gives:
            return "json_schema"
        return "json_object" if "json_object" in self.gives else "text"

    @property
    def stays_here(self) -> bool:
        """Whether requests go to a server on this machine, or to one that is said to be the user's own."""
        return is_loopback(self.base_url) if self.local is None else self.local


def _refuse_same_samples(section: ModelSection) -> None:
    if section.replicates > 1 and section.temperature == 0:
        message = (
            f"{section.replicates} replicates at temperature 0 are one answer {section.replicates} times"
        )
        raise wrong_at(message, "replicates", remedy="set a temperature above 0, or replicates = 1")


class PromptingSection(Section):
    """How one annotator is asked about the same sample more than once, and how its answers become one voice."""

    variants: Annotated[int, Field(ge=1, le=MAX_VARIANTS)] = 1
    combine: Literal["vote", "mean"] = "vote"
    style: Literal["triplet", "rationale_then_verbalizer"] = "triplet"
    examples: Annotated[int, Field(ge=0, le=32)] = 0
    diversity: Literal["max_min", "determinantal"] = "max_min"
    calibrate: bool = False


class AnnotatorSection(ModelSection):
    key_frames: Annotated[int, Field(ge=0)] = 3
    when: Literal["always", "contested"] = "always"
    prompting: PromptingSection = PromptingSection()

    @model_validator(mode="after")
    def _samples_differ(self) -> AnnotatorSection:
        _refuse_same_samples(self)
        return self

    @model_validator(mode="after")
    def _can_be_calibrated(self) -> AnnotatorSection:
        if not self.prompting.calibrate:
            return self
        place = ("prompting", "calibrate")
        if self.prompting.examples:
            message = "examples differ from clip to clip, so that there is no one prior"
            raise wrong_at(message, *place, remedy="switch off examples or calibrate")
        if self.prompting.combine == "vote" and self.replicates == 1:
            remedy = 'set replicates, or top_logprobs and combine = "mean"'
            raise wrong_at("one vote cannot be divided by a prior", *place, remedy=remedy)
        if self.prompting.combine == "mean" and self.top_logprobs is None:
            message = "a stated confidence cannot be divided by a prior"
            raise wrong_at(message, *place, remedy='set top_logprobs, or combine = "vote" and replicates')
        return self

    @model_validator(mode="after")
    def _can_answer_in_steps(self) -> AnnotatorSection:
        if self.prompting.style != "triplet" and self.answer_format == "text":
            remedy = "add json_schema or json_object to gives"
            raise wrong_at("two steps need answers in JSON", "prompting", "style", remedy=remedy)
        return self


class JudgeSection(ModelSection):
    second_look: bool = True  # of judges that are models
    self_preference: Literal["warn", "refuse", "allow"] = "warn"
    rubric: Literal["emotrace", "mme_emotion"] = "emotrace"

    @model_validator(mode="after")
    def _samples_differ(self) -> JudgeSection:
        if self.rubric == "mme_emotion":  # another rating names the labels in another order each time
            _refuse_same_samples(self)
        return self


class BudgetSection(Section):
    usd: NotNegative | None = None
    calls: Annotated[int, Field(ge=0)] | None = None


KEYLESS: tuple[dict[str, Any], ...] = tuple(
    {"name": name, "provider": "cues", "model": name} for name in ("lexicon", "prosody", "facial")
)


def secret(env_name: str, *, needed_by: str) -> str:
    """The value of an environment variable that holds a key.

    Raises:
        UserError: the variable is not set, or holds what no header may.
    """
    value = os.environ.get(env_name, "").strip()
    if not value:
        raise UserError(
            "missing_key", f"{needed_by} needs the environment variable {env_name}", f"export {env_name}=..."
        )
    if not (value.isascii() and value.isprintable()):
        message = f"{env_name}, which {needed_by} needs, holds a character that stands in no key"
        raise UserError("bad_key", message, f"export {env_name}=... again, without it")
    return value
