"""Prosody of a clip without any download: pitch, intensity, speech rate, pauses, movements."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache, cached_property
from typing import Any, ClassVar

import numpy as np

from pipeline.features import prosody_events as find
from pipeline.features.base import Audio, Clip, Params, features_of, one_by_one
from pipeline.features.prosody_signal import (
    FRAME_S,
    Curve,
    Mask,
    PitchTracker,
    frame_times,
    inside,
    intensity_db,
    pitch_model_file,
    semitones,
)
from pipeline.features.prosody_summary import SUMMARY_UNITS
from pipeline.features.silence import is_silent, why_no_speech
from schemas.errors import ItemError, MediaError
from schemas.ids import file_digest
from schemas.parts import Event, Series
from schemas.records import Features


class ProsodyParams(Params):
    """Defaults are tuned on 21 recordings against Praat; see docs/prosody.md."""

    pitch_floor_hz: float = 60.0
    pitch_ceiling_hz: float = 600.0
    voicing: float = 0.45  # least confidence of a voiced frame
    gate_db: float = 25.0  # how far under the loud speech (95th percentile) a frame may lie
    min_pause_s: float = 0.25
    min_movement_st: float = 3.0
    min_burst_db: float = 10.0
    min_burst_s: float = 0.1
    syllable_dip_db: float = 1.0  # de Jong and Wempe use 2; see docs/prosody.md
    min_speech_s: float = 0.3  # under this a speech rate says nothing


@cache
def _model_digest() -> str:
    """Of the model in the package, which does not change while a program runs."""
    return file_digest(pitch_model_file())


class CoreProsody:
    """The embedded prosody backend: swift-f0 for pitch, numpy and scipy for everything else."""

    stage: ClassVar[str] = "prosody"
    name: ClassVar[str] = "core"
    version: ClassVar[str] = "3"

    def __init__(self, params: ProsodyParams | None = None) -> None:
        self._params = params or ProsodyParams()

    @property
    def params(self) -> dict[str, Any]:
        return self._params.model_dump(mode="json")

    @property
    def weights_digest(self) -> str | None:
        return _model_digest()

    @cached_property
    def _tracker(self) -> PitchTracker:
        p = self._params
        return PitchTracker(
            floor_hz=p.pitch_floor_hz, ceiling_hz=p.pitch_ceiling_hz, voicing=p.voicing, gate_db=p.gate_db
        )

    def extract(self, clips: Iterable[Clip]) -> Iterator[tuple[Clip, Features | ItemError]]:
        """Features per clip; clips are independent of each other and of their order."""
        return one_by_one(self, clips, self._measure)

    def _measure(self, clip: Clip) -> Features:
        if clip.audio is None:
            return self._features(clip, missing="no_audio_stream")
        if not np.isfinite(clip.audio).all():
            raise MediaError("bad_samples", "the audio holds samples that are not numbers")
        times_s = frame_times(clip.audio)
        speech = inside(times_s, clip.speech)
        if not speech.any() or is_silent(clip.audio):
            return self._features(clip, missing=why_no_speech(clip.audio))
        here = np.ones(len(times_s), dtype=bool) if clip.where is None else inside(times_s, clip.where)
        if not (speech & here).any():
            return self._features(clip, missing="never_alone")
        return self._describe(clip, clip.audio, intensity_db(clip.audio), speech & here, here)

    def _describe(self, clip: Clip, audio: Audio, level_db: Curve, speech: Mask, here: Mask) -> Features:
        """`here` are the frames that alone are told of, `speech` those of them in which somebody speaks."""
        p = self._params
        pitch_hz = self._tracker.track(audio, level_db, speech)
        sound = here & find.sounding(level_db, speech, gate_db=p.gate_db, min_pause_s=p.min_pause_s)
        pauses = find.pauses(sound, here)
        events = [
            *pauses,
            *find.pitch_movements(pitch_hz, min_size_st=p.min_movement_st),
            *find.loud_bursts(level_db, sound, min_size_db=p.min_burst_db, min_length_s=p.min_burst_s),
        ]
        return self._features(
            clip,
            series=_series(frame_times(audio), pitch_hz, np.where(here, level_db, np.nan)),
            events=tuple(sorted(events, key=lambda event: (event.start_s, event.end_s, event.cue))),
            summary=self._summary(pitch_hz, level_db, sound, pauses),
        )

    def _summary(
        self, pitch_hz: Curve, level_db: Curve, sound: Mask, pauses: list[Event]
    ) -> dict[str, float | None]:
        p = self._params
        voiced = ~np.isnan(pitch_hz)
        pause_s = sum(pause.length_s for pause in pauses)
        speech_s = float(np.count_nonzero(sound)) * FRAME_S
        nuclei = find.syllable_nuclei(level_db, voiced, sound, gate_db=p.gate_db, dip_db=p.syllable_dip_db)
        values: dict[str, float | None] = dict.fromkeys(SUMMARY_UNITS)
        values |= {"speech_s": round(speech_s, 2), "voiced_s": round(float(voiced.sum()) * FRAME_S, 2)}
        if voiced.any():
            pitch_st = semitones(pitch_hz[voiced])
            values["pitch_median_hz"] = round(float(np.median(pitch_hz[voiced])), 1)
            values["pitch_range_st"] = _spread(pitch_st, 2)
            values["pitch_sd_st"] = round(float(np.std(pitch_st)), 2)
        if sound.any():
            values["intensity_mean_db"] = round(float(np.mean(level_db[sound])), 1)
            values["intensity_range_db"] = _spread(level_db[sound], 1)
            values["pause_count"] = float(len(pauses))
            values["pause_share"] = round(pause_s / (pause_s + speech_s), 3)
            values["longest_pause_s"] = round(max((pause.length_s for pause in pauses), default=0.0), 2)
        if speech_s >= p.min_speech_s:
            values["speech_rate_syl_s"] = round(nuclei / speech_s, 2)
        return values

    def _features(
        self,
        clip: Clip,
        *,
        missing: str | None = None,
        series: tuple[Series, ...] = (),
        events: tuple[Event, ...] = (),
        summary: dict[str, float | None] | None = None,
    ) -> Features:
        return features_of(
            self,
            clip,
            missing=missing,
            series=series,
            events=events,
            summary=summary or dict.fromkeys(SUMMARY_UNITS),
        )


def _spread(values: Curve, digits: int) -> float:
    """95th minus 5th percentile."""
    low, high = np.percentile(values, [5, 95])
    return round(float(high - low), digits)


def _series(times_s: Curve, pitch_hz: Curve, level_db: Curve) -> tuple[Series, Series]:
    times = tuple(round(float(t), 3) for t in times_s)
    pitch = tuple(None if np.isnan(f) else round(float(f), 1) for f in pitch_hz)
    level = tuple(None if np.isnan(x) else round(float(x), 1) for x in level_db)
    return (
        Series(name="pitch_hz", unit="Hz", times_s=times, values=pitch),
        Series(name="intensity_db", unit="dB", times_s=times, values=level),
    )
