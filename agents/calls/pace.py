"""How fast a server is asked: limits per minute that are set or told, and how many calls at once it bears.

Pure and driven by the times that it is given (seconds of a monotonic clock).
"""

from __future__ import annotations

from agents.protocol import RateLimits

MINUTE_S = 60.0
BURST_S = 1.0  # what a second allows may come at once
ROUNDING = 1e-9
LONGEST_HOLD_S = (
    60.0  # for a limit that is told in passing; one that lasts longer is said again, as a refusal
)


class Bucket:
    """So many units a minute, evenly; what goes beyond is owed, and who comes next waits until it is paid.

    Reference: ITU-T I.371, generic cell rate algorithm; https://en.wikipedia.org/wiki/Token_bucket
    """

    def __init__(self) -> None:
        self._per_s: float | None = None
        self._level = 0.0  # below 0: owed
        self._at = 0.0

    def limit(self, per_minute: int | None, now: float) -> None:
        """Sections that share a bucket share its smallest limit; None sets none."""
        if per_minute is None or (self._per_s is not None and per_minute / MINUTE_S >= self._per_s):
            return
        self._per_s = per_minute / MINUTE_S
        self._level, self._at = min(self._level, self._most) if self._at else self._most, now

    @property
    def _most(self) -> float:
        return max(1.0, (self._per_s or 0.0) * BURST_S)

    def wait_s(self, units: float, now: float) -> float:
        """Seconds until so many units may be used; more than the bucket holds may be when it is full."""
        if self._per_s is None:
            return 0.0
        self._level = min(self._most, self._level + (now - self._at) * self._per_s)
        self._at = now
        missing = min(units, self._most) - self._level
        return missing / self._per_s if missing > ROUNDING else 0.0

    def take(self, units: float) -> None:
        """Use units; what the bucket did not hold is owed."""
        self._level -= units

    def give_back(self, units: float) -> None:
        """What was taken and not used; below 0: what was used beyond it."""
        self._level += units


class Pace:
    """The limits of one server and key, shared by all who ask there."""

    def __init__(self) -> None:
        self._requests, self._tokens = Bucket(), Bucket()
        self._held_until = 0.0

    def limit(self, requests_per_minute: int | None, tokens_per_minute: int | None, now: float) -> None:
        """What the settings of one of those who ask here allow."""
        self._requests.limit(requests_per_minute, now)
        self._tokens.limit(tokens_per_minute, now)

    def wait_s(self, tokens: float, now: float) -> float:
        """Seconds until a request of about so many tokens may be sent."""
        limits_s = max(self._requests.wait_s(1, now), self._tokens.wait_s(tokens, now))
        return max(limits_s, self._held_until - now, 0.0)

    def take(self, tokens: float) -> None:
        """A request of about so many tokens is sent."""
        self._requests.take(1)
        self._tokens.take(tokens)

    def settle(self, expected: float, used: float) -> None:
        """How many tokens it really was."""
        self._tokens.give_back(expected - used)

    def is_held(self, now: float) -> bool:
        """The server has asked everybody to wait, and it is not time yet."""
        return now < self._held_until

    def give_back(self, tokens: float) -> None:
        """A request of about so many tokens had its turn and is not sent."""
        self._requests.give_back(1)
        self._tokens.give_back(tokens)

    def hold(self, seconds: float, now: float) -> None:
        """The server asks everybody to wait."""
        self._held_until = max(self._held_until, now + seconds)

    def hear(self, limits: RateLimits | None, tokens: float, now: float) -> None:
        """What an answer tells of what is left: too little for a request of so many tokens, and all wait."""
        if limits is None:
            return
        of_requests = (limits.requests_left, 1.0, limits.requests_reset_s)
        of_tokens = (limits.tokens_left, tokens, limits.tokens_reset_s)
        for there, needed, reset_s in (of_requests, of_tokens):
            if there is not None and there < needed and reset_s is not None:
                self.hold(min(reset_s, LONGEST_HOLD_S), now)


class Window:
    """How many calls may be under way: additive increase while all goes well, halved when a server is overloaded.

    It begins with all that is allowed, so a server that bears that loses nothing.

    Reference: Chiu and Jain 1989, https://doi.org/10.1016/0169-7552(89)90019-6
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._size = float(most)
        self._shrunk_at = -1.0

    @property
    def size(self) -> int:
        return int(self._size)

    def succeed(self) -> None:
        """One more slot for each window of calls that went well."""
        self._size = min(float(self._most), self._size + 1 / self._size)

    def overloaded(self, sent_at: float, now: float) -> None:
        """Half as many, once for all the calls that were under way together."""
        if sent_at <= self._shrunk_at:
            return
        self._shrunk_at = now
        self._size = max(1.0, self._size / 2)
