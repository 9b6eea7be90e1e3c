"""Vendors' batch jobs of a project: questions are gathered into jobs, jobs are submitted, and collected later.

A job's token and call keys are durable before anything is uploaded, the vendor's id right after. What a killed
run has left without an id is looked for by its token, so that nothing is asked twice. Answers are receipts before
they are parsed: the stage that finds them there makes the records that a live answer would have made.
"""

from __future__ import annotations

import asyncio
import secrets
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from agents.batching import NOT_ASKED, BatchProvider, JobLook, batches_of
from agents.components import components
from agents.held_media import HeldMedia
from agents.protocol import Request, Response
from agents.providers.common import usage_at_most
from pipeline.ledger import Ledger, Who, failed, received
from schemas.errors import ProviderError
from schemas.ids import canonical_json
from schemas.ports import Clock, Receipt
from schemas.settings import Settings
from schemas.settings_models import JudgeSection, ModelSection
from schemas.store import CallEvent, Store
from schemas.store_asked import CallSums
from schemas.store_batches import BatchJob

POLL_S = 60.0  # between two looks at jobs that are waited for
MOST_AT_ONCE = 64  # receipts in one transaction
Price = Callable[[ModelSection, Request], float | None]


def asker_of(kind: type[ModelSection], name: str) -> str:
    """By what a job remembers whose questions it has."""
    return f"{'judges' if issubclass(kind, JudgeSection) else 'annotators'} {name}"


class Batches:
    """What a run knows of the jobs of its project. `price`: what a question is about to cost, None: not known."""

    def __init__(
        self, store: Store, settings: Settings, ledger: Ledger, price: Price, note: Callable[[str, str], None]
    ) -> None:
        self.store, self.ledger, self.price, self.note = store, ledger, price, note
        sections = (*settings.annotators, *settings.judges)
        self._sections = {asker_of(type(section), section.name): section for section in sections}
        self.under_way: set[str] = set()  # call keys that jobs have which are not over
        self.ends: dict[str, ProviderError] = {}  # of questions that failed in jobs collected by this run
        self.refused: dict[str, ProviderError] = {}  # why no further job is begun, by asker

    @asynccontextmanager
    async def desk(self) -> AsyncIterator[BatchDesk]:
        """Where a stage leaves its questions; what was left is submitted in the end.

        That holds also when a budget ends the stage; after an interrupt nothing more is sent.
        """
        async with AsyncExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="emotrace-")))
            desk = BatchDesk(self, folder, stack)
            try:
                yield desk
            except asyncio.CancelledError:
                desk.drop()
                raise
            finally:
                await desk.submit_all()

    async def collect(self) -> None:
        """Take in what the jobs under way have brought.

        Raises:
            UserError: the variable that holds a key is not set.
        """
        for job in self.store.open_batches():
            self.under_way |= set(job.sent_bytes)
            self.ledger.reserved_usd += job.planned_usd
            section = self._sections.get(job.asker)
            if section is None or (section.provider, section.base_url or "") != (job.provider, job.server):
                message = f"a batch job waits for {job.asker} as it was asked then: {job.job or job.token}"
                self.note("batches", message)
                continue
            try:
                await self._collect(job, section)
            except ProviderError as error:  # the job goes on; a later run looks again
                self.refused[job.asker] = error

    async def _collect(self, job: BatchJob, section: ModelSection) -> None:
        batches = batches_of(
            section.model_copy(update={"mode": "batch"})
        )  # priced as a batch, whatever is now
        try:
            name = job.job or await batches.find(job.token)
            if name is None:  # the run ended before it was begun
                self.over(job, "it was never begun")
                return
            if not job.job:
                self.store.submitted_batch(job.token, name)
            look = await _look(batches, name)
            if not look.over:
                return
            answered = await self._take(job, section, batches, look)
            left = [key for key in job.sent_bytes if key not in answered]
            self.store.write_calls(
                [failed(key, _who(job), code="not_answered", message=look.reason) for key in left]
            )
            self.over(job, look.reason)
            if left:
                message = (
                    f"the batch job {name} ended without {len(left)} answers ({look.reason or 'not told'})"
                )
                self.refused[job.asker] = ProviderError("batch_over", message, transient=True)
            await batches.forget(look)
        finally:
            await batches.close()

    async def _take(
        self, job: BatchJob, section: ModelSection, batches: BatchProvider, look: JobLook
    ) -> set[str]:
        """Keep the results of a job; the call keys that have come to an end."""
        mine, there, ended = set(job.sent_bytes), self.store.received(list(job.sent_bytes)), set[str]()
        events: list[CallEvent] = []
        with tempfile.TemporaryDirectory(prefix="emotrace-") as folder:
            for file_id in look.files:
                async for key, end in batches.results(file_id, Path(folder)):
                    if key not in mine or (isinstance(end, ProviderError) and end.code in NOT_ASKED):
                        continue
                    ended.add(key)
                    if key not in there:  # a run that was killed has kept some
                        there.add(key)
                        events.append(self._event(job, section, key, end))
                    if len(events) >= MOST_AT_ONCE:
                        self.store.write_calls(events)
                        events = []
        self.store.write_calls(events)
        return ended

    def _event(
        self, job: BatchJob, section: ModelSection, key: str, end: Response | ProviderError
    ) -> CallEvent:
        if isinstance(end, ProviderError):
            self.ends[key] = end
            return failed(key, _who(job), code=end.code, message=end.message, usage=end.usage)
        priced = section.model_copy(update={"mode": "batch"})
        usage = end.usage or usage_at_most(priced, job.sent_bytes[key])
        receipt = Receipt(end.text, end.model_version, usage, end.finish_reason, end.logprobs)
        return received(key, _who(job), receipt)

    def over(self, job: BatchJob, message: str) -> None:
        """Nothing more comes of a job."""
        self.store.end_batch(job.token, message)
        self.under_way -= set(job.sent_bytes)
        self.ledger.reserved_usd -= job.planned_usd


@dataclass
class _Gathered:
    """A job that is being gathered in a file."""

    section: ModelSection
    batches: BatchProvider
    model: str
    path: Path
    token: str
    intents: dict[str, CallEvent] = field(default_factory=dict)
    sent_bytes: dict[str, int] = field(default_factory=dict)
    size_bytes: int = 0
    planned_usd: float = 0.0


class BatchDesk:
    """Implements `agents.batching.Desk` within one event loop; one line is held in memory at a time."""

    def __init__(self, known: Batches, folder: Path, stack: AsyncExitStack) -> None:
        self._known, self._folder, self._stack = known, folder, stack
        self._opened: dict[str, BatchProvider] = {}
        self._gathered: dict[str, _Gathered] = {}
        self._one = asyncio.Lock()
        self._sums = CallSums()

    def end_of(self, key: str) -> ProviderError | None:
        return self._known.ends.get(key)

    def is_under_way(self, key: str) -> bool:
        return key in self._known.under_way

    def refused(self, section: ModelSection) -> ProviderError | None:
        return self._known.refused.get(asker_of(type(section), section.name))

    async def put(self, key: str, request: Request, section: ModelSection, media: HeldMedia) -> None:
        sent_bytes = media.size_bytes + request.size_bytes
        async with self._one:
            gathered = self._gather(section, request.model)
            line = await asyncio.to_thread(gathered.batches.line, key, request, media) + b"\n"
            if _is_full(gathered, len(line)):
                await self._submit(gathered)
                if (error := self.refused(section)) is not None:
                    raise error
                gathered = self._gather(section, request.model)
            usd = self._known.price(section, request)
            if usd is None:
                usd = usage_at_most(section, sent_bytes).cost_usd or 0.0
            self._refuse_over_budget()
            with gathered.path.open("ab") as file:
                file.write(line)
            gathered.intents[key] = CallEvent(
                key,
                "intent",
                section.provider,
                request.model,
                section.name,
                components=canonical_json(components(request)),
            )
            gathered.sent_bytes[key] = sent_bytes
            gathered.size_bytes += len(line)
            gathered.planned_usd += usd
            self._known.under_way.add(key)

    def drop(self) -> None:
        """Nothing more is sent."""
        self._gathered.clear()

    async def submit_all(self) -> None:
        for gathered in list(self._gathered.values()):
            if gathered.intents:
                await self._submit(gathered)

    def _gather(self, section: ModelSection, model: str) -> _Gathered:
        asker = asker_of(type(section), section.name)
        if asker not in self._gathered:
            if asker not in self._opened:
                self._opened[asker] = batches_of(section)
                self._stack.push_async_callback(self._opened[asker].close)
            token = f"emotrace-{secrets.token_hex(12)}"
            path = self._folder / f"{token}.jsonl"
            self._gathered[asker] = _Gathered(section, self._opened[asker], model, path, token)
        return self._gathered[asker]

    def _refuse_over_budget(self) -> None:
        """Whether one more question may be gathered.

        Raises:
            UserError: code "budget_reached".
        """
        gathered = self._gathered.values()
        calls, usd = sum(len(one.intents) for one in gathered), sum(one.planned_usd for one in gathered)
        self._sums = self._known.store.call_sums(self._sums)
        if (error := self._known.ledger.over(self._sums, calls, usd)) is not None:
            raise error

    async def _submit(self, gathered: _Gathered) -> None:
        """Begin the job: first in the book, then at the vendor, then its id in the book."""
        section, store, ledger = gathered.section, self._known.store, self._known.ledger
        asker = asker_of(type(section), section.name)
        del self._gathered[asker]
        job = BatchJob(
            gathered.token,
            asker,
            section.provider,
            gathered.model,
            section.base_url or "",
            gathered.sent_bytes,
            gathered.size_bytes,
            gathered.planned_usd,
        )
        refuse = partial(ledger.over, calls=len(gathered.intents) - 1)
        store.begin_batch(job, list(gathered.intents.values()), refuse)
        ledger.calls += len(gathered.intents)
        ledger.reserved_usd += gathered.planned_usd
        created = False
        try:
            file_id = await gathered.batches.upload(job.token, gathered.path)
            created = True
            name = await gathered.batches.create(job.token, file_id, job.model)
        except ProviderError as error:
            self._known.refused[asker] = error
            if not created or not error.transient:  # else it may have begun: the next run looks for it
                store.write_calls(
                    [failed(key, _who(job), code=error.code, message=error.message) for key in job.sent_bytes]
                )
                self._known.over(job, str(error))
            return
        finally:
            gathered.path.unlink(missing_ok=True)
        store.submitted_batch(job.token, name)


def _is_full(gathered: _Gathered, more_bytes: int) -> bool:
    limits = gathered.batches
    return bool(gathered.intents) and (
        len(gathered.intents) >= limits.most_requests or gathered.size_bytes + more_bytes > limits.most_bytes
    )


async def _look(batches: BatchProvider, name: str) -> JobLook:
    """How a job is doing; one that its vendor knows no more is over, and its questions are free again.

    Raises:
        ProviderError: it cannot be told now.
    """
    try:
        return await batches.look(name)
    except ProviderError as error:
        if error.details.get("status") != "404":
            raise
        return JobLook(over=True, reason="its vendor does not know it any more")


def _who(job: BatchJob) -> Who:
    return Who(job.provider, job.model, job.asker.partition(" ")[2])


async def one_over(store: Store, settings: Settings, clock: Clock) -> None:
    """Wait until a job under way is over, or one cannot be looked at; at once, where there is none.

    Raises:
        UserError: the variable that holds a key is not set.
    """
    sections = (*settings.annotators, *settings.judges)
    by_asker = {asker_of(type(section), section.name): section for section in sections}
    jobs = [job for job in store.open_batches() if job.job and job.asker in by_asker]
    while jobs:
        for job in jobs:
            batches = batches_of(by_asker[job.asker])
            try:
                if (await _look(batches, job.job)).over:
                    return
            except ProviderError:  # the run that follows tells of it
                return
            finally:
                await batches.close()
        await clock.sleep(POLL_S)
