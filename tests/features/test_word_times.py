"""When each word of a transcript is said, and in which segment it stands: none twice, none lost near one."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.features.transcripts import Cue
from pipeline.features.word_times import REACH_S, SegmentTimes, cue_words, share_out, spread_words, within
from schemas.parts import Span, Word


def test_words_share_the_cue_by_length() -> None:
    words = cue_words(Cue(10.0, 12.0, (("A", "I"), (None, "understand it"))))
    assert [(w.text, w.speaker) for w in words] == [("I", "A"), ("understand", None), ("it", None)]
    assert (words[0].start_s, words[-1].end_s) == (10.0, 12.0)
    assert words[0].end_s == words[1].start_s == pytest.approx(10 + 2 * 2 / 16, abs=0.001)


regions = st.lists(st.tuples(st.floats(0.05, 3), st.floats(0.05, 3)), min_size=1, max_size=5)
tokens = st.lists(st.text(alphabet="abcdefgh", min_size=1, max_size=12), max_size=30)


@given(regions, tokens)
def test_spread_words_lie_in_the_regions_in_order(gaps: list[tuple[float, float]], texts: list[str]) -> None:
    spans, at = [], 0.0
    for gap_s, length_s in gaps:
        spans.append(Span(start_s=at + gap_s, end_s=at + gap_s + length_s))
        at = spans[-1].end_s
    words = spread_words(texts, spans)
    assert [word.text for word in words] == texts
    for word in words:
        assert any(s.start_s - 0.001 <= word.start_s <= word.end_s <= s.end_s + 0.001 for s in spans)
    starts = [word.start_s for word in words]
    assert starts == sorted(starts)


times_s = st.integers(0, 20_000).map(lambda ms: ms / 1000)
cues = st.lists(st.tuples(times_s, st.integers(0, 6000), st.integers(1, 15)), max_size=8)


@st.composite
def turns(draw: st.DrawFn) -> list[Span]:
    """Segments that do not overlap; some touch."""
    edges = sorted(draw(st.lists(times_s, min_size=2, max_size=12, unique=True)))
    spans = [Span(start_s=a, end_s=b) for a, b in pairwise(edges)]
    return draw(st.lists(st.sampled_from(spans), min_size=1, unique_by=lambda span: span.start_s))


@given(cues, turns(), st.floats(0.1, 1))
def test_each_word_near_a_segment_stands_in_exactly_one(
    given_cues: list[tuple[float, int, int]], segments: list[Span], voiced: float
) -> None:
    speech = [Span(start_s=s.start_s + (1 - voiced) * s.length_s, end_s=s.end_s) for s in segments]
    words: list[Word] = []
    for start_s, length_ms, count in given_cues:
        texts = " ".join(f"w{len(words) + n}" for n in range(count))
        words += cue_words(Cue(start_s, start_s + length_ms / 1000, ((None, texts),)))
    shares = share_out(words, segments, speech)
    placed = Counter(word.text for share in shares for word in share)
    for word in words:
        away_s = min(max(s.start_s - word.end_s, word.start_s - s.end_s) for s in segments)
        assert placed[word.text] == (away_s <= REACH_S), (word, segments)
    for share in shares:
        assert share == sorted(share, key=lambda word: (word.start_s, word.end_s))


def test_a_word_that_two_overlapping_segments_hold_stands_in_both() -> None:
    word = Word(text="a", start_s=5, end_s=6)
    assert share_out([word], [Span(start_s=0, end_s=9), Span(start_s=5, end_s=8)], []) == [[word], [word]]
    assert share_out([word], [], []) == []


def test_a_word_that_is_spoken_outside_the_segments_is_in_none() -> None:
    word, segment = Word(text="a", start_s=4.6, end_s=4.9), Span(start_s=5, end_s=8)
    assert share_out([word], [segment], [Span(start_s=4, end_s=8)]) == [[]]
    assert share_out([word], [segment], [Span(start_s=5, end_s=8)]) == [[word]]


def test_speech_within_a_stretch() -> None:
    speech = [Span(start_s=1, end_s=3), Span(start_s=6, end_s=8)]
    assert within(speech, Span(start_s=2, end_s=7)) == [
        Span(start_s=2, end_s=3),
        Span(start_s=6, end_s=7),
    ]
    assert within(speech, Span(start_s=4, end_s=5)) == [Span(start_s=4, end_s=5)]


spans = st.tuples(times_s, st.integers(1, 6000)).map(
    lambda drawn: Span(start_s=drawn[0], end_s=drawn[0] + drawn[1] / 1000)
)


@given(spans, st.lists(spans, max_size=10), st.lists(spans, max_size=3), tokens)
def test_words_of_a_stretch_stand_where_they_would_among_all_segments(
    stretch: Span, segments: list[Span], speech: list[Span], texts: list[str]
) -> None:
    voices = within(speech, stretch)
    words, near = spread_words(texts, voices), SegmentTimes(segments).near(stretch)
    everywhere = zip(segments, share_out(words, segments, voices), strict=True)
    assert [(span, found) for span, found in everywhere if found] == [
        (span, found) for span, found in zip(near, share_out(words, near, voices), strict=True) if found
    ]
