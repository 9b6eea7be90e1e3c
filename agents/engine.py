"""The one loop that asks providers: retries, limits, circuit breaker, concurrency, single flight, journal.

A call is written down before it is sent and its answer before it is parsed, so an answer that was received is
never paid for twice; after a kill at most the calls in flight are repeated.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

from agents.backoff import backoff_s
from agents.batching import Desk
from agents.components import components
from agents.gate import Gate
from agents.held_media import HeldMedia
from agents.lines import Lines
from agents.protocol import MediaLoader, Provider, Request, Response
from agents.providers.common import usage_at_most
from schemas.errors import ItemError, ProviderError, UserError
from schemas.ids import content_id
from schemas.ports import Clock, Journal, Receipt
from schemas.settings_models import ModelSection

T = TypeVar("T")


class Job(NamedTuple):
    """A question. `then` gives the one that follows from its answer, a call of its own; None: there is none."""

    request: Request
    provider: Provider
    section: ModelSection
    then: Callable[[Receipt], Request | None] | None = None

    @property
    def key(self) -> str:
        return call_key(self.request, self.provider.name, self.request.model)


class Outcome(NamedTuple):
    """Either a response or an error. `cached`: no call was needed; `calls`: how many were sent.

    `before`: the answer that the question followed from, where it is the second of its job. With neither a
    response nor an error the question is under way in a vendor's batch.
    """

    response: Receipt | None
    error: ProviderError | None
    cached: bool
    calls: int
    before: Receipt | None = None

    @property
    def under_way(self) -> bool:
        return self.response is None and self.error is None


class Unasked(Exception):  # noqa: N818 - it says what happened, it is no error
    """The provider is not asked any more in this run, and this question was not put to it: it waits."""


class SystemClock:
    """The machine's own monotonic time."""

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def call_key(request: Request, provider: str, model: str) -> str:
    """Identity of a paid call: what was asked, of whom, and which repetition it is."""
    return key_of(request.digest, provider, model, request.replicate)


def key_of(request_digest: str, provider: str, model: str, replicate: int) -> str:
    """The same from what a record keeps of its question."""
    return content_id("call", [request_digest, provider, model, replicate])


async def ask(
    job: Job,
    *,
    journal: Journal | None,
    clock: Clock,
    load: MediaLoader,
    rng: random.Random,
    gate: Gate | None = None,
    desk: Desk | None = None,
) -> Outcome:
    """Ask one question, retrying transient errors up to `section.attempts` calls.

    `gate` is what it shares with the other questions to the same model; at the `desk` it is left where its
    section asks in batches, or a job has it already.

    Raises:
        UserError: the journal allows no further call (code "budget_reached").
        Unasked: the provider is not asked any more, and no answer was there already.
    """
    if gate is None:
        line = Lines().of(job.section, job.provider, clock.monotonic())
        gate = Gate(line, clock, rng, watched=job.provider.wire)
    durable = journal if job.provider.wire else None
    if durable is not None and (receipt := durable.find(job.key)) is not None:
        return Outcome(receipt, None, cached=True, calls=0)
    if durable is not None and desk is not None and (end := _end_at(desk, job, gate)) is not None:
        return end
    if gate.line.ended is not None:
        raise Unasked
    media = HeldMedia()
    try:
        try:
            await media.fetch(job.request, load)
        except ItemError as failure:  # an error of this question, not of the run
            return Outcome(None, ProviderError(failure.code, failure.message, False), cached=False, calls=0)
        if durable is not None and desk is not None and job.section.mode == "batch":
            return await _left_at(desk, job, gate, media)
        return await _Asking(job, job.key, durable, clock, gate, media).go()
    finally:
        media.let_go()


def _end_at(desk: Desk, job: Job, gate: Gate) -> Outcome | None:
    """What a job has made of the question, or that it is under way; None: no job has it."""
    if (error := desk.end_of(job.key)) is not None:
        return Outcome(None, error, cached=False, calls=1)
    if desk.is_under_way(job.key):
        return Outcome(None, None, cached=False, calls=0)
    gate.line.ended = gate.line.ended or desk.refused(job.section)
    return None


async def _left_at(desk: Desk, job: Job, gate: Gate, media: HeldMedia) -> Outcome:
    try:
        await desk.put(job.key, job.request, job.section, media)
    except ProviderError as error:
        gate.line.ended = gate.line.ended or error
        raise Unasked from None
    return Outcome(None, None, cached=False, calls=0)


@dataclass
class _Asking:
    """One question on its way, with its media."""

    job: Job
    key: str
    durable: Journal | None
    clock: Clock
    gate: Gate
    media: HeldMedia
    calls: int = 0

    async def go(self) -> Outcome:
        """Call until there is an answer, an error that stays, or nobody to ask."""
        attempts, error = 0, None
        while attempts < self.job.section.attempts:
            end = await self._once()
            if end is None:
                break
            if isinstance(end, Receipt):
                return Outcome(end, None, cached=self.calls == 0, calls=self.calls)
            error = end
            if not error.transient or self.gate.line.ended is not None:
                break
            if self.gate.line.breaker.is_open:  # the server's fault: it costs none of the question's attempts
                continue
            attempts += 1
            if attempts < self.job.section.attempts:
                await self.gate.rest(backoff_s(attempts, error.retry_after_s, self.gate.rng))
        if error is None:
            raise Unasked
        return Outcome(None, error, cached=False, calls=self.calls)

    async def _once(self) -> Receipt | ProviderError | None:
        """One call, written down before it is sent and after its end; or the answer that came in the meantime.

        None: there is nobody to ask.
        """
        written = False
        async with self.gate.door:
            while True:
                try:
                    expected = await self.gate.turn(self.key, self.job.request)
                except UserError:  # the run is told to stop
                    await self._leave(written)
                    raise
                if expected is None:
                    await self._leave(written)
                    return None
                if not written and (known := await self._intend(expected)) is not None:
                    return known
                written = True
                if self.gate.is_still_open_to(self.key):
                    break
                self.gate.let_go(self.key, expected)
        return await self._send(expected)

    async def _leave(self, written: bool) -> None:
        if written and self.durable is not None:
            await self.durable.fail(self.key, code="not_sent", message="the server was left alone first")

    async def _intend(self, expected: float) -> Receipt | None:
        if self.durable is None:
            return None
        request, intended = self.job.request, False
        try:
            known = await self.durable.intend(
                self.key,
                provider=self.job.provider.name,
                model=request.model,
                annotator=self.job.section.name,
                components=components(request),
            )
            intended = known is None
        finally:  # also when the budget is reached, the store is gone, or the run is cancelled
            if not intended:
                self.gate.let_go(self.key, expected)
        return known

    async def _send(self, expected: float) -> Receipt | ProviderError:
        sent_at = self.clock.monotonic()
        self.calls += 1
        try:
            answer = await self.job.provider.complete(self.job.request, self.media)
        except ProviderError as error:
            self.gate.failed(self.key, error, sent_at)
            if self.durable is not None:
                await self.durable.fail(self.key, code=error.code, message=error.message, usage=error.usage)
            return error
        except BaseException:  # the run is cancelled, or a bug
            self.gate.let_go(self.key, expected)
            raise
        self.gate.answered(answer, expected)
        receipt = self._receipt(answer)
        if self.durable is not None:
            await self.durable.receive(self.key, receipt)
        return receipt

    def _receipt(self, answer: Response) -> Receipt:
        sent_bytes = self.media.size_bytes + self.job.request.size_bytes
        usage = answer.usage or usage_at_most(self.job.section, sent_bytes)
        return Receipt(answer.text, answer.model_version, usage, answer.finish_reason, answer.logprobs)


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

    `jobs` is read as slots become free, and media is loaded when its question has one, so the media of at most
    `section.concurrency` questions is held per provider. `lines` is what the run knows of the servers; several
    calls of a run share it. A question to a provider that is not asked any more has no outcome: it waits.

    Raises:
        UserError: the budget is reached: no new call is sent, those in flight are waited for and kept.
    """
    crew = _Crew(journal, clock, load, on_outcome, random.Random(seed), lines or Lines(), desk)
    running: set[asyncio.Task[None]] = set()
    try:
        for item, job in jobs:
            running.add(asyncio.create_task(crew.work(item, job)))
            while len(running) >= crew.window(job) and crew.stopped is None:
                running = await _drop_finished(running)
            if crew.stopped is not None:
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
        outcome = await self.shared(Job(request, job.provider, job.section))
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
        gate = self.gate(job)
        async with gate.slot():
            if self.stopped is not None:
                raise self.stopped
            return await ask(
                job,
                journal=self.journal,
                clock=self.clock,
                load=self.load,
                rng=self.rng,
                gate=gate,
                desk=self.desk,
            )

    def stop(self, error: UserError) -> None:
        """Nothing new is sent; what is in flight is waited for."""
        self.stopped = self.stopped or error
        for gate in self.gates.values():
            gate.stop(self.stopped)
