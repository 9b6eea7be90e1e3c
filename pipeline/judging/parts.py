"""What the report on judges is made of; the same objects are its JSON."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from pipeline.metrics.base import REASONS, Score

Code = Literal[
    "fails", "constant", "too_few_human_labels", "agreement", "too_high", "too_low", "length_bias",
    "position_bias", "self_preference", "kin_unknown", "unsteady", "label_mismatches", "not_blind",
    "scores_alike",
]  # fmt: skip


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


def _short(value: float) -> str:
    return f"{round(value, 2) + 0.0:.2f}"  # no "-0.00"


class Measured(_Part):
    """A metric's value with its 95 % interval; `reason` says why one of them is null."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    missing: int
    clusters: int
    reason: str = ""

    @classmethod
    def of(cls, score: Score) -> Measured:
        return cls(**score._asdict())

    @property
    def text(self) -> str:
        """As people read it: "0.62 [0.50, 0.71]", or why there is nothing to read."""
        if self.value is None:
            return f"- ({REASONS[self.reason]})"
        if self.low is None or self.high is None:
            return f"{_short(self.value)} ({REASONS[self.reason]})"
        return f"{_short(self.value)} [{_short(self.low)}, {_short(self.high)}]"

    @property
    def negated(self) -> Measured:
        """The same with the other sign: a difference seen from the other side."""
        value, low, high = (None if n is None else -n for n in (self.value, self.high, self.low))
        return self.model_copy(update={"value": value, "low": low, "high": high})

    @property
    def differs_from_0(self) -> bool:
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


class Bin(_Part):
    """Of a reliability diagram: the ratings from `low` to `high`, and what people said of them on average."""

    low: float
    high: float
    n: int
    score: float | None
    people: float | None


class Finding(_Part):
    """One thing that is to be known of a judge. `good`: it speaks for the judge; None: it could not be told."""

    code: Code
    good: bool | None
    text: str


class Comparison(_Part):
    """A score of a judge beside what people say of the same annotations.

    `people`: "label" (the share of people whose own label agrees) or "rubric" (their rating on the same scale).
    """

    score: str
    people: Literal["label", "rubric"]
    n: int
    more_needed: int
    judge_mean: float | None
    people_mean: float | None
    metrics: dict[str, Measured]
    bins: list[Bin]


class SecondLooks(_Part):
    """`mismatches`: the reasons imply another label, `none_implied`: none. By annotator: mismatches, answered.

    `answered` are those that tell something; from `not_blind` ones the label could not be hidden.
    """

    outcomes: dict[str, int] = {}
    answered: int = 0
    not_blind: int = 0
    mismatches: int = 0
    none_implied: int = 0
    by_annotator: dict[str, tuple[int, int]] = {}


class Kin(_Part):
    """How much higher a judge rates its own model family than others, above what `beside` gives the same."""

    own: int = 0
    others: int = 0
    unknown: int = 0
    beside: Literal["people", "other_judges", "nothing"] = "nothing"
    excess: Measured | None = None


class Chains(_Part):
    """A row of MME-Emotion's table, in percent; `n` is the denominator, `unread` replies could not be read."""

    rec_s: float | None
    rea_s: float | None
    cot_s: float | None
    average_steps: float | None
    n: int
    unread: int


class JudgeReport(_Part):
    judge: str
    annotations: int
    outcomes: dict[str, int]  # of its ratings
    evaluations: dict[str, int]  # outcomes of what it was asked by MME-Emotion's rubric
    means: dict[str, float]
    scored: dict[str, int]  # annotations with such a score
    spreads: dict[str, float]  # standard deviation over the annotations
    repeated: int  # annotations that were rated twice or more
    repeat_spread: dict[str, float]  # mean standard deviation over the repetitions of one annotation
    comparisons: list[Comparison]
    alike: dict[str, Measured]  # Spearman of two of its scores: near 1 they are one impression
    length: dict[str, Measured]  # Spearman of a score with the rationale's length
    length_beside_people: dict[str, Measured]  # the same, people's own score held constant
    position: dict[str, Measured]
    second_looks: SecondLooks
    kin: Kin
    mme_emotion: dict[str, dict[Literal["strict", "as_published"], Chains]]  # by annotator
    findings: list[Finding]


class JudgesReport(_Part):
    cluster: Literal["source", "speaker"]
    judges: list[JudgeReport]
    together: dict[str, dict[str, Measured]]  # score -> agreement of the judges with each other
