"""Turns from a manifest: its stretches that name different people and share time with one segment. Pure."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from pipeline.facts import is_withdrawn, stretch_of, stretches
from pipeline.features.speakers import shift_turns
from schemas.parts import SpeakerTurn
from schemas.records import Segment


class Part(NamedTuple):
    """A stretch of a recording with its speaker."""

    start_s: float
    end_s: float  # infinite: the end of the recording
    speaker: str


class Stated:
    """The stretches of a recording that name a speaker, looked through once for all of its segments."""

    def __init__(self, own: Mapping[str, Any]) -> None:
        """`own` are the facts of the recording."""
        self._own = own
        self._parts = sorted(
            Part(one.start_s, math.inf if one.end_s is None else one.end_s, one.said["speaker"])
            for one in stretches(own)
            if "speaker" in one.said and not is_withdrawn(one.said)  # a row that was taken out says nothing
        )
        self._several = len({part.speaker for part in self._parts}) > 1
        self._longest_s = max((part.end_s - part.start_s for part in self._parts), default=0.0)

    def turns_in(self, segment: Segment) -> tuple[SpeakerTurn, ...]:
        """Who speaks when in a segment, in its own time; none where rows name one person, or not its own.

        A stretch inside somebody else's takes its time from it: the row of the longer one says who speaks around
        it. Where two only overlap, both speak.
        """
        if not self._several:
            return ()
        first = bisect_left(self._parts, (segment.source_start_s - self._longest_s,))
        last = bisect_left(self._parts, (segment.source_end_s,))
        named = [part for part in self._parts[first:last] if part.end_s > segment.source_start_s]
        turns = shift_turns(_turns(named, segment), segment)
        here = stretch_of(self._own, segment) if len({turn.speaker for turn in turns}) > 1 else None
        return turns if here is not None and "speaker" in here.said else ()


def _turns(named: Sequence[Part], segment: Segment) -> Iterable[SpeakerTurn]:
    for part in named:
        inner = [one for one in named if one.speaker != part.speaker and _is_inside(one, part)]
        for left in _without(part, inner):
            end_s = min(left.end_s, segment.source_end_s)
            if end_s > left.start_s:
                yield SpeakerTurn(speaker=left.speaker, start_s=left.start_s, end_s=end_s)


def _is_inside(one: Part, other: Part) -> bool:
    inside = other.start_s <= one.start_s and one.end_s <= other.end_s
    return inside and (one.start_s, one.end_s) != (other.start_s, other.end_s)


def _without(part: Part, inner: Iterable[Part]) -> Iterable[Part]:
    """What is left of a part."""
    from_s = part.start_s
    for one in sorted(inner, key=lambda one: one.start_s):
        if one.start_s > from_s:
            yield part._replace(start_s=from_s, end_s=one.start_s)
        from_s = max(from_s, one.end_s)
    if part.end_s > from_s:
        yield part._replace(start_s=from_s)
