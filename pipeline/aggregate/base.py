"""The contract of an aggregation method, and what all methods share: a method only weighs the votes.

`aggregate(ballots, *, taxonomy, params, seed) -> list[Consensus]`, one consensus per ballot, in order.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from agents.annotators.ensemble import Heard, Hearing, hear, mean, voice_records
from pipeline.aggregate.evidence import merge_evidence, released_rationale
from pipeline.aggregate.numbers import (
    answer,
    dimension_means,
    dimension_spreads,
    head_distributions,
    open_labels,
)
from pipeline.aggregate.readings import conflict_of, majority_readings
from pipeline.aggregate.scores import labelled, score_annotations, vote_shares
from schemas.ids import content_id
from schemas.parts import AnnotationScore, Dimensions, Target
from schemas.records import Annotation, Check, Consensus, Judgement
from schemas.settings import AggregateSection
from schemas.taxonomy import Taxonomy

VERSION = "6"  # of everything in this package: raise it when any result changes
TIE_TOLERANCE = 1e-9  # probabilities nearer than this are a tie; far above the rounding of a sum
Weigh = Callable[[Sequence[AnnotationScore]], list[float]]


@dataclass(frozen=True)
class Ballot:
    """All that was said about one segment and target, failures included.

    `hearings` says of which annotators the answers are combined in another way than one vote each.
    """

    segment_id: str
    target: Target
    sample_id: str
    annotations: tuple[Annotation, ...]
    checks: tuple[Check, ...]
    judgements: tuple[Judgement, ...]
    hearings: Mapping[str, Hearing] = field(default_factory=dict)


class Keyed(Protocol):
    """A record, or what the store tells of it without its body."""

    @property
    def id(self) -> str: ...
    @property
    def digest(self) -> str: ...


def consensus_question(
    segment_id: str,
    target: Target,
    inputs: Iterable[Keyed],
    *,
    hearings: Mapping[str, Hearing],
    taxonomy: Taxonomy,
    params: AggregateSection,
    seed: int,
) -> str:
    """The id that a consensus would get, without computing it. `inputs`: annotations, checks and judgements."""
    return content_id(
        Consensus.PREFIX,
        {
            "segment_id": segment_id,
            "target": target.model_dump(mode="json"),
            **_question(inputs, params.method, hearings, taxonomy, params, seed),
        },
    )


def combine(
    ballots: Sequence[Ballot],
    method: str,
    weigh: Weigh,
    *,
    taxonomy: Taxonomy,
    params: AggregateSection,
    seed: int,
) -> list[Consensus]:
    """One consensus per ballot, the votes weighed by `weigh` (a weight >= 0 per labelled annotation).

    Raises:
        ValueError: a label that is not in the taxonomy (a parser let it through).
    """
    return [_consensus(ballot, method, weigh, taxonomy, params, seed) for ballot in ballots]


def _consensus(
    ballot: Ballot, method: str, weigh: Weigh, taxonomy: Taxonomy, params: AggregateSection, seed: int
) -> Consensus:
    votes = labelled(ballot.annotations)
    inputs = (*ballot.annotations, *ballot.checks, *ballot.judgements)
    _refuse_foreign_labels(votes, taxonomy)
    alike = hear(votes, [1.0] * len(votes), ballot.hearings, taxonomy)
    opinions = {voice.annotator: voice.distribution for voice in alike}
    scores = score_annotations(votes, ballot.checks, ballot.judgements, params, opinions, taxonomy)
    weights = weigh(scores)
    heard = hear(votes, weights, ballot.hearings, taxonomy)
    distribution = _distribution(heard)
    shares = [weight * share for weight, share in zip(weights, vote_shares(votes), strict=True)]
    label = _winner(distribution)
    agreeing = [score for score in scores if label is None or score.label == label]
    ranked = sorted(agreeing, key=_best_first)
    by_id = {annotation.id: annotation for annotation in votes}
    merged = merge_evidence([by_id[score.annotation_id] for score in ranked], ballot.checks)
    # An open tie has no best answer (numbers cannot tie), and nobody may have given the most probable label.
    best = by_id[ranked[0].annotation_id] if ranked and (label or not taxonomy.asks_labels) else None
    weighed = list(zip(votes, shares, strict=True))
    means = dimension_means(weighed, taxonomy.dimensions)
    top = [*sorted(distribution.values(), reverse=True), 0.0, 0.0]
    return Consensus(
        segment_id=ballot.segment_id,
        target=ballot.target,
        **_question(inputs, method, ballot.hearings, taxonomy, params, seed),
        sample_id=ballot.sample_id,
        distribution=distribution,
        label=label,
        margin=top[0] - top[1],
        entropy=abs(math.fsum(-p * math.log(p) for p in top if p > 0)),
        dimensions=Dimensions.of(means),
        spread=dimension_spreads(weighed, means),
        heads=head_distributions(weighed, taxonomy),
        open_labels=open_labels(votes, taxonomy),
        conflict=conflict_of(majority_readings(votes, taxonomy), label, neutral=taxonomy.match("neutral")),
        scores=tuple(sorted(scores, key=lambda score: (score.annotator, score.annotation_id))),
        voices=voice_records(ballot.annotations, heard, ballot.hearings, taxonomy),
        best_annotation_id=None if best is None else best.id,
        rationale=() if best is None else released_rationale(best, merged),
        evidence=tuple(item.released for item in merged),
        outcomes=dict(sorted(Counter(annotation.outcome for annotation in ballot.annotations).items())),
    )


def _question(
    inputs: Iterable[Keyed],
    method: str,
    hearings: Mapping[str, Hearing],
    taxonomy: Taxonomy,
    params: AggregateSection,
    seed: int,
) -> dict[str, Any]:
    """The fields of the question beside segment and target; the same for the id and the record."""
    voices = {name: hearing.params for name, hearing in hearings.items()}
    return {
        "input_digests": tuple(sorted(f"{record.id}:{record.digest}" for record in inputs)),
        "method": method,
        "version": VERSION,
        "params": {
            "alpha": params.alpha,
            "beta": params.beta,
            "gamma": params.gamma,
            "seed": seed,
            "labels": list(taxonomy.names),
            "neutral": taxonomy.match("neutral"),
            "taxonomy": taxonomy.digest,
            **({"voices": voices} if voices else {}),
        },
    }


def _refuse_foreign_labels(votes: Sequence[Annotation], taxonomy: Taxonomy) -> None:
    for annotation in votes:
        label = answer(annotation).primary
        known = taxonomy.has(label) if label is not None else not taxonomy.asks_labels
        if not known:
            raise ValueError(f"{annotation.id}: label {label!r} is not in {taxonomy.name}")


def _distribution(voices: Sequence[Heard]) -> dict[str, float]:
    """Label -> probability, sums to 1; empty without labels. `fsum` makes it independent of the order."""
    if not math.fsum(voice.weight for voice in voices):
        return {}
    found = mean([voice.distribution for voice in voices], [voice.weight for voice in voices])
    return {label: min(1.0, p) for label, p in found.items()}


def _winner(distribution: dict[str, float]) -> str | None:
    """The one most probable label; None when nobody voted or several are equally probable."""
    top = max(distribution.values(), default=0.0)
    winners = [label for label, p in distribution.items() if top - p <= TIE_TOLERANCE]
    return winners[0] if len(winners) == 1 else None


def _best_first(score: AnnotationScore) -> tuple[bool, float, str]:
    """Order of annotations by quality; unrated ones last, equal ones by id."""
    return score.s_final is None, -(score.s_final or 0.0), score.annotation_id
