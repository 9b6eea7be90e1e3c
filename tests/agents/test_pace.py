"""Limits per minute and the number of calls at once, by themselves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.calls.pace import LONGEST_HOLD_S, Bucket, Pace, Window
from agents.protocol import RateLimits


def bucket(per_minute: int) -> Bucket:
    made = Bucket()
    made.limit(per_minute, 0.0)
    return made


def turns(of: Bucket, times: list[float], units: float = 1) -> list[float]:
    """When each of those who come at these times has its turn, one after the other."""
    found: list[float] = []
    for at in times:
        now = max([at, *found[-1:]])
        now += of.wait_s(units, now)
        assert of.wait_s(units, now) == 0
        of.take(units)
        found.append(now)
    return found


def test_without_a_limit_nothing_waits() -> None:
    pace = Pace()
    pace.limit(None, None, 0.0)
    for _ in range(5):
        assert pace.wait_s(1e9, 0.0) == 0
        pace.take(1e9)


def test_requests_come_evenly_and_what_was_not_used_is_not_saved_up() -> None:
    assert turns(bucket(60), [0, 0, 0, 0, 10, 10]) == [0, 1, 2, 3, 10, 11]


@given(st.integers(1, 600), st.lists(st.floats(0, 20), min_size=1, max_size=200))
def test_no_minute_holds_more_than_the_limit_and_its_burst(per_minute: int, gaps: list[float]) -> None:
    times = [sum(gaps[: n + 1]) for n in range(len(gaps))]
    found = turns(bucket(per_minute), times)
    burst = max(1.0, per_minute / 60)
    for turn in found:
        assert sum(turn <= other < turn + 60 for other in found) <= per_minute + burst + 1


def test_a_request_larger_than_the_bucket_goes_and_is_owed_for() -> None:
    of = bucket(6000)  # 100 tokens a second, as many at once
    assert of.wait_s(1000, 0.0) == 0
    of.take(1000)
    assert of.wait_s(100, 0.0) == pytest.approx(10)
    of.give_back(500)  # it was only half
    assert of.wait_s(100, 0.0) == pytest.approx(5)


def test_the_smallest_limit_of_those_who_share_it_counts() -> None:
    of = bucket(600)
    of.limit(60, 0.0)
    of.limit(None, 0.0)
    of.limit(6000, 0.0)
    assert turns(of, [0, 0, 0]) == [0, 1, 2]


def test_a_limit_that_is_used_up_holds_everybody() -> None:
    pace = Pace()
    pace.hear(RateLimits(requests_left=3, requests_reset_s=50, tokens_left=900, tokens_reset_s=20), 500, 0.0)
    assert pace.wait_s(500, 0.0) == 0
    pace.hear(RateLimits(tokens_left=400, tokens_reset_s=20), 500, 0.0)  # not enough for one more
    assert [pace.wait_s(500, now) for now in (0.0, 15.0, 20.0)] == [20, 5, 0]
    pace.hear(RateLimits(requests_left=0, requests_reset_s=8 * 3600.0), 500, 100.0)
    assert pace.wait_s(500, 100.0) == LONGEST_HOLD_S
    pace.hear(RateLimits(requests_left=0), 500, 1000.0)  # when it starts anew is not told
    pace.hear(None, 500, 1000.0)
    assert pace.wait_s(500, 1000.0) == 0


def test_a_window_begins_full_halves_once_for_calls_that_were_under_way_together_and_grows_back() -> None:
    window = Window(16)
    assert window.size == 16
    for _ in range(16):  # all of them were sent at 0
        window.overloaded(0.0, 1.0)
    assert window.size == 8
    window.overloaded(1.5, 2.0)
    assert window.size == 4
    for _ in range(4 + 5):
        window.succeed()
    assert window.size == 5
    for _ in range(1000):
        window.succeed()
    assert window.size == 16


@given(st.integers(1, 64), st.lists(st.booleans(), max_size=300))
def test_a_window_never_closes_and_never_grows_beyond_what_is_allowed(most: int, ends: list[bool]) -> None:
    window = Window(most)
    for now, went_well in enumerate(ends):
        window.succeed() if went_well else window.overloaded(float(now), float(now))
        assert 1 <= window.size <= most
