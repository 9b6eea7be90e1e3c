"""How a speaker usually sounds, and a segment's prosody against it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from pipeline.features.base import method_of
from pipeline.features.prosody_summary import SUMMARY_UNITS, VOICE_QUALITY_UNITS
from schemas.parts import Measure, Stat
from schemas.records import Baseline, Features

MIN_VOICED_S = 10.0
MIN_SEGMENTS = 3
BASELINE_VERSION = "2"  # of what is computed from the features
# Numbers of whole segments that get a stat, from 3 segments with one on, and the least spread as a share of the
# median: three segments may agree by chance to far less. What jitter, shimmer and harmonicity come to depends on
# the text as well.
SEGMENT_NUMBERS = {
    "speech_rate_syl_s": 0.05,
    "jitter_local": 0.15,
    "shimmer_local": 0.15,
    "hnr_db": 0.1,
}
MIN_PAUSES = 5  # fewer say nothing of what is usual
MAD_TO_SD = 1.4826  # makes the median absolute deviation of a normal distribution its standard deviation


def make_baseline(subject: str, features: Sequence[Features]) -> Baseline | None:
    """The baseline of one subject from its prosody Features; their order does not matter.

    Statistics: "pitch_st" (semitones re 1 Hz, voiced frames), "intensity_db" (dB, the same frames),
    "local_rate_syl_s" (the curve), "pause_s" (lengths, from 5 pauses on), and the SEGMENT_NUMBERS (per segment,
    from 3 segments with one on); those that the backend does not give are left out. None when fewer than 3
    segments have voiced speech, or when it is under 10 s in all (sum of `voiced_s`, not of speech with its
    unvoiced sounds).

    Raises:
        ValueError: features of different extractors, versions or parameters, or not of prosody.
    """
    usable = list({item.id: item for item in features if (item.summary.get("voiced_s") or 0.0) > 0}.values())
    if len({(item.stage, method_of(item)) for item in usable}) > 1:
        raise ValueError("a baseline needs features of one extractor, version and set of parameters")
    if any(item.stage != "prosody" for item in usable):
        raise ValueError("a baseline of the voice needs prosody features")
    voiced_s = math.fsum(item.summary["voiced_s"] or 0.0 for item in usable)
    if len(usable) < MIN_SEGMENTS or round(voiced_s, 6) < MIN_VOICED_S:
        return None
    return Baseline(
        subject=subject,
        extractor=usable[0].extractor,
        version=f"{usable[0].version}/{BASELINE_VERSION}",
        feature_digests=tuple(sorted(item.digest for item in usable)),
        segments=len(usable),
        speech_s=round(math.fsum(item.summary.get("speech_s") or 0.0 for item in usable), 3),
        stats=_stats(usable),
    )


def _stats(features: Sequence[Features]) -> dict[str, Stat]:
    pitch_st, level_db = _voiced_frames(features)
    rates = [
        value
        for item in features
        for series in item.series
        if series.name == "local_rate_syl_s"
        for value in series.values
        if value is not None
    ]
    pauses_s = [event.length_s for item in features for event in item.events if event.cue == "pause"]
    curves = {"pitch_st": pitch_st, "intensity_db": level_db, "local_rate_syl_s": rates}
    stats = {name: robust_stat(values) for name, values in curves.items() if values}
    if len(pauses_s) >= MIN_PAUSES:
        stats["pause_s"] = robust_stat(pauses_s)
    for name, least_share in SEGMENT_NUMBERS.items():
        numbers = [value for item in features if (value := item.summary.get(name)) is not None]
        if len(numbers) >= MIN_SEGMENTS:
            stats[name] = _with_floor(robust_stat(numbers), least_share)
    return stats


def _voiced_frames(features: Sequence[Features]) -> tuple[list[float], list[float]]:
    """Pitch (semitones re 1 Hz) and level (dB) of all voiced frames; both curves share one grid.

    A backend may know no level.
    """
    pitch_st: list[float] = []
    level_db: list[float] = []
    for item in features:
        curves = {series.name: series.values for series in item.series}
        pitches = curves.get("pitch_hz", ())
        levels = curves.get("intensity_db", (None,) * len(pitches))
        for pitch, level in zip(pitches, levels, strict=True):
            if pitch is not None:
                pitch_st.append(12 * math.log2(pitch))
            if pitch is not None and level is not None:
                level_db.append(level)
    return pitch_st, level_db


def _with_floor(stat: Stat, least_share: float) -> Stat:
    return stat.model_copy(update={"sd": round(max(stat.sd, least_share * abs(stat.median)), 4)})


def robust_stat(values: Sequence[float]) -> Stat:
    """Median and 1.4826 times the median absolute deviation.

    Reference: Rousseeuw and Croux 1993, J. Am. Stat. Assoc. 88, 1273, DOI 10.1080/01621459.1993.10476408.
    """
    median = float(np.median(values))
    spread = MAD_TO_SD * float(np.median(np.abs(np.asarray(values) - median)))
    return Stat(median=round(median, 4), sd=round(spread, 4), n=len(values))


def z_score(value: float | None, stat: Stat | None) -> float | None:
    """How many standard deviations `value` lies above the median; None without a value, a stat or a spread."""
    if value is None or stat is None or stat.sd == 0:
        return None
    return round((value - stat.median) / stat.sd, 3)


def prosody_measures(features: Features, baseline: Baseline | None) -> tuple[Measure, ...]:
    """One Measure per number of the summary, with z where the baseline knows the quantity.

    Like is compared with like: the pitch median in semitones, and for the level the median of the voiced frames
    (the mean in `value` holds unvoiced frames too, which are softer). The baseline's spread is that of frames,
    which is wider than that of whole segments: a |z| of 1 is already a clear difference.
    """
    stats = baseline.stats if baseline is not None else {}
    pitch_st, level_db = (_median(values) for values in _voiced_frames([features]))
    z_scores = {name: z_score(features.summary.get(name), stats.get(name)) for name in SEGMENT_NUMBERS} | {
        "pitch_median_hz": z_score(pitch_st, stats.get("pitch_st")),
        "intensity_mean_db": z_score(level_db, stats.get("intensity_db")),
    }
    return tuple(
        Measure(name=name, value=features.summary[name], unit=unit, z=z_scores.get(name))
        for name, unit in (SUMMARY_UNITS | VOICE_QUALITY_UNITS).items()
        if name in features.summary
    )


def _median(values: Sequence[float]) -> float | None:
    return float(np.median(values)) if values else None
