# /// script
# requires-python = ">=3.11,<3.13"
# dependencies = ["whisperx==3.8.6"]
# ///
"""Words with their times by WhisperX, in an environment of its own.

Usage: uv run --script whisperx_asr.py MANIFEST.json

The manifest is a list of clips: {"id", "audio" (.npy, float32, 16 kHz mono), "language" (code, or null: it
is detected)}, and the same in all of them: "weights" (folder of a CTranslate2 model), "aligners" (language ->
{"path", "bundle"}), "device" (auto, cpu, cuda), "compute_type", "batch_size", "threads", "beam_size" and "vad"
(pyannote, silero). A clip with "alone" shares no batch: a process died while it was in hand with others.

Standard output carries JSON lines only: "ready" once, then per batch "batch" with its ids, per clip "start",
"progress" and one of "done" or "error". "done" has "language", "unsupported", "by" ("alignment" or
"attention") and "words": text, start_s, end_s, score (null: no character of it could be aligned). An "error"
with a "remedy" holds for every clip. Nothing is downloaded.

What WhisperX does for one recording is done here for many at a time: its voice activity, its batched
decoding, its alignment. Words that it cannot align get their times from Whisper's own attention.

Reference: Bain et al. 2023, WhisperX, https://doi.org/10.21437/Interspeech.2023-78; Radford et al. 2022,
arXiv 2212.04356.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["PYANNOTE_METRICS_ENABLED"] = "0"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import ctranslate2
import nltk
import numpy as np
import torch
from caller import Send, clips_and_lines, end_with_caller, failure, loading
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import merge_punctuations
from faster_whisper.vad import VadOptions, get_speech_timestamps
from whisperx.alignment import align, load_align_model
from whisperx.asr import load_model
from whisperx.audio import SAMPLE_RATE
from whisperx.utils import PUNKT_LANGUAGES
from whisperx.vads import Silero

CHUNK_S = 30  # Whisper hears so much at once
VAD = {"chunk_size": CHUNK_S, "vad_onset": 0.500, "vad_offset": 0.363}  # as WhisperX has them
OPENING, CLOSING = "\"'“¿([{-", "\"'.。,，!！?？:：”)]}、"
PUNKT_FILES = ("collocations.tab", "sent_starters.txt", "abbrev_types.txt", "ortho_context.tab")


class FatalError(Exception):
    """No clip of this manifest can be done."""

    def __init__(self, code: str, message: str, remedy: str) -> None:
        super().__init__(message)
        self.code, self.remedy = code, remedy


class LocalSilero(Silero):
    """WhisperX's Silero with the model of the faster-whisper wheel; its own way is a download."""

    def __init__(self) -> None:
        self.vad_onset, self.chunk_size, self.vad_pipeline = VAD["vad_onset"], CHUNK_S, None

    def get_speech_timestamps(
        self, waveform: np.ndarray, *, max_speech_duration_s: float, threshold: float, **_: Any
    ) -> list[dict[str, int]]:
        options = VadOptions(
            threshold=threshold,
            max_speech_duration_s=max_speech_duration_s,
            min_speech_duration_ms=250,
            min_silence_duration_ms=100,
            speech_pad_ms=30,
        )
        return get_speech_timestamps(waveform, options)


@dataclass
class Heard:
    """One clip on its way: its sound, where somebody speaks, and what WhisperX wrote for each stretch."""

    clip: dict[str, Any]
    audio: np.ndarray
    language: str
    chunks: list[dict[str, Any]]
    texts: list[dict[str, Any]] = field(default_factory=list)


class Models:
    """Whisper and its voice activity, loaded once; alignment models as languages turn up."""

    def __init__(self, settings: dict[str, Any], send: Send) -> None:
        self.settings, self._send = settings, send
        loading(send, "the model")
        self.device = device_of(settings["device"])
        compute_type = settings["compute_type"]
        if compute_type == "auto":
            compute_type = "float16" if self.device == "cuda" else "int8"
        known = ctranslate2.get_supported_compute_types(self.device)
        if compute_type != "default" and compute_type not in known:
            message = f"{self.device} does not know compute_type {compute_type!r} here"
            raise FatalError("bad_option", message, f"known: auto, default, {', '.join(sorted(known))}")
        try:
            self.pipeline = load_model(
                settings["weights"],
                self.device,
                compute_type=compute_type,
                asr_options={"beam_size": settings["beam_size"]},
                vad_method=settings["vad"],
                vad_model=LocalSilero() if settings["vad"] == "silero" else None,
                vad_options=VAD,
                local_files_only=True,
                threads=settings["threads"] or os.cpu_count() or 1,
            )
        except (RuntimeError, ValueError, OSError) as error:
            if is_full(error):
                raise
            raise FatalError(
                "weights_unreadable",
                f"the Whisper model in {settings['weights']} cannot be loaded: {error}",
                "convert or download it again, or choose another device or compute_type",
            ) from error
        self._aligners: dict[str, tuple[Any, dict[str, Any]]] = {}

    @property
    def multilingual(self) -> bool:
        return bool(self.pipeline.model.model.is_multilingual)

    def aligner(self, language: str) -> tuple[Any, dict[str, Any]] | None:
        """The alignment model of a language and what WhisperX notes of it; None without one here."""
        told = self.settings["aligners"].get(language)
        if told is None:
            return None
        if language not in self._aligners:
            loading(self._send, f"the alignment model for {language!r}")
            path = Path(told["path"])
            name, folder = (told["bundle"], str(path.parent)) if told["bundle"] else (str(path), None)
            try:
                self._aligners[language] = load_align_model(language, self.device, name, folder, True)
            except (RuntimeError, ValueError, OSError) as error:
                if is_full(error):
                    raise
                raise FatalError(
                    "weights_unreadable",
                    f"the alignment model for {language!r} in {path} cannot be loaded: {error}",
                    "download it again, name another one in align_weights, or set align = false",
                ) from error
        return self._aligners[language]


def device_of(wanted: str) -> str:
    """ "cuda" where one is there and wanted, or wanted whatever is there."""
    there = ctranslate2.get_cuda_device_count() > 0 and torch.cuda.is_available()
    if wanted == "cuda" and not there:
        raise FatalError("no_gpu", "no CUDA device is usable here", 'set device = "cpu" or "auto"')
    return "cuda" if there and wanted != "cpu" else "cpu"


def is_full(error: BaseException) -> bool:
    """Whether the device's memory did not suffice, in the words of torch, CTranslate2 and cuBLAS."""
    text = str(error).lower()
    return "out of memory" in text or "alloc_failed" in text or "alloc failed" in text


# --- one batch ----------------------------------------------------------------------------------------


def batches(clips: list[dict[str, Any]], size: int) -> Iterator[list[dict[str, Any]]]:
    """Clips that are decoded together; one that must be alone is."""
    together: list[dict[str, Any]] = []
    for clip in clips:
        if clip.get("alone"):
            yield [clip]
            continue
        together.append(clip)
        if len(together) == size:
            yield together
            together = []
    if together:
        yield together


def listen(clip: dict[str, Any], models: Models) -> Heard:
    """Where somebody speaks in a clip, and in which language."""
    audio = np.load(clip["audio"], allow_pickle=False)
    pipeline = models.pipeline
    sound = {"waveform": pipeline.vad_model.preprocess_audio(audio), "sample_rate": SAMPLE_RATE}
    spoken = pipeline.vad_model(sound)
    chunks = pipeline.vad_model.merge_chunks(
        spoken, CHUNK_S, onset=VAD["vad_onset"], offset=VAD["vad_offset"]
    )
    language = clip["language"] or ("en" if not models.multilingual else "")
    if not language and chunks:
        language = pipeline.detect_language(audio)
    return Heard(clip, audio, language, chunks)


def transcribe(heard: list[Heard], models: Models, send: Send) -> None:
    """Fill in the texts of the chunks of all clips: those of one language go through the model together."""
    pipeline, size = models.pipeline, models.settings["batch_size"]
    for language in sorted({one.language for one in heard if one.chunks}):
        pipeline.tokenizer = tokenizer_of(language, models)
        chunks = [(one, chunk) for one in heard if one.language == language for chunk in one.chunks]
        sounds = ({"inputs": piece(one.audio, chunk)} for one, chunk in chunks)
        for (one, chunk), out in zip(chunks, pipeline(sounds, batch_size=size, num_workers=0), strict=True):
            text = out["text"] if isinstance(out["text"], str) else out["text"][0]
            times = {edge: round(chunk[edge], 3) for edge in ("start", "end")}
            one.texts.append({**times, "text": text})
            send({"type": "progress", "id": one.clip["id"], "transcribed": len(one.texts)})


def tokenizer_of(language: str, models: Models) -> Tokenizer:
    model = models.pipeline.model
    return Tokenizer(model.hf_tokenizer, models.multilingual, task="transcribe", language=language)


def piece(audio: np.ndarray, chunk: dict[str, Any]) -> np.ndarray:
    return audio[int(chunk["start"] * SAMPLE_RATE) : int(chunk["end"] * SAMPLE_RATE)]


# --- word times ----------------------------------------------------------------------------------------


def timed(heard: Heard, models: Models, send: Send) -> dict[str, Any]:
    """The words of a clip, and by what their times were found: alignment, or for some at least attention."""
    texts = [text for text in heard.texts if text["text"].strip()]
    aligner = models.aligner(heard.language)
    by = "alignment"
    words: list[dict[str, Any]] = []
    for number, text in enumerate(texts):
        send({"type": "progress", "id": heard.clip["id"], "aligned": number})
        found = [] if aligner is None else aligned(heard, text, aligner, models)
        if not found:
            found, by = attended(heard, text, models), "attention"
        words += found
    return {"language": heard.language, "unsupported": False, "by": by, "words": words}


def aligned(heard: Heard, text: dict[str, Any], aligner: Any, models: Models) -> list[dict[str, Any]]:
    """The words of one chunk by forced alignment; none when it fails as a whole."""
    model, noted = aligner
    result = align([text], model, noted, heard.audio, models.device)
    words = []
    for word in result["word_segments"]:
        if "start" not in word or "end" not in word:
            return []
        # Digits and symbols go by a wildcard: a place in time, but nothing that was recognised.
        heard_some = any(char.lower() in noted["dictionary"] for char in word["word"])
        score = float(word["score"]) if heard_some and "score" in word else None
        words.append(word_of(word["word"], float(word["start"]), float(word["end"]), score))
    return words


def attended(heard: Heard, text: dict[str, Any], models: Models) -> list[dict[str, Any]]:
    """The words of one chunk by where Whisper's decoder looked while it wrote them."""
    model, tokenizer = models.pipeline.model, tokenizer_of(heard.language, models)
    sound = piece(heard.audio, text)
    features = models.pipeline.preprocess({"inputs": sound})["inputs"]
    tokens = [token for token in tokenizer.encode(text["text"]) if token < tokenizer.eot]
    frames = max(1, len(sound) * 100 // SAMPLE_RATE)
    (found,) = model.find_alignment(tokenizer, [tokens], model.encode(features), frames) or ([],)
    merge_punctuations(found, OPENING, CLOSING)
    return [
        word_of(word["word"], text["start"] + word["start"], text["start"] + word["end"], word["probability"])
        for word in found
        if word["word"].strip()
    ]


def word_of(text: str, start_s: float, end_s: float, score: float | None) -> dict[str, Any]:
    times = {"start_s": float(start_s), "end_s": float(end_s)}
    return {"text": text.strip(), **times, "score": None if score is None else float(score)}


# --- the process ---------------------------------------------------------------------------------------


def work(clips: list[dict[str, Any]], send: Send) -> None:
    models = Models(clips[0], send)
    for batch in batches(clips, models.settings["batch_size"]):
        send({"type": "batch", "ids": [clip["id"] for clip in batch]})
        heard = []
        for clip in batch:
            send({"type": "start", "id": clip["id"]})
            if clip["language"] not in (None, "en") and not models.multilingual:
                send({"type": "done", "id": clip["id"], "unsupported": True, "words": []})
                continue
            with reporting(clip, send):
                heard.append(listen(clip, models))
        if not hear_together(heard, models, send):
            heard = [one for one in heard if hear_alone(one, models, send)]
        for one in heard:
            send({"type": "start", "id": one.clip["id"]})
            with reporting(one.clip, send):
                send({"type": "done", "id": one.clip["id"], **timed(one, models, send)})


def hear_together(heard: list[Heard], models: Models, send: Send) -> bool:
    """Whether the whole batch went through."""
    try:
        transcribe(heard, models, send)
    except Exception as error:
        if is_full(error):
            raise
        print(f"a batch failed, its clips go one by one: {type(error).__name__}: {error}", file=sys.stderr)
        return False
    return True


def hear_alone(heard: Heard, models: Models, send: Send) -> bool:
    heard.texts = []
    with reporting(heard.clip, send):
        transcribe([heard], models, send)
        return True
    return False


@contextlib.contextmanager
def reporting(clip: dict[str, Any], send: Send) -> Iterator[None]:
    """One bad clip must not cost the shard; what holds for all of them ends it."""
    try:
        yield
    except (FatalError, BrokenPipeError):
        raise
    except Exception as error:
        if is_full(error):
            raise
        send({"type": "error", "id": clip["id"], **failure(error)})


def fatal_of(error: Exception, settings: dict[str, Any]) -> dict[str, Any] | None:
    """Code, message and remedy of what holds for every clip; None for anything else."""
    if isinstance(error, FatalError):
        return {"code": error.code, "message": " ".join(str(error).split()), "remedy": error.remedy}
    if is_full(error):
        remedy = (
            f'lower batch_size (now {settings["batch_size"]}), set compute_type = "int8", take a smaller model, '
            'or set device = "cpu"; one worker uses the GPU at a time, so `[run] workers` need not be lowered'
        )
        return {"code": "no_gpu_memory", "message": "the GPU's memory does not suffice", "remedy": remedy}
    return None


def without_downloads(folder: Path) -> None:
    """The aligner splits sentences by NLTK's punkt, which is a download; word times do not depend on it.

    Without parameters of any language it splits at full stops, which is enough here.
    """
    for language in ("english", *PUNKT_LANGUAGES.values()):
        home = folder / "tokenizers" / "punkt_tab" / language
        home.mkdir(parents=True, exist_ok=True)
        for name in PUNKT_FILES:
            (home / name).touch()
    nltk.data.path[:] = [str(folder)]


def main() -> None:
    end_with_caller()
    clips, send = clips_and_lines()
    send({"type": "ready", "whisperx": version("whisperx")})
    with tempfile.TemporaryDirectory(prefix="emotrace-punkt-") as folder:
        without_downloads(Path(folder))
        try:
            work(clips, send)
        except BrokenPipeError:
            return  # nobody listens any more
        except Exception as error:
            fatal = fatal_of(error, clips[0])
            if fatal is None:
                raise
            send({"type": "error", "id": clips[-1]["id"], **fatal})


if __name__ == "__main__":
    main()
