"""Words by Whisper through faster-whisper, when its weights are on this machine. Nothing is downloaded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import faster_whisper

from pipeline.features.asr_weights import whisper_folder
from pipeline.features.asr_words import heard_words
from pipeline.features.base import Audio, Clip, features_of, one_by_one
from pipeline.features.denoise.base import ListeningParams, as_heard, identity
from pipeline.features.devices import turn
from pipeline.features.silence import why_no_speech
from pipeline.features.weights import folder_digest
from schemas.errors import ItemError, UserError
from schemas.parts import Word
from schemas.records import Features


class FasterWhisperParams(ListeningParams):
    """`weights`, `model`, `device` and `cpu_threads` say where and how, so they are not in the question:
    what the weights are is in `weights_digest`."""

    weights: str | None = None  # folder of a CTranslate2 model; None: the local hub cache
    model: str | None = None  # which model of the cache; None: the best one there
    device: str = "cpu"
    cpu_threads: int = 0  # 0: as many as the library finds right
    compute_type: str = "int8"
    beam_size: int = 5
    language: str | None = None  # of the recording; None: the model decides, clip by clip


class FasterWhisper:
    """Whisper with word times. Temperature is 0 and no text is carried over, so a clip stands for itself.

    Reference: Radford et al. 2022, "Robust Speech Recognition via Large-Scale Weak Supervision",
    arXiv 2212.04356.
    """

    stage: ClassVar[str] = "asr"
    name: ClassVar[str] = "faster_whisper"
    version: ClassVar[str] = "2"

    def __init__(self, params: FasterWhisperParams | None = None) -> None:
        """Find the weights.

        Raises:
            UserError: "weights_missing".
        """
        self._params = params or FasterWhisperParams()
        self._folder: Path = whisper_folder(self._params.weights, self._params.model)

    @property
    def params(self) -> dict[str, Any]:
        asked = self._params.model_dump(mode="json", exclude={"weights", "model", "device", "cpu_threads"})
        return asked | {"denoise": identity(self._params.denoise)}

    @property
    def device(self) -> str:
        return self._params.device

    @property
    def weights_digest(self) -> str | None:
        return folder_digest(self._folder)

    @cached_property
    def _model(self) -> Any:
        p = self._params
        try:
            return faster_whisper.WhisperModel(
                str(self._folder),
                device=p.device,
                compute_type=p.compute_type,
                cpu_threads=p.cpu_threads,
                local_files_only=True,
            )
        except (RuntimeError, ValueError) as error:
            raise UserError(
                "weights_unreadable",
                f"the Whisper model in {self._folder} cannot be loaded: {error}",
                "convert or download it again, or choose another device or compute_type",
            ) from error

    def extract(self, clips: Iterable[Clip]) -> Iterator[tuple[Clip, Features | ItemError]]:
        """Words with confidence per clip. On a GPU one shard at a time has its model there.

        Raises:
            UserError: "weights_unreadable", before the first clip.
        """
        with turn(self.device):
            _ = self._model
            yield from one_by_one(self, clips, self._features)

    def _features(self, clip: Clip) -> Features:
        words: tuple[Word, ...] = ()
        notes: tuple[str, ...] = ()
        if clip.audio is None or not clip.speech:
            missing: str | None = why_no_speech(clip.audio)
        elif not self._understands():
            missing = "unsupported_language"
        else:
            words, language = self._hear(clip, as_heard(clip.audio, self._params.denoise))
            missing, notes = (None if words else "no_words"), (f"language:{language}",)
        return features_of(self, clip, missing=missing, words=words, notes=notes)

    @property
    def _language(self) -> str | None:
        """The language code as Whisper writes it ("en" for "en-US")."""
        language = self._params.language
        return None if language is None else language.split("-")[0].lower()

    def _understands(self) -> bool:
        return self._language is None or self._language in self._model.supported_languages

    def _hear(self, clip: Clip, audio: Audio) -> tuple[tuple[Word, ...], str]:
        """The words in speech, and the language. Sentences that Whisper wrote over silence are dropped."""
        pieces, info = self._model.transcribe(
            audio,
            language=self._language,
            beam_size=self._params.beam_size,
            temperature=0.0,
            condition_on_previous_text=False,
            word_timestamps=True,
        )
        heard = (word for piece in pieces for word in piece.words or ())
        words = heard_words(
            (
                {
                    "text": word.word,
                    "start_s": float(word.start),
                    "end_s": float(word.end),
                    "score": float(word.probability),
                }
                for word in heard
            ),
            clip,
        )
        return words, str(info.language)
