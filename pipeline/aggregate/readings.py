"""What each modality points to alone, and whether the modalities contradict each other.

Reference: the aligned subsets of CA-MER (reference [43] of Shou et al. 2025, arXiv 2509.24322).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from pipeline.aggregate.scores import vote_shares
from schemas.parts import Readings
from schemas.records import Annotation
from schemas.taxonomy import Taxonomy

READ = ("text", "audio", "visual")


def majority_readings(votes: Sequence[Annotation], taxonomy: Taxonomy) -> Readings:
    """The most frequent reading per modality; None when nobody read it, or when the readings are tied.

    Abstaining (None) is no vote. Replicates share one vote, scores do not count: a reading is not a label. Words
    of an open vocabulary count as their cells.
    """
    shares = vote_shares(votes)
    return Readings(**{modality: _most_frequent(votes, shares, modality, taxonomy) for modality in READ})


def _most_frequent(
    votes: Sequence[Annotation], shares: Sequence[float], modality: str, taxonomy: Taxonomy
) -> str | None:
    weights: dict[str, list[float]] = {}
    for annotation, share in zip(votes, shares, strict=True):
        reading = None if annotation.answer is None else getattr(annotation.answer.readings, modality)
        if reading is not None:
            weights.setdefault(taxonomy.group(reading), []).append(share)
    totals = {reading: round(math.fsum(parts), 9) for reading, parts in weights.items()}
    top = max(totals.values(), default=0.0)
    winners = [reading for reading, total in totals.items() if total == top]
    return winners[0] if len(winners) == 1 else None


def conflict_of(readings: Readings, label: str | None, *, neutral: str | None) -> str:
    """consistent | text_aligned | audio_aligned | visual_aligned | mixed | undetermined.

    "undetermined": fewer than two modalities were read. A neutral reading contradicts nothing: plain words
    under an angry voice are the rule, not a conflict. So modalities conflict when two of them point to
    different emotions; the conflict is aligned to the one modality that has the label, else "mixed".
    """
    given = {name: reading for name in READ if (reading := getattr(readings, name)) is not None}
    if len(given) < 2:
        return "undetermined"
    if len(Counter(reading for reading in given.values() if reading != neutral)) < 2:
        return "consistent"
    agreeing = [name for name, reading in given.items() if reading == label]
    return f"{agreeing[0]}_aligned" if len(agreeing) == 1 else "mixed"
