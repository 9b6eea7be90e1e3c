"""Words lost with and without denoising: python -m benchmarks.denoise [FOLDER_OF_MEDIA]

PocketSphinx hears twelve English recordings as they are and with noise (dB below the speech), each with every
denoiser. Voice activity is found in the sound with its noise. Printed: word errors over all words.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from agents.evidence.quote import comparable
from benchmarks.paired import emit
from benchmarks.pitch import load
from pipeline.features.asr_pocketsphinx import PocketSphinxAsr, PocketSphinxParams
from pipeline.features.base import SAMPLE_RATE_HZ, Audio
from pipeline.features.denoise import DENOISERS
from pipeline.features.denoise.base import AUTO, NONE
from pipeline.media.vad import speech_regions
from schemas.records import Features
from tests.conftest import data_dir
from tests.features.voice_media import make_clip

SAID = {
    "video/wh_address_a.mp4": "actually help working families get ahead",
    "video/wh_address_b.mp4": "about the progress we expect to make in each of these areas",
    "video/wh_address_c.mp4": "we all know the past few years have been difficult for",
    "video/wh_address_d.mp4": "continues and we're learning more about the suspect we know that he "
    "traveled to yemen",
    "video/grid_bbaf2n.mpg": "bin blue at f two now",
    "video/grid_brbk7n.mpg": "bin red by k seven now",
    "video/grid_lbax4n.mpg": "lay blue at x four now",
    "video/grid_lrwp9a.mpg": "lay red with p nine again",
    "video/grid_swiz3n.mpg": "set white in z three now",
    "audio/jfk.flac": "and so my fellow americans ask not what your country can do for you ask what you can do "
    "for your country",
    "audio/librispeech_116-288045-0001.m4a": "looking about me i saw a gentleman in a neat black dress smiling "
    "and his hand extended to me with great cordiality",
    "audio/LJ050-0131.wav": "unless a system is established for the frequent formal review of activities "
    "thereunder in this regard",
}
NOISES = (None, ("white", 10.0), ("white", 5.0), ("pink", 10.0), ("pink", 5.0))


def noisy(audio: Audio, kind: str, snr_db: float) -> Audio:
    """The sound in noise that lies `snr_db` under its speech."""
    spectrum = np.fft.rfft(np.random.default_rng(0).normal(size=len(audio)))
    if kind == "pink":
        spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 1))
    noise = np.fft.irfft(spectrum, len(audio))
    rate = SAMPLE_RATE_HZ
    spoken = np.concatenate(
        [audio[round(s.start_s * rate) : round(s.end_s * rate)] for s in speech_regions(audio)]
    )
    noise *= np.sqrt(np.mean(spoken**2) / np.mean(noise**2) / 10 ** (snr_db / 10))
    return (audio + noise).astype(np.float32)


def errors(said: list[str], found: list[str]) -> int:
    """Words that are wrong, missing or too many."""
    row = list(range(len(found) + 1))
    for i, word in enumerate(said, 1):
        above, row = row, [i]
        for j, other in enumerate(found, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (word != other)))
    return row[-1]


def word_error_rate(sounds: dict[str, Audio], denoise: str) -> float:
    asr = PocketSphinxAsr(PocketSphinxParams(denoise=denoise))
    wrong = words = 0
    for name, audio in sounds.items():
        ((_, result),) = asr.extract([make_clip(audio, speech=speech_regions(audio))])
        assert isinstance(result, Features), result
        said = comparable(SAID[name])
        wrong += errors(said, comparable(" ".join(word.text for word in result.words)))
        words += len(said)
    return wrong / words


def main(given: str | None = None) -> None:
    folder = Path(given) if given else data_dir() / "media"
    sounds = {name: load(folder / name) for name in SAID if (folder / name).exists()}
    if not sounds:
        raise SystemExit(f"no test media in {folder}: set EMOTRACE_TEST_DATA or give their folder")
    for noise in NOISES:
        made = sounds if noise is None else {name: noisy(audio, *noise) for name, audio in sounds.items()}
        case = "clean" if noise is None else f"{noise[0]}_{noise[1]:g}_db"
        for denoise in (NONE, *DENOISERS, AUTO):
            emit(
                f"wer_{case}_{denoise}", word_error_rate(made, denoise), "share", None, None, True, len(made)
            )


if __name__ == "__main__":
    main(*sys.argv[1:])
