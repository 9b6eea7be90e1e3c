"""Reads RTTM: who speaks when, one turn a line, of one or several recordings.

Reference: NIST, The 2009 (RT-09) Rich Transcription Meeting Recognition Evaluation Plan, appendix A, "RTTM File
Format Specification".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pipeline.features.transcripts import decode_text
from schemas.errors import UserError
from schemas.parts import SpeakerTurn

# A turn is: SPEAKER, file id, channel, start, length, orthography, subtype, speaker, confidence, lookahead.
MIN_FIELDS = 8
TURN, NOTHING = "SPEAKER", "<NA>"
OTHER_TYPES = frozenset(
    {"SEGMENT", "NOSCORE", "NO_RT_METADATA", "LEXEME", "NON-LEX", "NON-SPEECH", "FILLER", "EDIT", "IP", "SU",
     "CB", "A/P", "SPKR-INFO"}
)  # fmt: skip
TIME_DIGITS = 6


class Line(NamedTuple):
    number: int
    text: str


def split_rttm(path: Path) -> dict[str, tuple[Line, ...]]:
    """File id -> its lines, not read yet: a file may be long and only one recording in it be asked for.

    Comments and empty lines are left out. A line that names no file is one of every recording.

    Raises:
        UserError: "unreadable_rttm"; "bad_rttm", no text.
    """
    try:
        text = decode_text(path.read_bytes(), str(path))
    except OSError as error:
        message = f"cannot read {path}: {error.strerror}"
        raise UserError("unreadable_rttm", message, "make the file readable") from error
    except UserError as error:
        raise UserError("bad_rttm", error.message, error.remedy, error.file, error.line) from error
    found: dict[str, list[Line]] = {}
    torn: list[Line] = []
    for number, line in enumerate(text.splitlines(), start=1):
        fields = line.split(maxsplit=2)
        if not fields or fields[0].startswith((";", "#")):
            continue
        if len(fields) == 1:
            torn.append(Line(number, line))
        else:
            found.setdefault(fields[1], []).append(Line(number, line))
    return {file_id: (*torn, *lines) for file_id, lines in found.items()}


def read_turns(lines: Sequence[Line], path: Path) -> list[tuple[int, SpeakerTurn]]:
    """(line, turn) of the lines of one recording; turns may overlap, and all are kept.

    Raises:
        UserError: "bad_rttm", with file and line.
    """
    turns = []
    for number, text in lines:
        fields = text.split()
        if fields[0] == TURN:
            turns.append((number, _turn(fields, path, number)))
        elif fields[0] not in OTHER_TYPES:
            raise _bad(f'unknown type "{fields[0][:40]}"', path, number)
    return turns


def _turn(fields: list[str], path: Path, number: int) -> SpeakerTurn:
    if len(fields) < MIN_FIELDS:
        raise _bad(f"{len(fields)} fields, a turn has at least {MIN_FIELDS}", path, number)
    if fields[7] == NOTHING:
        raise _bad("the turn has no speaker", path, number)
    start_s, length_s = (_seconds(fields[at], path, number) for at in (3, 4))
    return SpeakerTurn(
        speaker=fields[7],
        start_s=start_s,
        end_s=round(start_s + length_s, TIME_DIGITS),
        confidence=_confidence(fields[8:]),
    )


def _seconds(field: str, path: Path, number: int) -> float:
    try:
        value = float(field)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise _bad(f'"{field[:40]}" is no number of seconds', path, number)
    return round(value, TIME_DIGITS)


def _confidence(rest: list[str]) -> float | None:
    """The score of a turn when it is a share: some programs write log likelihoods there."""
    try:
        value = float(rest[0]) if rest else math.nan
    except ValueError:
        return None
    return value if 0 <= value <= 1 else None


def _bad(message: str, path: Path, number: int) -> UserError:
    remedy = "a turn is: SPEAKER file channel start length <NA> <NA> speaker <NA> <NA>"
    return UserError("bad_rttm", message, remedy, file=str(path), line=number)
