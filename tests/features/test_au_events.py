"""Events of intensity curves: onset, apex, offset, rest, gaps and stills."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.features.au_events import EventRule, au_events

Value = float | None
levels = st.one_of(st.none(), st.floats(0, 1), st.sampled_from([0.0, 0.3, 1.0]))


@st.composite
def curves(draw: st.DrawFn) -> tuple[list[float], list[Value], float]:
    """Rising times with irregular steps and holes, values with gaps, and the clip's length."""
    steps = draw(st.lists(st.integers(10, 20_000), min_size=1, max_size=60))
    times = [round(t / 10_000, 4) for t in itertools.accumulate(steps)]
    values = draw(st.lists(levels, min_size=len(times), max_size=len(times)))
    return times, values, round(times[-1] + draw(st.integers(0, 10_000)) / 10_000, 4)


@given(curves())
def test_events_lie_in_the_clip_in_order_and_hold_together(
    curve: tuple[list[float], list[Value], float],
) -> None:
    times, values, end_s = curve
    rule = EventRule()
    events = au_events(times, values, "AU12", rule=rule, track="f1", clip_end_s=end_s)
    for event in events:
        assert event.apex_s is not None
        assert event.size is not None
        assert 0 <= event.start_s <= event.apex_s <= event.end_s <= end_s
        assert rule.apex_level <= event.size + 1e-4
        assert event.size <= 1
        assert (event.cue, event.modality, event.unit, event.track) == ("AU12", "visual", "intensity", "f1")
        assert values[times.index(event.start_s)] is not None
        assert values[times.index(event.apex_s)] is not None
    for one, next_one in itertools.pairwise(events):
        assert one.end_s <= next_one.start_s


@given(curves())
def test_unmeasured_samples_make_no_event(curve: tuple[list[float], list[Value], float]) -> None:
    times, _, end_s = curve
    assert au_events(times, [None] * len(times), "AU12", clip_end_s=end_s) == ()


def tenths(values: list[Value]) -> list[float]:
    return [round(i / 10, 4) for i in range(len(values))]


def test_a_rise_and_fall_has_its_onset_apex_and_offset() -> None:
    values: list[Value] = [*[0.0] * 10, 0.2, 0.5, 0.9, 0.5, 0.2, *[0.0] * 10]
    (event,) = au_events(tenths(values), values, "AU04", confidence=0.9, clip_end_s=2.5)
    assert (event.start_s, event.apex_s, event.end_s) == (1.0, 1.2, 1.5)
    assert event.size == pytest.approx(0.9)
    assert event.confidence == 0.9


def test_a_lasting_expression_is_there_from_the_start_to_the_end() -> None:
    values: list[Value] = [0.8] * 20
    (event,) = au_events(tenths(values), values, "AU12", clip_end_s=2.0)
    assert (event.start_s, event.end_s) == (0.0, 2.0)


@pytest.mark.parametrize(("level", "count"), [(0.9, 1), (0.29, 0)])
def test_a_still_lasts_as_long_as_it_is_shown(level: float, count: int) -> None:
    events = au_events([0.0], [level], "AU12", clip_end_s=0.04)
    assert [(event.start_s, event.apex_s, event.end_s) for event in events] == [(0.0, 0.0, 0.04)] * count


def test_one_sample_alone_is_no_event() -> None:
    values: list[Value] = [*[0.0] * 10, 1.0, *[0.0] * 10]
    assert au_events(tenths(values), values, "AU43", rule=EventRule(smooth_s=0.0)) == ()


def test_a_sample_that_stands_out_alone_makes_no_event_of_the_wobble_beside_it() -> None:
    times = [0.2 * n for n in range(8)]
    assert au_events(times, [0.0, 0.0, 0.03, 0.46, 0.01, 0.13, 0.11, 0.0], "AU15") == ()
    (event,) = au_events(times, [0.0, 0.0, 0.13, 0.46, 0.01, 0.13, 0.11, 0.0], "AU15")
    assert event.size == 0.46


def test_a_wobble_above_a_middling_rest_is_no_event() -> None:
    values: list[Value] = [0.28, 0.28, 0.28, 0.36, 0.38, 0.36, 0.28, 0.28, 0.28, 0.28]
    assert au_events(tenths(values), values, "AU25") == ()


def test_a_long_hole_ends_an_event_and_a_short_one_does_not() -> None:
    high: list[Value] = [*[0.0] * 5, *[0.8] * 5]
    short = [*high, None, None, *[0.8] * 5, *[0.0] * 5]
    assert len(au_events(tenths(short), short, "AU12")) == 1
    long = [*high, *[None] * 8, *[0.8] * 5, *[0.0] * 5]
    first, second = au_events(tenths(long), long, "AU12")
    assert (first.end_s, second.start_s) == (1.0, 1.8)


@pytest.mark.parametrize(("dip", "count"), [(2, 1), (3, 2)])
def test_a_short_dip_does_not_part_an_event(dip: int, count: int) -> None:
    values: list[Value] = [*[0.0] * 5, *[0.8] * 5, *[0.0] * dip, *[0.8] * 5, *[0.0] * 5]
    assert len(au_events(tenths(values), values, "AU12", rule=EventRule(smooth_s=0.0))) == count


def cut(values: list[Value], first: int, last: int, step_s: float = 0.1) -> list[tuple[float, float, float]]:
    """Start, apex and end of the events in the samples first..last-1, in seconds from the first of them."""
    times = [round((i - first) * step_s, 4) for i in range(len(values))]
    end_s = round((last - first) * step_s, 4)
    events = au_events(times, values, "AU04", clip_end_s=end_s, wanted=(first, last))
    return [(event.start_s, event.apex_s or 0.0, event.end_s) for event in events]


def test_what_lies_beside_the_clip_shows_that_it_is_no_rest() -> None:
    values: list[Value] = [*[0.0] * 10, *[0.28] * 3, *[0.5] * 10, *[0.6] * 7, *[0.0] * 10]
    assert cut(values, 0, 40) == [(1.0, 2.3, 3.0)]
    assert cut(values, 15, 25) == [(0.0, 0.8, 1.0)]  # already there, not over; the apex of the part
    assert cut(values, 5, 25) == [(0.5, 1.8, 2.0)]
    assert cut(values, 25, 40) == [(0.0, 0.0, 0.5)]
    assert cut(values, 31, 40) == []


@pytest.mark.parametrize(("last", "count"), [(11, 0), (12, 1)])
def test_what_is_left_of_an_event_must_be_long_enough(last: int, count: int) -> None:
    values: list[Value] = [*[0.0] * 10, *[0.8] * 10, *[0.0] * 10]
    assert len(cut(values, 0, last)) == count


def test_what_is_left_of_an_event_must_be_high_enough() -> None:
    fading: list[Value] = [*[0.0] * 10, *[0.9] * 10, 0.6, *[0.25] * 8, *[0.0] * 10]
    assert len(cut(fading, 18, 39)) == 1
    assert cut(fading, 22, 39) == []


def test_an_event_in_a_clip_of_one_frame_lasts_as_long_as_it() -> None:
    values: list[Value] = [*[0.0] * 10, *[0.8] * 5]
    assert cut(values, 12, 13) == [(0.0, 0.0, 0.1)]


@given(curves(), st.integers(0, 60), st.integers(0, 60))
def test_events_of_a_part_lie_in_it_and_in_those_of_the_whole(
    curve: tuple[list[float], list[Value], float], a: int, b: int
) -> None:
    whole_times, values, _ = curve
    first, last = sorted((min(a, len(values)), min(b, len(values))))
    offset_s = whole_times[first] if first < len(values) else whole_times[-1]
    times = [round(time - offset_s, 4) for time in whole_times]
    end_s = times[last] if last < len(times) else times[-1] + 0.04
    loose = EventRule(min_duration_s=0, min_samples=1)
    whole = au_events(times, values, "AU12", rule=loose, wanted=(first, len(values)))
    part = au_events(times, values, "AU12", rule=loose, clip_end_s=end_s, wanted=(first, last))
    for event in part:
        assert event.apex_s is not None
        assert event.size is not None
        assert 0 <= event.start_s <= event.apex_s <= event.end_s <= end_s
        assert event.size >= loose.apex_level - 1e-4
        assert times.index(event.apex_s) in range(first, last)
        (around,) = [one for one in whole if one.start_s <= event.apex_s <= one.end_s]
        assert around.start_s == event.start_s
        assert around.size is not None
        assert around.size >= event.size
    assert au_events(times, values, "AU12", wanted=(first, first)) == ()
