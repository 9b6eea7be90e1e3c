"""Prosody by openSMILE, in a worker: its pitch, the events, and the 88 numbers of eGeMAPSv02.

The level is emotrace's own curve, because the set gives loudness in sone and no decibels.

Reference: Eyben et al. 2016, DOI 10.1109/TAFFC.2015.2457417 (GeMAPS); Eyben et al. 2010, DOI
10.1145/1873951.1874246 (openSMILE).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from pipeline.features.prosody_describe import EventParams
from pipeline.features.prosody_worker import WORKERS, WorkerProsody


class OpensmileParams(EventParams):
    """The set is fixed; what is set here is when something is an event."""


class OpensmileProsody(WorkerProsody):
    """Extractor "prosody.opensmile"; its licence forbids products, so it stays in its worker."""

    name: ClassVar[str] = "opensmile"
    version: ClassVar[str] = "1"
    script: ClassVar[Path] = WORKERS / "opensmile_prosody.py"
    curve_units: ClassVar[dict[str, str]] = {"loudness": "sone", "harmonicity_db": "dB"}

    def __init__(self, params: OpensmileParams | None = None) -> None:
        super().__init__(params or OpensmileParams())

    def settings(self) -> dict[str, Any]:
        return {}
