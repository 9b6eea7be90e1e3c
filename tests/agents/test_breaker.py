"""The circuit breaker by itself: when it opens, whom it lets through, and when a server counts as away."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.calls.breaker import FIRST_REST_S, LONGEST_REST_S, OPENS_AFTER, Breaker


def opened(at_s: float = 0.0, patience_s: float = 600.0, rest_s: float = 0.0) -> Breaker:
    breaker = Breaker(patience_s)
    for number in range(OPENS_AFTER):
        assert not breaker.is_open
        breaker.fail(f"q{number}", at_s, rest_s=rest_s)
    assert breaker.is_open
    return breaker


def test_it_opens_after_different_questions_in_a_row_and_not_for_one_bad_one() -> None:
    breaker = Breaker(600)
    for _ in range(100):
        breaker.fail("bad", 0.0)
    assert not breaker.is_open
    for number in range(OPENS_AFTER - 2):
        breaker.fail(f"q{number}", 0.0)
    breaker.succeed()  # not in a row
    breaker.fail("q9", 0.0)
    assert not breaker.is_open
    opened()


def test_half_open_lets_one_question_through_and_the_others_wait_for_its_news() -> None:
    breaker = opened(at_s=10.0)
    assert breaker.wait_s("a", 10.0) == FIRST_REST_S
    assert breaker.wait_s("a", 12.0) == FIRST_REST_S - 2
    now = 10.0 + FIRST_REST_S
    assert breaker.wait_s("a", now) == 0
    assert breaker.wait_s("b", now) == math.inf
    assert breaker.wait_s("a", now) == 0  # it is still the probe
    breaker.succeed()
    assert (breaker.wait_s("b", now), breaker.is_open) == (0, False)


def test_a_probe_that_fails_makes_the_next_rest_longer() -> None:
    breaker, now, rests = opened(), 0.0, []
    for number in range(7):
        rest_s = breaker.wait_s(f"p{number}", now)
        rests.append(rest_s)
        now += rest_s
        assert breaker.wait_s(f"p{number}", now) == 0
        breaker.fail(f"p{number}", now)
    assert rests == [5, 10, 20, 40, 60, 60, 60]
    assert rests[0] == FIRST_REST_S
    assert rests[-1] == LONGEST_REST_S


def test_what_was_sent_before_it_opened_moves_nothing() -> None:
    breaker = opened()
    breaker.fail("late", 3.0)
    assert breaker.wait_s("a", 3.0) == FIRST_REST_S - 3
    assert breaker.wait_s("a", FIRST_REST_S) == 0
    breaker.fail("later", FIRST_REST_S)  # not the probe
    assert breaker.wait_s("b", FIRST_REST_S) == math.inf


def test_a_probe_that_is_called_off_leaves_its_place_to_another() -> None:
    breaker = opened()
    assert breaker.wait_s("a", FIRST_REST_S) == 0
    breaker.let_go("b")
    assert breaker.wait_s("b", FIRST_REST_S) == math.inf
    breaker.let_go("a")
    assert breaker.wait_s("b", FIRST_REST_S) == 0


def test_the_server_says_how_long_it_wants_to_be_left_alone() -> None:
    assert opened(rest_s=40.0).wait_s("a", 0.0) == 40


@pytest.mark.parametrize(("patience_s", "away"), [(0.0, True), (4.9, True), (5.0, False), (600.0, False)])
def test_it_is_away_when_the_next_probe_would_come_too_late(patience_s: float, away: bool) -> None:
    assert opened(at_s=7.0, patience_s=patience_s).is_away(7.0) is away


@given(st.lists(st.sampled_from(["fail", "succeed"]), max_size=60))
def test_whatever_probes_say_somebody_may_always_ask_in_the_end(ends: list[str]) -> None:
    breaker, now = opened(), 0.0
    for number, end in enumerate(ends):
        wait_s = breaker.wait_s(f"p{number}", now)
        assert wait_s <= LONGEST_REST_S
        now += wait_s
        assert breaker.wait_s(f"p{number}", now) == 0
        breaker.succeed() if end == "succeed" else breaker.fail(f"p{number}", now)
    assert breaker.wait_s("last", now + LONGEST_REST_S) == 0
