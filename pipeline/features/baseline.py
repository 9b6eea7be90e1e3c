"""How a speaker usually sounds, and a segment's prosody against it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from pipeline.features.prosody_summary import SUMMARY_UNITS
from schemas.ids import canonical_json
from schemas.parts import Measure, Stat
from schemas.records import Baseline, Features

MIN_VOICED_S = 10.0
MIN_SEGMENTS = 3
MIN_RATE_SPREAD = 0.05  # of the median rate: three segments may agree by chance to far less
MAD_TO_SD = 1.4826  # makes the median absolute deviation of a normal distribution its standard deviation


def make_baseline(subject: str, features: Sequence[Features]) -> Baseline | None:
    """The baseline of one subject from its prosody Features; their order does not matter.

    Statistics: "pitch_st" (semitones re 1 Hz, voiced frames), "intensity_db" (dB, the same frames),
    "speech_rate_syl_s" (per segment, from 3 segments with a rate on). None when fewer than 3 segments have
    voiced speech, or when it is under 10 s in all (sum of `voiced_s`, not of speech with its unvoiced sounds).

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
    pitch_st, level_db = _voiced_frames(usable)
    rates = [rate for item in usable if (rate := item.summary.get("speech_rate_syl_s")) is not None]
    stats = {"pitch_st": robust_stat(pitch_st), "intensity_db": robust_stat(level_db)}
    if len(rates) >= MIN_SEGMENTS:
        stats["speech_rate_syl_s"] = _with_floor(robust_stat(rates))
    return Baseline(
        subject=subject,
        extractor=usable[0].extractor,
        version=usable[0].version,
        feature_digests=tuple(sorted(item.digest for item in usable)),
        segments=len(usable),
        speech_s=round(math.fsum(item.summary.get("speech_s") or 0.0 for item in usable), 3),
        stats=stats,
    )


def method_of(features: Features) -> str:
    """How something was measured, wherever in its segment: what a baseline must not mix."""
    params = {name: value for name, value in features.params.items() if name != "where"}
    return canonical_json([features.extractor, features.version, params])


def _voiced_frames(features: Sequence[Features]) -> tuple[list[float], list[float]]:
    """Pitch (semitones re 1 Hz) and level (dB) of all voiced frames; both curves share one grid."""
    pitch_st: list[float] = []
    level_db: list[float] = []
    for item in features:
        curves = {series.name: series.values for series in item.series}
        for pitch, level in zip(curves.get("pitch_hz", ()), curves.get("intensity_db", ()), strict=True):
            if pitch is not None and level is not None:
                pitch_st.append(12 * math.log2(pitch))
                level_db.append(level)
    return pitch_st, level_db


def _with_floor(stat: Stat) -> Stat:
    return stat.model_copy(update={"sd": round(max(stat.sd, MIN_RATE_SPREAD * stat.median), 4)})


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
    z_scores = {
        "pitch_median_hz": z_score(pitch_st, stats.get("pitch_st")),
        "intensity_mean_db": z_score(level_db, stats.get("intensity_db")),
        "speech_rate_syl_s": z_score(
            features.summary.get("speech_rate_syl_s"), stats.get("speech_rate_syl_s")
        ),
    }
    return tuple(
        Measure(name=name, value=features.summary[name], unit=unit, z=z_scores.get(name))
        for name, unit in SUMMARY_UNITS.items()
        if name in features.summary
    )


def _median(values: Sequence[float]) -> float | None:
    return float(np.median(values)) if values else None
