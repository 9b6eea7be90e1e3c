"""What happens in the voice: pauses, pitch movements, loud bursts, syllables and changes of their rate."""

from __future__ import annotations

import itertools
import math

import numpy as np
import numpy.typing as npt

from pipeline.features.prosody_signal import FRAME_S, Curve, Mask, close_gaps, drop_short, runs, semitones
from schemas.parts import Event

Frames = npt.NDArray[np.int64]  # numbers of frames
MIN_SOUND_S = 0.06  # a shorter sound between two silences is a click, not speech
MIN_MOVE_S = 0.1  # shorter ones are the perturbations that consonants cause
MAX_STEP_ST = 3.0  # per frame; no voice moves at 150 semitones a second, so a larger step is an octave error
REVERSAL_ST = 1.0  # a movement ends when the pitch has come back by this much


def _frames(seconds: float) -> int:
    """The least number of frames that lasts `seconds`."""
    return math.ceil(seconds / FRAME_S - 1e-9)


def _event(cue: str, start: int, end: int, size: float, unit: str, apex: int | None = None) -> Event:
    """An event over frames start..end-1; its borders are the outer borders of those frames."""
    apex_s = None if apex is None else round((apex + 0.5) * FRAME_S, 3)
    return Event(
        cue=cue, modality="audio", start_s=round(start * FRAME_S, 3), end_s=round(end * FRAME_S, 3),
        apex_s=apex_s, size=round(size, 2), unit=unit,
    )  # fmt: skip


def sounding(level_db: Curve | None, speech: Mask, *, gate_db: float, min_pause_s: float) -> Mask:
    """Frames that belong to speech, with the silences in it that are too short for a pause.

    Voice activity alone has padded borders; here a frame of it counts when its level is at most `gate_db`
    under the 95th percentile of the speech (de Jong and Wempe use 25 dB under the maximum). Where no level is
    known the voice activity alone decides.
    """
    if not speech.any():
        return speech.copy()
    loud = speech
    if level_db is not None:
        loud = speech & (level_db > np.percentile(level_db[speech], 95) - gate_db)
    return close_gaps(drop_short(loud, _frames(MIN_SOUND_S)), _frames(min_pause_s) - 1)


def pauses(sound: Mask, measured: Mask) -> list[Event]:
    """The silences between two stretches of speech; `size` is their length in s.

    A silence that is not measured from end to end is none: somebody else may speak in it.
    """
    return [
        _event("pause", start, end, (end - start) * FRAME_S, "s")
        for start, end in runs(~sound)
        if start > 0 and end < len(sound) and measured[start:end].all()
    ]


def syllable_nuclei(level_db: Curve, voiced: Mask, sound: Mask, *, gate_db: float, dip_db: float) -> Frames:
    """The frames of the syllable nuclei: voiced intensity peaks with a dip of at least `dip_db` on either side.

    Reference: de Jong and Wempe 2009, Behavior Research Methods 41, 385-390, DOI 10.3758/BRM.41.2.385.
    """
    if not sound.any():
        return np.zeros(0, dtype=np.int64)
    from scipy.signal import find_peaks  # takes seconds to import; a run with nothing to measure needs it not

    loudest = float(np.percentile(level_db[sound], 99))
    padded = np.concatenate(([-np.inf], level_db, [-np.inf]))  # a peak may stand in the first or last frame
    padded = np.maximum(padded, loudest - 2 * gate_db)
    peaks, _ = find_peaks(padded, height=loudest - gate_db, prominence=dip_db)
    frames = np.asarray(peaks - 1, dtype=np.int64)
    return frames[(voiced & sound)[frames]]


def local_rate(nuclei: Frames, sound: Mask, *, window_s: float) -> Curve:
    """Syllables per second of speech around each frame, under a Hann window of `window_s`.

    NaN in silences, and where less than half of the window (by weight) is speech.
    Reference: Pfitzinger 1998, Proc. ICSLP, "Local speech rate as a combination of syllable and phone rate".
    """
    window = np.hanning(_frames(window_s) + 2)[1:-1]
    counts = np.zeros(len(sound))
    counts[nuclei] = 1.0
    spoken_s = _smoothed(sound.astype(np.float64), window) * FRAME_S
    enough = sound & (spoken_s >= 0.5 * float(window.sum()) * FRAME_S - 1e-9)
    return np.where(enough, _smoothed(counts, window) / np.where(enough, spoken_s, 1.0), np.nan)


def _smoothed(values: Curve, window: Curve) -> Curve:
    """The weighted sum around each value; beyond the ends lies nothing."""
    first = (len(window) - 1) // 2
    return np.convolve(values, window)[first : first + len(values)]


def rate_changes(
    rate_syl_s: Curve, usual_syl_s: float, *, min_size_syl_s: float, min_length_s: float
) -> list[Event]:
    """Stretches that are at least `min_size_syl_s` faster or slower than `usual_syl_s`, the clip's own rate.

    `size` is the largest difference in the stretch, positive for both cues.
    """
    away = np.nan_to_num(rate_syl_s - usual_syl_s)
    events = []
    for cue, sign in (("speed_up", 1.0), ("slow_down", -1.0)):
        for start, end in runs(sign * away >= min_size_syl_s):
            if end - start >= _frames(min_length_s):
                apex = start + int(np.argmax(sign * away[start:end]))
                events.append(_event(cue, start, end, abs(float(away[apex])), "syllable/s", apex))
    return events


def _swings(pitch_st: Curve) -> list[tuple[int, int]]:
    """Turning points of one stretch as (index of the start, index of the end) of each movement."""
    swings: list[tuple[int, int]] = []
    start, extreme, direction = 0, 0, 0
    for i in range(1, len(pitch_st)):
        if direction == 0:
            if abs(pitch_st[i] - pitch_st[start]) >= REVERSAL_ST:
                direction, extreme = (1 if pitch_st[i] > pitch_st[start] else -1), i
        elif direction * (pitch_st[i] - pitch_st[extreme]) > 0:
            extreme = i
        elif direction * (pitch_st[extreme] - pitch_st[i]) >= REVERSAL_ST:
            swings.append((start, extreme))
            start, extreme, direction = extreme, i, -direction
    if direction != 0:
        swings.append((start, extreme))
    return swings


def pitch_movements(pitch_hz: Curve, *, min_size_st: float) -> list[Event]:
    """Rises and falls of at least `min_size_st` semitones inside one continuous voiced stretch.

    A stretch also ends where two frames are more than 3 semitones apart. `size` is positive for both cues.
    Reference for the default of 3 semitones (only larger differences play a part in communication):
    't Hart 1981, J. Acoust. Soc. Am. 69, 811, DOI 10.1121/1.385592.
    """
    voiced = ~np.isnan(pitch_hz)
    pitch_st = np.where(voiced, semitones(np.where(voiced, pitch_hz, 1.0)), np.nan)
    events = []
    for first, last in runs(voiced):
        cuts = first + 1 + np.flatnonzero(np.abs(np.diff(pitch_st[first:last])) > MAX_STEP_ST)
        borders = [first, *map(int, cuts), last]
        for start, end in itertools.pairwise(borders):
            for low, high in _swings(pitch_st[start:end]):
                size = float(pitch_st[start + high] - pitch_st[start + low])
                if abs(size) >= min_size_st and high - low + 1 >= _frames(MIN_MOVE_S):
                    cue = "pitch_rise" if size > 0 else "pitch_fall"
                    events.append(_event(cue, start + low, start + high + 1, abs(size), "semitone"))
    return events


def loud_bursts(level_db: Curve, sound: Mask, *, min_size_db: float, min_length_s: float) -> list[Event]:
    """Stretches that are at least `min_size_db` above the median level of the clip's speech."""
    if not sound.any():
        return []
    median_db = float(np.median(level_db[sound]))
    events = []
    for start, end in runs(sound & (level_db >= median_db + min_size_db)):
        if end - start >= _frames(min_length_s):
            apex = start + int(np.argmax(level_db[start:end]))
            events.append(_event("loud_burst", start, end, float(level_db[apex]) - median_db, "dB", apex))
    return events
