"""The three scores of an annotation and their weighted sum.

Reference: Shou et al. 2025, arXiv 2509.24322, section 4.4: S_final = alpha*S_rec + beta*S_reason + gamma*S_cot.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from pipeline.aggregate.numbers import answer, closeness
from schemas.parts import AnnotationScore
from schemas.records import Annotation, Check, Judgement
from schemas.settings import AggregateSection
from schemas.taxonomy import Taxonomy


def labelled(annotations: Iterable[Annotation]) -> list[Annotation]:
    """The annotations that vote, in the order of their ids."""
    votes = [item for item in annotations if item.outcome == "labelled" and item.answer is not None]
    return sorted(votes, key=lambda annotation: annotation.id)


def vote_shares(votes: Sequence[Annotation]) -> list[float]:
    """The share of its annotator's one vote that each annotation has: replicates split it evenly."""
    replicates = Counter(annotation.annotator for annotation in votes)
    return [1 / replicates[annotation.annotator] for annotation in votes]


def score_annotations(
    votes: Sequence[Annotation],
    checks: Iterable[Check],
    judgements: Iterable[Judgement],
    params: AggregateSection,
    opinions: Mapping[str, Mapping[str, float]],
    taxonomy: Taxonomy,
) -> list[AnnotationScore]:
    """One score per labelled annotation, in their order. `opinions`: the distribution of each annotator.

    Only ratings count; a judge that failed is no rating. A judge's repetitions are one voice: their mean.
    `s_rec` is the mean of the judges or, when they leave it open, the agreement with the other annotators.
    `s_reason` is the mean of the judges times the share of claims that the signal does not contradict.
    `s_final` is None when a score whose weight is above 0 is None.
    """
    by_annotation = {check.annotation_id: check for check in checks}
    rated = [one for one in judgements if one.outcome == "scored" and one.kind == "rating"]
    return [
        _score(annotation, votes, opinions, current_check(annotation, by_annotation), rated, params, taxonomy)
        for annotation in votes
    ]


def _score(
    annotation: Annotation,
    votes: Sequence[Annotation],
    opinions: Mapping[str, Mapping[str, float]],
    check: Check | None,
    rated: Sequence[Judgement],
    params: AggregateSection,
    taxonomy: Taxonomy,
) -> AnnotationScore:
    mine = [judgement for judgement in rated if judgement.annotation_id == annotation.id]
    judged = _mean_of_judges(mine, "s_rec")
    agreement = agreement_with_others(annotation, votes, opinions, taxonomy)
    s_rec = agreement if judged is None else judged
    s_reason = _mean_of_judges(mine, "s_reason")
    if s_reason is not None:
        s_reason *= uncontradicted_share(check)
    s_cot = _mean_of_judges(mine, "s_cot")
    return AnnotationScore(
        annotation_id=annotation.id,
        annotator=annotation.annotator,
        label=_label(annotation, taxonomy),
        s_rec=s_rec,
        s_reason=s_reason,
        s_cot=s_cot,
        s_final=_final(((params.alpha, s_rec), (params.beta, s_reason), (params.gamma, s_cot))),
        s_rec_source="judge" if judged is not None else "none" if agreement is None else "agreement",
        confidence=annotation.answer.confidence if annotation.answer else None,
    )


def _mean_of_judges(rated: Sequence[Judgement], name: str) -> float | None:
    """The mean over the judges of each one's mean: who was asked more often does not count for more."""
    judges = sorted({judgement.judge for judgement in rated})
    return _mean(_mean(getattr(one, name) for one in rated if one.judge == judge) for judge in judges)


def agreement_with_others(
    annotation: Annotation,
    votes: Sequence[Annotation],
    opinions: Mapping[str, Mapping[str, float]],
    taxonomy: Taxonomy,
) -> float | None:
    """What the other annotators give this annotation's label, on average; None when there are no others.

    Each counts as one, by its own distribution: by the share of its replicates that agree, say. Where there are
    numbers alone, it is how near they lie to each other.
    """
    others = sorted(name for name in opinions if name != annotation.annotator)
    if taxonomy.asks_labels:
        label = _label(annotation, taxonomy)
        return _mean(opinions[name].get(label, 0.0) for name in others)
    mine, scales = answer(annotation), taxonomy.dimensions
    return _mean(
        _mean(closeness(mine, answer(vote), scales) for vote in votes if vote.annotator == name)
        for name in others
    )


def uncontradicted_share(check: Check | None) -> float:
    """1 - contradicted / measurable claims; 1 without measurable claims.

    A supported claim whose measurement stood in the prompt proves only copying, so it is not counted and never
    raises the share; a contradicted one counts whether it was shown or not.
    """
    verdicts = () if check is None else check.verdicts
    contradicted = sum(verdict.verdict == "contradicted" for verdict in verdicts)
    supported = sum(verdict.verdict == "supported" and not verdict.shown for verdict in verdicts)
    return 1.0 if contradicted == 0 else supported / (contradicted + supported)


def current_check(annotation: Annotation, by_annotation: dict[str, Check]) -> Check | None:
    """The check of this very answer; one of an earlier answer to the same question does not count."""
    check = by_annotation.get(annotation.id)
    return check if check is not None and check.annotation_digest == annotation.digest else None


def _label(annotation: Annotation, taxonomy: Taxonomy) -> str:
    """What the primary label counts as; empty where there is none."""
    label = answer(annotation).primary
    return "" if label is None else taxonomy.group(label)


def _final(parts: Iterable[tuple[float, float | None]]) -> float | None:
    needed = [(weight, score) for weight, score in parts if weight > 0]
    known = [weight * score for weight, score in needed if score is not None]
    return min(1.0, math.fsum(known)) if len(known) == len(needed) else None


def _mean(values: Iterable[float | None]) -> float | None:
    given = [value for value in values if value is not None]
    return math.fsum(given) / len(given) if given else None
