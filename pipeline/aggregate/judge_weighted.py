"""Judge-weighted vote: an annotator's vote counts as much as its annotation was rated.

Reference: Shou et al. 2025, arXiv 2509.24322, section 4.4 (S_final as the quality of an annotation).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from pipeline.aggregate.base import Ballot, combine
from schemas.parts import AnnotationScore
from schemas.records import Consensus
from schemas.settings import AggregateSection
from schemas.taxonomy import Taxonomy


def aggregate(
    ballots: Sequence[Ballot], *, taxonomy: Taxonomy, params: AggregateSection, seed: int
) -> list[Consensus]:
    """One consensus per ballot, every labelled annotation weighted by its `s_final`."""
    return combine(ballots, "judge_weighted", weigh, taxonomy=taxonomy, params=params, seed=seed)


def weigh(scores: Sequence[AnnotationScore]) -> list[float]:
    """The weight of each annotation: its `s_final`.

    An unrated annotation gets the mean of the rated ones: a judge that failed is no verdict on it. When
    nothing was rated, or everything was rated 0, all votes are equal, as in the majority vote.
    """
    known = [score.s_final for score in scores if score.s_final is not None]
    if not any(known):
        return [1.0] * len(scores)
    mean = math.fsum(known) / len(known)
    return [mean if score.s_final is None else score.s_final for score in scores]
