"""Majority vote: one annotator, one vote."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.aggregate.base import Ballot, combine
from schemas.parts import AnnotationScore
from schemas.records import Consensus
from schemas.settings import AggregateSection
from schemas.taxonomy import Taxonomy


def aggregate(
    ballots: Sequence[Ballot], *, taxonomy: Taxonomy, params: AggregateSection, seed: int
) -> list[Consensus]:
    """One consensus per ballot, every labelled annotator with the same weight; replicates share one vote."""
    return combine(ballots, "majority", weigh, taxonomy=taxonomy, params=params, seed=seed)


def weigh(scores: Sequence[AnnotationScore]) -> list[float]:
    return [1.0] * len(scores)
