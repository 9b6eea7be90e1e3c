"""Words by WhisperX in a worker: batched Whisper, then forced alignment. It downloads only what it is told to."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from faster_whisper.tokenizer import _LANGUAGE_CODES
from pydantic import Field

from pipeline.features.asr_aligners import Aligner, aligners_here
from pipeline.features.asr_weights import whisper_folder
from pipeline.features.asr_words import heard_words
from pipeline.features.base import Audio, Clip, features_of
from pipeline.features.denoise.base import ListeningParams, as_heard, identity
from pipeline.features.silence import why_no_speech
from pipeline.features.weights import folder_digest
from pipeline.features.worker import WORKERS, run_worker
from schemas.errors import ItemError, UserError
from schemas.ids import content_digest
from schemas.records import Features

# A large model on few cores takes minutes for a batch, and tells of it only at its end.
IDLE_TIMEOUT_S = 1800.0
SCRIPT = WORKERS / "whisperx_asr.py"
# Where and how, not what: what the weights are stands in the digest.
NOT_ASKED = {
    "weights", "model", "download", "align_weights", "device", "compute_type", "batch_size", "cpu_threads",
}  # fmt: skip


class WhisperXParams(ListeningParams):
    """What stands in `NOT_ASKED` is no part of the question: which weights they are is in `weights_digest`."""

    weights: str | None = None  # folder of a CTranslate2 model or hub name; None: the local hub cache
    model: str | None = None  # which model of the cache; None: the best one there
    download: bool = False  # fetch what is missing
    align: bool = True
    align_weights: dict[str, str] = Field(default={})  # language -> folder or hub name of a Wav2Vec2 model
    device: Literal["auto", "cpu", "cuda"] = "auto"
    compute_type: str = "auto"  # float16 on a GPU, int8 without
    batch_size: int = Field(default=8, ge=1)
    cpu_threads: int = Field(default=0, ge=0)  # 0: one per core
    vad: Literal["pyannote", "silero"] = "pyannote"
    beam_size: int = Field(default=5, ge=1)
    language: str | None = None  # of the recording; None: the model decides, clip by clip


class WhisperX:
    """Extractor "asr.whisperx": one worker process per call of `extract`.

    Reference: Bain et al. 2023, https://doi.org/10.21437/Interspeech.2023-78; version 3.8.6 of the library.
    """

    stage: ClassVar[str] = "asr"
    name: ClassVar[str] = "whisperx"
    version: ClassVar[str] = "1"

    def __init__(self, params: WhisperXParams | None = None) -> None:
        """Find the weights, or fetch them when the user said so.

        Raises:
            UserError: "weights_missing", "weights_download".
        """
        self._params = params or WhisperXParams()
        p = self._params
        self._folder = whisper_folder(p.weights, p.model, download=p.download)
        self._aligners: dict[str, Aligner] = {}
        if p.align and self._understands:
            given = {_code(language): weights for language, weights in p.align_weights.items()}
            self._aligners = aligners_here(given, self._language, download=p.download)

    @property
    def params(self) -> dict[str, Any]:
        asked = self._params.model_dump(mode="json", exclude=NOT_ASKED)
        return asked | {"denoise": identity(self._params.denoise)}

    @property
    def device(self) -> str:
        return self._params.device

    @cached_property
    def weights_digest(self) -> str | None:
        """Of Whisper and of every alignment model that may be used: of one language, or of all that are here."""
        aligners = {language: aligner.digest for language, aligner in sorted(self._aligners.items())}
        return content_digest({"whisper": folder_digest(self._folder), "aligners": aligners})

    @property
    def _language(self) -> str | None:
        """The language code as Whisper writes it ("en" for "en-US")."""
        return None if self._params.language is None else _code(self._params.language)

    @property
    def _understands(self) -> bool:
        return self._language is None or self._language in _LANGUAGE_CODES

    def extract(self, clips: Iterable[Clip]) -> Iterator[tuple[Clip, Features | ItemError]]:
        """One result per clip; those in which nobody is heard come first and start no process.

        Raises:
            UserError: the environment cannot be built, the weights cannot be loaded, no GPU or not enough memory.
        """
        with tempfile.TemporaryDirectory(prefix="emotrace-whisperx-") as folder:
            waiting: dict[str, Clip] = {}
            for number, clip in enumerate(clips):
                result = self._offer(clip, Path(folder, f"{number}.npy"))
                if result is not None:
                    yield clip, result
                else:
                    waiting[str(number)] = clip.without_sound()
            manifest = [self._row(key, Path(folder)) for key in waiting]
            messages = run_worker(SCRIPT, manifest, device=self.device, idle_timeout_s=IDLE_TIMEOUT_S)
            with contextlib.closing(messages):
                for message in messages:
                    yield waiting[message["id"]], self._result(waiting[message["id"]], message)
                    Path(folder, f"{message['id']}.npy").unlink()

    def _offer(self, clip: Clip, path: Path) -> Features | ItemError | None:
        """Write what the worker shall hear to `path`; or say why it need not, or cannot, hear the clip."""
        if clip.audio is None or not clip.speech:
            return features_of(self, clip, missing=why_no_speech(clip.audio))
        if not self._understands:
            return features_of(self, clip, missing="unsupported_language")
        try:
            heard = as_heard(clip.audio, self._params.denoise)
        except Exception as error:  # noqa: BLE001 - one clip must not end the shard
            return ItemError("clip_failed", f"denoising: {type(error).__name__}: {error}")
        _write_sound(path, heard)
        return None

    def _row(self, key: str, folder: Path) -> dict[str, Any]:
        p = self._params
        return {
            "id": key,
            "audio": str(folder / f"{key}.npy"),
            "language": self._language,
            "weights": str(self._folder),
            "aligners": {language: aligner.told() for language, aligner in self._aligners.items()},
            "device": p.device,
            "compute_type": p.compute_type,
            "batch_size": p.batch_size,
            "threads": p.cpu_threads,
            "beam_size": p.beam_size,
            "vad": p.vad,
        }

    def _result(self, clip: Clip, message: dict[str, Any]) -> Features | ItemError:
        """The record of what the worker heard.

        Raises:
            UserError: what went wrong holds for every clip.
        """
        if message["type"] == "error" and "remedy" in message:
            raise UserError(message["code"], f"whisperx: {message['message']}", message["remedy"])
        if message["type"] == "error":
            return ItemError(message["code"], f"whisperx: {message['message']}")
        if message["unsupported"]:
            return features_of(self, clip, missing="unsupported_language")
        words = heard_words(message["words"], clip)
        notes = self._notes(message, unscored=sum(word.confidence is None for word in words))
        return features_of(self, clip, missing=None if words else "no_words", words=words, notes=notes)

    def _notes(self, message: dict[str, Any], *, unscored: int) -> tuple[str, ...]:
        language = message["language"]
        notes = [f"language:{language}"] if language else []
        if language and self._language is None:
            notes.append("language_detected")
        if message["words"] and message["by"] == "attention":
            notes.append("word_times_by_attention")
        if unscored:
            notes.append(f"words_without_confidence:{unscored}")
        return tuple(notes)


def _code(language: str) -> str:
    return language.split("-")[0].lower()


def _write_sound(path: Path, audio: Audio) -> None:
    """Raises: UserError: "no_space"."""
    try:
        np.save(path, audio, allow_pickle=False)
    except OSError as error:
        remedy = "free disk space, or set TMPDIR to a larger disk, and run again"
        message = "the sound of the clips cannot be written"
        raise UserError("no_space", message, remedy, str(path.parent)) from error
