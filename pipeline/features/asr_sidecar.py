"""Words from a transcript beside the recording or in a manifest: of first choice, because people wrote it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from pipeline.features.base import Clip, Params, features_of, one_by_one
from pipeline.features.beside import AGAIN
from pipeline.features.transcript_files import Said, read_file, read_said
from pipeline.features.transcripts import GivenText, TimedWords
from pipeline.features.word_times import cue_words, segment_times, share_out, spread_words, within
from schemas.errors import ItemError
from schemas.parts import Span, Word
from schemas.records import Features

ROUNDING_S = 0.5  # a text may pass the recording's end by this much, as turns may
Borders = tuple[float, float]


class SidecarParams(Params):
    """What the transcript is, and among which segments its words are shared out (digest of their borders)."""

    sha256: str
    format: str  # ".srt", ".vtt", ".textgrid" or ".txt"
    segments: str


class ManifestParams(Params):
    """The text, the stretch that it tells of (source time), and the segments as in SidecarParams."""

    sha256: str
    start_s: float
    end_s: float | None
    segments: str


class MeldParams(ManifestParams):
    speaker: str | None


class _Shares(NamedTuple):
    source_id: str
    words: dict[Borders, list[Word]]  # of each segment, all in source time
    note: str


class _Transcript:
    """The words of one text for the segments of its recording.

    Cue times are kept and shared out among the words of a cue. A text without times is laid over the speech
    inside its stretch (`clip.source_speech`), or over all of the stretch when nobody speaks in it.
    """

    stage: ClassVar[str] = "asr"
    name: ClassVar[str]
    version: ClassVar[str] = "2"
    weights_digest: ClassVar[str | None] = None

    def __init__(self, read: Callable[[], Said], question: Params, segments: Sequence[Span]) -> None:
        """`read` is called when words are wanted: a plan holds the transcripts of many recordings."""
        self._read, self._question, self._segments = read, question, segments
        self._shares: _Shares | None = None

    @property
    def params(self) -> dict[str, Any]:
        return self._question.model_dump(mode="json")

    def extract(self, clips: Iterable[Clip]) -> Iterator[tuple[Clip, Features | ItemError]]:
        """The words of each segment; every clip's segment must be one of those given."""
        return one_by_one(self, clips, self._features)

    def _features(self, clip: Clip) -> Features:
        if self._shares is None or self._shares.source_id != clip.source.id:
            self._shares = self._share_out(clip)  # copies of one text may belong to several recordings
        said = self._shares.words.get((clip.segment.source_start_s, clip.segment.source_end_s), [])
        words = tuple(_in_segment(word, clip) for word in said)
        missing, notes = None if words else "no_words", (self._shares.note,)
        return features_of(self, clip, missing=missing, words=words, notes=notes)

    def _share_out(self, clip: Clip) -> _Shares:
        said, segments = self._read(), self._segments
        if isinstance(said, GivenText):
            stretch = _stretch(said, clip)
            segments = segment_times(segments).near(stretch)
            speech = within(clip.source_speech, stretch)
            laid = spread_words(said.text.split(), speech)
            words = [word.model_copy(update={"speaker": said.speaker}) for word in laid]
            note = "word_times_spread_over_speech"
        else:
            speech = list(clip.source_speech)
            timed = isinstance(said, TimedWords)
            note = "word_times_given" if timed else "word_times_shared_out_in_cue"
            cues = said.cues if isinstance(said, TimedWords) else said
            words = [word for cue in cues for word in cue_words(cue)]
        shares = share_out(words, segments, speech)
        borders = [(span.start_s, span.end_s) for span in segments]
        return _Shares(clip.source.id, dict(zip(borders, shares, strict=True)), note)


class SidecarTranscript(_Transcript):
    """A file beside the recording: `.srt`, `.vtt`, `.TextGrid`, or `.txt`, which tells of the whole recording."""

    name: ClassVar[str] = "sidecar"

    @classmethod
    def beside(cls, path: Path, segments: Sequence[Span], duration_s: float = math.inf) -> SidecarTranscript:
        """The transcript in a file, for the recording of this length with these segments (source time).

        Raises:
            ItemError: "unreadable_transcript"; "bad_transcript", "transcript_outside", with file and line.
        """
        data, said = read_file(path)  # a mistake is told here, once for the recording
        _refuse_another_clock(said, duration_s, path)
        question = SidecarParams(sha256=_sha256(data), format=path.suffix.lower(), segments=_digest(segments))
        return cls(partial(read_said, data, path), question, segments)


class ManifestTranscript(_Transcript):
    """A manifest's `transcript` column: text without times of a recording, or of a stretch of it."""

    name: ClassVar[str] = "manifest"

    @classmethod
    def of(cls, said: GivenText, segments: Sequence[Span]) -> ManifestTranscript:
        """The transcript in a row, for the recording with these segments (source time)."""
        question = ManifestParams(
            sha256=_sha256(said.text.encode()),
            start_s=said.start_s,
            end_s=said.end_s,
            segments=_digest(segments),
        )
        return cls(lambda: said, question, segments)


class MeldTranscript(_Transcript):
    """The row of MELD's table of utterances that names the recording; the times in it tell how long it is."""

    name: ClassVar[str] = "meld"

    @classmethod
    def of(cls, said: GivenText, segments: Sequence[Span]) -> MeldTranscript:
        """The utterance, for the recording with these segments (source time)."""
        question = MeldParams(
            sha256=_sha256(said.text.encode()),
            start_s=said.start_s,
            end_s=said.end_s,
            segments=_digest(segments),
            speaker=said.speaker,
        )
        return cls(lambda: said, question, segments)


def _refuse_another_clock(said: Said, duration_s: float, path: Path) -> None:
    """A transcript most of which lies past the end belongs to another recording, or to a longer cut of it.

    Raises:
        ItemError: "transcript_outside".
    """
    if isinstance(said, GivenText):
        return
    cues = said.cues if isinstance(said, TimedWords) else said
    past = [cue for cue in cues if (cue.start_s + cue.end_s) / 2 > duration_s + ROUNDING_S]
    if 2 * len(past) > len(cues):
        raise ItemError(
            "transcript_outside",
            f"{path}:{past[0].number}: from here on {len(past)} of {len(cues)} texts lie past the end of the "
            f"recording ({duration_s:g} s)",
            f"shift the times, or remove the file if it is of another recording, {AGAIN}",
        )


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _digest(segments: Sequence[Span]) -> str:
    return segment_times(segments).digest


def _stretch(said: GivenText, clip: Clip) -> Span:
    """In source time, inside the recording."""
    duration_s = clip.source.media.duration_s
    end_s = duration_s if said.end_s is None else min(said.end_s, duration_s)
    return Span(start_s=min(said.start_s, end_s), end_s=end_s)


def _in_segment(word: Word, clip: Clip) -> Word:
    """A word in segment time, cut to the segment's borders; outside of them it becomes a moment at the border."""
    start_s, length_s = clip.segment.source_start_s, clip.segment.duration_s
    times = {
        name: round(min(max(time_s - start_s, 0.0), length_s), 3)
        for name, time_s in (("start_s", word.start_s), ("end_s", word.end_s))
    }
    return word.model_copy(update=times)
