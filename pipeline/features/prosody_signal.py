"""The two curves of prosody on a 20 ms grid: pitch with its voicing decision, and intensity."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import swift_f0

from pipeline.features.base import SAMPLE_RATE_HZ, Audio
from schemas.parts import Span

FRAME_S = 0.02
FRAME_SAMPLES = round(FRAME_S * SAMPLE_RATE_HZ)
INTENSITY_WINDOW_S = 0.064  # Hann; holds five periods at 80 Hz, so the curve does not ripple with the pitch
MODEL_LEVEL_DB = (
    -6.0
)  # the pitch model's confidence falls with the level, so it hears all speech equally loud
OCTAVE_ST, OCTAVE_NEAR_ST = 12.0, 1.5  # a jump of an octave, give or take what the voice moves in a frame
OCTAVE_SLIP_S = 0.1
INTENSITY_FLOOR_DB = -100.0  # digital silence, which has no logarithm
Curve = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


def frame_times(audio: Audio) -> Curve:
    """Centre of each whole 20 ms frame, in s; a clip shorter than one frame still has one."""
    frames = np.arange(max(1, len(audio) // FRAME_SAMPLES), dtype=np.float64)
    return np.asarray((frames + 0.5) * FRAME_S, dtype=np.float64)


def inside(times_s: Curve, spans: Sequence[Span]) -> Mask:
    """Which of `times_s` lie in any of the spans."""
    mask = np.zeros(len(times_s), dtype=bool)
    for span in spans:
        mask |= (times_s >= span.start_s) & (times_s < span.end_s)
    return mask


def runs(mask: Mask) -> list[tuple[int, int]]:
    """The stretches of True as (first index, index after the last)."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], mask.astype(np.int8), [0]))))
    return [(int(start), int(end)) for start, end in zip(edges[::2], edges[1::2], strict=True)]


def close_gaps(mask: Mask, longest: int) -> Mask:
    """`mask` with inner gaps of at most `longest` frames filled."""
    filled = mask.copy()
    for start, end in runs(~mask):
        if start > 0 and end < len(mask) and end - start <= longest:
            filled[start:end] = True
    return filled


def drop_short(mask: Mask, shortest: int) -> Mask:
    """`mask` without stretches of fewer than `shortest` frames."""
    kept = mask.copy()
    for start, end in runs(mask):
        if end - start < shortest:
            kept[start:end] = False
    return kept


def intensity_db(audio: Audio) -> Curve:
    """Level per frame in dB re full scale: 10 log10 of the Hann-weighted mean square, at least -100.

    A constant of 1.0 has 0 dB, a sine of full scale -3.0 dB. Near the ends of the clip the weights that fall
    on the signal are scaled to a sum of 1, so that the first and last frames are not too low.
    """
    size = round(INTENSITY_WINDOW_S * SAMPLE_RATE_HZ)
    window = np.hanning(size + 1)
    centres = (frame_times(audio) * SAMPLE_RATE_HZ).astype(np.int64)
    offsets = np.arange(size + 1) - size // 2
    power = np.empty(len(centres))
    for i, centre in enumerate(centres):
        at = centre + offsets
        valid = (at >= 0) & (at < len(audio))
        weights = window[valid]
        squares = np.square(audio[at[valid]], dtype=np.float64)
        power[i] = float(weights @ squares) / max(float(weights.sum()), 1e-12)
    return np.asarray(np.maximum(10 * np.log10(np.maximum(power, 1e-12)), INTENSITY_FLOOR_DB))


class PitchTracker:
    """SwiftF0 with a voicing decision tuned for speech.

    A frame is voiced where the model's confidence is at least `voicing`, the level is at most `gate_db` under
    the 95th percentile of the speech, and it lies in speech; gaps of one frame are filled and single frames
    dropped. The signal is first brought to one level; short slips into another octave are taken back.

    Reference: Nieradzik, "SwiftF0", arXiv 2508.18440 (its first network; version 0.3 has a smaller one).
    """

    def __init__(self, *, floor_hz: float, ceiling_hz: float, voicing: float, gate_db: float) -> None:
        self.floor_hz, self.ceiling_hz = floor_hz, ceiling_hz
        self.voicing, self.gate_db = voicing, gate_db
        # One thread: sums in another order would change the last digits.
        self._model = swift_f0.SwiftF0(threads=1, spin=False)

    def track(self, audio: Audio, level_db: Curve, speech: Mask) -> Curve:
        """Pitch in Hz per frame, NaN where unvoiced; `level_db` and `speech` are on the same grid."""
        times_s = frame_times(audio)
        if not speech.any():
            return np.full(len(times_s), np.nan)
        loud_db = float(np.percentile(level_db[speech], 95))
        heard = audio * np.float32(10 ** ((MODEL_LEVEL_DB - loud_db) / 20))
        raw = self._model.detect(heard, SAMPLE_RATE_HZ, fmin=self.floor_hz, fmax=self.ceiling_hz)
        confidence = np.interp(times_s, raw.timestamps, raw.confidence)
        nearest = np.clip(np.rint(times_s / swift_f0.FRAME_PERIOD).astype(int), 0, len(raw.pitch_hz) - 1)
        sure = (confidence >= self.voicing) & (level_db > loud_db - self.gate_db) & speech
        voiced = drop_short(close_gaps(sure, 1) & speech, 2)
        return without_octave_slips(np.where(voiced, raw.pitch_hz[nearest], np.nan))


def without_octave_slips(pitch_hz: Curve) -> Curve:
    """The pitch with short slips into another octave taken back: a voice is not there and back in OCTAVE_SLIP_S.

    A slip jumps by an octave, jumps back by one, and lies farther from the median of its voiced stretch than an
    octave nearer would. At the edge of a stretch nobody can tell which octave is meant, and nothing is changed.
    """
    tones, mended = semitones(np.where(np.isnan(pitch_hz), 1.0, pitch_hz)), pitch_hz.copy()
    octaves = np.rint(np.diff(tones) / OCTAVE_ST)
    near = np.abs(np.diff(tones) - octaves * OCTAVE_ST) <= OCTAVE_NEAR_ST
    for first, last in runs(~np.isnan(pitch_hz)):
        middle = float(np.median(tones[first:last]))
        jumps = [n for n in range(first, last - 1) if near[n] and abs(octaves[n]) == 1]
        for there, back in itertools.pairwise(jumps):
            part = slice(there + 1, back + 1)
            away = float(np.mean(tones[part])) - middle
            short = (back - there) * FRAME_S <= OCTAVE_SLIP_S + 1e-9
            nearer = abs(away - octaves[there] * OCTAVE_ST) < abs(away)
            if short and nearer and octaves[there] == -octaves[back]:
                mended[part] = pitch_hz[part] / 2 ** octaves[there]
    return mended


def pitch_model_file() -> Path:
    """The weights that the pitch tracker's package carries."""
    return Path(swift_f0.__file__).with_name("model.onnx")


def semitones(pitch_hz: Curve) -> Curve:
    """Pitch in semitones re 1 Hz."""
    return 12 * np.log2(pitch_hz)
