"""Turns that an RTTM file states: of first choice, because the user put it there."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from pipeline.features.base import Params
from pipeline.features.beside import AGAIN, cannot_read, names_in
from pipeline.features.diarize_transcript import TranscriptTurns
from pipeline.features.recordings import Recording, turns_features
from pipeline.features.rttm import Line, read_turns, split_rttm
from pipeline.features.speakers import who_is_who
from schemas.errors import ItemError, UserError
from schemas.parts import SpeakerTurn
from schemas.records import Features

KIND, UNREADABLE = ".rttm", "unreadable_rttm"
# Programs round times and lengths: a turn may pass the recording's end by this much before it is called wrong.
ROUNDING_S = 0.5


class RttmParams(Params):
    """`path` says where the turns are; what they are is in the question by their digest."""

    path: str | None = None  # an .rttm file, or a folder of such files; None: beside the recording


class Stated(NamedTuple):
    """Which lines tell of a recording. They are read again when they are wanted: a plan holds many recordings."""

    file: Path
    file_id: str | None  # None: the file names no recording at all
    digest: str

    @classmethod
    def of(cls, file: Path, file_id: str | None) -> Stated:
        """Raises:
        ItemError: "bad_rttm", "unreadable_rttm".
        """
        return cls(file, file_id, _digest(_lines(file, file_id)))

    def lines(self) -> tuple[Line, ...]:
        """The lines as they were when they were found.

        Raises:
            ItemError: "changed_rttm"; as in `of`.
        """
        lines = _lines(self.file, self.file_id)
        if _digest(lines) != self.digest:
            raise ItemError("changed_rttm", f"{self.file} was changed while it was read")
        return lines


class RttmTurns:
    """The turns of one recording, as they stand in a file."""

    stage: ClassVar[str] = "diarize"
    name: ClassVar[str] = "rttm"
    version: ClassVar[str] = "1"
    weights_digest: ClassVar[str | None] = None

    def __init__(
        self,
        stated: Stated,
        params: RttmParams | None = None,  # noqa: ARG002 - the options that led to `stated`, no part of it
        names: TranscriptTurns | None = None,
    ) -> None:
        """`names`: lines of a transcript that name who speaks, which a program that makes RTTM does not know."""
        self._stated, self._names = stated, names

    @property
    def params(self) -> dict[str, Any]:
        return {"turns": self._stated.digest} | (
            {"names": self._names.params["turns"]} if self._names else {}
        )

    def diarize(self, recordings: Iterable[Recording]) -> Iterator[tuple[Recording, Features | ItemError]]:
        """The same turns for every recording: copies of one file are one recording."""
        for recording in recordings:
            try:
                yield recording, self._features(recording)
            except ItemError as error:
                yield recording, error

    def _features(self, recording: Recording) -> Features:
        file = self._stated.file
        try:
            turns = read_turns(self._stated.lines(), file)
        except UserError as error:
            raise _item_error(error) from error
        last_s = recording.source.media.duration_s
        for number, turn in turns:
            if turn.end_s > last_s + ROUNDING_S:
                raise ItemError(
                    "rttm_outside",
                    f"{file}:{number}: the turn ends at {turn.end_s:g} s, the recording at {last_s:g} s",
                    f"correct or remove the line, or the file if it is of another recording, {AGAIN}",
                )
        return turns_features(self, recording, self._named([turn for _, turn in turns]))

    def _named(self, turns: Sequence[SpeakerTurn]) -> list[SpeakerTurn]:
        called = who_is_who(turns, self._names.turns()) if self._names else {}
        return [turn.model_copy(update={"speaker": called.get(turn.speaker, turn.speaker)}) for turn in turns]


class _Naming(NamedTuple):
    files: dict[str, list[Path]]  # file id -> the files that name it
    unread: list[Path]  # beside recordings, nobody's own, and not to be read: they may name any of them


class RttmFiles:
    """Finds what RTTM files state of recordings; a look at a folder holds for as long as this object is kept."""

    def __init__(self, path: str | None = None) -> None:
        """`path`: one file, or a folder; None: the folder of each recording.

        Raises:
            UserError: "rttm_missing", nothing there.
        """
        self._given = None if path is None else Path(path).expanduser()
        if self._given is not None and not self._given.exists():
            raise UserError("rttm_missing", f"nothing at {self._given}", "correct path, or leave it out")
        self._files: dict[Path, frozenset[Path]] = {}  # of a folder
        self._naming: dict[Path, _Naming] = {}  # of a folder

    def of(self, recordings: Sequence[Path]) -> Stated | None:
        """What is stated of a recording, whose copies are `recordings`; None when no file names it.

        `talk.rttm` is taken first: it tells of `talk.mp4`, whatever name it gives it, unless it holds several
        recordings. Then any file of the folder whose lines name "talk" or "talk.mp4".

        Raises:
            ItemError: "bad_rttm", "unreadable_rttm"; "rttm_of_others", the recording's own file names several
                others; "ambiguous_rttm", several files name it.
        """
        for recording in recordings:
            if self._given is not None and self._given.is_file():
                return _named(self._given, recording)
            folder = self._given or recording.parent
            if folder.is_dir() and (stated := self._in_folder(folder, recording)) is not None:
                return stated
        return None

    def _in_folder(self, folder: Path, recording: Path) -> Stated | None:
        if folder not in self._files:
            self._files[folder] = _rttm_files(folder)
        own = folder / f"{recording.stem}{KIND}"
        if own in self._files[folder]:
            return _own(own, recording)
        if folder not in self._naming:  # only now: it reads all files, and most recordings may have their own
            self._naming[folder] = self._look_into(folder)
        naming, unread = self._naming[folder]
        named = naming.get(recording.stem, []) or naming.get(recording.name, []) or unread[:1]
        if len(named) > 1:
            raise ItemError(
                "ambiguous_rttm",
                f"several files state the turns of {recording.name}: {', '.join(f.name for f in named)}",
                f"keep one of them, or name it {own.name}, {AGAIN}",
            )
        return _named(named[0], recording) if named else None

    def _look_into(self, folder: Path) -> _Naming:
        """Which file names whom. One that is no text names nobody: whose it is, is told so."""
        found = _Naming({}, [])
        for file in sorted(self._files[folder]):
            try:
                told = split_rttm(file)
            except UserError as error:
                if error.code == UNREADABLE and self._given is None and file.stem not in _stems(folder):
                    found.unread.append(file)
                continue
            for file_id in told:
                found.files.setdefault(file_id, []).append(file)
        return found


def _stems(folder: Path) -> set[str]:
    """Of all files of a folder but those with turns."""
    return {os.path.splitext(name)[0] for name in names_in(folder) if not _is_rttm(name)}  # noqa: PTH122


def _rttm_files(folder: Path) -> frozenset[Path]:
    """None in a folder that cannot be looked into: then its recordings cannot be read either, which is told."""
    return frozenset(folder / name for name in names_in(folder) if _is_rttm(name))


def _is_rttm(name: str) -> bool:
    return name.lower().endswith(KIND)


def _own(file: Path, recording: Path) -> Stated:
    """The lines in the file of the recording's own name: those that name it, or else the only ones there."""
    told = _split(file)
    if (stated := _named(file, recording)) is not None:
        return stated
    if len(told) > 1:
        raise ItemError(
            "rttm_of_others",
            f"{file} tells of {', '.join(sorted(told)[:3])} and not of {recording.stem}",
            f"let its lines name {recording.stem}, {AGAIN}",
        )
    return Stated.of(file, next(iter(told), None))


def _named(file: Path, recording: Path) -> Stated | None:
    told = _split(file)
    name = next((name for name in (recording.stem, recording.name) if name in told), None)
    return None if name is None else Stated.of(file, name)


def _lines(file: Path, file_id: str | None) -> tuple[Line, ...]:
    return () if file_id is None else _split(file).get(file_id, ())


def _digest(lines: Sequence[Line]) -> str:
    said = "\n".join(" ".join(line.text.split()) for line in lines)
    return hashlib.sha256(said.encode()).hexdigest()


def _split(file: Path) -> dict[str, tuple[Line, ...]]:
    try:
        stat = file.stat()
        return _split_once(file, stat.st_size, stat.st_mtime_ns)
    except OSError as error:
        raise cannot_read(file, error, UNREADABLE) from error
    except UserError as error:
        raise _item_error(error) from error


@lru_cache(maxsize=4)  # one file may tell of all recordings
def _split_once(file: Path, _size_bytes: int, _mtime_ns: int) -> dict[str, tuple[Line, ...]]:
    return split_rttm(file)


def _item_error(error: UserError) -> ItemError:
    where = "" if error.line is None else f"{error.file}:{error.line}: "
    return ItemError(error.code, f"{where}{error.message}", f"{error.remedy}, {AGAIN}")
