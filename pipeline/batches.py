"""Vendors' batch jobs of a project as later runs find them: looked at, and collected when they are over.

What a killed run has left without an id is looked for by its token, so that nothing is asked twice. Answers are
receipts before they are parsed: the stage that finds them there makes the records that a live answer would have
made.
"""

from __future__ import annotations

import platform
import secrets
import tempfile
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from agents.calls.batching import NOT_ASKED, BatchProvider, JobLook, batches_of
from agents.calls.engine import SystemClock
from agents.calls.lines import FATAL_CODES
from agents.protocol import Response
from agents.providers.common import usage_at_most
from agents.providers.file_batches import TRANSFER_S
from pipeline.ledger import Ledger, Who, failed, received
from pipeline.project import Project
from schemas.errors import ProviderError
from schemas.ids import content_digest
from schemas.ports import NOT_SENT, Clock, Receipt
from schemas.settings import Settings
from schemas.settings_models import JudgeSection, ModelSection
from schemas.store import CallEvent, Store, utc_now
from schemas.store_batches import BatchJob

POLL_S = 60.0  # between two looks at jobs that are waited for
# Before a job counts as never begun, its vendor's list is read again: it may lag behind what was begun just now.
LOOK_AGAIN_S = (2.0, 5.0)
LISTED_AFTER_S = TRANSFER_S + 600  # from when a job was written down; its file may have taken that long
MOST_AT_ONCE = 64  # receipts in one transaction


def asker_of(kind: type[ModelSection], name: str) -> str:
    """By what a job remembers whose questions it has."""
    return f"{'judges' if issubclass(kind, JudgeSection) else 'annotators'} {name}"


class Batches:
    """What a run knows of the jobs of its project."""

    def __init__(self, project: Project, ledger: Ledger, note: Callable[[str, str], None]) -> None:
        self.store, self.ledger, self.note = project.store, ledger, note
        # Of a project's folder there is one run at a time: what another of its runs has begun, was killed.
        self._mark = f"emotrace-{content_digest([platform.node(), str(project.root.resolve())])[:8]}-"
        self.clock: Clock = SystemClock()
        sections = (*project.settings.annotators, *project.settings.judges)
        self._sections = {asker_of(type(section), section.name): section for section in sections}
        self.under_way: set[str] = set()  # call keys that jobs have which are not over
        self.ends: dict[str, ProviderError] = {}  # of questions that failed in jobs collected by this run
        self.refused: dict[str, ProviderError] = {}  # why no further job is begun, by asker

    def token(self) -> str:
        """A name for a new job."""
        return self._mark + secrets.token_hex(12)

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
            name = job.job or await self._found(job, batches)
            if name is None:  # the run ended before it was begun
                await self.unbegun(job, "it was never begun", batches)
                return
            if not job.job:
                self.store.submitted_batch(job.token, name)
            look = await _look(batches, name)
            if not look.over:
                return
            answered, gone = await self._take(job, section, batches, look)
            look = look._replace(reason=gone or look.reason)
            left = [key for key in job.sent_bytes if key not in answered]
            self.store.write_calls(
                [failed(key, who_of(job), code="not_answered", message=look.reason) for key in left]
            )
            self.over(job, look.reason)
            if left:
                message = (
                    f"the batch job {name} ended without {len(left)} answers ({look.reason or 'not told'})"
                )
                unanswered = ProviderError("batch_over", message, transient=True)
                self.refused.setdefault(job.asker, unanswered)
            await forget(job, look, batches)
        finally:
            await batches.close()

    async def _found(self, job: BatchJob, batches: BatchProvider) -> str | None:
        """The vendor's id of a job of which only the token is known; None: it was never begun.

        Raises:
            ProviderError: it cannot be told now.
        """
        age = datetime.fromisoformat(utc_now()) - datetime.fromisoformat(job.at)
        is_young = age.total_seconds() < LISTED_AFTER_S
        pauses_s = LOOK_AGAIN_S if is_young else ()
        name = await batches.find(job.token)
        for pause_s in pauses_s:
            if name is not None:
                break
            await self.clock.sleep(pause_s)
            name = await batches.find(job.token)
        if name is None and is_young and not job.token.startswith(self._mark):
            message = "a run from another folder or machine may be handing over its questions"
            raise ProviderError("batch_unclear", message, transient=True)
        return name

    async def _take(
        self, job: BatchJob, section: ModelSection, batches: BatchProvider, look: JobLook
    ) -> tuple[set[str], str]:
        """Keep the results of a job; the call keys that have come to an end, and what the vendor has lost."""
        mine, there, ended = set(job.sent_bytes), self.store.received(list(job.sent_bytes)), set[str]()
        events: list[CallEvent] = []
        gone = ""
        with tempfile.TemporaryDirectory(prefix="emotrace-") as folder:
            for file_id in look.files:
                try:
                    async for key, end in batches.results(file_id, Path(folder)):
                        if key not in mine or (isinstance(end, ProviderError) and end.code in NOT_ASKED):
                            continue
                        ended.add(key)
                        self.ledger.brought.add(key)
                        if key not in there:  # a run that was killed has kept some
                            there.add(key)
                            events.append(self._event(job, section, key, end))
                        if len(events) >= MOST_AT_ONCE:
                            self.store.write_calls(events)
                            events = []
                except ProviderError as error:
                    if error.details.get("status") not in batches.gone_statuses:
                        raise
                    gone = f"its results are gone: {error.message}"
        self.store.write_calls(events)
        return ended, gone

    def _event(
        self, job: BatchJob, section: ModelSection, key: str, end: Response | ProviderError
    ) -> CallEvent:
        if isinstance(end, ProviderError):
            self.ends[key] = end
            if end.code in FATAL_CODES:  # a further job would fail alike, and no question is to blame
                self.refused[job.asker] = end
            return failed(key, who_of(job), code=end.code, message=end.message, usage=end.usage)
        priced = section.model_copy(update={"mode": "batch"})
        usage = end.usage or usage_at_most(priced, job.sent_bytes[key])
        receipt = Receipt(end.text, end.model_version, usage, end.finish_reason, end.logprobs)
        return received(key, who_of(job), receipt)

    async def unbegun(self, job: BatchJob, reason: str, batches: BatchProvider) -> None:
        """Nobody was asked anything by a job: its calls were none, and nothing of it stays at the vendor."""
        gone = [failed(key, who_of(job), code=NOT_SENT, message=reason) for key in job.sent_bytes]
        self.store.write_calls(gone)
        self.over(job, reason)
        if not job.file:  # whoever was to be told of it may not have been
            with suppress(ProviderError):
                job = job._replace(file=await batches.uploaded(job.token) or "")
        await forget(job, JobLook(over=True), batches)

    def over(self, job: BatchJob, message: str) -> None:
        """Nothing more comes of a job."""
        self.store.end_batch(job.token, message)
        self.under_way -= set(job.sent_bytes)
        self.ledger.reserved_usd -= job.planned_usd


async def forget(job: BatchJob, look: JobLook, batches: BatchProvider) -> None:
    """Delete what the vendor keeps of a job that is over, its file even where the vendor does not name it."""
    inputs = tuple(dict.fromkeys(name for name in (job.file, *look.inputs) if name))
    await batches.forget(look._replace(inputs=inputs))


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


def who_of(job: BatchJob) -> Who:
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
