"""The contract of a backend that measures a whole recording and not its segments: who speaks when."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pipeline.features.base import Backend, question_of
from schemas.errors import ItemError
from schemas.parts import SpeakerTurn
from schemas.records import Features, Source

TIME_DIGITS = 3


@dataclass(frozen=True)
class Recording:
    """What such a backend gets. `audio` gives the 16 kHz mono WAV of the decode pass, whose clock is source time.

    It is decoded only when it is asked for: turns that a file states need no sound.

    Raises (of `audio`):
        MediaError: the recording is gone or cannot be decoded.
    """

    source: Source
    audio: Callable[[], Path]


class Diarizer(Backend, Protocol):
    """Finds the turns of recordings that have sound. Names of speakers hold within one recording.

    It keeps no state between calls of `diarize`: several threads may call it at once.
    """

    def diarize(self, recordings: Iterable[Recording]) -> Iterator[tuple[Recording, Features | ItemError]]:
        """One result per recording, in any order; one that fails gives its ItemError and the others go on."""


def turns_features(
    diarizer: Diarizer, recording: Recording, turns: Iterable[SpeakerTurn], **more: Any
) -> Features:
    """The record of a recording's turns: inside the recording, without those that have no length, in order."""
    last_s = recording.source.media.duration_s
    rounded = (
        turn.model_copy(
            update={
                "start_s": round(min(turn.start_s, last_s), TIME_DIGITS),
                "end_s": round(min(turn.end_s, last_s), TIME_DIGITS),
            }
        )
        for turn in turns
    )
    kept = [turn for turn in rounded if turn.end_s > turn.start_s]
    return Features(
        **question_of(diarizer, recording.source.id),
        turns=tuple(sorted(kept, key=lambda turn: (turn.start_s, turn.end_s, turn.speaker))),
        **{"missing": None if kept else "no_speech", **more},
    )
