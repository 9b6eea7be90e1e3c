"""Where the words of a written transcript land: when each is said, and in which segment it stands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from pipeline.features.transcripts import Cue
from pipeline.identity import Same
from schemas.ids import content_id
from schemas.parts import Span, Word

Times = npt.NDArray[np.float64]
# Cues begin a little before the voice and end a little after it, and segments begin and end with the voice.
REACH_S = 0.5


def cue_words(cue: Cue) -> list[Word]:
    """The words of a cue with the cue's time shared out by the number of characters of each word."""
    tokens = [(speaker, token) for speaker, text in cue.lines for token in text.split()]
    spread = spread_words([token for _, token in tokens], [Span(start_s=cue.start_s, end_s=cue.end_s)])
    return [
        word.model_copy(update={"speaker": speaker})
        for word, (speaker, _) in zip(spread, tokens, strict=True)
    ]


def spread_words(tokens: Sequence[str], regions: Sequence[Span]) -> list[Word]:
    """Words laid over the regions one after the other, each as long as its share of the characters.

    A word that would reach over the end of a region is kept whole in the region of its middle.
    """
    total_s = sum(region.length_s for region in regions)
    total_chars = sum(len(token) + 1 for token in tokens)
    words, chars = [], 0
    for token in tokens:
        begin = total_s * chars / total_chars
        chars += len(token) + 1
        end = total_s * chars / total_chars
        words.append(_place(token, begin, end, regions))
    return words


def _place(token: str, begin_s: float, end_s: float, regions: Sequence[Span]) -> Word:
    """A word at `begin_s`..`end_s` of the time line that holds only the regions."""
    passed_s = 0.0
    middle_s = (begin_s + end_s) / 2
    for region in regions:
        if middle_s <= passed_s + region.length_s or region is regions[-1]:
            shift_s = region.start_s - passed_s
            start_s = round(max(begin_s + shift_s, region.start_s), 3)
            return Word(
                text=token, start_s=start_s, end_s=max(start_s, round(min(end_s + shift_s, region.end_s), 3))
            )
        passed_s += region.length_s
    raise ValueError("no region to lay words over")


def within(regions: Iterable[Span], stretch: Span) -> list[Span]:
    """The parts of the regions that lie in the stretch; the stretch itself when none does."""
    parts = [(max(r.start_s, stretch.start_s), min(r.end_s, stretch.end_s)) for r in regions]
    return [Span(start_s=start_s, end_s=end_s) for start_s, end_s in parts if end_s > start_s] or [stretch]


def share_out(words: Iterable[Word], segments: Sequence[Span], speech: Sequence[Span]) -> list[list[Word]]:
    """The words of each segment in order of time; all times are source times.

    A word stands in the segments that hold its middle. One whose middle is in no segment and in no speech stands
    in the nearest segment, when that is at most REACH_S away from it; one that is spoken outside stands in none.
    """
    shares: list[list[Word]] = [[] for _ in segments]
    (starts_s, ends_s), voices = _borders(segments), _borders(speech)
    for word in sorted(words, key=lambda word: (word.start_s, word.end_s)):
        middle_s = (word.start_s + word.end_s) / 2
        holding = list(_holding(starts_s, ends_s, middle_s))
        if not holding and segments and not len(_holding(*voices, middle_s)):
            nearest = int(np.argmin(np.maximum(starts_s - middle_s, middle_s - ends_s)))
            away_s = max(starts_s[nearest] - word.end_s, word.start_s - ends_s[nearest])
            holding = [nearest] if away_s <= REACH_S else []
        for number in holding:
            shares[number].append(word)
    return shares


class SegmentTimes:
    """Where the segments of a recording lie: each row of a manifest that has a text of its own looks at them."""

    def __init__(self, segments: Sequence[Span]) -> None:
        """`digest` changes with any border."""
        self.digest = content_id("borders", [[span.start_s, span.end_s] for span in segments])
        self._segments, (self._starts_s, self._ends_s) = segments, _borders(segments)

    def near(self, stretch: Span) -> list[Span]:
        """The segments in which a word of a stretch may stand."""
        near = (self._starts_s <= stretch.end_s + REACH_S) & (self._ends_s >= stretch.start_s - REACH_S)
        return [self._segments[int(at)] for at in np.flatnonzero(near)]


def segment_times(segments: Sequence[Span]) -> SegmentTimes:
    """The times of segments, which nobody changes."""
    return _remembered(Same(segments))


@lru_cache(maxsize=64)
def _remembered(segments: Same[Sequence[Span]]) -> SegmentTimes:
    return SegmentTimes(segments.held)


def _borders(spans: Sequence[Span]) -> tuple[Times, Times]:
    return np.array([span.start_s for span in spans]), np.array([span.end_s for span in spans])


def _holding(starts_s: Times, ends_s: Times, time_s: float) -> npt.NDArray[np.intp]:
    """Which spans hold a moment."""
    return np.flatnonzero((starts_s <= time_s) & (time_s < ends_s))
