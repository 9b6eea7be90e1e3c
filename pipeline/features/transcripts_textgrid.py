"""Transcripts from Praat's TextGrid, in the long and the short text format.

Both are the same list of values; the long one only adds words between them, which Praat itself skips: what counts
are numbers that stand alone, texts in quotes and flags in angle brackets.

Reference: https://www.fon.hum.uva.nl/praat/manual/TextGrid_file_formats.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from pipeline.features.transcripts import Cue, TimedWords
from schemas.errors import UserError

_TOKEN = re.compile(
    r'"(?:[^"]|"")*"|<[A-Za-z]+>|(?<!\S)[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?%?(?!\S)|(?<!\S)!.*'
)
_WORDS = re.compile(r"(?:(.*?)\s*[-_/:]\s*)?words?", re.IGNORECASE)  # "words", or "ANNA - words" of aligners
# Tiers of smaller units, and tiers whose name says what they hold instead of who speaks.
_SMALLER = re.compile(r"phone|phoneme|syll|segment|sound|tone|tobi|break|pitch", re.IGNORECASE)
_NO_NAME = re.compile(
    r"|utterances?|sentences?|phrases?|turns?|text|transcripts?|transcription|ort|orthography|speech|tier ?\d*",
    re.IGNORECASE,
)
_NOTHING = re.compile(
    r"|sil|sp|spn|noise|#|\.+|…|xxx|[<\[(].*[>\])]", re.IGNORECASE
)  # marks of silence and noise


class _Token(NamedTuple):
    value: str | float
    line: int


class _Interval(NamedTuple):
    start_s: float
    end_s: float
    said: str
    line: int


class _Tier(NamedTuple):
    name: str
    intervals: tuple[_Interval, ...]


def read_textgrid(text: str, file: str) -> TimedWords | tuple[Cue, ...]:
    """The words of the word tiers; without one the cues of all tiers that hold larger units, in order of time.

    The name of a tier is its speaker, unless it says what the tier holds.

    Raises:
        UserError: "bad_transcript", with the file and the line.
    """
    tiers = [tier for tier in _tiers(_Reader(text, file)) if tier is not None]
    words = [(match[1] or None, tier) for tier in tiers if (match := _WORDS.fullmatch(tier.name.strip()))]
    if words:
        return TimedWords(_cues(words))
    larger = [tier for tier in tiers if not _SMALLER.search(tier.name)]
    return _cues(
        [(None if _NO_NAME.fullmatch(tier.name.strip()) else tier.name.strip(), tier) for tier in larger]
    )


def _cues(tiers: list[tuple[str | None, _Tier]]) -> tuple[Cue, ...]:
    found = [
        Cue(one.start_s, one.end_s, ((speaker, one.said.strip()),), one.line)
        for speaker, tier in tiers
        for one in tier.intervals
        if not _NOTHING.fullmatch(one.said.strip())
    ]
    return tuple(sorted(found, key=lambda cue: (cue.start_s, cue.end_s)))


class _Reader:
    """The values of a file, one after the other."""

    def __init__(self, text: str, file: str) -> None:
        self._file, self._last_line = file, 1
        self._tokens = _tokens(text)

    @property
    def line(self) -> int:
        """Of the value that was read last."""
        return self._last_line

    def text(self, what: str) -> str:
        value = self._next(what)
        if not isinstance(value, str):
            raise self.wrong(f"expected {what}, found {value:g}")
        return value

    def number(self, what: str) -> float:
        value = self._next(what)
        if isinstance(value, str):
            raise self.wrong(f'expected {what}, found "{value[:40]}"')
        return value

    def count(self, what: str) -> int:
        value = self.number(what)
        if value < 0 or value != int(value):
            raise self.wrong(f"expected {what}, found {value:g}")
        return int(value)

    def seconds(self, what: str) -> float:
        value = self.number(what)
        if not 0 <= value < 1e9:
            raise self.wrong(f"{what} is {value:g}; times are seconds from the start of the recording")
        return value

    def wrong(self, message: str) -> UserError:
        return UserError(
            "bad_transcript", message, "correct the file or remove it", file=self._file, line=self._last_line
        )

    def _next(self, what: str) -> str | float:
        token = next(self._tokens, None)
        if token is None:
            raise self.wrong(f"the file ends where {what} should stand")
        self._last_line = token.line
        return token.value


def _tokens(text: str) -> Iterator[_Token]:
    line, passed = 1, 0
    for match in _TOKEN.finditer(text):
        line += text.count("\n", passed, match.start())
        passed = match.start()
        value = match[0]
        if value.startswith('"'):
            yield _Token(value[1:-1].replace('""', '"'), line)
        elif not value.startswith(("<", "!")):
            yield _Token(float(value.rstrip("%")), line)


def _tiers(values: _Reader) -> Iterator[_Tier | None]:
    """Every tier; None for one of points."""
    if not values.text("the file type").startswith("ooTextFile") or values.text("the class") != "TextGrid":
        raise values.wrong('a TextGrid begins with File type = "ooTextFile", Object class = "TextGrid"')
    values.seconds("the start"), values.seconds("the end")
    for _ in range(values.count("the number of tiers")):
        kind = values.text("the class of a tier")
        if kind not in ("IntervalTier", "TextTier"):
            raise values.wrong(f'no class of tiers is called "{kind[:40]}"')
        name = values.text("the name of a tier")
        values.seconds("the start of a tier"), values.seconds("the end of a tier")
        count = values.count("the number of intervals")
        if kind == "IntervalTier":
            yield _Tier(name, tuple(_interval(values) for _ in range(count)))
            continue
        for _ in range(count):
            values.number("the time of a point"), values.text("the mark of a point")
        yield None


def _interval(values: _Reader) -> _Interval:
    start_s = values.seconds("the start of an interval")
    line = values.line
    end_s = values.seconds("the end of an interval")
    if end_s < start_s:
        raise values.wrong("the interval ends before it starts")
    return _Interval(round(start_s, 3), round(end_s, 3), values.text("the text of an interval"), line)
