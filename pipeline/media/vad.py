"""Voice activity: where somebody speaks in a recording, by the silero model that faster-whisper carries.

Sound is heard piece by piece, with the state of the model handed on: memory does not grow with its length.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from pydantic import Field

from pipeline.features.base import SAMPLE_RATE_HZ, Params, Sound
from pipeline.media.versions import VAD_VERSION
from schemas.parts import Span

__all__ = ["VAD_NAME", "VAD_VERSION", "VadParams", "speech_regions"]

VAD_NAME = "silero"
WINDOW = 512  # samples that the model judges at a time: 32 ms
CONTEXT = 64  # samples before a window that it hears with it
STATE = (1, 1, 128)
WINDOWS_AT_ONCE = 1024  # 33 s: more at once is no faster, and takes more memory
HYSTERESIS = 0.15  # speech that goes on may be less sure by this than speech that begins
Probabilities = npt.NDArray[np.float32]


class VadParams(Params):
    """Parameters of the voice activity detector; a frame of 32 ms is speech from `threshold` on."""

    threshold: float = Field(0.5, gt=0, lt=1)
    min_silence_ms: int = Field(250, ge=0)
    speech_pad_ms: int = Field(30, ge=0)
    min_speech_ms: int = Field(100, ge=0)


def speech_regions(audio: Sound, params: VadParams = VadParams()) -> tuple[Span, ...]:  # noqa: B008 - frozen
    """Stretches of speech in `audio` (its own clock), ascending and apart; empty when nobody speaks.

    The signal is judged as recorded, without gain or denoising: gain would turn near-silence into "speech".
    Reference: Silero VAD, https://github.com/snakers4/silero-vad, whose rules for regions these are.
    """
    if not len(audio):
        return ()
    # Speech whose end is followed by less than `min_silence_ms` would run on to the end of the recording.
    # Silence behind the end closes it where the voice ends; it is cut off again below.
    total = len(audio) + (params.min_silence_ms + 250) * SAMPLE_RATE_HZ // 1000
    found = _padded(_runs(_probabilities(audio, total), total, params), total, params)
    ends = [(start, min(end, len(audio))) for start, end in found]
    return tuple(Span(start_s=a / SAMPLE_RATE_HZ, end_s=b / SAMPLE_RATE_HZ) for a, b in ends if b > a)


def _probabilities(audio: Sound, total: int) -> Iterator[float]:
    """How likely each window holds speech; what lies behind the sound, up to `total` and a bit, is silence."""
    from faster_whisper.vad import get_vad_model  # heavy: a run with nothing to do hears nothing

    session = get_vad_model().session
    h, c = np.zeros(STATE, np.float32), np.zeros(STATE, np.float32)
    before = np.zeros(CONTEXT, np.float32)
    windows = total // WINDOW + 1
    for first in range(0, windows, WINDOWS_AT_ONCE):
        count = min(WINDOWS_AT_ONCE, windows - first)
        block = np.zeros(count * WINDOW, np.float32)
        heard = audio[first * WINDOW : (first + count) * WINDOW]
        block[: len(heard)] = heard
        rows = block.reshape(-1, WINDOW)
        contexts = np.vstack([before[None], rows[:-1, -CONTEXT:]])
        out, h, c = session.run(None, {"input": np.hstack([contexts, rows]), "h": h, "c": c})
        before = rows[-1, -CONTEXT:]
        yield from out.ravel().tolist()


def _runs(probabilities: Iterator[float], total: int, params: VadParams) -> list[tuple[int, int]]:
    """Samples [start, end) of speech: from a sure window to where unsure ones have lasted long enough."""
    min_silence, min_speech = (
        ms * SAMPLE_RATE_HZ / 1000 for ms in (params.min_silence_ms, params.min_speech_ms)
    )
    unsure = max(params.threshold - HYSTERESIS, 0.01)
    runs: list[tuple[int, int]] = []
    start: int | None = None
    fading: int | None = None  # where the voice may have ended
    for number, probability in enumerate(probabilities):
        here = number * WINDOW
        if probability >= params.threshold:
            start, fading = here if start is None else start, None
        elif start is not None and probability < unsure:
            fading = here if fading is None else fading
            if here - fading >= min_silence:
                if fading - start > min_speech:
                    runs.append((start, fading))
                start = fading = None
    if start is not None and total - start > min_speech:
        runs.append((start, total))
    return runs


def _padded(runs: list[tuple[int, int]], total: int, params: VadParams) -> list[tuple[int, int]]:
    """The runs with some sound on both sides; two that are near share what lies between them."""
    pad = params.speech_pad_ms * SAMPLE_RATE_HZ // 1000
    starts, ends = [run[0] for run in runs], [run[1] for run in runs]
    if runs:
        starts[0], ends[-1] = max(0, starts[0] - pad), min(total, ends[-1] + pad)
    for number in range(len(runs) - 1):
        silence = starts[number + 1] - ends[number]
        share = silence // 2 if silence < 2 * pad else pad
        ends[number] += share
        starts[number + 1] -= share
    return list(zip(starts, ends, strict=True))
