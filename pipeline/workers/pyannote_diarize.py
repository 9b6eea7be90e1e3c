# /// script
# requires-python = ">=3.11,<3.13"
# dependencies = ["whisperx==3.8.6", "pyannote.audio==4.0.7"]
# ///
"""Find who speaks when, or where anybody speaks, by pyannote.audio, in an environment of its own.

Usage: uv run --script pyannote_diarize.py MANIFEST.json

The environment is that of WhisperX, which brings pyannote.audio: the same wheels serve both, and WhisperX's
carries a trained segmentation model. The manifest is a list of recordings: {"id", "audio" (WAV, 16 kHz mono,
16 bit)}, and the same in all of them: "task" ("turns" or "speech"), "device" ("auto", "cpu", "cuda"), "options".
For turns: "weights" (the config.yaml of a pipeline), "segmentation_batch_size", "embedding_batch_size" (null: as
in the config), and in "options" num_speakers, min_speakers, max_speakers (null: not known). For speech, in
"options": onset, offset, min_duration_on, min_duration_off.

Standard output carries JSON lines only: "ready" once, then per recording "start", "progress" and one of "done"
(with "turns": [[start_s, end_s, speaker], ...] in order, or "speech": [[start_s, end_s], ...]) or "error". One
that fails does not stop the others. When standard input is a pipe, its end is the end of the caller and of this
process. Nothing is fetched from a hub and nothing is reported to anybody.

Reference: Bredin 2023, pyannote.audio 2.1 speaker diarization pipeline, DOI 10.21437/Interspeech.2023-105
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
import time
import warnings
import wave
from functools import cache
from pathlib import Path
from typing import Any

os.environ["PYANNOTE_METRICS_ENABLED"] = "0"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

from caller import Message, Send, clips_and_lines, each_clip, end_with_caller, loading

PROGRESS_EVERY_S = 5.0
SPEECH_MODEL = Path("assets") / "pytorch_model.bin"  # in the wheel of WhisperX


class CannotLoad(Exception):  # noqa: N818 - it says what happened
    """Every recording would fail with it. `code` as in the caller's errors."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def waveform_of(path: str) -> dict[str, Any]:
    """What pyannote takes: {"waveform": (1, samples) float32, "sample_rate", "uri"}."""
    import numpy as np
    import torch

    with wave.open(path, "rb") as file:
        if (file.getnchannels(), file.getsampwidth()) != (1, 2):
            raise ValueError(f"{path} is not mono 16-bit sound")
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768
        rate_hz = file.getframerate()
    return {"waveform": torch.from_numpy(samples)[None], "sample_rate": rate_hz, "uri": Path(path).stem}


@cache
def device_of(name: str) -> Any:
    import torch

    there = torch.cuda.is_available()
    if name == "cuda" and not there:
        raise CannotLoad("no_gpu", "no CUDA device is usable here")
    return torch.device("cuda" if there and name != "cpu" else "cpu")


@cache
def turns_pipeline(
    config: str, device: str, segmentation_batch: int | None, embedding_batch: int | None, send: Send
) -> Any:
    """The diarization pipeline of a config, loaded once per shard."""
    from pyannote.audio import Pipeline

    loading(send, "the pipeline")
    target = device_of(device)
    place = Path(config)
    try:
        # The folder, so that what the config calls $model is found beside it.
        pipeline = Pipeline.from_pretrained(place.parent if place.name == "config.yaml" else place)
        if pipeline is None:
            raise ValueError("no pipeline in it")
        if segmentation_batch is not None:
            pipeline.segmentation_batch_size = segmentation_batch
        if embedding_batch is not None:
            pipeline.embedding_batch_size = embedding_batch
        return pipeline.to(target)
    except Exception as error:
        raise_if_full(error)
        raise CannotLoad("weights_unreadable", f"{config}: {one_line(error)}") from error


@cache
def speech_pipeline(device: str, options: str, send: Send) -> Any:
    """Voice activity by the segmentation model in WhisperX's wheel; `options` as JSON, so that it is hashable."""
    import whisperx
    from pyannote.audio import Model
    from pyannote.audio.pipelines import VoiceActivityDetection

    loading(send, "the model")
    model = Model.from_pretrained(Path(whisperx.__file__).parent / SPEECH_MODEL)
    pipeline = VoiceActivityDetection(segmentation=model)
    pipeline.instantiate(json.loads(options))
    return pipeline.to(device_of(device))


def speech_found(spans: Any) -> dict[str, Any]:
    """The facts about speech, with the SHA-256 of the model file that found it."""
    import whisperx

    digest = hashlib.sha256((Path(whisperx.__file__).parent / SPEECH_MODEL).read_bytes()).hexdigest()
    return {"speech": [[round(s.start, 3), round(s.end, 3)] for s in spans], "weights_digest": digest}


def raise_if_full(error: Exception) -> None:
    """Let an error that means "no memory on the GPU" pass as it is."""
    import torch

    if isinstance(error, torch.cuda.OutOfMemoryError):
        raise error


def one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:400]


def process(recording: Message, send: Send) -> Message:
    """The facts of a recording's "done" message."""
    file = waveform_of(recording["audio"])
    if not file["waveform"].shape[1]:
        return {"turns": []} if recording["task"] == "turns" else speech_found([])
    told_at = time.monotonic()

    def hook(step: str, _artifact: Any, file: Any = None, total: Any = None, completed: Any = None) -> None:  # noqa: ARG001 - the hook's signature
        nonlocal told_at
        if time.monotonic() - told_at >= PROGRESS_EVERY_S:
            told_at = time.monotonic()
            progress = {"step": step, "completed": completed, "total": total}
            send({"type": "progress", "id": recording["id"], **progress})

    options, device = recording["options"], recording["device"]
    loaded = {"type": "progress", "id": recording["id"], "step": "loaded"}
    if recording["task"] == "speech":
        pipeline = speech_pipeline(device, json.dumps(options, sort_keys=True), send)
        send(loaded)
        return speech_found(pipeline(file, hook=hook).get_timeline().support())
    batches = (recording["segmentation_batch_size"], recording["embedding_batch_size"])
    pipeline = turns_pipeline(recording["weights"], device, *batches, send)
    send(loaded)
    found = pipeline(file, hook=hook, **{key: n for key, n in options.items() if n is not None})
    tracks = getattr(found, "speaker_diarization", found).itertracks(yield_label=True)
    return {"turns": sorted([round(s.start, 3), round(s.end, 3), str(who)] for s, _, who in tracks)}


def failure_of(error: Exception) -> Message:
    """The code and message of an "error" line."""
    import torch

    if isinstance(error, torch.cuda.OutOfMemoryError):
        gc.collect()
        torch.cuda.empty_cache()
        return {"code": "no_gpu_memory", "message": "the GPU has too little memory"}
    if isinstance(error, MemoryError):
        return {"code": "no_memory", "message": "too little memory for a recording of this length"}
    code = error.code if isinstance(error, CannotLoad) else "clip_failed"
    return {"code": code, "message": str(error) if isinstance(error, CannotLoad) else one_line(error)}


def main() -> None:
    end_with_caller()
    recordings, send = clips_and_lines()
    warnings.simplefilter("ignore")  # of torchcodec, which is not used, among others: errors must stand out
    import pyannote.audio

    send({"type": "ready", "pyannote.audio": pyannote.audio.__version__})
    each_clip(recordings, send, lambda recording: process(recording, send), failure_of)


if __name__ == "__main__":
    main()
