"""Transcripts beside a recording: finding them, and reading `.srt` and `.vtt` into cues."""

from __future__ import annotations

import html
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from pipeline.features.beside import names_in
from schemas.errors import ItemError, UserError

FORMATS = (".srt", ".vtt", ".textgrid", ".txt")  # in order of preference
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_TIME = r"(?:(\d+):)?(\d{1,2}):(\d{2})[.,](\d{1,3})"
_TIMES = re.compile(rf"^\s*{_TIME}\s*-->\s*{_TIME}(?:\s.*)?$")
_VOICE = re.compile(r"<v(?:\.[^\s>]*)?\s+([^>]+)>")
_MARKUP = re.compile(r"<[^>]*>|\{\\[^}]*\}|\[[^\]]*\]|[♪♫]")
_ONLY_PARENTHESES = re.compile(r"^\s*\([^)]*\)\s*$")
_NAME = r"[^\W\d_][\w.'’&#-]*"
_PREFIX = re.compile(rf"^\s*(?:>>|[-–])?\s*({_NAME}(?: [\w.'’&#-]+){{0,3}}):(?:\s+|$)")
_DIALOGUE_MARK = re.compile(r"^\s*(?:>>+|[-–])\s*")


@dataclass(frozen=True)
class Cue:
    """What is shown from `start_s` to `end_s` (source time); `lines` are (speaker or None, plain text).

    `number` is the line of the file that states its times.
    """

    start_s: float
    end_s: float
    lines: tuple[tuple[str | None, str], ...]
    number: int = field(default=0, compare=False)


@dataclass(frozen=True)
class GivenText:
    """What is said from `start_s` to `end_s` (source time; None: the recording's end), without times of words."""

    text: str
    start_s: float = 0.0
    end_s: float | None = None
    speaker: str | None = None


@dataclass(frozen=True)
class TimedWords:
    """Cues of one word each: somebody marked when every word is said."""

    cues: tuple[Cue, ...]


def find_sidecar(recording: Path, language: str | None = None) -> Path | None:
    """The transcript of `recording`, if one stands beside it.

    `talk.srt` comes before `talk.vtt` and `talk.TextGrid`, then a tagged one (`talk.en.srt`): the one of
    `language` when that is known, else the only one; `talk.txt` comes last.

    Raises:
        ItemError: "ambiguous_transcript", several languages and none asked for.
    """
    folder = recording.parent
    beside = _transcripts_in(folder, names_in(folder)).get(recording.stem, {})
    for timed in (True, False):
        kinds = [kind for kind in FORMATS if (kind != ".txt") == timed]
        for kind in kinds:
            if (plain := beside.get(("", kind))) is not None:
                return plain
        tagged = sorted(tag for tag, kind in beside if tag and kind in kinds)
        if language is not None:
            tagged = [tag for tag in tagged if tag.split("-")[0].lower() == language.split("-")[0].lower()]
        if len(set(tagged)) > 1:
            raise ItemError(
                "ambiguous_transcript",
                f"several transcripts stand beside {recording.name}: {', '.join(tagged)}",
                f"emotrace ingest {recording} --language ..., or name the right one {recording.stem}{kinds[0]}",
            )
        for kind in kinds:
            if tagged and (found := beside.get((tagged[0], kind))) is not None:
                return found
    return None


@lru_cache(maxsize=4)
def _transcripts_in(folder: Path, names: frozenset[str]) -> dict[str, dict[tuple[str, str], Path]]:
    """stem -> (language tag or "", format) -> path. Cached: a folder may hold 100,000 recordings."""
    found: dict[str, dict[tuple[str, str], Path]] = {}
    for name in sorted(names):
        stem, kind = os.path.splitext(name)  # noqa: PTH122
        if kind.lower() not in FORMATS:
            continue
        found.setdefault(stem, {})[("", kind.lower())] = folder / name
        base, _, tag = stem.rpartition(".")
        if base and _LANGUAGE.fullmatch(tag):
            found.setdefault(base, {})[(tag, kind.lower())] = folder / name
    return found


def decode_text(data: bytes, file: str) -> str:
    """The text of a transcript: UTF-8, or UTF-16 with a byte order mark.

    Raises:
        UserError: "bad_transcript", another encoding.
    """
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise UserError(
            "bad_transcript", f"not {encoding} text", "save the file as UTF-8", file=file, line=line
        ) from error


def read_cues(text: str, kind: str, file: str) -> list[Cue]:
    """The cues of an `.srt` or `.vtt` text in order of time.

    Raises:
        UserError: "bad_transcript", with the file and the line.
    """
    lines = text.splitlines()
    if kind == ".vtt" and not (lines and lines[0].startswith("WEBVTT")):
        raise _bad("a .vtt file must begin with WEBVTT", file, 1)
    blocks = list(_blocks(lines[1:] if kind == ".vtt" else lines, first=2 if kind == ".vtt" else 1))
    raw = [cue for number, block in blocks if (cue := _read_block(block, number, kind, file)) is not None]
    names = _speaker_names([line for cue in raw for line in cue.body])
    cues = [Cue(cue.start_s, cue.end_s, tuple(_spoken(cue.body, names)), cue.number) for cue in raw]
    return sorted((cue for cue in cues if cue.lines), key=lambda cue: (cue.start_s, cue.end_s))


def _blocks(lines: Sequence[str], first: int) -> Iterator[tuple[int, list[str]]]:
    """Paragraphs as (number of the first line, lines)."""
    block: list[str] = []
    for number, line in enumerate([*lines, ""], start=first):
        if line.strip():
            block.append(line)
        elif block:
            yield number - len(block), block
            block = []


class _Raw(NamedTuple):
    start_s: float
    end_s: float
    body: list[str]
    number: int


def _read_block(block: list[str], number: int, kind: str, file: str) -> _Raw | None:
    """A cue as it is written, or None for a block that is none."""
    if kind == ".vtt" and re.match(r"(NOTE|STYLE|REGION)\b", block[0]) and "-->" not in block[0]:
        return None
    at = next((i for i, line in enumerate(block[:2]) if "-->" in line), None)
    if at is None:
        if kind == ".vtt" and number == 2:
            return None  # header lines straight after WEBVTT
        raise _bad(
            f'expected a time line like "00:00:01,000 --> 00:00:02,500", found "{block[0][:40]}"',
            file,
            number,
        )
    match = _TIMES.match(block[at])
    if match is None:
        raise _bad(f'unreadable times "{block[at].strip()[:60]}"', file, number + at)
    start_s, end_s = _seconds(match.groups()[:4]), _seconds(match.groups()[4:])
    if end_s < start_s:
        raise _bad("the cue ends before it starts", file, number + at)
    return _Raw(start_s, end_s, block[at + 1 :], number + at)


def _seconds(groups: Sequence[str | None]) -> float:
    hours, minutes, seconds, fraction = groups
    return round(
        int(hours or 0) * 3600 + int(minutes or 0) * 60 + int(seconds or 0) + float(f"0.{fraction}"), 3
    )


def _bad(message: str, file: str, line: int) -> UserError:
    return UserError("bad_transcript", message, "correct the line or remove the file", file=file, line=line)


def _speaker_names(lines: Sequence[str]) -> frozenset[str]:
    """Which of the words before a colon are names of speakers.

    All capitals ("ANNA:") or several capitalised words ("The President:") are; one capitalised word ("Anna:")
    only when it stands before two lines, because "Remember: ..." is speech.
    """
    counts = Counter(match.group(1) for line in lines if (match := _PREFIX.match(_plain(line))))
    return frozenset(
        name
        for name, count in counts.items()
        if name.isupper()
        or (
            all(word[0].isupper() or word[0].isdigit() for word in name.split())
            and (" " in name or count > 1)
        )
    )


def _plain(line: str) -> str:
    return html.unescape(_MARKUP.sub(" ", line)).replace("\u00a0", " ")


def _spoken(body: Sequence[str], names: frozenset[str]) -> Iterator[tuple[str | None, str]]:
    """The lines of one cue as (speaker, text), without markup, sound descriptions and name prefixes."""
    speaker: str | None = None
    for line in body:
        for voice, part in _voices(line):
            text = _plain(part)
            speaker = voice or speaker
            if (match := _PREFIX.match(text)) and match.group(1) in names:
                speaker, text = match.group(1), text[match.end() :]
            text = _DIALOGUE_MARK.sub("", text).strip()
            if text and not _ONLY_PARENTHESES.match(text):
                yield speaker, text


def _voices(line: str) -> Iterator[tuple[str | None, str]]:
    """A line cut at its `<v Name>` tags."""
    pieces = _VOICE.split(line)
    if pieces[0].strip():
        yield None, pieces[0]
    for name, text in zip(pieces[1::2], pieces[2::2], strict=True):
        yield html.unescape(name).strip(), text
