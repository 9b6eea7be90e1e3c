"""How loud the voice is over its background, and the shape of the loudness, of stretches of any length."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline.features.base import Audio
from pipeline.features.prosody_signal import FRAME_S, FRAME_SAMPLES, INTENSITY_FLOOR_DB, Curve, inside
from pipeline.media.reading import read_audio
from schemas.parts import Span

CHUNK_S = 60.0  # of sound that is held at a time
AROUND_S = 5.0  # before and after the stretch in which the background is heard as well
EDGE_S = 0.1  # beside speech that counts as neither: where speech ends is not known more exactly
MIN_FRAMES = 10  # 0.2 s of speech and of background: from fewer no ratio is told
SHAPE_PARTS = 32  # of the loudness curve
SHAPE_LEVELS = 15
SHAPE_DEPTH_DB = 40.0  # under the loud part of the stretch; what is fainter is noise
SHAPE_GATE_DB = (
    20.0  # the curve begins and ends where the sound first and last comes so near to the loud part
)
SILENT_DB = -70.0


def frame_levels(audio: Audio) -> Curve:
    """Level of every whole 20 ms frame, in dB re full scale, at least -100."""
    whole = audio[: len(audio) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
    power = np.square(whole, dtype=np.float64).mean(axis=1)
    return np.asarray(np.maximum(10 * np.log10(np.maximum(power, 1e-12)), INTENSITY_FLOOR_DB))


def read_levels(path: Path, start_s: float, end_s: float) -> Curve:
    """`frame_levels` of a stretch of a decode pass's sound, read piece by piece."""
    starts = np.arange(start_s, max(end_s, start_s + FRAME_S), CHUNK_S)
    pieces = [frame_levels(read_audio(path, float(s), min(float(s) + CHUNK_S, end_s))) for s in starts]
    return np.concatenate(pieces)


def signal_to_noise_db(path: Path, start_s: float, end_s: float, speech: Sequence[Span]) -> float | None:
    """How much louder speech is than the background, in dB; medians of 20 ms frames. Times are source times.

    Speech is that of the stretch; the background is what is no speech in it and up to 5 s around it. None when
    there is too little of either, or when the background is digital silence.
    """
    before_s = max(0.0, start_s - AROUND_S)
    level_db = read_levels(path, before_s, end_s + AROUND_S)
    times_s: Curve = before_s + (np.arange(len(level_db), dtype=np.float64) + 0.5) * FRAME_S
    last_s = end_s + AROUND_S
    near = [s for s in speech if s.end_s + EDGE_S > before_s and s.start_s - EDGE_S < last_s]  # of hours, few
    wide = [Span(start_s=max(0.0, s.start_s - EDGE_S), end_s=s.end_s + EDGE_S) for s in near]
    voice = level_db[inside(times_s, near) & (times_s >= start_s) & (times_s < end_s)]
    background = level_db[~inside(times_s, wide)]
    if min(len(voice), len(background)) < MIN_FRAMES or np.median(background) <= INTENSITY_FLOOR_DB:
        return None
    return round(float(np.median(voice) - np.median(background)), 1)


def loudness_curve(level_db: Curve) -> str | None:
    """The shape of the loudness from the first to the last sound: 32 hex digits, f is loud, 0 is 40 dB under it.

    It does not change with the volume and hardly with another encoding. None for silence, and for a sound that is
    equally loud all the time, which has no shape.
    """
    if len(level_db) == 0 or (loud_db := float(np.percentile(level_db, 95))) <= SILENT_DB:
        return None
    sounding = np.flatnonzero(level_db >= loud_db - SHAPE_GATE_DB)
    below = np.clip(level_db[sounding[0] : sounding[-1] + 1] - loud_db, -SHAPE_DEPTH_DB, 0.0)
    digits = np.rint(_means(below) / SHAPE_DEPTH_DB * SHAPE_LEVELS).astype(int) + SHAPE_LEVELS
    return None if np.ptp(digits) < 2 else "".join(f"{digit:x}" for digit in digits)


def _means(curve: Curve) -> npt.NDArray[np.float64]:
    """The means of SHAPE_PARTS equal parts of a curve."""
    sums = np.concatenate(([0.0], np.cumsum(curve)))
    edges = np.linspace(0, len(curve), SHAPE_PARTS + 1)
    return np.asarray(np.diff(np.interp(edges, np.arange(len(sums)), sums)) / np.diff(edges))
