"""Answers of keyless annotators: plain JSON in the shape that a model is asked for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from schemas.taxonomy import LabelClass, Taxonomy

Answer = dict[str, Any]

# The rules speak of Ekman's classes; other label spaces are met through these words.
CLASS_WORDS: dict[str, tuple[str, ...]] = {
    "neutral": ("neutral", "calm", "no emotion"),
    "joy": ("joy", "happiness", "happy", "joyful", "amusement", "positive"),
    "anger": ("anger", "angry", "mad", "frustration"),
    "sadness": ("sadness", "sad", "unhappy"),
    "surprise": ("surprise", "surprised"),
    "fear": ("fear", "fearful", "scared", "afraid", "anxiety", "worried"),
    "disgust": ("disgust", "disgusted"),
}

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


def class_in(taxonomy: Taxonomy, ekman: str) -> str | None:
    """The taxonomy's name of one of Ekman's classes, None when it has no such class."""
    return next((name for word in CLASS_WORDS[ekman] if (name := taxonomy.match(word))), None)


def plain_taxonomy(names: Sequence[str]) -> Taxonomy:
    """A taxonomy of bare names, for a question that lists its labels only."""
    return Taxonomy(name="asked", instruction="", labels={n: LabelClass(verbalizers=()) for n in names})


def abstain(reason: str) -> Answer:
    """No label, for a stable reason."""
    return {
        "evidence": [],
        "rationale": [],
        "readings": {"text": None, "audio": None, "visual": None},
        "labels": [],
        "confidence": 0.0,
        "dimensions": {"valence": None, "arousal": None, "dominance": None},
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
    valence: float | None = None,
    trajectory: Sequence[tuple[float, float, str]] = (),
) -> Answer:
    """The triplet for `scores` (Ekman class -> [0, 1]); the best-scored class that the taxonomy has comes first.

    `finding` says what was measured and `rule` what that means; both steps cite all claims. `valence` overrides
    the class's own. Abstains with "label_not_in_taxonomy" when no scored class is in the taxonomy.
    """
    ranked = sorted(scores.items(), key=lambda item: (-item[1], item[0]))
    known = [(ekman, name, score) for ekman, score in ranked if (name := class_in(taxonomy, ekman))]
    if not known:
        return abstain("label_not_in_taxonomy")
    best, name, top = known[0]
    ids = [f"e{n}" for n in range(1, len(claims) + 1)]
    texts = [finding, rule, f"Taken together the {modality} points to {name}."]
    return {
        "evidence": [_item(claim, i, modality) for i, claim in zip(ids, claims, strict=True)],
        "rationale": [{"n": n, "text": text, "evidence_ids": ids} for n, text in enumerate(texts, start=1)],
        "readings": {"text": None, "audio": None, "visual": None} | {modality: name},
        "labels": _labels(known, top),
        "confidence": round(min(max(confidence, 0.0), 1.0), 3),
        "dimensions": {
            "valence": round(VALENCE[best] * top if valence is None else valence, 3),
            "arousal": round(AROUSAL[best] * top, 3),
            "dominance": None,
        },
        "trajectory": [
            {"start_s": _whole_ms(start_s), "end_s": _whole_ms(end_s), "label": label}
            for start_s, end_s, ekman in trajectory
            if (label := class_in(taxonomy, ekman))
        ],
        "abstain_reason": None,
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


def _labels(known: list[tuple[str, str, float]], top: float) -> list[dict[str, Any]]:
    """Labels with intensity 0-3; neutral has none and never stands beside an emotion."""
    labels: dict[str, float] = {}
    for ekman, name, score in known:
        first = not labels
        if first or (ekman != "neutral" and known[0][0] != "neutral" and score >= SECOND_LABEL_SHARE * top):
            labels.setdefault(name, 0.0 if ekman == "neutral" else round(3 * min(max(score, 0.0), 1.0), 1))
    return [{"label": name, "intensity": intensity} for name, intensity in labels.items()]
