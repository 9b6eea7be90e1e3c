"""A circuit breaker: a server that fails one question after the other is left alone, and probed now and then."""

from __future__ import annotations

import math

OPENS_AFTER = 5  # different questions in a row: a single bad one opens nothing, however often it fails
FIRST_REST_S, LONGEST_REST_S = 5.0, 60.0


class Breaker:
    """Closed: everybody may ask. Open: nobody may. Half-open, after a rest: one may, the probe.

    Times are those of a monotonic clock, in seconds. `patience_s` is how long it may stay open before the server
    counts as away.

    Reference: Nygard 2018, Release It!, 2nd ed., ch. 5; https://martinfowler.com/bliki/CircuitBreaker.html
    """

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._failing: set[str] = set()
        self._opened_at: float | None = None
        self._rest_s = FIRST_REST_S
        self._probe_at = 0.0
        self._probing: str | None = None

    @property
    def is_open(self) -> bool:
        """Open or half-open."""
        return self._opened_at is not None

    @property
    def in_a_row(self) -> int:
        """How many different questions have failed since the last answer."""
        return len(self._failing)

    def wait_s(self, question: str, now: float) -> float:
        """0: the question may be asked now, as the probe if the breaker is open. Infinite: until news of one."""
        if self._opened_at is None:
            return 0.0
        if self._probing not in (None, question):
            return math.inf
        if now < self._probe_at:
            return self._probe_at - now
        self._probing = question
        return 0.0

    def allows(self, question: str) -> bool:
        """Whether a question that was let pass may still be asked: it is closed, or this is the probe."""
        return self._opened_at is None or self._probing == question

    def succeed(self) -> None:
        """The server answered, be it with a refusal: it is there."""
        self._failing.clear()
        self._opened_at = self._probing = None
        self._rest_s = FIRST_REST_S

    def fail(self, question: str, now: float, *, rest_s: float = 0.0) -> None:
        """A call failed by the server's fault; `rest_s` is what the server asked for."""
        self._failing.add(question)
        if self._opened_at is None:
            if len(self._failing) < OPENS_AFTER:
                return
            self._opened_at = now
        elif question == self._probing:
            self._rest_s = min(2 * self._rest_s, LONGEST_REST_S)
            self._probing = None
        else:  # it was sent before the breaker opened, and says nothing new
            return
        self._probe_at = now + max(self._rest_s, rest_s)

    def let_go(self, question: str) -> None:
        """A question ended without having said anything of the server: another one may be the probe."""
        if self._probing == question:
            self._probing = None

    def is_away(self, now: float) -> bool:
        """The next probe would come later than patience allows."""
        return self._opened_at is not None and max(now, self._probe_at) - self._opened_at > self._patience_s
