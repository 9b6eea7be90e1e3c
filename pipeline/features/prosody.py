"""Prosody of a clip without any download: pitch, intensity, speech rate, pauses, movements."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache, cached_property
from typing import Any, ClassVar

from pipeline.features.base import Clip, features_of, one_by_one
from pipeline.features.prosody_describe import EventParams, Voice, describe, speech_frames, why_unheard
from pipeline.features.prosody_signal import PitchTracker, intensity_db, pitch_model_file
from pipeline.features.prosody_summary import SUMMARY_UNITS
from schemas.errors import ItemError
from schemas.ids import file_digest
from schemas.records import Features


class ProsodyParams(EventParams):
    """Defaults are tuned on 21 recordings against Praat; see docs/prosody.md."""

    pitch_floor_hz: float = 60.0
    pitch_ceiling_hz: float = 600.0
    voicing: float = 0.45  # least confidence of a voiced frame


@cache
def _model_digest() -> str:
    """Of the model in the package, which does not change while a program runs."""
    return file_digest(pitch_model_file())


class CoreProsody:
    """The embedded prosody backend: swift-f0 for pitch, numpy and scipy for everything else."""

    stage: ClassVar[str] = "prosody"
    name: ClassVar[str] = "core"
    version: ClassVar[str] = "4"

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
        missing = why_unheard(clip)
        if missing is not None or clip.audio is None:
            return features_of(self, clip, missing=missing, summary=dict.fromkeys(SUMMARY_UNITS))
        level_db = intensity_db(clip.audio)
        speech, measured = speech_frames(clip, clip.audio)
        pitch_hz = self._tracker.track(clip.audio, level_db, speech)
        return features_of(self, clip, **describe(Voice(pitch_hz, level_db, speech, measured), self._params))
