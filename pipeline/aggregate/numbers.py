"""What is not one label: dimensions, the further questions, and the words of an open vocabulary."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from schemas.parts import OpenLabel, Spread, Triplet
from schemas.records import Annotation
from schemas.taxonomy import Dimension, Taxonomy

Votes = Sequence[tuple[Annotation, float]]  # annotations with an answer, and what each weighs


def answer(annotation: Annotation) -> Triplet:
    """The answer of a labelled annotation."""
    if annotation.answer is None:
        raise ValueError(f"{annotation.id} holds no answer")
    return annotation.answer


def dimension_means(votes: Votes, scales: Mapping[str, Dimension]) -> dict[str, float]:
    """Weighted mean of the values given, by dimension; one that nobody gave is left out."""
    means = {}
    for name, scale in scales.items():
        given = _given(votes, name)
        total = math.fsum(weight for _, weight in given)
        if total:
            mean = math.fsum(value * weight for value, weight in given) / total
            means[name] = max(scale.low, min(scale.high, mean))  # a sum may leave the scale by rounding
    return means


def dimension_spreads(votes: Votes, means: Mapping[str, float]) -> dict[str, Spread]:
    """How far the values lie from their mean, weighted alike, and how many annotators gave one."""
    spreads = {}
    for name, mean in means.items():
        given = _given(votes, name)
        total = math.fsum(weight for _, weight in given)
        variance = math.fsum(weight * (value - mean) ** 2 for value, weight in given) / total
        who = {annotation.annotator for annotation, _ in votes if name in answer(annotation).dimensions.given}
        spreads[name] = Spread(sd=math.sqrt(variance), n=len(who))
    return spreads


def _given(votes: Votes, name: str) -> list[tuple[float, float]]:
    values = ((answer(annotation).dimensions.given.get(name), weight) for annotation, weight in votes)
    return [(value, weight) for value, weight in values if value is not None]


def closeness(one: Triplet, other: Triplet, scales: Mapping[str, Dimension]) -> float | None:
    """1 for the same numbers, 0 for opposite ends: the mean over the dimensions that both give, None without."""
    a, b = one.dimensions.given, other.dimensions.given
    shares = [
        1 - abs(a[name] - b[name]) / scale.width for name, scale in scales.items() if name in a and name in b
    ]
    return math.fsum(shares) / len(shares) if shares else None


def head_distributions(votes: Votes, taxonomy: Taxonomy) -> dict[str, dict[str, float]]:
    """Further question -> label -> share of the weight of those that answered it."""
    found = {}
    for name in taxonomy.heads:
        said = [
            (label, weight) for annotation, weight in votes if (label := answer(annotation).heads.get(name))
        ]
        total = math.fsum(weight for _, weight in said)
        if total:
            found[name] = {
                label: math.fsum(weight for other, weight in said if other == label) / total
                for label in sorted({label for label, _ in said})
            }
    return found


def open_labels(annotations: Sequence[Annotation], taxonomy: Taxonomy) -> tuple[OpenLabel, ...]:
    """All words of an open vocabulary with their cells, those off the wheel as well; none of a closed set."""
    if taxonomy.kind != "open":
        return ()
    who: dict[str, set[str]] = {}
    for annotation in annotations:
        for score in answer(annotation).labels:
            who.setdefault(score.label, set()).add(annotation.annotator)
    return tuple(
        OpenLabel(word=word, cell=taxonomy.cell(word), supporters=tuple(sorted(who[word])))
        for word in sorted(who)
    )
