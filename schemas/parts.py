"""The value types that records are made of. Times are seconds from the segment's first presented instant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from schemas.ids import content_id

Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Unit = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]  # a number in [0, 1]
Finite = Annotated[float, Field(allow_inf_nan=False)]

Modality = Literal["text", "audio", "visual", "context"]
Direction = Literal["up", "down", "present", "absent"]
VerdictName = Literal["supported", "contradicted", "not_measurable", "outside_clip"]
MODALITIES: tuple[Modality, ...] = ("text", "audio", "visual", "context")
USUAL_DIMENSIONS = ("valence", "arousal", "dominance")


class Part(BaseModel):
    """Base of every value type: frozen, unknown fields refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Span(Part):
    start_s: Seconds
    end_s: Seconds

    @model_validator(mode="after")
    def _ordered(self) -> Span:
        if self.end_s < self.start_s:
            raise ValueError(f"end_s {self.end_s} is before start_s {self.start_s}")
        return self

    @property
    def length_s(self) -> float:
        return self.end_s - self.start_s


# --- what a recording is ---------------------------------------------------------------------------


class VideoFacts(Part):
    """Facts of the first video stream. `frames` counts presented frames; times come from the PTS table."""

    codec: str
    width_px: int
    height_px: int
    rotation_deg: int = 0
    pixel_format: str | None = None
    frames: int
    first_pts_s: Finite
    last_pts_s: Finite
    average_fps: float | None = None
    min_frame_interval_s: float | None = None
    max_frame_interval_s: float | None = None
    variable_frame_rate: bool = False


class AudioFacts(Part):
    codec: str
    sample_rate_hz: int
    channels: int
    duration_s: float | None = None


TRUNCATED = "truncated"  # begins the note of a recording that holds less than its container states


class MediaFacts(Part):
    """What a probe found. `start_s` is the container time of source time 0 (the first presented instant)."""

    kind: Literal["video", "audio", "image"]
    container: str
    duration_s: Seconds
    start_s: Finite = 0.0
    video: VideoFacts | None = None
    audio: tuple[AudioFacts, ...] = ()
    notes: tuple[str, ...] = ()


class MediaRef(Part):
    """A piece of media by its recipe, so that it can be made again when the cache was deleted.

    Times here are source times. The `key` stands in requests and samples instead of a byte digest, because
    an encoder need not give the same bytes on two machines.
    """

    kind: Literal["clip", "audio", "image"]
    source_id: str
    source_start_s: Seconds
    source_end_s: Seconds
    params: dict[str, Any] = {}
    version: str = "1"

    @property
    def key(self) -> str:
        return content_id("med", self.model_dump(mode="json"))

    @property
    def mime_type(self) -> str:
        return {"clip": "video/mp4", "audio": "audio/wav", "image": "image/jpeg"}[self.kind]


# --- what was measured -----------------------------------------------------------------------------


class Word(Span):
    text: str
    confidence: Unit | None = None
    speaker: str | None = None


class Event(Span):
    """Something that happens: an AU with onset (`start_s`), apex and offset (`end_s`), a pause, a burst.

    `size` is in `unit`: "intensity" for AUs (0-1), "semitone", "dB", "syllable/s", "s". `z` is the same in
    standard deviations of the speaker's baseline, None without one; only a Sample's events have it.
    """

    cue: str
    modality: Modality
    apex_s: Seconds | None = None
    size: Finite | None = None
    unit: str = ""
    z: Finite | None = None
    confidence: Unit | None = None
    track: str | None = None


class Series(Part):
    """A measured curve; `values[i]` belongs to `times_s[i]`; None = not measured there (unvoiced, no face)."""

    name: str
    unit: str
    times_s: tuple[Seconds, ...]
    values: tuple[Finite | None, ...]
    track: str | None = None

    @model_validator(mode="after")
    def _same_length(self) -> Series:
        if len(self.times_s) != len(self.values):
            raise ValueError(f"series {self.name}: {len(self.times_s)} times, {len(self.values)} values")
        return self


class SpeakerTurn(Span):
    """A stretch in which one person speaks; turns of different people may overlap."""

    speaker: str
    confidence: Unit | None = None


def name_key(name: str) -> str:
    """By what names of speakers are compared that different people wrote: ANNA and Anna are one."""
    return name.strip().casefold()


class FaceTrack(Span):
    """One face over time. `box` is the median (x, y, width, height) as a share of the frame.

    `speaking` says whether this face's mouth moves with the voice, None where that cannot be known.
    """

    name: str
    frames: int
    box: tuple[float, float, float, float]
    confidence: Unit | None = None
    pose_deg: dict[str, float] = {}  # median pitch, yaw, roll
    speaking: bool | None = None
    speaking_confidence: Unit | None = None


class Measure(Part):
    """One number of a sample's view; `z` is in standard deviations of the baseline, None without one."""

    name: str
    value: Finite | None
    unit: str
    z: Finite | None = None


class Stat(Part):
    """Location and spread of one measure in a baseline: median and 1.4826 * MAD, or what its maker says."""

    median: Finite
    sd: Finite
    n: int


class KeyFrame(Part):
    """A picture that stands for a clip. `reason`: "facial_peak", "middle", or the method that found it different.

    `picture_hash` are 256 bits as hex digits, of which pictures that look alike differ in few.
    """

    time_s: Seconds
    ref: MediaRef
    reason: str
    picture_hash: str | None = None


class Target(Part):
    """Whose emotion: a declared or found speaker, and/or a face track. Both None: whoever is heard or seen."""

    speaker: str | None = None
    face_track: str | None = None

    @property
    def key(self) -> str:
        return f"{self.speaker or '-'}/{self.face_track or '-'}"


class Turn(Part):
    """A previous turn of the conversation, shown as context."""

    speaker: str | None = None
    text: str


# --- what an annotator says ------------------------------------------------------------------------


class Evidence(Span):
    """One checkable claim. `cue` is a name of the cue table (or "quote"); `shown` says whether the
    measurement that decides it stood in the prompt: a shown claim proves only copying."""

    id: str
    modality: Modality
    cue: str
    direction: Direction = "present"
    quote: str | None = None
    description: str = ""
    shown: bool = False


class Step(Part):
    n: int
    text: str
    evidence_ids: tuple[str, ...] = ()


class Readings(Part):
    """What each modality points to alone; None = nothing, or the modality is missing."""

    text: str | None = None
    audio: str | None = None
    visual: str | None = None


class LabelScore(Part):
    label: str
    intensity: Annotated[float, Field(ge=0, le=3)] | None = None


class Dimensions(Part):
    """Numbers on the scales that the taxonomy declares; None = not told. `more` holds what has no field here."""

    valence: Finite | None = None
    arousal: Finite | None = None
    dominance: Finite | None = None
    more: dict[str, Finite] = {}

    @classmethod
    def of(cls, values: Mapping[str, float]) -> Dimensions:
        """The record of `values` by name; those that are not told are left out of it."""
        usual = {name: value for name, value in values.items() if name in USUAL_DIMENSIONS}
        more = {name: values[name] for name in sorted(values) if name not in USUAL_DIMENSIONS}
        return cls(**usual, more=more)

    @property
    def given(self) -> dict[str, float]:
        """Name -> value of those that were told."""
        usual = {name: getattr(self, name) for name in USUAL_DIMENSIONS}
        return {name: value for name, value in {**usual, **self.more}.items() if value is not None}


class Spread(Part):
    """How far apart the values of one dimension are: their standard deviation, and how many told one."""

    sd: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    n: int


class OpenLabel(Part):
    """A word that annotators chose. `cell`: where it falls on the emotion wheel, None off it."""

    word: str
    cell: str | None
    supporters: tuple[str, ...]  # annotator names, sorted


class TrajectoryPoint(Span):
    label: str


class Triplet(Part):
    """An annotator's answer, in the order in which it must be written: the label follows from the reasons."""

    evidence: tuple[Evidence, ...]
    rationale: tuple[Step, ...]
    readings: Readings
    labels: tuple[LabelScore, ...]  # the first is the primary label; none where dimensions alone are asked
    confidence: Unit | None  # None: not stated
    dimensions: Dimensions = Dimensions()
    heads: dict[str, str] = {}  # further question -> its label
    trajectory: tuple[TrajectoryPoint, ...] = ()

    @property
    def primary(self) -> str | None:
        """The first label; None where dimensions alone are asked."""
        return self.labels[0].label if self.labels else None


class Usage(Part):
    """What one call used. `estimated`: the vendor told nothing, this is the most that it can have been.

    `input_by_modality` parts `input_tokens` into "text", "image", "audio" and "video"; empty where the vendor
    does not tell. `cached_input_tokens` are among the input, `reasoning_tokens` among the output. None: not told.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = None
    estimated: bool = False
    input_by_modality: dict[str, int] = {}
    cached_input_tokens: int | None = None
    reasoning_tokens: int | None = None


class Verdict(Part):
    """What the signal says to one evidence item. `measured` against `reference`, both in `unit`.

    `measured` None: nothing was measured, or no event of the claimed kind was found, however small one may be.
    """

    evidence_id: str
    verdict: VerdictName
    shown: bool = False
    measured: Finite | None = None
    reference: Finite | None = None
    unit: str = ""
    reason: str = ""


class MergedEvidence(Part):
    """Evidence of a consensus: who claims it, and what the signal says, as in the verdict that decided."""

    evidence: Evidence
    verdict: VerdictName
    supporters: tuple[str, ...]  # annotator names, sorted
    measured: Finite | None = None
    reference: Finite | None = None
    unit: str = ""
    reason: str = ""


class AnnotationScore(Part):
    """The three scores of one annotation and their weighted sum, each in [0, 1]; None = not rated."""

    annotation_id: str
    annotator: str
    label: str
    s_rec: Unit | None
    s_reason: Unit | None
    s_cot: Unit | None
    s_final: Unit | None
    s_rec_source: Literal["judge", "agreement", "none"]
    confidence: Unit | None = None  # as the annotator stated it


class Voice(Part):
    """What the answers of one annotator come to, where there are several of them or they are calibrated.

    `agreement` is the share of the asked that gave the most frequent label: failures are among the asked.
    """

    annotator: str
    distribution: dict[str, Unit]  # sums to 1; empty when no answer has a label
    asked: Annotated[int, Field(ge=1)]
    labelled: Annotated[int, Field(ge=0)]
    variants: Annotated[int, Field(ge=1)] = 1  # instruction variants among the asked
    agreement: Unit
    combine: Literal["vote", "mean"] = "vote"
    prob_sources: tuple[str, ...] = ()  # of the answers that were combined, where their probabilities count
    calibrated: bool = False  # by content-free questions


class ClaimMark(Part):
    """A person's mark on one claim, after the blind label."""

    evidence_id: str
    mark: Literal["supported", "contradicted", "cannot_tell"]
