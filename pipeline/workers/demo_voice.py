"""The voice of the demo's recordings: eSpeak NG (GPL-3.0), which lives in the worker's environment only."""

from __future__ import annotations

import ctypes
import shutil
import tempfile
import wave
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import espeakng_loader
import numpy as np

FPS = 25  # of the pictures: the sound ends with a whole one
LEAD_S, MIN_DURATION_S = 0.7, 4.0
SENTENCE_GAP_S = 0.3
ROOM_DB = -62.0  # background noise, RMS re full scale

_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
_SYNCHRONOUS, _CHARS_UTF8 = 2, 1  # constants of speak_lib.h
_RATE, _VOLUME, _PITCH, _RANGE = 1, 2, 3, 4


@dataclass(frozen=True)
class Speech:
    """Synthetic speech: `audio` float32 mono in [-1, 1], cues (start_s, end_s, text), one per sentence."""

    audio: np.ndarray
    rate_hz: int
    cues: tuple[tuple[float, float, str], ...]


class Voice:
    """eSpeak NG through its C interface, always starting from the same state.

    The library keeps its oscillators' phases in static variables, so that speech would depend on what was said
    before: each instance loads a copy of the library of its own.

    Reference: speak_lib.h, https://github.com/espeak-ng/espeak-ng
    """

    def __init__(self) -> None:
        library = Path(espeakng_loader.get_library_path())
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            self._library = ctypes.CDLL(shutil.copy(library, folder))
        data = espeakng_loader.get_data_path().encode()
        self.rate_hz = self._library.espeak_Initialize(_SYNCHRONOUS, 0, data, 0)
        if self.rate_hz <= 0:
            raise RuntimeError("eSpeak NG does not start")
        self._library.espeak_ng_SetRandSeed(ctypes.c_long(1))
        self._blocks: list[np.ndarray] = []
        self._callback = _Callback(self._receive)  # kept: the library holds only its address
        self._library.espeak_SetSynthCallback(self._callback)

    def _receive(self, samples: Any, count: int, _events: Any) -> int:
        if count > 0:
            self._blocks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    def sentence(self, text: str, voice: str, rate: int, pitch: int, pitch_range: int) -> np.ndarray:
        """One sentence as float32, without the silence around it. `rate` in words per minute."""
        self._blocks.clear()
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise ValueError(f"eSpeak NG has no voice {voice}")
        for parameter, value in ((_RATE, rate), (_VOLUME, 100), (_PITCH, pitch), (_RANGE, pitch_range)):
            self._library.espeak_SetParameter(parameter, value, 0)
        raw = text.encode() + b"\0"
        if self._library.espeak_Synth(raw, len(raw), 0, 1, 0, _CHARS_UTF8, None, None) != 0:
            raise RuntimeError(f"eSpeak NG cannot say: {text}")
        self._library.espeak_Synchronize()
        audio = np.concatenate(self._blocks).astype(np.float32) / 32768
        heard = np.flatnonzero(np.abs(audio) > 0.004)
        return audio[heard[0] : heard[-1] + 1]


def speak(clip: dict[str, Any]) -> Speech:
    """All sentences of a clip, lead-in, gaps and tail; `level_db` is the RMS while speaking, re full scale."""
    voice = Voice()
    parts: list[np.ndarray] = [np.zeros(round(LEAD_S * voice.rate_hz), np.float32)]
    cues: list[tuple[float, float, str]] = []
    done = len(parts[0])
    for line in clip["speech"]:
        audio = voice.sentence(line["text"], clip["voice"], line["rate"], line["pitch"], line["range"])
        cues.append((done / voice.rate_hz, (done + len(audio)) / voice.rate_hz, line["text"]))
        gap = np.zeros(round(SENTENCE_GAP_S * voice.rate_hz), np.float32)
        parts += [audio, gap]
        done += len(audio) + len(gap)
    wanted = round(max(MIN_DURATION_S, done / voice.rate_hz + clip["tail_s"]) * FPS) * voice.rate_hz // FPS
    parts.append(np.zeros(wanted - done, np.float32))
    audio = np.concatenate(parts)
    speaking = audio[np.abs(audio) > 0.004]
    gain = 10 ** (clip["level_db"] / 20) / np.sqrt(np.mean(speaking**2)) if len(speaking) else 1.0
    # Digital silence is found in no room, and its level in dB has no meaning.
    room = 10 ** (ROOM_DB / 20) * np.random.default_rng(0).standard_normal(len(audio))
    return Speech(np.tanh(audio * gain + room).astype(np.float32), voice.rate_hz, tuple(cues))


def loudness(speech: Speech, frames: int) -> np.ndarray:
    """Loudness envelope in [0, 1], one value per video frame: what opens the mouth."""
    edges = np.arange(frames + 1) * speech.rate_hz // FPS
    rms = np.array([np.sqrt(np.mean(speech.audio[a:b] ** 2)) for a, b in pairwise(edges)])
    if not speech.cues:
        return np.zeros(frames)
    smooth = np.convolve(rms, (0.25, 0.5, 0.25), mode="same")
    loud = np.percentile(smooth, 80)
    return np.clip((smooth - 0.08 * loud) / loud, 0, 1)


def write_srt(path: Path, cues: tuple[tuple[float, float, str], ...]) -> None:
    def stamp(time_s: float) -> str:
        ms = round(time_s * 1000)
        return f"{ms // 3_600_000:02d}:{ms // 60_000 % 60:02d}:{ms // 1000 % 60:02d},{ms % 1000:03d}"

    blocks = [f"{n}\n{stamp(a)} --> {stamp(b)}\n{text}\n" for n, (a, b, text) in enumerate(cues, start=1)]
    path.write_text("\n".join(blocks), encoding="utf-8")


def write_wav(path: Path, speech: Speech) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(speech.rate_hz)
        file.writeframes(np.round(speech.audio * 32767).astype("<i2").tobytes())
