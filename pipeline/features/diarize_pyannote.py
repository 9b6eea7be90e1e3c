"""Turns by pyannote.audio as published, in a worker process. Where several people speak at once, all have a turn.

Reference: Bredin 2023, pyannote.audio 2.1 speaker diarization pipeline, DOI 10.21437/Interspeech.2023-105
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from pipeline.features.base import Params
from pipeline.features.devices import ALONE_ON_GPU
from pipeline.features.pyannote_weights import pipeline_config, pipeline_digest
from pipeline.features.recordings import Recording, turns_features
from pipeline.features.worker import WORKERS, Message, run_worker
from schemas.errors import ItemError, UserError
from schemas.parts import SpeakerTurn
from schemas.records import Features

SCRIPT = WORKERS / "pyannote_diarize.py"
QUESTION = ("num_speakers", "min_speakers", "max_speakers")
REMEDIES = {
    "weights_unreadable": "copy or download the pipeline again, or set weights to another one",
    "no_gpu": 'set device = "cpu" or "auto" in [features.diarize]',
    "no_gpu_memory": "lower segmentation_batch_size and embedding_batch_size in [features.diarize], "
    f'or set device = "cpu"; {ALONE_ON_GPU}',
}


class PyannoteParams(Params):
    """`weights`, `download`, `device` and the batch sizes say where and how, so they are not in the question:
    what the weights are is in `weights_digest`."""

    weights: str | None = None  # folder of a pipeline, its config.yaml or a hub name; None: community-1
    download: bool = False  # of a hub name that is not on this machine
    device: Literal["auto", "cpu", "cuda"] = "auto"
    segmentation_batch_size: int | None = Field(None, ge=1)  # None: as the pipeline's config says
    embedding_batch_size: int | None = Field(None, ge=1)
    num_speakers: int | None = Field(None, ge=1)  # in every recording, where that is known
    min_speakers: int | None = Field(None, ge=1)
    max_speakers: int | None = Field(None, ge=1)

    @model_validator(mode="after")
    def _bounds(self) -> PyannoteParams:
        if self.min_speakers and self.max_speakers and self.max_speakers < self.min_speakers:
            raise ValueError(
                f"max_speakers ({self.max_speakers}) is below min_speakers ({self.min_speakers})"
            )
        if self.num_speakers and (self.min_speakers or self.max_speakers):
            raise ValueError("num_speakers says it all: leave out min_speakers and max_speakers")
        return self


class PyannoteDiarizer:
    """One worker process per call of `diarize`; the pipeline is loaded once in it."""

    stage: ClassVar[str] = "diarize"
    name: ClassVar[str] = "pyannote"
    version: ClassVar[str] = "4.0.7-1"  # of pyannote.audio, and of what is made of its answer

    def __init__(self, params: PyannoteParams | None = None) -> None:
        """Find the pipeline.

        Raises:
            UserError: "weights_missing", "weights_unreadable", "weights_download".
        """
        self._params = params or PyannoteParams()
        self._config = pipeline_config(self._params.weights, download=self._params.download)
        self._digest = pipeline_digest(self._config)

    @property
    def params(self) -> dict[str, Any]:
        return self._params.model_dump(mode="json", include=set(QUESTION))

    @property
    def device(self) -> str:
        return self._params.device

    @property
    def weights_digest(self) -> str | None:
        return self._digest

    def diarize(self, recordings: Iterable[Recording]) -> Iterator[tuple[Recording, Features | ItemError]]:
        """One result per recording; those whose sound cannot be had come first.

        Raises:
            UserError: the worker cannot start, the weights cannot be loaded, or the GPU is missing or too small.
        """
        waiting: dict[str, Recording] = {}
        manifest: list[Message] = []
        for number, recording in enumerate(recordings):
            try:
                manifest.append({"id": str(number), "audio": str(recording.audio()), **self._how()})
                waiting[str(number)] = recording
            except UserError:
                raise
            except ItemError as error:
                yield recording, error
            except Exception as error:  # noqa: BLE001 - one broken recording must not end the shard
                yield recording, ItemError("diarize_failed", f"{self.name}: {type(error).__name__}: {error}")
        with contextlib.closing(run_worker(SCRIPT, manifest, device=self.device)) as messages:
            for message in messages:
                recording = waiting[message["id"]]
                if message["type"] == "error":
                    yield recording, self._error(message)
                else:
                    turns = (SpeakerTurn(start_s=a, end_s=b, speaker=who) for a, b, who in message["turns"])
                    yield recording, turns_features(self, recording, turns)

    def _how(self) -> dict[str, Any]:
        p = self._params
        return {
            "task": "turns",
            "weights": str(self._config),
            "device": p.device,
            "segmentation_batch_size": p.segmentation_batch_size,
            "embedding_batch_size": p.embedding_batch_size,
            "options": self.params,
        }

    def _error(self, message: Message) -> ItemError:
        """What one recording failed of.

        Raises:
            UserError: every other recording would fail of it.
        """
        code, text = message["code"], f"diarization: {message['message']}"
        if code in REMEDIES:
            raise UserError(code, text, REMEDIES[code])
        return ItemError(code, text)
