"""What the questions to one model share while they are asked together: slots, turns, and news of the server."""

from __future__ import annotations

import asyncio
import math
import random
from collections import deque
from collections.abc import Callable

from agents.calls.lines import Line
from agents.protocol import Request, Response
from schemas.errors import ProviderError, UserError
from schemas.ports import BUDGET_REACHED, Clock


def ready_at_once(concurrency: int) -> int:
    """How many questions are made ready at once, beside those that are under way: a few of them."""
    return min(concurrency, max(4, concurrency // 8))


class Slots:
    """As many may be inside as `size` says at the time; who comes first gets in first."""

    def __init__(self, size: Callable[[], int]) -> None:
        self._size, self._inside = size, 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def enter(self) -> None:
        """Whoever gets in has to leave."""
        self._waiting.append(place := asyncio.get_running_loop().create_future())
        self._let_in()
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():  # it had got in just then
                self.leave()
            raise

    def leave(self) -> None:
        self._inside -= 1
        self._let_in()

    def _let_in(self) -> None:
        while self._waiting and self._inside < self._size():
            if not (place := self._waiting.popleft()).done():
                self._inside += 1
                place.set_result(None)


class Gate:
    """Belongs to one event loop, while its line outlives it. `watched` False: no server is behind it."""

    def __init__(self, line: Line, clock: Clock, rng: random.Random, *, watched: bool) -> None:
        self.line, self.rng = line, rng
        self._clock, self._watched = clock, watched
        # Made ready all at once, many questions would be sent, answered and waited for all at once, for
        # ever: few at a time keep the calls apart, and the loop works on some while others are answered.
        self.door = asyncio.Semaphore(ready_at_once(line.section.concurrency))
        self._slots, self._first = Slots(lambda: line.window.size), asyncio.Lock()
        self._news, self._over = asyncio.Event(), asyncio.Event()
        self._stopped: UserError | None = None

    async def turn(self, question: str, request: Request) -> float | None:
        """Wait until the question may be sent; about how many tokens are set aside for it.

        One after the other: the first waits for the server and its limits, the others for the first. None: the
        provider is not asked any more.

        Raises:
            UserError: the run has been told to stop.
        """
        async with self._first:
            while True:
                if self._stopped is not None:
                    raise self._stopped
                if self.line.ended is not None:
                    return None
                if not self._watched:
                    return 0.0
                now = self._clock.monotonic()
                expected = self.line.tokens_expected(request)
                wait_s = self.line.breaker.wait_s(question, now) or self.line.pace.wait_s(expected, now)
                if wait_s == 0:
                    self.line.pace.take(expected)
                    return expected
                await self.rest(wait_s)

    async def enter(self) -> None:
        """Wait for a slot: to be one of the calls that may be under way at once. Then `leave` it."""
        await self._slots.enter()

    def leave(self) -> None:
        """Free the slot."""
        self._slots.leave()

    def is_still_open_to(self, question: str) -> bool:
        """Whether a question whose turn came may be sent: the server may have failed since, or asked to wait."""
        if self._stopped is not None and self._stopped.code != BUDGET_REACHED:  # that one it has a place in
            return False
        if not self._watched:
            return True
        held = self.line.pace.is_held(self._clock.monotonic())
        return self.line.ended is None and self.line.breaker.allows(question) and not held

    async def rest(self, seconds: float) -> None:
        """Wait, but not after all is over; for ever: until there is news of the server."""
        if math.isinf(seconds):
            await self._news.wait()
        elif seconds > 0:
            waits = [asyncio.ensure_future(one) for one in (self._clock.sleep(seconds), self._over.wait())]
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()
                await asyncio.gather(*waits, return_exceptions=True)

    def answered(self, response: Response, expected: float) -> None:
        if self._watched:
            self.line.answered(response, expected, self._clock.monotonic())
            self._tell()

    def failed(self, question: str, error: ProviderError, sent_at: float, *, suspect: bool) -> None:
        """`suspect`: it is likely to be the question's own fault."""
        if self._watched:
            now = self._clock.monotonic()
            self.line.failed(question, error, sent_at, now, self.rng, suspect=suspect)
            self._tell()

    def let_go(self, question: str, expected: float) -> None:
        """The question is not asked after its turn came."""
        self.line.let_go(question, expected)
        self._tell()

    def stop(self, error: UserError) -> None:
        """Nobody gets a turn any more."""
        self._stopped = error
        self._tell()

    def _tell(self) -> None:
        """Whoever waits for a probe looks again."""
        self._news.set()
        self._news = asyncio.Event()
        if self._stopped is not None or self.line.ended is not None:
            self._over.set()
