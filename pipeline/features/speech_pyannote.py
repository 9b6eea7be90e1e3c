"""Voice activity by pyannote: the segmentation model in the wheel of WhisperX, in the worker of the diarizer.

Reference: Bredin and Laurent 2021, End-to-end speaker segmentation for overlap-aware resegmentation,
DOI 10.21437/Interspeech.2021-560
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.features.devices import ALONE_ON_GPU
from pipeline.features.worker import WORKERS, Message, run_worker
from schemas.errors import ItemError, UserError
from schemas.parts import Span

SCRIPT = WORKERS / "pyannote_diarize.py"
VERSION = "pyannote_4.0.7-1"  # of the library, and of this file's rules
# SHA-256 of the model file in the wheel of whisperx 3.8.6; the worker reports what it loaded.
WEIGHTS_DIGEST = "0b5b3216d60a2d32fc086b47ea8c67589aaeb26b7e07fcbe620d6d0b83e209ea"
DEVICE = "auto"
REMEDY = (
    'end other programs on the GPU, set vad = "silero" in [segment], or hide the GPU: CUDA_VISIBLE_DEVICES=""; '
    f"{ALONE_ON_GPU}"
)
# Scores at which speech begins and ends, and the shortest stretch and gap in seconds: those of WhisperX.
PARAMS: dict[str, Any] = {"onset": 0.5, "offset": 0.363, "min_duration_on": 0.1, "min_duration_off": 0.1}


def speech_of(sounds: Mapping[str, Path]) -> dict[str, tuple[Span, ...] | ItemError]:
    """Name -> where somebody speaks in a 16 kHz mono WAV, in order and apart; one that fails gives its error.

    Raises:
        UserError: the worker cannot start, or has another model than this version of emotrace; a GPU without
            enough memory.
    """
    manifest: list[Message] = [
        {"id": name, "audio": str(path), "task": "speech", "device": DEVICE, "options": PARAMS}
        for name, path in sounds.items()
    ]
    found: dict[str, tuple[Span, ...] | ItemError] = {}
    with contextlib.closing(run_worker(SCRIPT, manifest, device=DEVICE)) as messages:
        for message in messages:
            found[message["id"]] = _result(message)
    return found


def _result(message: Message) -> tuple[Span, ...] | ItemError:
    if message["type"] == "error" and message["code"] == "no_gpu_memory":
        raise UserError("no_gpu_memory", f"voice activity: {message['message']}", REMEDY)
    if message["type"] == "error":
        return ItemError(message["code"], f"voice activity: {message['message']}")
    if message["weights_digest"] != WEIGHTS_DIGEST:
        raise UserError(
            "other_weights",
            f"the model of {SCRIPT.name} is not that of whisperx 3.8.6",
            "run: uv cache clean whisperx, then run again",
        )
    return tuple(Span(start_s=start_s, end_s=end_s) for start_s, end_s in message["speech"])
