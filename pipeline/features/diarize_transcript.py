"""Turns that a transcript beside the recording states: whoever wrote it named the speaker of every line."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

from pipeline.features.recordings import Recording, turns_features
from pipeline.features.speakers import turns_of_words
from pipeline.features.transcript_files import Said, read_file
from pipeline.features.transcripts import GivenText, TimedWords, find_sidecar
from pipeline.features.word_times import cue_words
from schemas.errors import ItemError
from schemas.parts import SpeakerTurn, Word, name_key
from schemas.records import Features


class TranscriptTurns:
    """The turns of one recording, as its transcript has them. What is said in them is no part of the question."""

    stage: ClassVar[str] = "diarize"
    name: ClassVar[str] = "transcript"
    version: ClassVar[str] = "1"
    weights_digest: ClassVar[str | None] = None

    def __init__(self, file: Path, digest: str, *, all_lines: bool = True) -> None:
        self._file, self._digest, self._all_lines = file, digest, all_lines

    @classmethod
    def beside(
        cls, recordings: Sequence[Path], language: str | None, *, all_lines: bool = True
    ) -> TranscriptTurns | None:
        """The turns in the transcript beside the first copy of a recording that has one; None: it states none.

        `all_lines` False: those of the lines that name somebody, though others do not: they tell who is who among
        people who were told apart otherwise.

        Raises:
            ItemError: the transcript cannot be read, or is not the only one.
        """
        there = [recording for recording in recordings if recording.exists()] or recordings
        found = (find_sidecar(recording, language) for recording in there)
        file = next((path for path in found if path is not None), None)
        turns = () if file is None else _turns(file, all_lines)
        return cls(file, _digest(turns), all_lines=all_lines) if file is not None and turns else None

    @property
    def params(self) -> dict[str, Any]:
        return {"turns": self._digest}

    def diarize(self, recordings: Iterable[Recording]) -> Iterator[tuple[Recording, Features | ItemError]]:
        """The same turns for every recording: copies of one file are one recording."""
        for recording in recordings:
            try:
                yield recording, turns_features(self, recording, self.turns())
            except ItemError as error:
                yield recording, error

    def turns(self) -> tuple[SpeakerTurn, ...]:
        """Read again when they are wanted: a plan holds many recordings.

        Raises:
            ItemError: "changed_transcript", it says something else than when it was found; as in `beside`.
        """
        turns = _turns(self._file, self._all_lines)
        if _digest(turns) != self._digest:
            raise ItemError("changed_transcript", f"{self._file} was changed while it was read")
        return turns


def _turns(file: Path, all_lines: bool) -> tuple[SpeakerTurn, ...]:
    said = read_file(file)[1]
    return stated_turns(said) if all_lines else named_turns(said)


def stated_turns(said: Said) -> tuple[SpeakerTurn, ...]:
    """Who speaks when, as a transcript with times has it; none where it leaves open who says one of its lines.

    Subtitles that name only who is not in the picture would give all other speech to nobody.
    """
    if any(word.speaker is None for word in _words(said)):
        return ()
    turns = named_turns(said)
    return turns if len({turn.speaker for turn in turns}) > 1 else ()  # else there is nobody to tell apart


def named_turns(said: Said) -> tuple[SpeakerTurn, ...]:
    """The turns of the lines that name somebody; a name that is written in several ways is the first of them."""
    spelt: dict[str, str] = {}
    named = []
    for word in _words(said):
        if word.speaker is not None:
            speaker = spelt.setdefault(name_key(word.speaker), word.speaker)
            named.append(word.model_copy(update={"speaker": speaker}))
    return turns_of_words(named)


def _words(said: Said) -> list[Word]:
    """None of a text without times: it does not say when somebody speaks."""
    if isinstance(said, GivenText):
        return []
    cues = said.cues if isinstance(said, TimedWords) else said
    return [word for cue in cues for word in cue_words(cue)]


def _digest(turns: Iterable[SpeakerTurn]) -> str:
    told = [[turn.speaker, turn.start_s, turn.end_s] for turn in turns]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()
