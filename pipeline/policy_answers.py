"""What reviews and a consensus say of what the taxonomy asks: labels, dimensions, further questions. Pure.

Imports schemas only, as `pipeline/policy.py`, whose rules it serves.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Literal

from schemas.parts import Dimensions, LabelScore
from schemas.records import Consensus, Review
from schemas.taxonomy import Taxonomy

TIE_TOLERANCE = 1e-9


def told_dimensions(review: Review, taxonomy: Taxonomy) -> dict[str, float]:
    """What a person said of the declared dimensions; a number off today's scale does not count."""
    given = review.dimensions.given
    scales = taxonomy.dimensions.items()
    return {
        name: given[name]
        for name, scale in scales
        if name in given and scale.low <= given[name] <= scale.high
    }


def told_heads(review: Review, taxonomy: Taxonomy) -> dict[str, str]:
    """What a person answered to the declared further questions, as far as their labels still exist."""
    heads = taxonomy.heads.items()
    return {name: label for name, head in heads if (label := review.heads.get(name)) in head.labels}


def counted_label(review: Review, taxonomy: Taxonomy) -> str | None:
    """What a person's first label counts as; None where there are no labels."""
    return taxonomy.group(review.labels[0].label) if review.labels else None


def counted_labels(review: Review, taxonomy: Taxonomy) -> tuple[LabelScore, ...]:
    """A person's labels as what they count as, each once."""
    found: dict[str, LabelScore] = {}
    for score in review.labels:
        name = taxonomy.group(score.label)
        found.setdefault(name, score.model_copy(update={"label": name}))
    return tuple(found.values())


def tells(review: Review, taxonomy: Taxonomy) -> bool:
    """Whether a review says what the taxonomy asks for: a label, or, where there are none, a number."""
    said = bool(review.labels) if taxonomy.asks_labels else bool(told_dimensions(review, taxonomy))
    return said and not review.cannot_tell


def wide_spread(consensus: Consensus, taxonomy: Taxonomy, limit: float) -> bool:
    """Whether the annotators' values of a dimension deviate by more than `limit` of its scale."""
    return any(share > limit for share in _spread_shares(consensus, taxonomy))


def fewest_numbers(consensus: Consensus, taxonomy: Taxonomy) -> int:
    """How many annotators gave a number of the dimension that the fewest gave one of."""
    given = (consensus.spread.get(name) for name in taxonomy.dimensions)
    return min(0 if spread is None else spread.n for spread in given)


def doubt_of_numbers(consensus: Consensus, taxonomy: Taxonomy) -> float:
    """The widest deviation as a share of the widest possible, half of the scale; 1 where a number is missing."""
    if not fewest_numbers(consensus, taxonomy):
        return 1.0
    return min(1.0, 2 * max(_spread_shares(consensus, taxonomy)))


def _spread_shares(consensus: Consensus, taxonomy: Taxonomy) -> list[float]:
    scales = taxonomy.dimensions
    return [spread.sd / scales[name].width for name, spread in consensus.spread.items() if name in scales]


def far_apart(words: Sequence[Review], taxonomy: Taxonomy, limit: float) -> bool:
    """Whether people's numbers of a dimension lie further apart than `limit` of its scale."""
    said = [told_dimensions(word, taxonomy) for word in words]
    for name, scale in taxonomy.dimensions.items():
        values = [numbers[name] for numbers in said if name in numbers]
        if values and max(values) - min(values) > limit * scale.width:
            return True
    return False


def near(people: Mapping[str, float], consensus: Consensus, taxonomy: Taxonomy, limit: float) -> bool:
    """Whether people's numbers are the annotators' within `limit` of each scale."""
    means, scales = consensus.dimensions.given, taxonomy.dimensions
    return all(abs(value - means[n]) <= limit * scales[n].width for n, value in people.items() if n in means)


def people_means(words: Sequence[Review], taxonomy: Taxonomy) -> dict[str, float]:
    """The mean of what people said, by dimension."""
    said = [told_dimensions(word, taxonomy) for word in words]
    found = {name: [numbers[name] for numbers in said if name in numbers] for name in taxonomy.dimensions}
    return {name: math.fsum(values) / len(values) for name, values in found.items() if values}


def decided_numbers(consensus: Consensus, taxonomy: Taxonomy, words: Sequence[Review] = ()) -> dict[str, Any]:
    """The decision's dimensions and heads: people's where they said something, else the annotators'.

    Of several people the mean; an answer to a further question is the latest one. Tied answers are none.
    """
    people = people_means(words, taxonomy)
    values = {**consensus.dimensions.given, **people}
    answers = {k: v for word in words for k, v in told_heads(word, taxonomy).items()}
    tops = {name: label for name, shares in consensus.heads.items() if (label := _top(shares)) is not None}
    heads = {**tops, **answers}
    return {
        "dimensions": Dimensions.of(values),
        "dimensions_of": _whose(values, people),
        "heads": dict(sorted(heads.items())),
        "heads_of": _whose(heads, answers),
    }


def _whose(decided: Iterable[str], people: Collection[str]) -> dict[str, Literal["annotators", "people"]]:
    return {name: "people" if name in people else "annotators" for name in sorted(decided)}


def _top(shares: Mapping[str, float]) -> str | None:
    """The one most probable label; None when several are equally probable."""
    top = max(shares.values(), default=0.0)
    winners = [label for label, share in shares.items() if top - share <= TIE_TOLERANCE]
    return winners[0] if len(winners) == 1 else None
