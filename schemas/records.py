"""The twelve records. Frozen; `id` is the hash of the question, `digest` the hash of the answer.

Each class names the fields of its question in `QUESTION`; every other field is the answer. Neither `id`
nor `digest` is stored inside a record, so neither can disagree with it.
"""

from __future__ import annotations

from typing import Any, Literal

from schemas.parts import (
    AnnotationScore,
    ClaimMark,
    Dimensions,
    Event,
    FaceTrack,
    Finite,
    KeyFrame,
    LabelScore,
    Measure,
    MediaFacts,
    MediaRef,
    MergedEvidence,
    OpenLabel,
    Seconds,
    Series,
    Span,
    SpeakerTurn,
    Spread,
    Stat,
    Step,
    Target,
    Triplet,
    Turn,
    Unit,
    Usage,
    Verdict,
    Voice,
    Word,
)
from schemas.record import Record
from schemas.rubric import RubricRating

NO_PICTURES = "no_video_stream"  # why a recording of sound alone shows nothing
NOT_SPEAKING = "does_not_speak"  # why a face that nobody hears has neither words nor a voice


class Source(Record):
    """A recording, identified by its bytes; names and paths are facts kept beside it."""

    PREFIX = "src"
    QUESTION = ("sha256",)
    sha256: str
    size_bytes: int
    media: MediaFacts


class Segment(Record):
    """A stretch of a source. Source time 0 is the first presented instant of the source."""

    PREFIX = "seg"
    QUESTION = ("source_id", "rule", "version", "params", "source_start_s", "source_end_s")
    PARENT = "source_id"
    source_id: str
    rule: str
    version: str
    params: dict[str, Any] = {}
    source_start_s: Seconds
    source_end_s: Seconds
    index: int

    @property
    def duration_s(self) -> float:
        return round(self.source_end_s - self.source_start_s, 6)


class Features(Record):
    """What one extractor measured on one segment (or, for shots, speech regions and turns, on a whole source).

    `missing` says why there is nothing: "no_audio_stream", "no_video_stream", "silence", "no_speech",
    "never_alone", "not_in_table", "no_words", "unsupported_language", "no_face", "no_frame", "not_diarized".
    Which of the other fields are filled depends on `stage`.
    """

    PREFIX = "fea"
    QUESTION = ("subject_id", "extractor", "version", "params", "weights_digest")
    PARENT = "subject_id"
    subject_id: str
    extractor: str
    version: str
    params: dict[str, Any] = {}
    weights_digest: str | None = None

    stage: str  # shots | speech | diarize | asr | prosody | au | speakers, or a later one
    missing: str | None = None
    words: tuple[Word, ...] = ()
    regions: tuple[Span, ...] = ()
    turns: tuple[SpeakerTurn, ...] = ()
    tracks: tuple[FaceTrack, ...] = ()
    series: tuple[Series, ...] = ()
    events: tuple[Event, ...] = ()
    summary: dict[str, float | None] = {}
    notes: tuple[str, ...] = ()


class Baseline(Record):
    """How a speaker usually sounds or looks, frozen from the features that existed at the time."""

    PREFIX = "bas"
    QUESTION = ("subject", "extractor", "version", "feature_digests")
    PARENT = "subject"
    subject: str  # "speaker:NAME" or "source:ID"
    extractor: str
    version: str
    feature_digests: tuple[str, ...]  # sorted; of a face "DIGEST/TRACK"
    stage: str = "prosody"  # of the features: "prosody" or "au"
    segments: int
    speech_s: Seconds = 0.0
    seen_s: Seconds = 0.0
    stats: dict[str, Stat] = {}


class Sample(Record):
    """The unified view of a segment for one target: what annotators may be shown, and what is missing.

    `words` and `turns` are those of everybody in the segment, prosody and events those of the target alone.
    `others` are the targets of the other samples of the segment.
    """

    PREFIX = "smp"
    QUESTION = ("segment_id", "target", "feature_digests", "baseline_ids", "context", "view_version")
    PARENT = "segment_id"
    segment_id: str
    target: Target
    feature_digests: tuple[str, ...]  # sorted; with several people in the segment one more: who is who
    baseline_ids: tuple[str, ...]  # sorted
    context: tuple[Turn, ...] = ()
    view_version: str

    duration_s: Seconds
    words: tuple[Word, ...] = ()
    words_source: str | None = None  # e.g. "sidecar", "faster_whisper", "pocketsphinx (low quality)"
    speech: tuple[Span, ...] = ()
    prosody: tuple[Measure, ...] = ()
    events: tuple[Event, ...] = ()
    faces: tuple[FaceTrack, ...] = ()
    key_frames: tuple[KeyFrame, ...] = ()  # the most telling first
    snr_db: Finite | None = None  # how much louder speech is than the background; never shown to annotators
    loudness_curve: str | None = None  # its shape, by which a second copy is known
    clip: MediaRef | None = None
    audio: MediaRef | None = None
    missing: dict[str, str] = {}  # modality -> reason
    turns: tuple[SpeakerTurn, ...] = ()
    others: tuple[Target, ...] = ()

    @property
    def own_words(self) -> tuple[Word, ...]:
        """The target's words, and those of nobody known; all words where speakers are not told apart."""
        if NOT_SPEAKING in self.missing.values():
            return ()
        names = {turn.speaker for turn in self.turns}
        if self.target.speaker not in names | {word.speaker for word in self.words} - {None}:
            return self.words
        return tuple(
            word
            for word in self.words
            if word.speaker in (None, self.target.speaker)
            # A transcript may call people otherwise than the turns do.
            or (names and word.speaker not in names and self._speaks_during(word))
        )

    @property
    def own_speech(self) -> tuple[Span, ...]:
        """When the target speaks; all speech where speakers are not told apart."""
        if NOT_SPEAKING in self.missing.values():
            return ()
        own = tuple(turn for turn in self.turns if turn.speaker == self.target.speaker)
        return own if own and len({turn.speaker for turn in self.turns}) > 1 else self.speech

    @property
    def words_of_others(self) -> tuple[Word, ...]:
        """What others said while the target did not speak."""
        own = set(self.own_words)
        return tuple(word for word in self.words if word not in own and not self._speaks_during(word))

    def _speaks_during(self, word: Word) -> bool:
        """Whether the target speaks in half of a word or more."""
        own = (turn for turn in self.turns if turn.speaker == self.target.speaker)
        shared = sum(max(0.0, min(turn.end_s, word.end_s) - max(turn.start_s, word.start_s)) for turn in own)
        return shared > 0 and shared >= word.length_s / 2


class Annotation(Record):
    """What one annotator said of one sample, or how it failed to. A failure is a state, never a label."""

    PREFIX = "ann"
    QUESTION = (
        "sample_id",
        "annotator",
        "request_digest",
        "provider",
        "model",
        "replicate",
        "parser_version",
    )
    PARENT = "sample_id"
    sample_id: str
    annotator: str
    request_digest: str
    provider: str
    model: str
    replicate: int = 0
    parser_version: str = "1"  # of what made the record out of the answer's text

    outcome: Literal["labelled", "abstained", "refused", "unparsed", "failed"]
    reason: str = ""  # a stable snake_case code, for every outcome but "labelled"
    detail: str = ""
    answer: Triplet | None = None
    repaired: bool = False
    model_version: str | None = None
    prob_source: Literal["stated", "logprobs", "rule"] = "stated"
    probabilities: dict[
        str, Unit
    ] = {}  # of all labels, by log-probabilities; sums to 1; empty: none were told
    variant: int = 0  # which of the instruction variants was asked
    usage: Usage = Usage()
    left_out: dict[str, int] = {}  # lines that the prompt had no room for, by section


class Check(Record):
    """One verdict per evidence item of an annotation."""

    PREFIX = "chk"
    QUESTION = (
        "annotation_id",
        "annotation_digest",
        "feature_digests",
        "cue_table_digest",
        "checker_version",
    )
    PARENT = "annotation_id"
    annotation_id: str
    annotation_digest: str
    feature_digests: tuple[str, ...]  # sorted
    cue_table_digest: str
    checker_version: str
    verdicts: tuple[Verdict, ...]


class Judgement(Record):
    """What a judge says of one annotation, reasons first.

    `kind` "rating": three scores; `s_rec` None: left to agreement. "second_look": which label do the reasons
    imply, when the label is hidden? "mme_emotion": each step against the true label, for evaluation only.
    """

    PREFIX = "jud"
    QUESTION = (
        "annotation_id", "request_digest", "judge", "provider", "model", "replicate", "parser_version",
    )  # fmt: skip
    PARENT = "annotation_id"
    annotation_id: str
    request_digest: str
    judge: str
    provider: str
    model: str
    replicate: int = 0
    parser_version: str = "1"  # of what made the record out of the answer's text

    outcome: Literal["scored", "answered", "refused", "unparsed", "failed"]  # "scored": of ratings alone
    reason: str = ""
    detail: str = ""
    reasons: tuple[str, ...] = ()
    s_rec: Unit | None = None
    s_reason: Unit | None = None
    s_cot: Unit | None = None
    implied_label: str | None = None
    flags: tuple[str, ...] = ()
    usage: Usage = Usage()
    left_out: dict[str, int] = {}  # lines that the prompt had no room for, by section
    kind: Literal["rating", "second_look", "mme_emotion"] = "rating"
    label_order: tuple[str, ...] = ()  # as the question named the labels; empty: in no order
    reference: tuple[str, ...] = ()  # the true labels that the judge was told, in an evaluation
    reply: str = ""  # its own words there; the scores are read from them in two ways
    position: int | None = None  # as the how many-th of its sample's annotations it was asked about, from 1
    model_version: str | None = None  # as the vendor tells it with the answer


class Consensus(Record):
    """What the annotators say together: a distribution, a label or an open tie, merged evidence."""

    PREFIX = "con"
    QUESTION = ("segment_id", "target", "input_digests", "method", "version", "params")
    PARENT = "segment_id"
    segment_id: str
    target: Target
    input_digests: tuple[str, ...]  # sorted "id:digest" of annotations, checks and judgements
    method: str
    version: str
    params: dict[str, Any] = {}

    sample_id: str
    distribution: dict[str, Unit]  # sums to 1; empty without labels; of open labels over what they count as
    label: str | None  # None: an open tie, or nobody labelled
    margin: Unit  # first minus second probability
    entropy: float  # nats
    dimensions: Dimensions = Dimensions()
    spread: dict[str, Spread] = {}  # dimension -> how far apart the annotators are
    heads: dict[str, dict[str, Unit]] = {}  # further question -> its distribution
    open_labels: tuple[OpenLabel, ...] = ()  # all words of an open vocabulary, sorted
    conflict: str = "undetermined"  # consistent | text_aligned | audio_aligned | visual_aligned | mixed | ...
    scores: tuple[AnnotationScore, ...] = ()
    voices: tuple[Voice, ...] = ()  # of annotators that were asked more than once, or calibrated
    best_annotation_id: str | None = None
    rationale: tuple[Step, ...] = ()
    evidence: tuple[MergedEvidence, ...] = ()
    outcomes: dict[str, int] = {}  # annotation outcome -> how many: failures stay in the denominator


class Review(Record):
    """What a person said, at one moment, in one phase. Keyed by segment, so better ASR never orphans it."""

    PREFIX = "rev"
    QUESTION = ("segment_id", "target", "taxonomy", "reviewer", "phase", "at")
    PARENT = "segment_id"
    segment_id: str
    target: Target
    taxonomy: str
    reviewer: str
    phase: Literal["blind", "revealed", "adjudication", "rubric"]
    at: str  # ISO 8601, UTC

    labels: tuple[LabelScore, ...] = ()  # empty: cannot tell, or dimensions alone are asked
    dimensions: Dimensions = Dimensions()
    heads: dict[str, str] = {}  # further question -> its label
    cannot_tell: bool = False
    certainty: Unit | None = None
    marks: tuple[ClaimMark, ...] = ()
    rationale: tuple[Step, ...] = ()  # edited steps; empty: unchanged
    comment: str = ""
    flagged: bool = False
    flag_withdrawn: bool = False  # takes back the flag that this reviewer gave before
    seconds: float | None = None
    blind_review_id: str | None = None
    consensus_id: str | None = None  # what was revealed
    ratings: tuple[RubricRating, ...] = ()  # of phase "rubric", which no decision rests on


class Decision(Record):
    """The final word on a segment and target: by rule, by a person, by an adjudicator, or not yet."""

    PREFIX = "dec"
    QUESTION = ("segment_id", "target", "consensus_id", "review_ids", "policy", "version")
    PARENT = "segment_id"
    segment_id: str
    target: Target
    consensus_id: str
    review_ids: tuple[str, ...]  # sorted
    policy: dict[str, Any]
    version: str

    status: Literal["auto_accepted", "needs_review", "reviewed", "adjudicated"]
    label: str | None = None
    labels: tuple[LabelScore, ...] = ()
    dimensions: Dimensions = Dimensions()
    dimensions_of: dict[str, Literal["annotators", "people"]] = {}  # whose value each dimension is
    heads: dict[str, str] = {}  # further question -> its label
    heads_of: dict[str, Literal["annotators", "people"]] = {}  # whose answer each is
    reasons: tuple[str, ...] = ()
    priority: float = 0.0
    rationale: tuple[Step, ...] = ()
    evidence: tuple[MergedEvidence, ...] = ()


class Release(Record):
    """One immutable version of the dataset; its date is frozen here so that a rebuild gives the same bytes."""

    PREFIX = "rel"
    QUESTION = ("version", "rows_digest", "config_digest", "date")
    version: str
    rows_digest: str
    config_digest: str
    date: str
    rows: int
    splits: dict[str, int] = {}
    manifest_sha256: str
    # "source:ID", "speaker:NAME" or "group:NAME" -> its split here or in a version that this one follows
    placement: dict[str, Literal["train", "validation", "test"]] = {}


KINDS: tuple[type[Record], ...] = (
    Source, Segment, Features, Baseline, Sample, Annotation, Check, Judgement, Consensus, Review, Decision,
    Release,
)  # fmt: skip
RECORDS: dict[str, type[Record]] = {cls.__name__.lower(): cls for cls in KINDS}
