"""What people say of a clip and of its annotations, as judges are compared with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pipeline.policy import reviewer_key
from schemas.records import Annotation, Review
from schemas.taxonomy import Taxonomy

SCORES = ("s_rec", "s_reason", "s_cot")


class Truth(NamedTuple):
    """Each person's labels, given blind, the main one first; an adjudication or a declared label stands alone."""

    said: tuple[tuple[str, ...], ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """Everybody's first label."""
        return tuple(own[0] for own in self.said)

    @property
    def agreed(self) -> tuple[str, ...]:
        """The labels that all name, where the main one is the same; nothing where people differ."""
        if len(set(self.labels)) != 1:
            return ()
        return tuple(label for label in self.said[0] if all(label in own for own in self.said))

    def agreement(self, annotation: Annotation, taxonomy: Taxonomy) -> float | None:
        """The share of these labels that the annotation's own agrees with; None without any."""
        own = annotation.answer.primary if annotation.answer else None
        if not self.labels or own is None:
            return None
        return sum(not taxonomy.differ(label, own) for label in self.labels) / len(self.labels)


def truth_of(reviews: Sequence[Review], facts: Mapping[str, Any], taxonomy: Taxonomy) -> Truth:
    """An adjudication decides; else what everybody said before they saw any claim; else the declared `gold`.

    `reviews` are about one target. What was said after the reveal does not count: it was anchored.
    """
    said = [
        (review, tuple(dict.fromkeys(s.label for s in review.labels if taxonomy.has(s.label))))
        for review in _in_time(reviews)
        if review.taxonomy == taxonomy.name and review.labels and not review.cannot_tell
        if taxonomy.has(review.labels[0].label)
    ]
    adjudicated = [labels for review, labels in said if review.phase == "adjudication"]
    if adjudicated:
        return Truth((adjudicated[-1],))
    blind = {
        reviewer_key(review.reviewer): labels
        for review, labels in said
        if review.phase in ("blind", "rubric")
    }
    gold = taxonomy.match(str(facts["gold"])) if facts.get("gold") and taxonomy.asks_labels else None
    return Truth(tuple(blind.values()) or (((gold,),) if gold else ()))


def rubric_of(reviews: Sequence[Review]) -> dict[str, dict[str, float]]:
    """Annotation -> score -> the mean over the people who rated it; the latest word of each counts."""
    latest: dict[tuple[str, str, str], float] = {}
    for review in _in_time(reviews):
        for rating in review.ratings:
            for name in SCORES:
                if (value := getattr(rating, name)) is not None:
                    latest[rating.annotation_id, name, reviewer_key(review.reviewer)] = value
    found: dict[str, dict[str, list[float]]] = {}
    for (annotation_id, name, _), value in latest.items():
        found.setdefault(annotation_id, {}).setdefault(name, []).append(value)
    return {
        annotation_id: {name: sum(values) / len(values) for name, values in scores.items()}
        for annotation_id, scores in found.items()
    }


def _in_time(reviews: Sequence[Review]) -> list[Review]:
    """By when it was said: a file of ratings may be taken in after a later one."""
    return sorted(reviews, key=lambda review: review.at)
