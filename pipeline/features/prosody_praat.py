"""Prosody by Praat, in a worker: pitch, level, events, and voice quality (jitter, shimmer, harmonicity).

Reference: Boersma 1993, Proc. Institute of Phonetic Sciences Amsterdam 17, 97-110 (pitch and harmonicity);
Jadoul, Thompson and de Boer 2018, DOI 10.1016/j.wocn.2018.07.001 (parselmouth).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from pipeline.features.prosody_describe import EventParams
from pipeline.features.prosody_worker import WORKERS, WorkerProsody


class PraatParams(EventParams):
    """Praat's own defaults for pitch; everything else of Praat is fixed, see docs/prosody.md."""

    pitch_floor_hz: float = Field(default=75.0, ge=10)
    pitch_ceiling_hz: float = Field(default=600.0, le=2000)


class PraatProsody(WorkerProsody):
    """Extractor "prosody.praat"; Praat is GPL and stays in its worker."""

    name: ClassVar[str] = "praat"
    version: ClassVar[str] = "1"
    script: ClassVar[Path] = WORKERS / "praat_prosody.py"

    def __init__(self, params: PraatParams | None = None) -> None:
        self._praat = params or PraatParams()
        super().__init__(self._praat)

    def settings(self) -> dict[str, Any]:
        return {
            "pitch_floor_hz": self._praat.pitch_floor_hz,
            "pitch_ceiling_hz": self._praat.pitch_ceiling_hz,
        }
