"""Words from a transcript beside the recording or in a manifest: of first choice, because people wrote it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from pipeline.features.base import Clip, Params, features_of, one_by_one
from pipeline.features.transcripts import Cue, cue_words, decode_text, read_cues, spread_words
from schemas.errors import ItemError, UserError
from schemas.parts import Span, Word
from schemas.records import Features

WHOLE_SOURCE_TOLERANCE_S = 0.1


class SidecarParams(Params):
    """What the transcript is; an edited file is another question."""

    sha256: str
    format: str  # ".srt", ".vtt" or ".txt"


class SidecarTranscript:
    """Words of one transcript, for the segments of its recording; `origin` names it in messages.

    Cue times are kept and shared out among the words of a cue. A `.txt` has no times: its words are laid
    over the speech of the whole source: `clip.source_speech` (spans in source time) when it is given,
    else `clip.speech` when the segment is the whole source, else the whole duration.
    """

    stage: ClassVar[str] = "asr"
    name: ClassVar[str] = "sidecar"
    version: ClassVar[str] = "1"
    weights_digest: ClassVar[str | None] = None

    def __init__(self, data: bytes, kind: str, origin: str) -> None:
        self._data, self._origin = data, origin
        self._params = SidecarParams(sha256=hashlib.sha256(data).hexdigest(), format=kind)

    @classmethod
    def beside(cls, path: Path) -> SidecarTranscript:
        """The transcript in a file.

        Raises:
            ItemError: the file cannot be read.
        """
        try:
            return cls(path.read_bytes(), path.suffix.lower(), str(path))
        except OSError as error:
            raise ItemError("unreadable_transcript", f"cannot read {path}: {error.strerror}") from error

    @property
    def params(self) -> dict[str, Any]:
        return self._params.model_dump(mode="json")

    def extract(self, clips: Iterable[Clip]) -> Iterator[tuple[Clip, Features | ItemError]]:
        """The words of each segment whose middle lies in it."""
        return one_by_one(self, clips, self._features)

    @cached_property
    def _text(self) -> str:
        return decode_text(self._data, self._origin)

    @cached_property
    def _cues(self) -> list[Cue]:
        return read_cues(self._text, self._params.format, self._origin)

    def _features(self, clip: Clip) -> Features:
        try:
            words, notes = self._words(clip)
        except UserError as error:  # of this recording's transcript alone
            raise ItemError(error.code, str(error)) from error
        inside = _inside_segment(words, clip)
        return features_of(self, clip, missing=None if inside else "no_words", words=inside, notes=notes)

    def _words(self, clip: Clip) -> tuple[list[Word], tuple[str, ...]]:
        """Words in source time, and how their times were found."""
        if self._params.format == ".txt":
            return self._untimed(clip), ("word_times_spread_over_speech",)
        return [w for cue in self._cues for w in cue_words(cue)], ("word_times_shared_out_in_cue",)

    def _untimed(self, clip: Clip) -> list[Word]:
        """Words in source time."""
        segment, duration_s = clip.segment, clip.source.media.duration_s
        regions = list(clip.source_speech)
        is_whole = segment.duration_s >= duration_s - WHOLE_SOURCE_TOLERANCE_S
        if not regions and is_whole:
            shift_s = segment.source_start_s
            regions = [Span(start_s=r.start_s + shift_s, end_s=r.end_s + shift_s) for r in clip.speech]
        return spread_words(self._text.split(), regions or [Span(start_s=0, end_s=duration_s)])


class ManifestTranscript(SidecarTranscript):
    """Words of a manifest's `transcript` column: text without times."""

    name: ClassVar[str] = "manifest"

    @classmethod
    def of(cls, text: str) -> ManifestTranscript:
        return cls(text.encode(), ".txt", "the manifest's transcript")


def _inside_segment(words: Iterable[Word], clip: Clip) -> tuple[Word, ...]:
    """Words whose middle lies in the segment, in segment time and cut to its borders."""
    start_s, length_s = clip.segment.source_start_s, clip.segment.duration_s
    inside = []
    for word in words:
        if 0 <= (word.start_s + word.end_s) / 2 - start_s < length_s:
            moved = {
                "start_s": round(max(word.start_s - start_s, 0.0), 3),
                "end_s": round(min(word.end_s - start_s, length_s), 3),
            }
            inside.append(word.model_copy(update=moved))
    return tuple(sorted(inside, key=lambda word: (word.start_s, word.end_s)))
