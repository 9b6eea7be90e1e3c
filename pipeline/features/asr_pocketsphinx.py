"""Words by PocketSphinx: weak, English only, but its model comes with the package and runs anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pocketsphinx

from pipeline.features.base import SAMPLE_RATE_HZ, Audio, Clip, features_of, one_by_one
from pipeline.features.denoise.base import ListeningParams, as_heard, identity
from pipeline.features.silence import why_no_speech
from pipeline.features.weights import folder_digest
from schemas.errors import ItemError
from schemas.parts import Span, Word
from schemas.records import Features

FRAME_S = 0.01
NOTE = "low_quality_asr"


@cache
def _model_digest() -> str:
    """Of the model in the package, which does not change while a program runs."""
    return folder_digest(Path(pocketsphinx.get_model_path()) / "en-us")


class PocketSphinxParams(ListeningParams):
    padding_s: float = (
        0.1  # heard on both sides of a speech region; without it first and last sounds are lost
    )
    language: str | None = None  # of the recording; any but English is not heard, None is taken for English


class PocketSphinxAsr:
    """One decoding per speech region. About half of the words of read or public speech come out wrong."""

    stage: ClassVar[str] = "asr"
    name: ClassVar[str] = "pocketsphinx"
    version: ClassVar[str] = "2"

    def __init__(self, params: PocketSphinxParams | None = None) -> None:
        self._params = params or PocketSphinxParams()

    @property
    def params(self) -> dict[str, Any]:
        return self._params.model_dump(mode="json") | {"denoise": identity(self._params.denoise)}

    @property
    def weights_digest(self) -> str | None:
        return _model_digest()

    @cached_property
    def _decoder(self) -> Any:
        # Batch normalisation looks at one region only, so that no clip depends on the one before it.
        return pocketsphinx.Decoder(samprate=float(SAMPLE_RATE_HZ), cmn="batch", loglevel="FATAL")

    def extract(self, clips: Iterable[Clip]) -> Iterator[tuple[Clip, Features | ItemError]]:
        """Words with confidence per clip; clips are independent of each other and of their order."""
        return one_by_one(self, clips, self._features)

    def _features(self, clip: Clip) -> Features:
        words: tuple[Word, ...] = ()
        if clip.audio is None or not clip.speech:
            missing: str | None = why_no_speech(clip.audio)
        elif (self._params.language or "en").split("-")[0].lower() != "en":
            missing = "unsupported_language"
        else:
            audio = as_heard(clip.audio, self._params.denoise)
            words = tuple(word for region in clip.speech for word in self._hear(audio, region, clip.speech))
            missing = None if words else "no_words"
        notes = (NOTE,) if words else ()
        return features_of(self, clip, missing=missing, words=words, notes=notes)

    def _hear(self, audio: Audio, region: Span, regions: Sequence[Span]) -> Iterator[Word]:
        """The words of one speech region whose middle lies in it."""
        start_s, end_s = padded(region, regions, self._params.padding_s, len(audio) / SAMPLE_RATE_HZ)
        first = round(start_s * SAMPLE_RATE_HZ)
        part = audio[first : round(end_s * SAMPLE_RATE_HZ)]
        if len(part) == 0:
            return
        pcm = np.rint(np.clip(part, -1.0, 1.0) * 32767).astype("<i2").tobytes()
        self._decoder.reinit_feat(None)  # else traces of the region before change the scores
        self._decoder.start_utt()
        self._decoder.process_raw(pcm, no_search=False, full_utt=True)
        self._decoder.end_utt()
        for piece in self._decoder.seg() or ():
            if piece.word.startswith(("<", "[", "+")):
                continue  # fillers: silence, breath, noise
            begin_s = start_s + piece.start_frame * FRAME_S
            finish_s = min(start_s + (piece.end_frame + 1) * FRAME_S, end_s)
            if region.start_s <= (begin_s + finish_s) / 2 <= region.end_s:
                yield Word(
                    text=piece.word.split("(")[0],  # "can(2)" is another pronunciation of the same word
                    start_s=round(begin_s, 3),
                    end_s=round(max(begin_s, finish_s), 3),
                    confidence=round(float(np.clip(piece.prob, 0.0, 1.0)), 3),
                )


def padded(region: Span, regions: Sequence[Span], padding_s: float, length_s: float) -> tuple[float, float]:
    """Start and end of a region with padding, which never reaches into another region or over the clip."""
    before = max((r.end_s for r in regions if r.end_s <= region.start_s), default=0.0)
    after = min((r.start_s for r in regions if r.start_s >= region.end_s), default=length_s)
    return max(region.start_s - padding_s, before), min(region.end_s + padding_s, after, length_s)
