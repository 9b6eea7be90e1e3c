"""Answers of keyless annotators: plain JSON in the shape that a model is asked for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from agents.questions.answer_schema import asked_fields
from schemas.label_maps import map_label
from schemas.taxonomy import Taxonomy, load_taxonomy

Answer = dict[str, Any]

# Signs after Russell 1980 (a circumplex model of affect, DOI 10.1037/h0077714); the sizes are our choice.
VALENCE = {
    "neutral": 0.0,
    "joy": 0.8,
    "anger": -0.6,
    "sadness": -0.7,
    "surprise": 0.1,
    "fear": -0.6,
    "disgust": -0.6,
}
AROUSAL = {
    "neutral": 0.0,
    "joy": 0.5,
    "anger": 0.7,
    "sadness": -0.5,
    "surprise": 0.7,
    "fear": 0.7,
    "disgust": 0.3,
}
SECOND_LABEL_SHARE = 0.6  # a further label is named when it scores at least this share of the first


class Claim(NamedTuple):
    """One evidence item before it gets its id. It rests on a measurement the annotator read itself (shown)."""

    start_s: float
    end_s: float
    cue: str
    direction: str
    description: str
    quote: str | None = None


@cache
def ekman7() -> Taxonomy:
    """The classes that the rules speak of."""
    return load_taxonomy("ekman7")


def class_in(taxonomy: Taxonomy, ekman: str) -> str | None:
    """The taxonomy's name of one of Ekman's classes; None when it has none such, or several it may be."""
    return map_label(ekman, ekman7(), taxonomy).one if taxonomy.asks_labels else None


def abstain(reason: str) -> Answer:
    """No label, for a stable reason."""
    return {
        "evidence": [],
        "rationale": [],
        "readings": {"text": None, "audio": None, "visual": None},
        "labels": [],
        "confidence": 0.0,
        "dimensions": {},
        "trajectory": [],
        "abstain_reason": reason,
    }


def labelled(
    taxonomy: Taxonomy,
    *,
    modality: str,
    scores: dict[str, float],
    claims: Sequence[Claim],
    finding: str,
    rule: str,
    confidence: float,
    known: Mapping[str, float | None] | None = None,
    trajectory: Sequence[tuple[float, float, str]] = (),
) -> Answer:
    """The triplet for `scores` (Ekman class -> [0, 1]); the best-scored class that the taxonomy has comes first.

    `finding` says what was measured and `rule` what that means; both steps cite all claims. `known` overrides
    what the class says of dimensions, each in [-1, 1]. Abstains with "label_not_in_taxonomy" when no scored class
    is in the taxonomy, and with "dimensions_not_known" when numbers alone are asked that the rule cannot tell.
    """
    ranked = sorted(scores.items(), key=lambda item: (-item[1], item[0]))
    found = [(ekman, name, score) for ekman, score in ranked if (name := class_in(taxonomy, ekman))]
    if taxonomy.asks_labels and not found:
        return abstain("label_not_in_taxonomy")
    best, top = (found[0][0], found[0][2]) if found else ranked[0]
    shares = {"valence": VALENCE[best] * top, "arousal": AROUSAL[best] * top, **(known or {})}
    dimensions = _on_scales(taxonomy, shares)
    if not found and not dimensions:
        return abstain("dimensions_not_known")
    ids = [f"e{n}" for n in range(1, len(claims) + 1)]
    said = found[0][1] if found else ", ".join(f"{name} {value:g}" for name, value in dimensions.items())
    texts = [finding, rule, f"Taken together the {modality} points to {said}."]
    return {
        "evidence": [_item(claim, i, modality) for i, claim in zip(ids, claims, strict=True)],
        "rationale": [{"n": n, "text": text, "evidence_ids": ids} for n, text in enumerate(texts, start=1)],
        "readings": {"text": None, "audio": None, "visual": None, modality: said},
        "labels": _labels(found, top),
        "confidence": round(min(max(confidence, 0.0), 1.0), 3),
        "dimensions": dimensions,
        "trajectory": [
            {"start_s": _whole_ms(start_s), "end_s": _whole_ms(end_s), "label": label}
            for start_s, end_s, ekman in trajectory
            if (label := class_in(taxonomy, ekman))
        ],
        "abstain_reason": None,
    }


def fitted(answer: Answer, taxonomy: Taxonomy) -> Answer:
    """The fields of an answer that the taxonomy asks for, in their order; what the rules do not know is null."""
    labels = answer["labels"]
    if not taxonomy.multi_label:
        labels = [{"label": score["label"]} for score in labels[:1]]
    whole = {
        **answer,
        "labels": labels,
        "dimensions": {name: answer["dimensions"].get(name) for name in taxonomy.dimensions},
        "heads": dict.fromkeys(taxonomy.heads),
    }
    return {name: whole[name] for name in asked_fields(taxonomy)}


def _on_scales(taxonomy: Taxonomy, shares: Mapping[str, float | None]) -> dict[str, float]:
    """What is known of the declared dimensions, on their scales."""
    return {
        name: round(scale.scaled(max(-1.0, min(1.0, share))), 3)
        for name, scale in taxonomy.dimensions.items()
        if (share := shares.get(name)) is not None
    }


def _item(claim: Claim, item_id: str, modality: str) -> dict[str, Any]:
    return {
        "id": item_id,
        "modality": modality,
        "start_s": _whole_ms(claim.start_s),
        "end_s": _whole_ms(claim.end_s),
        "cue": claim.cue,
        "direction": claim.direction,
        "quote": claim.quote,
        "description": claim.description,
    }


def _whole_ms(time_s: float) -> float:
    """Rounded down, so that a time never leaves the clip by rounding."""
    return math.floor(time_s * 1000 + 1e-6) / 1000


def _labels(found: list[tuple[str, str, float]], top: float) -> list[dict[str, Any]]:
    """Labels with intensity 0-3; neutral has none and never stands beside an emotion."""
    labels: dict[str, float] = {}
    for ekman, name, score in found:
        first = not labels
        if first or (ekman != "neutral" and found[0][0] != "neutral" and score >= SECOND_LABEL_SHARE * top):
            labels.setdefault(name, 0.0 if ekman == "neutral" else round(3 * min(max(score, 0.0), 1.0), 1))
    return [{"label": name, "intensity": intensity} for name, intensity in labels.items()]
