"""What Praat and WORLD say of a voice: the reference of the evidence benchmark for everything that is heard.

Every number is made in several ways: the pitch and what is voiced by two programs, Praat's in three settings, and
WORLD; silences at three gates; slopes by two estimators. A claim is decided only where all of them agree. Their
disagreement is the reference's own uncertainty, and is the same for true and for false claims.

Reference: Boersma 1993, Proc. Institute of Phonetic Sciences Amsterdam 17, 97-110 (Praat); Morise 2017,
Interspeech, DOI 10.21437/Interspeech.2017-68 (Harvest); Morise 2016, DOI 10.1016/j.specom.2016.09.001 (D4C);
Theil 1950, Sen 1968 (slopes).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import parselmouth
import pyworld

Values = npt.NDArray[np.float64]
RATE_HZ, STEP_S = 16_000, 0.01
WORLD_VOICED = 0.85  # its own default: the power in low frequencies that a voiced frame has
TRACKERS: tuple[tuple[str, float, float, float], ...] = (  # method, floor, ceiling in Hz, voicing threshold
    ("ac", 75.0, 600.0, 0.45),
    ("cc", 75.0, 500.0, 0.45),
    ("ac", 60.0, 600.0, 0.55),
)
GATES_DB = (-20.0, -25.0, -30.0)  # under the maximum: what is silence
MIN_SOUND_S = 0.06
MIN_VOICED_S = 0.3
EDGE_S = (0.0, 0.12)  # a movement at the edge of a span may be meant or not
Audio = npt.NDArray[np.float32]


@dataclass
class Voice:
    """A stretch of sound as Praat hears it; times in s from its start."""

    audio: Audio

    @cached_property
    def sound(self) -> Any:
        return parselmouth.Sound(self.audio.astype(np.float64), RATE_HZ)

    @cached_property
    def times_s(self) -> Values:
        return np.arange(STEP_S / 2, max(len(self.audio) / RATE_HZ, STEP_S), STEP_S)

    @cached_property
    def pitches_st(self) -> list[Values]:
        """Semitones re 1 Hz on the grid by each tracker, the last one WORLD's, NaN where unvoiced."""
        found = []
        for method, floor, ceiling, voicing in TRACKERS:
            make = self.sound.to_pitch_ac if method == "ac" else self.sound.to_pitch_cc
            pitch = make(
                time_step=STEP_S, pitch_floor=floor, pitch_ceiling=ceiling, voicing_threshold=voicing
            )
            hz = np.array([pitch.get_value_at_time(time_s) for time_s in self.times_s])
            found.append(12 * np.log2(hz))
        return [*found, self._world_st()]

    def _world_st(self) -> Values:
        """Harvest's contour where D4C hears a voice: it gives unvoiced frames no period at any frequency."""
        sound = self.audio.astype(np.float64)
        rough, times_s = pyworld.harvest(sound, RATE_HZ, 60.0, 600.0, 1000 * STEP_S)
        hz = pyworld.stonemask(sound, rough, times_s, RATE_HZ)
        aperiodic = pyworld.d4c(sound, hz, times_s, RATE_HZ, threshold=WORLD_VOICED)
        voiced = aperiodic.min(axis=1) < 0.999
        tones = 12 * np.log2(np.where((hz > 0) & voiced, hz, np.nan))
        tones[[0, -1]] = np.nan  # half of these frames lies outside the sound
        nearest = np.clip(np.rint(self.times_s / STEP_S).astype(int), 0, len(tones) - 1)
        return tones[nearest]

    @cached_property
    def level_db(self) -> Values:
        intensity = self.sound.to_intensity(minimum_pitch=75.0, time_step=STEP_S, subtract_mean=True)
        return np.interp(self.times_s, intensity.xs(), intensity.values[0])

    @cached_property
    def silences(self) -> list[list[tuple[float, float]]]:
        """By each gate: the stretches without sound between two stretches of sound."""
        return [self._silences(gate) for gate in GATES_DB]

    def _silences(self, gate_db: float) -> list[tuple[float, float]]:
        loud = self.level_db > self.level_db.max() + gate_db
        spans = [span for span in stretches(self.times_s, loud) if span[1] - span[0] >= MIN_SOUND_S]
        return [(a[1], b[0]) for a, b in itertools.pairwise(spans)]

    def sounding_s(self, longest_s: float) -> list[float]:
        """By each gate: how long there is sound, silences up to `longest_s` included."""
        found = []
        for gate in GATES_DB:
            loud = self.level_db > self.level_db.max() + gate
            spans = [span for span in stretches(self.times_s, loud) if span[1] - span[0] >= MIN_SOUND_S]
            inner = [b[0] - a[1] for a, b in itertools.pairwise(spans)]
            found.append(sum(b - a for a, b in spans) + sum(gap for gap in inner if gap <= longest_s))
        return found

    def inside(self, start_s: float, end_s: float) -> npt.NDArray[np.bool_]:
        return (self.times_s >= start_s) & (self.times_s <= end_s)


def stretches(times_s: Values, there: npt.NDArray[np.bool_]) -> list[tuple[float, float]]:
    """Start and end of each run of frames that are `there`."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], there.astype(np.int8), [0]))))
    return [
        (float(times_s[a]) - STEP_S / 2, float(times_s[b - 1]) + STEP_S / 2)
        for a, b in zip(edges[::2], edges[1::2], strict=True)
    ]


@dataclass
class Usual:
    """How a speaker usually sounds, by each tracker: median and spread (1.4826 MAD) of pitch and level."""

    pitch: list[tuple[float, float]]
    level: list[tuple[float, float]]

    @classmethod
    def of(cls, voices: Sequence[Voice]) -> Usual:
        pitch, level = [], []
        for n in range(len(TRACKERS) + 1):
            tones = np.concatenate([voice.pitches_st[n] for voice in voices])
            levels = np.concatenate([voice.level_db for voice in voices])
            there = ~np.isnan(tones)
            pitch.append(_spread(tones[there]))
            level.append(_spread(levels[there]))
        return cls(pitch, level)


def _spread(values: Values) -> tuple[float, float]:
    median = float(np.median(values))
    return median, 1.4826 * float(np.median(np.abs(values - median)))


Estimates = list[float]  # of one quantity, in the cue's unit; empty where it cannot be told


def voiced_s(voice: Voice, start_s: float, end_s: float) -> list[float]:
    at = voice.inside(start_s, end_s)
    return [float(np.count_nonzero(~np.isnan(tones[at]))) * STEP_S for tones in voice.pitches_st]


def _voiced(
    voice: Voice,
    start_s: float,
    end_s: float,
    of: Callable[[int], Values],
    number: Callable[[Values, Values], float],
) -> Estimates:
    """`number(times, values)` of the voiced frames of a span by each tracker; none with too little voice."""
    at = voice.inside(start_s, end_s)
    found = []
    for n, tones in enumerate(voice.pitches_st):
        there = at & ~np.isnan(tones)
        if there.sum() * STEP_S < MIN_VOICED_S:
            return []
        found.append(number(voice.times_s[there], of(n)[there]))
    return found


def pitch_z(voice: Voice, start_s: float, end_s: float, usual: Usual | None) -> Estimates:
    if usual is None:
        return []
    raw = _voiced(voice, start_s, end_s, lambda n: voice.pitches_st[n], lambda _, v: float(np.median(v)))
    return [(value - median) / sd for value, (median, sd) in zip(raw, usual.pitch, strict=False)]


def level_z(voice: Voice, start_s: float, end_s: float, usual: Usual | None) -> Estimates:
    if usual is None:
        return []
    raw = _voiced(voice, start_s, end_s, lambda _: voice.level_db, lambda _, v: float(np.median(v)))
    return [(value - median) / sd for value, (median, sd) in zip(raw, usual.level, strict=False)]


def pitch_range(voice: Voice, start_s: float, end_s: float, _: Usual | None) -> Estimates:
    def spread(_times: Values, values: Values) -> float:
        low, high = np.percentile(values, [5, 95])
        return float(high - low)

    return _voiced(voice, start_s, end_s, lambda n: voice.pitches_st[n], spread)


def _slopes(voice: Voice, start_s: float, end_s: float, of: Callable[[int], Values]) -> Estimates:
    """Change over the span by least squares and by the median of all slopes (Theil and Sen)."""
    if any(seconds < 0.5 for seconds in voiced_s(voice, start_s, end_s)):
        return []

    def squares(times: Values, values: Values) -> float:
        return float(np.polyfit(times, values, 1)[0] * (times[-1] - times[0]))

    def pairs(times: Values, values: Values) -> float:
        a, b = np.triu_indices(len(times), 5)
        return float(np.median((values[b] - values[a]) / (times[b] - times[a])) * (times[-1] - times[0]))

    return [*_voiced(voice, start_s, end_s, of, squares), *_voiced(voice, start_s, end_s, of, pairs)]


def pitch_trend(voice: Voice, start_s: float, end_s: float, _: Usual | None) -> Estimates:
    return _slopes(voice, start_s, end_s, lambda n: voice.pitches_st[n])


def level_trend(voice: Voice, start_s: float, end_s: float, _: Usual | None) -> Estimates:
    return _slopes(voice, start_s, end_s, lambda _: voice.level_db)


def _largest_move(voice: Voice, start_s: float, end_s: float, sign: float) -> Estimates:
    """The largest rise (sign 1) or fall (-1) within a voiced stretch in the span, in signed semitones.

    A rise ends where the pitch has come back by a semitone; octave jumps and moves under 0.1 s are none.
    """
    found = []
    for tones in voice.pitches_st:
        for edge_s in EDGE_S:
            at = voice.inside(start_s - edge_s, end_s + edge_s)
            moves = [move for a, b in _runs(at & ~np.isnan(tones)) for move in _moves(sign * tones[a:b])]
            found.append(sign * max(moves, default=0.0))
    return found


def _runs(there: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate(([0], there.astype(np.int8), [0]))))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _moves(tones: Values) -> Iterable[float]:
    start = 0
    for cut in [*(np.flatnonzero(np.abs(np.diff(tones)) > 2.0) + 1), len(tones)]:
        part = tones[start:cut]
        start = int(cut)
        low = high = 0
        for at in range(1, len(part)):
            if part[at] > part[high]:
                high = at
            elif part[high] - part[at] >= 1.0 or part[at] < part[low]:
                if high - low >= 10:
                    yield float(part[high] - part[low])
                low = high = at
        if high - low >= 10:
            yield float(part[high] - part[low])


def rise(voice: Voice, start_s: float, end_s: float, _: Usual | None) -> Estimates:
    return _largest_move(voice, start_s, end_s, 1.0)


def fall(voice: Voice, start_s: float, end_s: float, _: Usual | None) -> Estimates:
    return _largest_move(voice, start_s, end_s, -1.0)


def longest_pause(voice: Voice, start_s: float, end_s: float, _: Usual | None) -> Estimates:
    """By each gate: the longest silence with half of itself, or 0.2 s, in the span; and with any part in it.

    A silence that only reaches into the span may be meant or not.
    """
    found = []
    for silences in voice.silences:
        shared = [(min(b, end_s) - max(a, start_s), b - a) for a, b in silences]
        found.append(max((length for part, length in shared if part >= min(length / 2, 0.2)), default=0.0))
        found.append(max((length for part, length in shared if part > 0), default=0.0))
    return found


def voiced_share(voice: Voice, start_s: float, end_s: float, _: Usual | None) -> Estimates:
    return [seconds / max(end_s - start_s, STEP_S) for seconds in voiced_s(voice, start_s, end_s)]


def longest_unvoiced(voice: Voice, start_s: float, end_s: float, _: Usual | None) -> Estimates:
    at = voice.inside(start_s, end_s)
    found = []
    for tones in voice.pitches_st:
        gaps = stretches(voice.times_s[at], np.isnan(tones[at]))
        found.append(max((b - a for a, b in gaps), default=0.0))
    return found


def burst(voice: Voice, start_s: float, end_s: float, _: Usual | None) -> Estimates:
    """By each gate: how far the loudest 0.1 s of the span lies over the median level of the clip's sound."""
    at = voice.inside(start_s, end_s)
    found = []
    for gate in GATES_DB:
        sound = voice.level_db > voice.level_db.max() + gate
        over = voice.level_db - np.median(voice.level_db[sound])
        held = np.array([over[n : n + 10].min() for n in range(max(1, len(over) - 9))])
        ends = np.zeros(len(over), dtype=bool)
        ends[: len(held)] = True
        inside = held[at[: len(held)]]
        found.append(max(0.0, float(inside.max())) if len(inside) else 0.0)
    return found


REFERENCES: dict[str, Callable[[Voice, float, float, Usual | None], Estimates]] = {
    "pitch_high": pitch_z,
    "pitch_low": pitch_z,
    "loud": level_z,
    "quiet": level_z,
    "pitch_varied": pitch_range,
    "pitch_flat": pitch_range,
    "pitch_climbs": pitch_trend,
    "pitch_sinks": pitch_trend,
    "gets_louder": level_trend,
    "gets_quieter": level_trend,
    "pitch_rise": rise,
    "pitch_fall": fall,
    "pause": longest_pause,
    "long_pause": longest_pause,
    "long_silence": longest_unvoiced,
    "speech": voiced_share,
    "silence": voiced_share,
    "loud_burst": burst,
}
# How near to the threshold a claim is called near, in the cue's unit.
NEAR = {"sd": 0.3, "semitone": 1.0, "dB": 2.0, "s": 0.1, "share": 0.05, "syllable/s": 1.0}
