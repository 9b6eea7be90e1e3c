"""Questions on their way into vendors' batch jobs: gathered in files over the shards of a stage, then submitted.

A job's token and call keys are durable before anything is uploaded, the vendor's id right after.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from agents.calls.batching import BatchProvider, batches_of
from agents.calls.held_media import HeldMedia
from agents.protocol import Request
from agents.providers.common import usage_at_most
from agents.questions.components import components
from pipeline.artifacts import Artifacts
from pipeline.batches import Batches, asker_of
from schemas.errors import ProviderError, UserError
from schemas.ids import canonical_json
from schemas.settings_models import ModelSection
from schemas.store import CallEvent
from schemas.store_asked import CallSums
from schemas.store_batches import BatchJob

# Refusals after which a job was surely not begun, although it may be begun later.
NOT_BEGUN = frozenset({"rate_limited", "overloaded"})
Price = Callable[[ModelSection, Request], float | None]


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

    def is_full(self, more_bytes: int) -> bool:
        most = min(self.batches.most_requests, self.section.batch_questions or self.batches.most_requests)
        too_large = self.size_bytes + more_bytes > self.batches.most_bytes
        return bool(self.intents) and (len(self.intents) >= most or too_large)


class Gathering:
    """What a run has gathered. `price`: what a question is about to cost, None: not known.

    A job is filled until it is full or its stage has asked all; the files are with the artifacts until then.
    """

    def __init__(self, known: Batches, price: Price, artifacts: Artifacts) -> None:
        self.known = known
        self._price, self._artifacts = price, artifacts
        self._jobs: dict[str, _Gathered] = {}  # by asker
        self._kept = ExitStack()
        self._folder: Path | None = None
        self._sums = CallSums()

    def __bool__(self) -> bool:
        """Whether there is something to submit, or to put away."""
        return self._folder is not None

    async def add(self, key: str, request: Request, section: ModelSection, media: HeldMedia) -> None:
        """Write a question into the next job of its section; one line is held in memory at a time.

        Raises:
            UserError: code "budget_reached", or the disk is full.
            ProviderError: a job of the section could not be begun in this run.
        """
        self._refuse(section)
        sent_bytes = media.size_bytes + request.size_bytes
        gathered = self._of(section, request.model)
        line = await asyncio.to_thread(gathered.batches.line, key, request, media) + b"\n"
        if gathered.is_full(len(line)):
            await self._submit(gathered)
            self._refuse(section)
            gathered = self._of(section, request.model)
        usd = self._price(section, request)
        if usd is None:
            usd = usage_at_most(section, sent_bytes).cost_usd or 0.0
        self._sums = self.known.store.call_sums(self._sums)
        if (over := self.known.ledger.over(self._sums)) is not None:
            raise over
        self._write(line, gathered)
        components_of = canonical_json(components(request))
        gathered.intents[key] = CallEvent(
            key, "intent", section.provider, request.model, section.name, components=components_of
        )
        gathered.sent_bytes[key] = sent_bytes
        gathered.size_bytes += len(line)
        gathered.planned_usd += usd
        self._reserve(1, usd)
        self.known.under_way.add(key)

    def _refuse(self, section: ModelSection) -> None:
        if (error := self.known.refused.get(asker_of(type(section), section.name))) is not None:
            raise error

    def _write(self, line: bytes, gathered: _Gathered) -> None:
        try:
            with self._artifacts.full_is_told(), gathered.path.open("ab") as file:
                file.write(line)
        except UserError:  # what was gathered before is whole
            os.truncate(gathered.path, gathered.size_bytes)
            raise

    async def submit_all(self) -> None:
        """Begin the jobs that hold something.

        Raises:
            UserError: code "budget_reached": another run has used it up meanwhile.
        """
        try:
            for gathered in list(self._jobs.values()):
                if gathered.intents:
                    await self._submit(gathered)
        except UserError as error:
            for left in self._jobs.values():
                self._not_begun(left, error)
            raise
        finally:
            await self.drop()

    async def drop(self) -> None:
        """Nothing of what is left is sent."""
        for gathered in self._jobs.values():
            self._reserve(-len(gathered.intents), -gathered.planned_usd)
            await gathered.batches.close()
        self._jobs.clear()
        self._kept.close()
        self._folder = None

    def _not_begun(self, gathered: _Gathered, error: UserError) -> None:
        """The questions of a job wait for another run."""
        asker = asker_of(type(gathered.section), gathered.section.name)
        self.known.under_way -= gathered.intents.keys()
        self.known.refused[asker] = ProviderError(error.code, error.message, transient=True)

    def _of(self, section: ModelSection, model: str) -> _Gathered:
        asker = asker_of(type(section), section.name)
        if asker not in self._jobs:
            if self._folder is None:
                self._folder = self._kept.enter_context(self._artifacts.workdir())
            token = self.known.token()
            path = self._folder / f"{token}.jsonl"
            self._jobs[asker] = _Gathered(section, batches_of(section), model, path, token)
        return self._jobs[asker]

    def _reserve(self, calls: int, usd: float) -> None:
        self.known.ledger.reserved_calls += calls
        self.known.ledger.reserved_usd += usd

    async def _submit(self, gathered: _Gathered) -> None:
        del self._jobs[asker_of(type(gathered.section), gathered.section.name)]
        try:
            await self._begin(gathered)
        except UserError as error:
            self._not_begun(gathered, error)
            raise
        finally:
            gathered.path.unlink(missing_ok=True)
            await gathered.batches.close()

    async def _begin(self, gathered: _Gathered) -> None:
        """Begin a job: first in the book, then at the vendor, then its id in the book."""
        section, store, ledger = gathered.section, self.known.store, self.known.ledger
        asker = asker_of(type(section), section.name)
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
        self._reserve(-len(gathered.intents), -gathered.planned_usd)
        refuse = partial(ledger.over, calls=len(gathered.intents) - 1)
        store.begin_batch(job, list(gathered.intents.values()), refuse, self._sums)
        ledger.calls += len(gathered.intents)
        self._reserve(0, gathered.planned_usd)
        try:
            job = job._replace(file=await gathered.batches.upload(job.token, gathered.path))
            store.uploaded_batch(job.token, job.file)
            name = await gathered.batches.create(job.token, job.file, job.model)
        except ProviderError as error:
            self.known.refused[asker] = error
            if job.file and error.transient and error.code not in NOT_BEGUN:
                return  # it may have begun: the next run looks for it
            ledger.calls -= len(gathered.intents)
            await self.known.unbegun(job, str(error), gathered.batches)
        else:
            store.submitted_batch(job.token, name)


class BatchDesk:
    """Implements `agents.calls.batching.Desk` within one event loop."""

    def __init__(self, gathering: Gathering) -> None:
        self._gathering, self._known = gathering, gathering.known
        self._one = asyncio.Lock()

    def end_of(self, key: str) -> ProviderError | None:
        return self._known.ends.get(key)

    def is_under_way(self, key: str) -> bool:
        return key in self._known.under_way

    def refused(self, section: ModelSection) -> ProviderError | None:
        return self._known.refused.get(asker_of(type(section), section.name))

    async def put(self, key: str, request: Request, section: ModelSection, media: HeldMedia) -> None:
        async with self._one:
            await self._gathering.add(key, request, section, media)
