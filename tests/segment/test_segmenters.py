"""Every rule, for any source: segments lie inside, in order, apart, and within the length bounds."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.segment import SEGMENTERS
from pipeline.segment.base import Segmenter, SegmentParams, SourceView
from pipeline.segment.given import wrong
from schemas.errors import ItemError, UserError
from schemas.parts import Span
from schemas.registry import resolve

EPS_S = 3e-6  # times are rounded to the microsecond


def segmenter(name: str) -> Segmenter:
    found: Segmenter = resolve(SEGMENTERS, name, what="segmenter")
    return found


def span(start_s: float, end_s: float) -> Span:
    return Span(start_s=start_s, end_s=end_s)


@st.composite
def views(draw: st.DrawFn) -> SourceView:
    duration_s = round(draw(st.floats(0.01, 300)), 3)
    cuts = sorted(draw(st.sets(st.floats(0.001, 0.999), max_size=12)))
    borders = [0.0, *(c * duration_s for c in cuts), duration_s]
    edges = sorted(draw(st.sets(st.floats(0, 1), max_size=24)))
    edges = [e * duration_s for e in edges]
    speech = tuple(span(a, b) for a, b in zip(edges[::2], edges[1::2], strict=False))
    has_video = draw(st.booleans())
    shots = tuple(span(a, b) for a, b in itertools.pairwise(borders)) if has_video else ()
    is_still = has_video and draw(st.booleans())
    return SourceView(duration_s, has_video, bool(speech), shots, speech, is_still=is_still)


@st.composite
def bounds(draw: st.DrawFn, pad_s: float = 0.0) -> SegmentParams:
    min_s = draw(st.floats(0, 5))
    max_s = draw(st.floats(max(2 * min_s, 0.2), 60))
    return SegmentParams(
        min_s=min_s,
        max_s=max_s,
        pad_s=pad_s,
        merge_gap_s=draw(st.floats(0, 3)),
        window_s=draw(st.floats(max(min_s, 0.1), max_s)),
    )


def assert_ordered_inside_apart(spans: list[Span], duration_s: float) -> None:
    assert all(0 <= s.start_s < s.end_s <= duration_s + EPS_S for s in spans)
    assert all(a.end_s <= b.start_s for a, b in itertools.pairwise(spans))


def covered(spans: list[Span], time_s: float) -> bool:
    return any(s.start_s - EPS_S <= time_s <= s.end_s + EPS_S for s in spans)


@pytest.mark.parametrize("name", ["shots", "speech", "both", "fixed"])
@given(view=views(), params=bounds())
def test_segments_are_ordered_inside_apart_and_within_bounds(
    name: str, view: SourceView, params: SegmentParams
) -> None:
    spans = segmenter(name).split(view, params)
    assert_ordered_inside_apart(spans, view.duration_s)
    if view.is_still and name in ("shots", "both"):
        return
    assert all(s.length_s <= params.max_s + EPS_S for s in spans)
    if view.duration_s >= params.min_s:
        assert all(s.length_s >= params.min_s - EPS_S for s in spans)


@pytest.mark.parametrize("name", ["shots", "fixed"])
@given(view=views(), params=bounds())
def test_covering_rules_lose_nothing(name: str, view: SourceView, params: SegmentParams) -> None:
    spans = segmenter(name).split(view, params)
    assert spans[0].start_s == 0
    assert spans[-1].end_s == pytest.approx(view.duration_s, abs=EPS_S)
    assert all(a.end_s == b.start_s for a, b in itertools.pairwise(spans))


@pytest.mark.parametrize("name", ["speech", "both"])
@given(view=views(), params=bounds())
def test_no_speech_is_lost(name: str, view: SourceView, params: SegmentParams) -> None:
    spans = segmenter(name).split(view, params)
    for region in view.speech:
        for time_s in (region.start_s, (region.start_s + region.end_s) / 2, region.end_s):
            assert region.length_s < EPS_S or covered(spans, time_s)


@pytest.mark.parametrize("name", ["shots", "speech", "both", "fixed"])
@given(view=views(), params=bounds(pad_s=0.7))
def test_padding_stays_inside_and_only_widens(name: str, view: SourceView, params: SegmentParams) -> None:
    plain = segmenter(name).split(view, params.model_copy(update={"pad_s": 0.0}))
    padded = segmenter(name).split(view, params)
    assert len(plain) == len(padded)
    for a, b in zip(plain, padded, strict=True):
        assert 0 <= b.start_s <= a.start_s
        assert a.end_s <= b.end_s <= view.duration_s + EPS_S
    for left, right in itertools.pairwise(padded):
        assert left.end_s <= right.start_s + EPS_S


@given(view=views(), params=bounds(pad_s=0.7))
def test_padding_does_not_reach_into_another_shot(view: SourceView, params: SegmentParams) -> None:
    plain = segmenter("both").split(view, params.model_copy(update={"pad_s": 0.0}))
    padded = segmenter("both").split(view, params)
    for border_s in (shot.start_s for shot in view.shots):
        for a, b in zip(plain, padded, strict=True):
            if not a.start_s + EPS_S < border_s < a.end_s - EPS_S:
                assert not b.start_s + EPS_S < border_s < b.end_s - EPS_S


@given(view=views(), params=bounds())
def test_both_without_speech_is_shots_and_a_still_is_one_segment(
    view: SourceView, params: SegmentParams
) -> None:
    both, shots = segmenter("both").split(view, params), segmenter("shots").split(view, params)
    if view.is_still:
        assert both == shots == segmenter("whole").split(view, params)
    elif not view.speech:
        assert both == shots


@given(view=views(), params=bounds())
def test_whole_is_the_source(view: SourceView, params: SegmentParams) -> None:
    assert segmenter("whole").split(view, params) == [span(0, view.duration_s)]


def test_turns_are_cut_at_shot_borders_but_slivers_stay() -> None:
    view = SourceView(
        20.0,
        has_video=True,
        has_audio=True,
        shots=(span(0, 5), span(5, 9.8), span(9.8, 20)),
        speech=(span(1, 7), span(8, 10)),
    )
    found = segmenter("both").split(view, SegmentParams(min_s=0.5, max_s=30, merge_gap_s=0.3))
    assert found == [span(1, 5), span(5, 7), span(8, 10)]


def test_a_long_turn_is_split_at_its_widest_pause() -> None:
    view = SourceView(
        20.0,
        has_video=False,
        has_audio=True,
        speech=(span(0, 4), span(4.2, 6), span(6.4, 11), span(11.1, 12)),
    )
    found = segmenter("speech").split(view, SegmentParams(min_s=1, max_s=10, merge_gap_s=0.5))
    assert found == [span(0, 6.2), span(6.2, 12)]


def test_fixed_windows_and_their_rest() -> None:
    view = SourceView(11.2, has_video=True, has_audio=False, shots=(span(0, 11.2),))
    params = SegmentParams(min_s=0.5, max_s=30, window_s=5)
    assert segmenter("fixed").split(view, params) == [span(0, 5), span(5, 10), span(10, 11.2)]
    short_rest = SourceView(10.3, has_video=True, has_audio=False, shots=(span(0, 10.3),))
    assert segmenter("fixed").split(short_rest, params) == [span(0, 5), span(5, 10.3)]


def given_view(*times: tuple[float, float | None], duration_s: float = 60.0) -> SourceView:
    return SourceView(duration_s, has_video=True, has_audio=True, given=times)


def test_given_times_are_kept_and_cut_within_rounding() -> None:
    view = given_view((6, 10.2), (1, 2.5), (2, 3), (9, None), duration_s=10.0)
    assert segmenter("given").split(view, SegmentParams()) == [
        span(1, 2.5),
        span(2, 3),
        span(6, 10),
        span(9, 10),
    ]
    assert wrong(view) == {}


def test_given_times_outside_the_recording_are_told_and_the_others_are_cut() -> None:
    view = given_view((0, 5), (55, 75), (100, 110), (60, None))
    assert segmenter("given").split(view, SegmentParams()) == [span(0, 5)]
    errors = wrong(view)
    assert list(errors) == [(55, 75), (100, 110), (60, None)]
    assert {error.code for error in errors.values()} == {"given_outside"}
    assert "60 s long" in errors[55, 75].message


def test_given_times_that_the_end_makes_the_same_are_one_segment_and_told() -> None:
    view = given_view((55, None), (55, 60.3), (55, 60))
    assert segmenter("given").split(view, SegmentParams()) == [span(55, 60)]
    assert {times: error.code for times, error in wrong(view).items()} == {
        (55, 60.3): "given_twice",
        (55, 60): "given_twice",
    }


def test_without_given_times_it_says_what_to_do() -> None:
    with pytest.raises(ItemError, match=r'segment\.rule is "given"') as none:
        segmenter("given").split(given_view(), SegmentParams())
    assert none.value.code == "no_given_times"
    assert "ingest a manifest with its start and end" in none.value.retry


@pytest.mark.parametrize("name", sorted(SEGMENTERS))
@given(view=views(), params=bounds(), others=bounds(pad_s=0.7))
def test_what_a_rule_does_not_read_changes_nothing(
    name: str, view: SourceView, params: SegmentParams, others: SegmentParams
) -> None:
    rule, view = segmenter(name), replace(view, given=((0.0, None),))
    read = rule.params(params)
    assert set(read) == set(rule.reads) <= set(SegmentParams.model_fields)
    mixed = others.model_copy(update=read)
    assert rule.split(view, mixed) == rule.split(view, params)


def test_impossible_bounds_are_refused() -> None:
    with pytest.raises(ValidationError, match="twice min_s"):
        SegmentParams(min_s=4, max_s=6)


def test_a_short_bound_alone_is_not_refused() -> None:
    assert SegmentParams(min_s=1, max_s=8).window_s <= 8
    assert SegmentParams(min_s=1, max_s=2).max_s == 2


def test_every_rule_is_registered_under_its_own_name() -> None:
    for name in SEGMENTERS:
        assert segmenter(name).name == name
        assert segmenter(name).version
    with pytest.raises(UserError, match="did you mean"):
        segmenter("shot")
