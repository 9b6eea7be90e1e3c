"""One row per judge and annotation: what the judge gave, what people say, and what should not matter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean, stdev

from agents.judges.mme import held_labels
from pipeline.judging.people import SCORES
from pipeline.metrics.mme_emotion import Rated
from schemas.records import Annotation, Judgement


@dataclass(frozen=True)
class Row:
    """`scores` are means over the repetitions, `spread` their standard deviation where there are two or more.

    `label_place` is where the claimed label stood among the labels, on average over the repetitions, which have
    orders of their own, and `implied_place` where the one did that the second look found, both from 0 (first)
    to 1 (last). `human` is by comparison: "label", or a score's name.
    """

    judge: str
    annotation_id: str
    annotator: str
    source_id: str
    speaker: str
    length_chars: int
    scores: Mapping[str, float] = field(default_factory=dict)
    spread: Mapping[str, float] = field(default_factory=dict)
    outcomes: Mapping[str, int] = field(default_factory=dict)  # of its ratings
    evaluations: Mapping[str, int] = field(default_factory=dict)  # of replies by MME-Emotion's rubric
    look: str | None = None  # outcome of the second look, None: there was none
    flags: frozenset[str] = frozenset()
    position: int | None = None
    label_place: float | None = None
    implied_place: float | None = None
    human: Mapping[str, float] = field(default_factory=dict)
    chains: tuple[Rated, ...] = ()  # replies by MME-Emotion's rubric
    judged: bool = True  # False: there was no answer to ask the judge about


def row_of(
    judge: str,
    annotation: Annotation,
    judgements: Sequence[Judgement],
    *,
    human: Mapping[str, float],
    source_id: str,
    speaker: str,
) -> Row:
    """What one judge says of one annotation, over its repetitions and its second look."""
    ratings = [one for one in judgements if one.kind == "rating"]
    looks = [one for one in judgements if one.kind == "second_look"]
    evaluations = [one for one in judgements if one.kind == "mme_emotion"]
    given = {name: _given(ratings, name) for name in SCORES}
    steps = annotation.answer.rationale if annotation.answer else ()
    claimed = annotation.answer.primary if annotation.answer else None
    return Row(
        judge=judge,
        annotation_id=annotation.id,
        annotator=annotation.annotator,
        source_id=source_id,
        speaker=speaker,
        length_chars=sum(len(step.text) for step in steps),
        scores={name: fmean(values) for name, values in given.items() if values},
        spread={name: stdev(values) for name, values in given.items() if len(values) > 1},
        outcomes=Counter(one.outcome for one in ratings),
        evaluations=Counter(one.outcome for one in evaluations),
        look=looks[-1].outcome if looks else None,
        flags=frozenset(flag for one in judgements for flag in one.flags),
        position=next((one.position for one in ratings if one.position is not None), None),
        label_place=_mean_place([one for one in ratings if one.s_rec is not None], claimed),
        implied_place=_place(looks[-1:], looks[-1].implied_label if looks else None),
        human=human,
        chains=tuple(
            Rated(
                reply=one.reply or None,
                steps=len(steps) + 1,
                gold_labels=len(one.reference),
                claimed_labels=len(held_labels(annotation.answer, one.reference)) if annotation.answer else 0,
            )
            for one in evaluations
            # A judge that never answered says nothing of the annotation.
            if one.outcome not in ("refused", "failed")
        ),
    )


def unread_row(
    judge: str, annotation: Annotation, gold_labels: int, replicates: int, *, source_id: str, speaker: str
) -> Row:
    """An annotator's reply without an answer, where the truth is known: evaluated, it has earned nothing."""
    nothing = Rated(reply=None, steps=0, gold_labels=gold_labels, claimed_labels=0)
    bare = row_of(judge, annotation, (), human={}, source_id=source_id, speaker=speaker)
    return replace(bare, chains=(nothing,) * replicates, judged=False)


def _given(ratings: Sequence[Judgement], name: str) -> list[float]:
    values = (getattr(one, name) for one in ratings if one.outcome == "scored")
    return [value for value in values if value is not None]


def _mean_place(judgements: Sequence[Judgement], label: str | None) -> float | None:
    places = [place for one in judgements if (place := _place([one], label)) is not None]
    return fmean(places) if places else None


def _place(judgements: Sequence[Judgement], label: str | None) -> float | None:
    """Where a label stood among those that the question named; None when it named them in no order."""
    order = judgements[0].label_order if judgements else ()
    return order.index(label) / (len(order) - 1) if label in order and len(order) > 1 else None
