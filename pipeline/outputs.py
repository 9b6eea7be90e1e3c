"""What the commands print with `--json`: typed, versioned, described by the JSON schemas in docs/json."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict

from pipeline.drift import Drift
from pipeline.judging.parts import JudgesReport
from schemas.store import ItemOutcome


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Output(Part):
    schema_version: Literal[1] = 1


class FailedItem(Part):
    """One item that did not work, why, and the command that tries it again."""

    stage: str
    id: str
    path: str | None
    code: str
    message: str
    retry: str
    dead_letter: bool = False  # a question to a model that is not sent again by itself

    @classmethod
    def of(cls, outcome: ItemOutcome) -> FailedItem:
        told = outcome._asdict()
        return cls(id=told.pop("item"), dead_letter=told.pop("status") == "dead", **told)


class AnnotationCounts(Part):
    labelled: int = 0
    abstained: int = 0
    refused: int = 0
    unparsed: int = 0
    failed: int = 0


class CheckCounts(Part):
    supported: int = 0
    contradicted: int = 0
    not_measurable: int = 0
    outside_clip: int = 0


class ClaimRate(CheckCounts):
    """Claims by verdict; the share of the measurable ones that is contradicted, with its Wilson 95 % interval.

    None where nothing was measurable. Claims are taken for independent, which those of one clip are not quite.
    """

    claims: int = 0
    measurable: int = 0
    rate: float | None = None
    low: float | None = None
    high: float | None = None
    not_measurable_share: float | None = None


class ClaimRates(ClaimRate):
    """Of all claims of an annotator, and apart for those whose measurement stood in the prompt."""

    shown: ClaimRate = ClaimRate()
    not_shown: ClaimRate = ClaimRate()


class StageCounts(Part):
    """What a stage worked on: `wall_s` while it ran, `items_per_s` None before anything was done."""

    items: int = 0
    failed: int = 0
    wall_s: float = 0.0
    items_per_s: float | None = None

    def rated(self) -> Self:
        """The same with its rate."""
        rate = round(self.items / self.wall_s, 3) if self.items and self.wall_s else None
        return self.model_copy(update={"items_per_s": rate})


class VoiceCounts(Part):
    """How the answers of an annotator that is asked more than once agree, over all its clips."""

    clips: int = 0
    asked: int = 0
    labelled: int = 0
    agreement: float = 0.0  # self-consistency: the share of the asked who gave the commonest label of a clip
    variants: int = 1  # wordings, at most


class BatchUnderWay(Part):
    """A vendor's batch job that is not over; `job` None: its id is not known yet. `token`: its own name here."""

    name: str  # of the annotator or judge
    job: str | None
    token: str
    questions: int
    size_bytes: int = 0  # of its file
    planned_usd: float = 0.0  # what its answers will cost; in no sum of what was spent
    age_s: float


class Totals(Part):
    """Counts of what stands. `provider_calls` are requests put on a wire; keyless annotators make none."""

    sources: int = 0
    segments: int = 0
    samples: int = 0
    dropped: dict[str, int] = {}  # samples not worth annotating, by reason
    planned_splits: dict[str, int] = {}  # the others by planned split, or by what keeps them undivided
    kept_here: dict[str, int] = {}  # what consent keeps from a third party, by annotator or judge
    annotations: AnnotationCounts = AnnotationCounts()
    checks: CheckCounts = CheckCounts()
    voices: dict[str, VoiceCounts] = {}  # of annotators that are asked more than once about a clip
    judgements: int = 0
    batches: list[BatchUnderWay] = []  # jobs under way: their questions wait, and have not failed
    provider_calls: int = 0
    cached_calls: int = 0
    batch_answers: int = 0
    spent_usd: float = 0.0
    unpriced_calls: int = 0  # answers whose price was not known: the money lacks them
    auto_accepted: int = 0
    needs_review: int = 0
    reviewed: int = 0
    wall_s: float = 0.0
    stages: dict[str, StageCounts] = {}  # of all runs; `failed` are the items that stand as failed now
    failed_items: list[FailedItem] = []


class ThisRun(Totals):
    """The same counts for one call: what it added, and what its stages planned before they asked."""

    decodes: int = 0  # recordings opened for decoding
    planned_calls: int = 0
    planned_usd: float | None = 0.0  # None: a price is not known


class RunOutput(Output, Totals):
    this_run: ThisRun


class StatusOutput(Output, Totals):
    project: str
    stopped: bool = (
        False  # the last run (or plan) ended before its last stage: the next one takes in what it got
    )
    drift: list[Drift] = []  # of the models that the sentinel asked more than once
    hallucination: dict[str, ClaimRates] = {}  # annotator -> how many of its claims the signal contradicts
    clips: list[dict[str, Any]] | None = None  # with --clips: one row per clip


class PlanSum(Part):
    """What is planned. Money is None when a part of its price is not known."""

    calls: int = 0
    input_tokens: dict[str, int] = {}  # by modality: text, image, audio, video
    output_tokens: int = 0
    usd: float | None = 0.0
    batch_usd: float | None = 0.0  # in batches where the vendor has them; of one model None where it has none
    time_s: float = 0.0


class PlanLine(PlanSum):
    """What one annotator or judge is asked. `expected`: of answers that do not exist yet, too."""

    stage: Literal["calibrate", "annotate", "contested", "judge", "sentinel"]
    name: str
    provider: str
    model: str
    answered: int  # questions whose answer is in the ledger already
    under_way: int = 0  # questions that a batch job has
    expected: bool
    output_from: Literal["history", "default"]  # whence the length of an answer is known
    latency_from: Literal["history", "default"]
    price_from: str | None  # "project file", or the page of the price table


class PlanBudget(Part):
    """What a budget leaves; when it does not suffice, where the run stops."""

    usd_left: float | None
    calls_left: int | None
    enough: bool | None  # None: it cannot be told, because a part of the price is not known
    stops_in: Literal["calibrate", "annotate", "contested", "judge", "sentinel"] | None = None
    after_samples: int | None = None  # that all annotators, or all judges, are done with
    of_samples: int | None = None


class PlanMissing(Part):
    name: str
    what: str
    remedy: str


class PlanOutput(Output):
    date: str
    prices_read_on: str
    execution: Literal["live", "batch", "mixed"]
    samples: int
    dropped: dict[str, int]
    lines: list[PlanLine]
    providers: dict[str, PlanSum]
    total: PlanSum
    budget: PlanBudget | None
    missing: list[PlanMissing]  # prices and token rules; with any of them the exit status is 2
    notes: list[str]
    failed_items: list[FailedItem]


class IngestOutput(Output):
    new: int
    known: int
    duplicates: int
    ignored: int
    ignored_files: list[str]
    speakers: list[str]  # of whom a row without a path says something
    notes: list[str]
    sources: int
    failed_items: list[FailedItem]


class InitOutput(Output):
    project: str
    settings: str


class ShowOutput(Output):
    """Everything known about a source (`kind` "source") or about one segment's sample (`kind` "item")."""

    kind: Literal["source", "item"]
    source: dict[str, Any]
    paths: list[str]
    facts: dict[str, Any]
    shots: list[dict[str, float]]
    speech: list[dict[str, float]]
    speech_missing: str | None
    turns: list[dict[str, Any]]  # start_s, end_s, speaker; those of different people may overlap
    turns_missing: str | None
    items: list[dict[str, Any]]
    failed_items: list[FailedItem]


class Before(Part):
    """An answer to an earlier form of a question; `changed`: which parts of the question are others now."""

    id: str
    outcome: str
    changed: list[str]


class ExplainedQuestion(Part):
    """What one annotator or judge was or will be asked about a sample. `about`: what it judges."""

    stage: Literal["calibrate", "annotate", "contested", "judge", "sentinel"]
    asked: str
    repetition: int  # instruction variants and replicates, counted from 0
    about: str | None = None
    kind: Literal["rating", "second_look", "mme_emotion"] | None = None  # of a judge's question
    id: str  # of the record that there is or will be
    state: Literal["answered", "received", "waiting", "failed", "dead_letter", "not_asked"]
    will_be_asked: bool  # by the next run
    why: str
    retry: str | None = None  # what mends it, where an answer is no label or never came
    at: str | None = None
    outcome: str | None = None
    usage: dict[str, Any] | None = None
    model_version: str | None = None
    before: list[Before] = []


class ExplainedSample(Part):
    segment: str
    span: str
    sample: str
    target: str
    questions: list[ExplainedQuestion]


class ExplainOutput(Output):
    """Why models will or will not be asked about something again."""

    item: str
    budget: str | None  # why no further call may be sent
    samples: list[ExplainedSample]


class DeadLetter(FailedItem):
    since: str | None


class DeadLettersOutput(Output):
    dead_letters: list[DeadLetter]


class ReleaseOutput(Output):
    version: str
    path: str
    outcome: Literal["created", "unchanged"]
    rows: int
    splits: dict[str, int]
    left_out: dict[str, int]  # clips by reason
    recordings_not_run: int  # ingested after the last run
    license: str | None
    previous_version: str | None  # the one that was released last before this one
    withdrawn_in: dict[str, int]  # other version -> clips in it whose consent was withdrawn since


class VerifyFinding(Part):
    check: str
    status: Literal["ok", "failed", "skipped", "warning"]
    message: str


class VerifyOutput(Output):
    path: str
    ok: bool
    findings: list[VerifyFinding]


class ReviewOutput(Output):
    url: str
    waiting: int


class ReportOutput(Output):
    """`path`: the same as a page; None where none was asked for."""

    judges: JudgesReport
    hallucination: dict[str, ClaimRates] = {}  # annotator -> how many of its claims the signal contradicts
    path: str | None


class ImportOutput(Output):
    """`known`: rows that say what was stored already."""

    rows: int
    new: int
    known: int
    raters: list[str]


class BackendsOutput(Output):
    backends: list[dict[str, Any]]


class DoctorOutput(Output):
    ok: bool
    checks: list[dict[str, Any]]


class DemoOutput(Output):
    project: str
    release: str
    verified: bool
    run: RunOutput
    items: list[dict[str, Any]]
    review_command: str
    release_command: str | None = None  # when the records have changed since the release: what releases them


class ErrorBody(Part):
    code: str
    message: str
    remedy: str
    file: str | None = None
    line: int | None = None


class ErrorOutput(Output):
    error: ErrorBody


OUTPUTS: dict[str, type[Output]] = {
    "init": InitOutput,
    "ingest": IngestOutput,
    "plan": PlanOutput,
    "run": RunOutput,
    "status": StatusOutput,
    "show": ShowOutput,
    "explain": ExplainOutput,
    "dead-letters": DeadLettersOutput,
    "release": ReleaseOutput,
    "verify": VerifyOutput,
    "review": ReviewOutput,
    "report": ReportOutput,
    "import": ImportOutput,
    "backends": BackendsOutput,
    "doctor": DoctorOutput,
    "demo": DemoOutput,
    "error": ErrorOutput,
}
