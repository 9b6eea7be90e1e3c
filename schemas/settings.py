"""What can be set, with its defaults and limits. File < environment < flags; `schemas/settings_file.py` reads.

Environment variables are named `EMOTRACE__SECTION__KEY`, e.g. `EMOTRACE__SEGMENT__MAX_S=20`. Secrets are never
settings: an annotator names the variable that holds its key (`api_key_env`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from schemas.settings_models import KEYLESS, AnnotatorSection, BudgetSection, JudgeSection, ModelSection
from schemas.settings_types import Language, Name, NotNegative, Positive, Quota, Section, Share, wrong_at

PROJECT_FILE = "emotrace.toml"
ENV_PREFIX = "EMOTRACE__"

FEATURE_STAGES = ("asr", "prosody", "au")  # what is measured on a segment, in this order
SOURCE_STAGES = ("diarize",)  # what is measured on a whole recording, before these
# Measured after them and not always: `pose` where it is asked for, `series` where a file stands beside.
MORE_STAGES = ("pose", "series")
OFF_UNLESS_NAMED = frozenset({"pose"})


class ProjectSection(Section):
    name: Name = "project"
    taxonomy: str = "ekman7"
    language: Language | None = None
    seed: int = 0
    store: str = "emotrace.db"  # a path below the project, or an SQLAlchemy URL
    artifacts: str = "cache"  # a path below the project, or an fsspec URL


class IngestSection(Section):
    face_fps: Positive = 10.0
    frame_width_px: Annotated[int, Field(ge=64)] = 640


class SegmentSection(Section):
    rule: Literal["shots", "speech", "both", "fixed", "given", "whole"] = "both"
    min_s: NotNegative = 0.5
    max_s: Positive = Field(15.0, validate_default=True)
    pad_s: NotNegative = 0.1
    merge_gap_s: NotNegative = 0.6
    window_s: Positive = Field(10.0, validate_default=True)
    vad: Literal["silero", "pyannote"] = "silero"
    shot_detector: Literal["content", "fade"] = "content"
    shot_threshold: Positive | None = None  # None: the detector's own default

    @field_validator("max_s")
    @classmethod
    def _can_be_split(cls, value: float, info: ValidationInfo) -> float:
        # With less room, a stretch a little longer than max_s could not be split into allowed parts.
        if value < 2 * info.data.get("min_s", 0):
            raise ValueError(f"max_s ({value:g}) must be at least twice min_s ({info.data['min_s']:g})")
        return value

    @field_validator("window_s")
    @classmethod
    def _window_is_allowed(cls, value: float, info: ValidationInfo) -> float:
        said = info.data
        if said.get("rule") == "fixed" and not said.get("min_s", 0) <= value <= said.get("max_s", value):
            raise ValueError(f"window_s ({value:g}) must lie between min_s and max_s when the rule is fixed")
        return value


class SelectSection(Section):
    """Who gets a sample, what stands for it, and which are worth annotating; a dropped one keeps its reason."""

    limit: Quota = None
    require: Literal["any", "speech", "face", "speech_or_face", "speech_and_face"] = "speech_or_face"
    targets: Literal["speakers", "faces", "all"] = "speakers"
    min_target_speech_s: NotNegative = 0.5
    context_turns: Annotated[int, Field(ge=0)] = 2
    min_speech_s: NotNegative = 0.0
    min_face_s: NotNegative = 0.0
    min_snr_db: Annotated[float, Field(allow_inf_nan=False)] | None = None
    near_duplicates: Literal["drop", "keep"] = "drop"
    max_per_source: Quota = None
    max_per_speaker: Quota = None
    max_per_class: Quota = None
    key_frame_method: Literal["difference", "flow", "orb"] = "difference"


class FeatureSection(Section):
    """Settings of one feature stage; every key beside these two goes to the backend's parameters."""

    model_config = ConfigDict(frozen=True, extra="allow")
    backend: str = "auto"
    enabled: bool = True

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.__pydantic_extra__ or {})


def _known_stage(name: str) -> str:
    if name not in (*SOURCE_STAGES, *FEATURE_STAGES, *MORE_STAGES):
        raise ValueError("no such stage")
    return name


class AggregateSection(Section):
    method: str = "judge_weighted"
    alpha: Share = 0.5
    beta: Share = 0.25
    gamma: Share = 0.25

    @model_validator(mode="after")
    def _sum_to_one(self) -> AggregateSection:
        total = self.alpha + self.beta + self.gamma
        if abs(total - 1) > 1e-9:
            weights = {"alpha": self.alpha, "beta": self.beta, "gamma": self.gamma}
            own = [key for key in weights if weights[key] != AggregateSection.model_fields[key].default]
            raise wrong_at(f"alpha + beta + gamma must be 1, not {total:g}", own[-1], remedy="set all three")
        return self


class ConsentSection(Section):
    """How the words in which people agreed are read, where a model is a third party's."""

    local_only: tuple[str, ...] = ("local_only", "no_third_parties")
    third_parties: tuple[str, ...] | None = None


class ExamplesSection(Section):
    """The bank of verified clips from which examples for annotators are chosen."""

    embedding: str = "words_and_cues"


class SentinelSection(Section):
    """A fixed set of clips about which models are asked again, to see whether they change."""

    size: Annotated[int, Field(ge=0)] = 0  # 0: none
    every_days: NotNegative = 7.0


class PolicySection(Section):
    """When a machine label may stand without a person. Ties, conflicts and low margins never do."""

    accept_probability: Share = 0.8
    accept_s_final: Share = 0.5
    accept_confidence: Share = 0.4
    min_margin: Share = 0.3
    min_labelled: Annotated[int, Field(ge=1)] = 2
    max_spread: Share = 0.25
    random_review_share: Share = 0.05


class RunSection(Section):
    workers: Annotated[int, Field(ge=1)] | None = None  # None: one for each core
    dead_after_runs: Annotated[int, Field(ge=1)] = 3


class ReviewSection(Section):
    host: str = "127.0.0.1"
    names: Annotated[tuple[str, ...], Field(validate_default=True)] = ()
    port: Annotated[int, Field(ge=0, le=65535)] = 8765
    reviewer: Name | None = None

    @field_validator("names")
    @classmethod
    def _says_who_it_is(cls, value: tuple[str, ...], info: Any) -> tuple[str, ...]:
        if info.data.get("host") in ("", "0.0.0.0", "::") and not value:
            raise ValueError(
                'host is every address of this machine: say under which names people open it: ["NAME"]'
            )
        return value

    @property
    def served_as(self) -> tuple[str, ...]:
        """Host names that the page answers to beside loopback; the first one is printed."""
        return self.names or (self.host,)


class ReleaseSection(Section):
    title: str | None = None
    license: str | None = None
    language: Language | None = None
    split_policy: Literal["source", "speaker", "single"] = "speaker"
    validation_share: Share = 0.1
    test_share: Share = 0.1
    keep_splits: bool = True
    include_undecided: bool = False

    @field_validator("test_share")
    @classmethod
    def _leaves_train(cls, value: float, info: Any) -> float:
        if value + info.data.get("validation_share", 0) >= 1:
            raise ValueError("validation_share + test_share must leave something for train")
        return value


class Settings(BaseSettings):
    """The whole project file. Without annotators the three keyless ones stand, without judges the keyless one."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix=ENV_PREFIX,
        env_nested_delimiter="__",
        nested_model_default_partial_update=True,
    )
    project: ProjectSection = ProjectSection()
    ingest: IngestSection = IngestSection()
    segment: SegmentSection = SegmentSection()
    select: SelectSection = SelectSection()
    features: dict[Annotated[str, AfterValidator(_known_stage)], FeatureSection] = {}
    annotators: tuple[AnnotatorSection, ...] = tuple(AnnotatorSection(**fields) for fields in KEYLESS)
    judges: tuple[JudgeSection, ...] = (JudgeSection(name="rules", provider="cues", model="rules"),)
    aggregate: AggregateSection = AggregateSection()
    policy: PolicySection = PolicySection()
    consent: ConsentSection = ConsentSection()
    examples: ExamplesSection = ExamplesSection()
    sentinel: SentinelSection = SentinelSection()
    budget: BudgetSection = BudgetSection()
    run: RunSection = RunSection()
    review: ReviewSection = ReviewSection()
    release: ReleaseSection = ReleaseSection()

    def feature(self, stage: str) -> FeatureSection:
        """The section of a feature stage; one that is not in the file is as if it were empty, or is off."""
        return self.features.get(stage) or FeatureSection(enabled=stage not in OFF_UNLESS_NAMED)

    @field_validator("annotators", "judges")
    @classmethod
    def _names_differ(cls, value: tuple[ModelSection, ...]) -> tuple[ModelSection, ...]:
        names = [section.name for section in value]
        for number, name in enumerate(names):
            if name in names[:number]:
                raise wrong_at(
                    f'the name "{name}" is used twice', number, "name", remedy="give each a name of its own"
                )
        return value

    @field_validator("annotators")
    @classmethod
    def _somebody_is_first(cls, value: tuple[AnnotatorSection, ...]) -> tuple[AnnotatorSection, ...]:
        if value and all(section.when == "contested" for section in value):
            message = 'nothing can be contested when nobody is asked "always"'
            raise wrong_at(message, 0, "when", remedy="add an annotator without it, which is asked first")
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is pydantic's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, init_settings


def store_url(project_dir: Path, settings: Settings) -> str:
    """SQLAlchemy URL of a project's store; a plain path is an SQLite file below the project."""
    store = settings.project.store
    return store if "://" in store else f"sqlite:///{(project_dir / store).resolve()}"


def artifacts_url(project_dir: Path, settings: Settings) -> str:
    """fsspec URL of a project's artifact cache; a plain path is a folder below the project."""
    artifacts = settings.project.artifacts
    return artifacts if "://" in artifacts else str((project_dir / artifacts).resolve())
