"""The one loop that asks providers: concurrency, limits, circuit breaker, single flight, journal."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from agents.calls.batching import Desk
from agents.calls.call import Job, Outcome, Unasked, ask, known_end
from agents.calls.gate import Gate
from agents.calls.lines import Lines
from agents.protocol import MediaLoader, Request
from schemas.errors import UserError
from schemas.ports import BUDGET_REACHED, Clock, Journal

T = TypeVar("T")


class SystemClock:
    """The machine's own monotonic time."""

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def ask_all(
    jobs: Iterable[tuple[T, Job]],
    *,
    journal: Journal | None,
    clock: Clock,
    load: MediaLoader,
    on_outcome: Callable[[T, Outcome], None],
    lines: Lines | None = None,
    seed: int = 0,
    desk: Desk | None = None,
) -> None:
    """Ask many questions at once; `on_outcome` gets each as it ends, in the event loop's thread.

    `jobs` is read as slots become free. Per provider, the media is held of at most `section.concurrency`
    questions that are under way and of the few that are made ready (`agents.calls.gate.ready_at_once`). `lines`
    is what the run knows of the servers; several calls of a run share it. A question to a provider that is not
    asked any more has no outcome: it waits.

    Raises:
        UserError: the budget is reached: no new call is sent, those in flight are waited for and kept, and so is
            every answer that needs no call.
    """
    crew = _Crew(journal, clock, load, on_outcome, random.Random(seed), lines or Lines(), desk)
    running: set[asyncio.Task[None]] = set()
    try:
        for item, job in jobs:
            running.add(asyncio.create_task(crew.work(item, job)))
            while len(running) >= crew.window(job):
                running = await _drop_finished(running)
            if crew.stopped is not None and crew.stopped.code != BUDGET_REACHED:
                break
        while running:
            running = await _drop_finished(running)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    if crew.stopped is not None:
        raise crew.stopped


async def _drop_finished(running: set[asyncio.Task[None]]) -> set[asyncio.Task[None]]:
    done, waiting = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    for task in sorted(done, key=lambda task: task.cancelled()):
        task.result()  # a bug ends the run; those that were cancelled with it come after it
    return waiting


@dataclass
class _Crew(Generic[T]):
    journal: Journal | None
    clock: Clock
    load: MediaLoader
    on_outcome: Callable[[T, Outcome], None]
    rng: random.Random
    lines: Lines
    desk: Desk | None
    gates: dict[int, Gate] = field(default_factory=dict)  # by line, whatever kinds of questions are put
    flights: dict[str, asyncio.Future[Outcome | None]] = field(default_factory=dict)
    stopped: UserError | None = None

    def gate(self, job: Job) -> Gate:
        line = self.lines.of(job.section, job.provider, self.clock.monotonic())
        if id(line) not in self.gates:
            self.gates[id(line)] = Gate(line, self.clock, self.rng, watched=job.provider.wire)
        return self.gates[id(line)]

    def window(self, job: Job) -> int:
        """How many questions may wait or run: as many again as there are slots, so that none is empty while there
        are questions for it. More would let a fast provider run far ahead of a slow one."""
        self.gate(job)
        return 2 * sum(gate.line.section.concurrency for gate in self.gates.values())

    async def work(self, item: T, job: Job) -> None:
        outcome = await self.shared(job)
        if outcome is not None and outcome.response is not None and job.then is not None:
            following = job.then(outcome.response)
            outcome = outcome if following is None else await self.second(job, outcome, following)
        if outcome is not None:
            self.on_outcome(item, outcome)

    async def second(self, job: Job, first: Outcome, request: Request) -> Outcome | None:
        outcome = await self.shared(job._replace(request=request, then=None))
        if outcome is None:
            return None
        calls, cached = first.calls + outcome.calls, first.cached and outcome.cached
        return outcome._replace(before=first.response, calls=calls, cached=cached)

    async def shared(self, job: Job) -> Outcome | None:
        """Identical questions in flight are sent once. None: this one was put to nobody."""
        key = job.key
        if key in self.flights:
            first = await self.flights[key]
            return first and first._replace(cached=first.error is None, calls=0)
        flight = self.flights[key] = asyncio.get_running_loop().create_future()
        outcome: Outcome | None = None
        try:
            outcome = await self.fly(job)
        except UserError as error:
            self.stop(error)
        except Unasked:
            pass
        except BaseException:
            flight.cancel()
            raise
        finally:
            del self.flights[key]
            if not flight.cancelled():
                flight.set_result(outcome)
        return outcome

    async def fly(self, job: Job) -> Outcome:
        if self.stopped is not None:
            known = known_end(job, self.journal, self.gate(job), self.desk)
            if known is None:
                raise self.stopped
            return known
        return await ask(
            job,
            journal=self.journal,
            clock=self.clock,
            load=self.load,
            rng=self.rng,
            gate=self.gate(job),
            desk=self.desk,
        )

    def stop(self, error: UserError) -> None:
        """Nothing new is sent; what is in flight is waited for."""
        self.stopped = self.stopped or error
        for gate in self.gates.values():
            gate.stop(self.stopped)
