"""Who said a word, and where one person speaks alone: turns of a recording joined with the rest. Pure.

Names of turns hold within one recording: "SPEAKER_00" of two recordings are two people until somebody says
otherwise. What compares recordings (baselines, quotas) therefore takes `local_subject`, never the bare name.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate

from schemas.parts import Span, SpeakerTurn, Word
from schemas.records import Segment

TIME_DIGITS = 3
NEAR_S = 0.25  # a word in a gap goes to the turn beside it: recognisers and diarizers differ by this much
CLEAR_SHARE = 0.75  # our choice: borders of lines and of turns differ, and people speak at once
# SPEAKER_00, spk1, B: programs count the people whom they tell apart.
_COUNTED = re.compile(r"(?:speaker|spkr|spk|person|s)?[\s_-]*(?:\d+|[a-z])", re.IGNORECASE)


def is_counted(speaker: str) -> bool:
    """Whether a name only counts: it holds within its recording, another one's is somebody else."""
    return _COUNTED.fullmatch(speaker) is not None


def local_subject(source_id: str, speaker: str) -> str:
    """The name under which a speaker that was found in a recording is known outside of it."""
    return f"source:{source_id}/{speaker}"


def speak(words: Iterable[Word], turns: Sequence[SpeakerTurn]) -> tuple[Word, ...]:
    """The words, each with the speaker whose turns overlap it most; both on the same clock.

    A word whose transcript names its speaker keeps it. Among equals (two people speak over the whole word) the
    one whose turn there is longer has the floor. A word in a gap goes to the nearest turn within `NEAR_S`;
    further away it stays without a speaker.
    """
    return tuple(
        word if word.speaker is not None else word.model_copy(update={"speaker": _speaker(word, turns)})
        for word in words
    )


def _speaker(word: Word, turns: Sequence[SpeakerTurn]) -> str | None:
    shared_s: dict[str, float] = defaultdict(float)
    gap_s: dict[str, float] = {}
    floor_s: dict[str, float] = {}
    for turn in turns:
        gap = max(turn.start_s - word.end_s, word.start_s - turn.end_s)  # negative: how much they share
        if gap <= NEAR_S:
            name = turn.speaker
            shared_s[name] += max(0.0, min(-gap, word.length_s, turn.length_s))
            gap_s[name] = min(gap_s.get(name, NEAR_S), max(0.0, gap))
            floor_s[name] = max(floor_s.get(name, 0.0), turn.length_s)
    ranked = sorted(gap_s, key=lambda name: (-shared_s[name], gap_s[name], -floor_s[name], name))
    return ranked[0] if ranked else None


def alone(turns: Iterable[SpeakerTurn], speaker: str) -> tuple[Span, ...]:
    """The stretches in which `speaker` talks and nobody else does, in order; empty when there are none."""
    edges: list[tuple[float, int, int]] = []  # when, change of own turns, change of those of others
    for turn in turns:
        own = int(turn.speaker == speaker)
        edges += [(turn.start_s, own, 1 - own), (turn.end_s, -own, own - 1)]
    return tuple(_merged(_clear(sorted(edges))))


def with_pauses(turns: Sequence[SpeakerTurn], speaker: str) -> tuple[Span, ...]:
    """The stretches of `alone`, joined over the silences in which nobody has a turn: they are the speaker's own.

    A diarizer ends a turn where the speaker pauses. A silence within what one person says is a pause, however
    long; one before somebody else's turn is a gap of the conversation, and nobody's.

    Reference: Heldner and Edlund 2010, J. Phonetics 38, 555-568, DOI 10.1016/j.wocn.2010.08.002.
    """
    taken = _taken(turn for turn in turns if turn.speaker != speaker)
    joined: list[Span] = []
    for span in alone(turns, speaker):
        if joined and not taken(joined[-1].end_s, span.start_s):
            joined[-1] = Span(start_s=joined[-1].start_s, end_s=span.end_s)
        else:
            joined.append(span)
    return tuple(joined)


def turns_of_words(words: Iterable[Word]) -> tuple[SpeakerTurn, ...]:
    """The turns of words whose speakers are known, in order.

    A turn goes on over a gap of at most `NEAR_S` in which nobody else says anything.
    """
    said: dict[str, list[Word]] = defaultdict(list)
    for word in words:
        said[word.speaker or ""].append(word)
    turns: list[SpeakerTurn] = []
    for speaker, own in said.items():
        taken = _taken(word for other, theirs in said.items() if other != speaker for word in theirs)
        last: SpeakerTurn | None = None
        for word in sorted(own, key=lambda word: (word.start_s, word.end_s)):
            gap_s = 0.0 if last is None else round(word.start_s - last.end_s, TIME_DIGITS)
            if last is None or gap_s > NEAR_S or (gap_s > 0 and taken(last.end_s, word.start_s)):
                turns += [last] if last else []
                last = SpeakerTurn(speaker=speaker, start_s=word.start_s, end_s=word.end_s)
            else:
                last = last.model_copy(update={"end_s": max(last.end_s, word.end_s)})
        turns += [last] if last else []
    return tuple(sorted(turns, key=lambda turn: (turn.start_s, turn.end_s, turn.speaker)))


def who_is_who(turns: Sequence[SpeakerTurn], named: Sequence[SpeakerTurn]) -> dict[str, str]:
    """Name that a program gave in the turns -> what people call the same person, where it is clear.

    It is where of the time that either shares with anybody most (`CLEAR_SHARE`) is shared with the other. Nobody
    is renamed where two people would then have one name.
    """
    shared_s: dict[tuple[str, str], float] = defaultdict(float)
    ordered = sorted(named, key=lambda turn: turn.start_s)
    longest_s = max((turn.length_s for turn in ordered), default=0.0)
    for turn in turns:
        first = bisect_left(ordered, turn.start_s - longest_s, key=lambda one: one.start_s)
        last = bisect_left(ordered, turn.end_s, key=lambda one: one.start_s)
        for one in ordered[first:last]:
            overlap_s = min(turn.end_s, one.end_s) - max(turn.start_s, one.start_s)
            shared_s[turn.speaker, one.speaker] += max(0.0, overlap_s)
    of_turn: dict[str, float] = defaultdict(float)
    of_name: dict[str, float] = defaultdict(float)
    for (speaker, name), seconds in shared_s.items():
        of_turn[speaker] += seconds
        of_name[name] += seconds
    clear = {
        speaker: name
        for (speaker, name), seconds in shared_s.items()
        if is_counted(speaker)
        and seconds > 0
        and seconds >= CLEAR_SHARE * max(of_turn[speaker], of_name[name])
    }
    found = {turn.speaker for turn in turns}
    return clear if len({clear.get(name, name) for name in found}) == len(found) else {}


def _taken(spans: Iterable[Span]) -> Callable[[float, float], bool]:
    """Tells whether one of the spans reaches into a gap."""
    ordered = sorted((span.start_s, span.end_s) for span in spans)
    starts_s = [start_s for start_s, _ in ordered]
    latest_s = list(accumulate((end_s for _, end_s in ordered), max))  # the last end of the first n

    def taken(from_s: float, to_s: float) -> bool:
        begun = bisect_left(starts_s, to_s)
        return begun > 0 and latest_s[begun - 1] > from_s

    return taken


def _clear(edges: list[tuple[float, int, int]]) -> Iterator[Span]:
    own = others = 0
    since_s = 0.0
    for time_s, own_change, others_change in edges:
        if own and not others and time_s > since_s:
            yield Span(start_s=since_s, end_s=time_s)
        own, others, since_s = own + own_change, others + others_change, time_s


def _merged(spans: Iterable[Span]) -> Iterator[Span]:
    last: Span | None = None
    for span in spans:
        if last is not None and span.start_s == last.end_s:
            last = Span(start_s=last.start_s, end_s=span.end_s)
            continue
        if last is not None:
            yield last
        last = span
    if last is not None:
        yield last


def shift_turns(turns: Iterable[SpeakerTurn], segment: Segment) -> tuple[SpeakerTurn, ...]:
    """Turns of a recording (source time) as turns of a segment: cut at its borders, in its own time, in order."""
    inside = []
    for turn in turns:
        start_s = max(turn.start_s, segment.source_start_s) - segment.source_start_s
        end_s = min(turn.end_s, segment.source_end_s) - segment.source_start_s
        if round(end_s, 3) > round(start_s, 3):
            cut = {"start_s": round(start_s, 3), "end_s": round(end_s, 3)}
            inside.append(turn.model_copy(update=cut))
    return tuple(sorted(inside, key=lambda turn: (turn.start_s, turn.end_s, turn.speaker)))
