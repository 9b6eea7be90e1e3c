"""What every prosody backend tells of a voice: curves, events and numbers, from pitch and level on one grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pipeline.features import prosody_events as find
from pipeline.features.base import Audio, Clip, Params
from pipeline.features.prosody_signal import FRAME_S, Curve, Mask, frame_times, inside, semitones
from pipeline.features.prosody_summary import SUMMARY_UNITS
from pipeline.features.silence import is_silent, why_no_speech
from schemas.errors import MediaError
from schemas.parts import Event, Series, Span

NOT_ALONE = "never_alone"  # there is speech, but none in the stretches that belong to the target alone
RATE_STEP_FRAMES = 5  # of the curve of the rate, which a window of 2 s makes smooth


class EventParams(Params):
    """When something in the voice is an event; the same for every backend. See docs/prosody.md."""

    gate_db: float = 25.0  # how far under the loud speech (95th percentile) a frame may lie
    min_pause_s: float = 0.25
    min_movement_st: float = 3.0
    min_burst_db: float = 10.0
    min_burst_s: float = 0.1
    syllable_dip_db: float = 1.0  # de Jong and Wempe use 2; see docs/prosody.md
    min_speech_s: float = 0.3  # under this a speech rate says nothing
    rate_window_s: float = 2.0
    min_rate_change_syl_s: float = 1.5
    min_rate_change_s: float = 0.5


@dataclass(frozen=True)
class Voice:
    """A voice on the grid of 20 ms. `speech`: frames that may be the target's speech; `measured`: those that the
    clip asks about at all. `level_db` None: the backend knows no level; NaN in it: not there."""

    pitch_hz: Curve  # NaN where unvoiced
    level_db: Curve | None
    speech: Mask
    measured: Mask
    more_summary: dict[str, float | None] = field(default_factory=dict)
    more_series: tuple[Series, ...] = ()


def speech_frames(clip: Clip, audio: Audio) -> tuple[Mask, Mask]:
    """Frames that are the target's speech, and frames that are asked about, on the grid of 20 ms."""
    times_s = frame_times(audio)
    measured = np.ones(len(times_s), dtype=bool) if clip.where is None else inside(times_s, clip.where)
    return inside(times_s, clip.speech) & measured, measured


def stretches(clip: Clip) -> tuple[Span, ...]:
    """The speech regions of a clip, cut to the stretches that are asked about; segment time."""
    if clip.where is None:
        return clip.speech
    pairs = [(region, part) for region in clip.speech for part in clip.where]
    cut = [(max(a.start_s, b.start_s), min(a.end_s, b.end_s)) for a, b in pairs]
    return tuple(Span(start_s=start_s, end_s=end_s) for start_s, end_s in sorted(cut) if end_s > start_s)


def why_unheard(clip: Clip) -> str | None:
    """Why there is nothing to measure in a clip, None when there is.

    Raises:
        MediaError: "bad_samples".
    """
    if clip.audio is None:
        return "no_audio_stream"
    if not np.isfinite(clip.audio).all():
        raise MediaError("bad_samples", "the audio holds samples that are not numbers")
    if is_silent(clip.audio) or not inside(frame_times(clip.audio), clip.speech).any():
        return why_no_speech(clip.audio)
    return None if speech_frames(clip, clip.audio)[0].any() else NOT_ALONE


def describe(voice: Voice, rule: EventParams) -> dict[str, Any]:
    """The fields `series`, `events` and `summary` of a Features record."""
    level_db = None if voice.level_db is None else _filled(voice.level_db)
    sound = find.sounding(level_db, voice.speech, gate_db=rule.gate_db, min_pause_s=rule.min_pause_s)
    sound &= voice.measured
    pauses = find.pauses(sound, voice.measured)
    events = [*pauses, *find.pitch_movements(voice.pitch_hz, min_size_st=rule.min_movement_st)]
    summary = _pitch_numbers(voice.pitch_hz) | _pause_numbers(sound, pauses)
    series = [_series("pitch_hz", "Hz", voice.pitch_hz, voice.measured)]
    if level_db is not None and voice.level_db is not None:
        events += find.loud_bursts(
            level_db, sound, min_size_db=rule.min_burst_db, min_length_s=rule.min_burst_s
        )
        series.append(_series("intensity_db", "dB", voice.level_db, voice.measured))
        rate, changes, numbers = _rate(level_db, voice.pitch_hz, sound, rule)
        events += changes
        series.append(_series("local_rate_syl_s", "syllable/s", rate, voice.measured, RATE_STEP_FRAMES, 2))
        summary |= _level_numbers(level_db, sound) | numbers
    return {
        "series": (*series, *voice.more_series),
        "events": tuple(sorted(events, key=lambda event: (event.start_s, event.end_s, event.cue))),
        "summary": dict.fromkeys(SUMMARY_UNITS) | summary | voice.more_summary,
    }


def _filled(level_db: Curve) -> Curve:
    """A level that is not there is taken for the lowest one: nothing is heard in it."""
    known = level_db[~np.isnan(level_db)]
    return np.where(np.isnan(level_db), known.min() if len(known) else -100.0, level_db)


def _pitch_numbers(pitch_hz: Curve) -> dict[str, float | None]:
    voiced = ~np.isnan(pitch_hz)
    numbers: dict[str, float | None] = {"voiced_s": round(float(voiced.sum()) * FRAME_S, 2)}
    if voiced.any():
        pitch_st = semitones(pitch_hz[voiced])
        numbers["pitch_median_hz"] = round(float(np.median(pitch_hz[voiced])), 1)
        numbers["pitch_range_st"] = _spread(pitch_st, 2)
        numbers["pitch_sd_st"] = round(float(np.std(pitch_st)), 2)
    return numbers


def _pause_numbers(sound: Mask, pauses: Sequence[Event]) -> dict[str, float | None]:
    speech_s = _seconds(sound)
    numbers: dict[str, float | None] = {"speech_s": round(speech_s, 2)}
    if sound.any():
        pause_s = sum(pause.length_s for pause in pauses)
        numbers["pause_count"] = float(len(pauses))
        numbers["pause_share"] = round(pause_s / (pause_s + speech_s), 3)
        numbers["longest_pause_s"] = round(max((pause.length_s for pause in pauses), default=0.0), 2)
    return numbers


def _level_numbers(level_db: Curve, sound: Mask) -> dict[str, float | None]:
    if not sound.any():
        return {}
    mean_db = round(float(np.mean(level_db[sound])), 1)
    return {"intensity_mean_db": mean_db, "intensity_range_db": _spread(level_db[sound], 1)}


def _rate(
    level_db: Curve, pitch_hz: Curve, sound: Mask, rule: EventParams
) -> tuple[Curve, list[Event], dict[str, float | None]]:
    """The rate around each frame, where it changes, and the rate of the whole clip."""
    speech_s = _seconds(sound)
    if speech_s < rule.min_speech_s:
        return np.full(len(sound), np.nan), [], {}
    nuclei = find.syllable_nuclei(
        level_db, ~np.isnan(pitch_hz), sound, gate_db=rule.gate_db, dip_db=rule.syllable_dip_db
    )
    usual_syl_s = len(nuclei) / speech_s
    rate = find.local_rate(nuclei, sound, window_s=rule.rate_window_s)
    changes = find.rate_changes(
        rate, usual_syl_s, min_size_syl_s=rule.min_rate_change_syl_s, min_length_s=rule.min_rate_change_s
    )
    return rate, changes, {"speech_rate_syl_s": round(usual_syl_s, 2)}


def _seconds(frames: Mask) -> float:
    return float(np.count_nonzero(frames)) * FRAME_S


def _spread(values: Curve, digits: int) -> float:
    """95th minus 5th percentile."""
    low, high = np.percentile(values, [5, 95])
    return round(float(high - low), digits)


def _series(name: str, unit: str, values: Curve, measured: Mask, step: int = 1, digits: int = 1) -> Series:
    """Every `step`-th frame of a curve, None where nothing is known or nothing was asked."""
    at = range(min(step // 2, len(values) - 1), len(values), step)
    return Series(
        name=name,
        unit=unit,
        times_s=tuple(round((i + 0.5) * FRAME_S, 3) for i in at),
        values=tuple(
            round(float(values[i]), digits) if measured[i] and np.isfinite(values[i]) else None for i in at
        ),
    )
