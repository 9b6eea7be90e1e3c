"""What the voice says: the distance of a few measures to the profiles that the literature gives an emotion.

With a baseline of the speaker the axes are pitch, loudness and rate in deviations of that baseline; without one
only what means something by itself is used (rate, pitch range, pauses), and the confidence is halved.

Reference: Juslin & Laukka 2003, DOI 10.1037/0033-2909.129.5.770 (patterns of voice cues per emotion);
Scherer 2003, DOI 10.1016/S0167-6393(02)00084-5
"""

from __future__ import annotations

from typing import NamedTuple

from agents.cue_rules.answer import Answer, Claim, abstain, labelled
from schemas.cues import Cue, cue_table
from schemas.parts import Measure
from schemas.records import Sample
from schemas.taxonomy import Taxonomy

MIN_VOICED_S = 0.3
MAX_Z = 5.0  # a larger deviation tells of a baseline of too few segments, not of the speaker
Z_FULL = 2.0  # deviations of the baseline that count as the end of an axis
MAX_DISTANCE = 2.0  # of two opposite ends of an axis
CLEAR_LEVEL = 0.5  # of an axis; the cue table's thresholds lie there
MIN_CLEAR_CUES = 2
MIN_CONFIDENCE, MAX_CONFIDENCE = 0.25, 0.75
NO_BASELINE_FACTOR = 0.5

# Signs after Juslin & Laukka 2003 (table 7: findings per cue and emotion); the sizes are our choice.
# Surprise and disgust are left out: the literature gives their voices no pattern that these axes could tell.
PROFILES: dict[str, dict[str, float]] = {
    "neutral": {"pitch": 0.0, "loudness": 0.0, "rate": 0.0, "variety": 0.0, "pauses": 0.0},
    "anger": {"pitch": 0.5, "loudness": 1.0, "rate": 0.7, "variety": 0.6, "pauses": 0.0},
    "joy": {"pitch": 0.9, "loudness": 0.5, "rate": 0.5, "variety": 0.9, "pauses": 0.0},
    "fear": {"pitch": 0.9, "loudness": 0.0, "rate": 0.9, "variety": -0.6, "pauses": 0.0},
    "sadness": {"pitch": -0.5, "loudness": -0.9, "rate": -0.8, "variety": -0.6, "pauses": 0.8},
}


class Axis(NamedTuple):
    """A measure on [-1, 1]: `usual` is 0, `usual` + `full` is 1. The cues name its two ends."""

    name: str
    measure: str
    usual: float
    full: float
    high: str | None
    low: str | None


RELATIVE = (
    Axis("pitch", "pitch_median_hz", 0.0, Z_FULL, "pitch_high", "pitch_low"),
    Axis("loudness", "intensity_mean_db", 0.0, Z_FULL, "loud", "quiet"),
    Axis("rate", "speech_rate_syl_s", 0.0, Z_FULL, "fast", "slow"),
)
# Usual values: read and conversational speech of the project's own recordings, see docs/cue-annotators.md.
ABSOLUTE = (
    Axis("rate", "speech_rate_syl_s", 4.5, 3.0, "fast_rate", "slow_rate"),
    Axis("variety", "pitch_range_st", 8.0, 6.0, "pitch_varied", "pitch_flat"),
    Axis("pauses", "longest_pause_s", 0.0, 1.6, "long_pause", None),
)


class Reading(NamedTuple):
    axis: Axis
    level: float  # on [-1, 1]
    text: str


def annotate(sample: Sample, taxonomy: Taxonomy) -> Answer:
    """The triplet that the voice alone gives, or an abstention: too_little_voice, or why no voice is heard."""
    measures = {measure.name: measure for measure in sample.prosody}
    voiced = measures.get("voiced_s")
    if "audio" in sample.missing or voiced is None or not voiced.value:
        return abstain(sample.missing.get("audio", "no_speech"))
    readings = read_axes(measures)
    if voiced.value < MIN_VOICED_S or len(readings) < 2:
        return abstain("too_little_voice")
    closeness = {label: _closeness(profile, readings) for label, profile in PROFILES.items()}
    scores = _scores(closeness, readings)
    best = max(sorted(scores), key=scores.__getitem__)
    relative = any(_z(measures, axis) is not None for axis in RELATIVE)
    usual = "this speaker's usual voice" if relative else "common speech, the speaker's own not being known,"
    rule = f"Seen from {usual} this fits the voice profile of {best} best."
    if best == "neutral":
        rule += " No emotion's profile is met by two clear cues." if len(scores) == 1 else ""
    return labelled(
        taxonomy,
        modality="audio",
        scores=scores,
        claims=_claims(sample, measures, readings, neutral=best == "neutral"),
        finding="Measured in the voice: " + "; ".join(reading.text for reading in readings) + ".",
        rule=rule,
        confidence=_confidence(best, closeness, relative=relative),
    )


def read_axes(measures: dict[str, Measure]) -> list[Reading]:
    """Every axis that was measured; the rate is taken relative to the speaker where that is known."""
    found: dict[str, Reading] = {}
    for axis in RELATIVE:
        z = _z(measures, axis)
        if z is not None:
            text = f"{axis.name} {z:+.1f} sd from this speaker's usual"
            found[axis.name] = Reading(axis, _level(z, axis), text)
    for axis in ABSOLUTE:
        measure = measures.get(axis.measure)
        if axis.name not in found and measure is not None and measure.value is not None:
            text = f"{axis.name} ({axis.measure}) {measure.value:.3g} {measure.unit}"
            found[axis.name] = Reading(axis, _level(measure.value, axis), text)
    return list(found.values())


def _z(measures: dict[str, Measure], axis: Axis) -> float | None:
    """The deviation from the baseline, None without one or beyond what a sound baseline gives."""
    z = measures[axis.measure].z if axis.measure in measures else None
    return z if z is not None and abs(z) <= MAX_Z else None


def _level(value: float, axis: Axis) -> float:
    return max(-1.0, min(1.0, (value - axis.usual) / axis.full))


def _closeness(profile: dict[str, float], readings: list[Reading]) -> float:
    """1 for the very profile, 0 for its opposite ends, over the axes that were measured."""
    distance = sum(abs(reading.level - profile[reading.axis.name]) for reading in readings) / len(readings)
    return 1 - distance / MAX_DISTANCE


def _scores(closeness: dict[str, float], readings: list[Reading]) -> dict[str, float]:
    """Neutral, and the emotions that clear cues agree with, two more than disagree: one alone has many causes."""
    found = {"neutral": closeness["neutral"]}
    clear = [reading for reading in readings if abs(reading.level) >= CLEAR_LEVEL]
    for label, profile in PROFILES.items():
        signs = [reading.level * profile[reading.axis.name] for reading in clear]
        if sum(sign > 0 for sign in signs) - sum(sign < 0 for sign in signs) >= MIN_CLEAR_CUES:
            found[label] = closeness[label]
    return found


def _confidence(best: str, closeness: dict[str, float], *, relative: bool) -> float:
    """From the margin over the next profile; the least value when another profile is closer than `best`."""
    margin = closeness[best] - max(value for label, value in closeness.items() if label != best)
    value = min(MAX_CONFIDENCE, MIN_CONFIDENCE + 2 * max(0.0, margin))
    return value if relative else value * NO_BASELINE_FACTOR


def _claims(
    sample: Sample, measures: dict[str, Measure], readings: list[Reading], *, neutral: bool
) -> list[Claim]:
    """What the cue table says of both ends of each axis, over all speech.

    An emotion rests on the ends that are reached, neutral also on those that are not.
    """
    end_s = min(max((span.end_s for span in sample.own_speech), default=sample.duration_s), sample.duration_s)
    start_s = min(min((span.start_s for span in sample.own_speech), default=0.0), end_s)
    claims = []
    for reading in readings:
        for name in filter(None, (reading.axis.high, reading.axis.low)):
            cue, measure = cue_table().cues[name], measures[reading.axis.measure]
            value = measure.z if cue.scale == "z" else measure.value
            there = value is not None and _holds(cue, value)
            if there or neutral:
                direction = "present" if there else "absent"
                claims.append(Claim(start_s, end_s, name, direction, reading.text))
    return claims


def _holds(cue: Cue, value: float) -> bool:
    return value >= cue.threshold if cue.operator == ">=" else value <= cue.threshold
