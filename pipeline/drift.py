"""Drift: whether models still answer a fixed set of questions as they did. Pure.

Each answer of the last occasion is compared with the first one to the very same question.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from pipeline.metrics.proportion import wilson_interval
from schemas.parts import Part
from schemas.records import Annotation

CHANGED_SHARE = 0.1  # more changed answers than these, by the interval's lower end, are drift: our choice


class Occasion(NamedTuple):
    """One time at which the questions were asked. `at`: ISO 8601, UTC; `answers` by the id of their question."""

    at: str
    answers: Mapping[str, Annotation]


class Drift(Part):
    """What one annotator answered at the last occasion beside what it answered first.

    `changed` of `compared` questions have another outcome or another first label now; `low` and `high` are the
    Wilson 95 % interval of the share. `confidence` is by how much the stated confidence has risen on average.
    """

    annotator: str
    first: str
    last: str
    compared: int
    changed: int
    low: float
    high: float
    confidence: float | None
    versions: tuple[str, ...]  # of the models that answered first
    versions_now: tuple[str, ...]
    verdict: Literal["steady", "other_version", "other_answers"]


def drift(occasions: Sequence[Occasion]) -> list[Drift]:
    """One row an annotator; those who have not yet answered the same question twice have none.

    `occasions` in order of time.
    """
    if not occasions:
        return []
    last, pairs = occasions[-1], defaultdict(list)
    for question, now in last.answers.items():
        found = [(one.at, one.answers[question]) for one in occasions[:-1] if question in one.answers]
        if found:
            pairs[now.annotator].append((*found[0], now))
    return [_compared(name, last.at, told) for name, told in sorted(pairs.items())]


def _compared(name: str, last: str, pairs: Sequence[tuple[str, Annotation, Annotation]]) -> Drift:
    changed = sum(_said(before) != _said(now) for _, before, now in pairs)
    low, high = wilson_interval(changed, len(pairs))
    before, now = (_versions(side) for side in zip(*((b, n) for _, b, n in pairs), strict=True))
    rises = [
        after - first
        for _, b, n in pairs
        if (first := _confidence(b)) is not None and (after := _confidence(n)) is not None
    ]
    return Drift(
        annotator=name,
        first=min(at for at, _, _ in pairs),
        last=last,
        compared=len(pairs),
        changed=changed,
        low=round(low, 4),
        high=round(high, 4),
        confidence=round(sum(rises) / len(rises), 4) if rises else None,
        versions=before,
        versions_now=now,
        verdict="other_answers" if low > CHANGED_SHARE else "other_version" if before != now else "steady",
    )


def _said(annotation: Annotation) -> tuple[str, str | None]:
    answer = annotation.answer
    return annotation.outcome, answer.labels[0].label if answer and answer.labels else None


def _confidence(annotation: Annotation) -> float | None:
    return annotation.answer.confidence if annotation.answer else None


def _versions(annotations: Sequence[Annotation]) -> tuple[str, ...]:
    return tuple(sorted({one.model_version for one in annotations if one.model_version}))
