"""The one loop that asks providers: retry, backoff, Retry-After, concurrency, single flight, journal.

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

from agents.protocol import MediaLoader, MediaPart, Provider, Request, Response
from agents.providers.common import usage_at_most
from schemas.errors import ItemError, ProviderError, UserError
from schemas.ids import content_id
from schemas.parts import MediaRef
from schemas.ports import Clock, Journal, Receipt
from schemas.settings_models import ModelSection

T = TypeVar("T")

BACKOFF_BASE_S = 1.0
BACKOFF_CAP_S = 60.0
LONGEST_RETRY_AFTER_S = 300.0  # asked to wait longer, a job fails now and is asked again by the next run
# Every further call to the same provider would fail alike: no such key, model, or money on the account.
FATAL_CODES = frozenset({"unauthorized", "not_found", "quota_exhausted"})


class Job(NamedTuple):
    """A question. `then` gives the one that follows from its answer, a call of its own; None: there is none."""

    request: Request
    provider: Provider
    section: ModelSection
    then: Callable[[Receipt], Request | None] | None = None


class Outcome(NamedTuple):
    """Either a response or an error. `cached`: no call was needed; `calls`: how many were sent.

    `before`: the answer that the question followed from, where it is the second of its job.
    """

    response: Receipt | None
    error: ProviderError | None
    cached: bool
    calls: int
    before: Receipt | None = None


class SystemClock:
    """The machine's own monotonic time."""

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def call_key(request: Request, provider: str, model: str) -> str:
    """Identity of a paid call: what was asked, of whom, and which repetition it is."""
    return content_id("call", [request.digest, provider, model, request.replicate])


def backoff_s(attempt: int, retry_after_s: float | None, rng: random.Random) -> float:
    """Seconds to wait after failed attempt 1, 2, ...: full jitter, on top of what the server asks for.

    Reference: Brooker 2015, https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """
    jitter = rng.uniform(0, min(BACKOFF_CAP_S, BACKOFF_BASE_S * 2.0 ** (attempt - 1)))
    return jitter if retry_after_s is None else retry_after_s + min(jitter, 1.0)


async def ask(
    job: Job,
    *,
    journal: Journal | None,
    clock: Clock,
    load: MediaLoader,
    rng: random.Random,
    refused: ProviderError | None = None,
) -> Outcome:
    """Ask one question, retrying transient errors up to `section.attempts` calls.

    `refused`: why every call to this provider would fail; then only an answer that is there already is given.

    Raises:
        UserError: the journal allows no further call (code "budget_reached").
    """
    durable = journal if job.provider.wire else None
    key = call_key(job.request, job.provider.name, job.request.model)
    if durable is not None and (receipt := durable.find(key)) is not None:
        return Outcome(receipt, None, cached=True, calls=0)
    if refused is not None:
        return Outcome(None, refused, cached=False, calls=0)
    try:
        media = await asyncio.to_thread(_Media, job.request, load)
    except ItemError as failure:  # an error of this question, not of the run
        return Outcome(None, ProviderError(failure.code, failure.message, False), cached=False, calls=0)
    calls, error = 0, ProviderError("not_asked", "no attempt is allowed", transient=False)
    for calls in range(1, job.section.attempts + 1):
        if durable is not None:
            durable.intend(
                key, provider=job.provider.name, model=job.request.model, annotator=job.section.name
            )
        answer = await _call(job, media)
        if isinstance(answer, Response):
            usage = answer.usage or usage_at_most(job.section, media.size_bytes + job.request.size_bytes)
            receipt = Receipt(answer.text, answer.model_version, usage, answer.finish_reason, answer.logprobs)
            if durable is not None:
                durable.receive(key, receipt)
            return Outcome(receipt, None, cached=False, calls=calls)
        error = answer
        if durable is not None:
            durable.fail(key, code=error.code, message=error.message)
        too_long = (error.retry_after_s or 0) > LONGEST_RETRY_AFTER_S
        if not error.transient or too_long or calls == job.section.attempts:
            break
        await clock.sleep(backoff_s(calls, error.retry_after_s, rng))
    return Outcome(None, error, cached=False, calls=calls)


class _Media:
    """The media of one question, made before a call is written down: one that cannot be sent is not counted.

    Raises:
        ItemError: some of it cannot be made.
    """

    def __init__(self, request: Request, load: MediaLoader) -> None:
        refs = [part.ref for part in request.parts if isinstance(part, MediaPart)]
        self._held = [(ref, load(ref)) for ref in refs]

    def __call__(self, ref: MediaRef) -> bytes:
        return next(data for held, data in self._held if held == ref)

    @property
    def size_bytes(self) -> int:
        return sum(len(data) for _, data in self._held)


async def _call(job: Job, load: MediaLoader) -> Response | ProviderError:
    try:
        return await job.provider.complete(job.request, load)
    except ProviderError as error:
        return error


async def ask_all(
    jobs: Iterable[tuple[T, Job]],
    *,
    journal: Journal | None,
    clock: Clock,
    load: MediaLoader,
    on_outcome: Callable[[T, Outcome], None],
    refused: dict[str, ProviderError] | None = None,
    seed: int = 0,
) -> None:
    """Ask many questions at once; `on_outcome` gets each as it ends, in the event loop's thread.

    `jobs` is read as slots become free, and media is loaded when its question has one, so the media of at
    most `section.concurrency` questions is held per provider. `refused` remembers, by the section's name, whose
    further calls would all fail; it may be given to several calls of a run.

    Raises:
        UserError: the budget is reached: no new call is sent, those in flight are waited for and kept.
    """
    crew = _Crew(journal, clock, load, on_outcome, random.Random(seed), {} if refused is None else refused)
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
class _Lane:
    """The slots of one provider instance."""

    slots: asyncio.Semaphore
    size: int


@dataclass
class _Crew(Generic[T]):
    journal: Journal | None
    clock: Clock
    load: MediaLoader
    on_outcome: Callable[[T, Outcome], None]
    rng: random.Random
    refused: dict[str, ProviderError]
    lanes: dict[int, _Lane] = field(default_factory=dict)
    flights: dict[str, asyncio.Future[Outcome]] = field(default_factory=dict)
    stopped: UserError | None = None

    def lane(self, job: Job) -> _Lane:
        size = job.section.concurrency
        return self.lanes.setdefault(id(job.provider), _Lane(asyncio.Semaphore(size), size))

    def window(self, job: Job) -> int:
        """How many questions may wait or run: as many again as there are slots, so that none is empty while there
        are questions for it. More would let a fast provider run far ahead of a slow one."""
        self.lane(job)
        return 2 * sum(lane.size for lane in self.lanes.values())

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
        """Identical questions in flight are sent once. None: the run stops, and this one was not asked."""
        key = call_key(job.request, job.provider.name, job.request.model)
        if key in self.flights:
            first = await self.flights[key]
            if self.stopped is not None and first.response is None:
                return None
            return first._replace(cached=first.error is None, calls=0)
        flight = self.flights[key] = asyncio.get_running_loop().create_future()
        try:
            outcome = await self.fly(job)
            flight.set_result(outcome)
            return outcome
        except UserError as error:
            self.stopped = self.stopped or error
            flight.set_result(Outcome(None, ProviderError(error.code, error.message, False), False, 0))
            return None
        finally:
            del self.flights[key]
            flight.cancel()  # no effect on a flight that has its result

    async def fly(self, job: Job) -> Outcome:
        lane = self.lane(job)
        async with lane.slots:
            if self.stopped is not None:
                raise self.stopped
            outcome = await ask(
                job,
                journal=self.journal,
                clock=self.clock,
                load=self.load,
                rng=self.rng,
                refused=self.refused.get(job.section.name),
            )
            if outcome.error is not None and outcome.error.code in FATAL_CODES:
                self.refused[job.section.name] = outcome.error
            return outcome
