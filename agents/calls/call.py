"""One question to a provider: its retries, its turns, what is written down of it, and its media.

A call is written down before it is sent and its answer before it is parsed, so an answer that was received is
never paid for twice; after a kill at most the calls in flight are repeated.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from agents.calls.backoff import backoff_s
from agents.calls.batching import Desk
from agents.calls.gate import Gate
from agents.calls.held_media import HeldMedia
from agents.calls.lines import MAY_BE_ITS_OWN, Lines
from agents.protocol import MediaLoader, Provider, Request, Response
from agents.providers.common import usage_at_most
from agents.questions.components import components
from schemas.errors import ItemError, ProviderError
from schemas.ids import content_id
from schemas.ports import NOT_SENT, UNSENT, Clock, Journal, Receipt
from schemas.settings_models import ModelSection


class Job(NamedTuple):
    """A question. `then` gives the one that follows from its answer, a call of its own; None: there is none.

    `failed_before`: in an earlier run it failed in a way that may be its own fault; `blamed_before`: it was.
    """

    request: Request
    provider: Provider
    section: ModelSection
    then: Callable[[Receipt], Request | None] | None = None
    failed_before: bool = False
    blamed_before: bool = False

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
    if (end := known_end(job, journal, gate, desk)) is not None:
        return end
    if gate.line.ended is not None:
        raise Unasked
    durable = journal if job.provider.wire else None
    media = HeldMedia(job.request, load)
    if durable is not None and desk is not None and job.section.mode == "batch":
        return await _left_at(desk, job, gate, media)
    return await _Asking(job, job.key, durable, clock, gate, media).go()


def known_end(job: Job, journal: Journal | None, gate: Gate, desk: Desk | None) -> Outcome | None:
    """What is there of the question without a call: its answer, or what a vendor's job makes of it."""
    if journal is None or not job.provider.wire:
        return None
    if (receipt := journal.find(job.key)) is not None:
        return Outcome(receipt, None, cached=True, calls=0)
    return None if desk is None else _end_at(desk, job, gate)


def _end_at(desk: Desk, job: Job, gate: Gate) -> Outcome | None:
    """What a job has made of the question, or that it is under way; None: no job has it."""
    if (error := desk.end_of(job.key)) is not None:
        return Outcome(None, error, cached=False, calls=1)
    if desk.is_under_way(job.key):
        return Outcome(None, None, cached=False, calls=0)
    gate.line.ended = gate.line.ended or desk.refused(job.section)
    return None


async def _left_at(desk: Desk, job: Job, gate: Gate, media: HeldMedia) -> Outcome:
    async with gate.door:
        try:
            await media.fetch()
            await desk.put(job.key, job.request, job.section, media)
        except ItemError as failure:
            return Outcome(None, _unmade(failure), cached=False, calls=0)
        except ProviderError as error:
            gate.line.ended = gate.line.ended or error
            raise Unasked from None
        finally:
            media.let_go()
    return Outcome(None, None, cached=False, calls=0)


def _unmade(failure: ItemError) -> ProviderError:
    """Media that cannot be made are an error of this question, not of the run."""
    return ProviderError(failure.code, failure.message, transient=False)


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
    in_slot: bool = False

    async def go(self) -> Outcome:
        """Call until there is an answer, an error that stays, or nobody to ask."""
        try:
            return await self._go()
        finally:
            self._leave()

    async def _go(self) -> Outcome:
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
                if error.code in MAY_BE_ITS_OWN:
                    self._leave()  # to the end of the queue: another question had better be the next probe
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
        if self.in_slot:
            ready = await self._made_ready()
        else:
            async with self.gate.door:
                ready = await self._made_ready()
        if not isinstance(ready, float):
            return ready
        end = await self._send(ready)
        if self.durable is None:
            return end
        if isinstance(end, ProviderError):
            await self.durable.fail(self.key, code=end.code, message=end.message, usage=end.usage)
        else:
            written = self.durable.receive(self.key, end)
            self._leave()  # who waits for the disk is not under way any more
            await written
        return end

    async def _made_ready(self) -> float | Receipt | ProviderError | None:
        """All that comes before the first byte; about how many tokens are set aside, or why there is no call."""
        try:
            await self.media.fetch()
        except ItemError as failure:
            return _unmade(failure)
        expected = await self._turn()
        if expected is None:
            return None
        if (known := await self._intend(expected)) is not None:
            return known
        may_be_sent = False
        try:
            expected = await self._let_in(expected)
            may_be_sent = expected is not None
        finally:  # also when the run is cancelled, or its money is spent
            if not may_be_sent and self.durable is not None:
                await self.durable.fail(self.key, code=NOT_SENT, message=UNSENT)
        return expected

    async def _turn(self) -> float | None:
        """A turn outside the slots, so that a call takes one for no longer than it is under way.

        While the server fails, whoever is in a slot goes on trying: a turn comes after the slot then.
        """
        while True:
            if self.gate.line.breaker.is_open:
                await self._enter()
            expected = await self.gate.turn(self.key, self.job.request)
            if expected is None or self.in_slot or not self.gate.line.breaker.is_open:
                return expected
            self.gate.let_go(self.key, expected)

    async def _let_in(self, expected: float) -> float | None:
        """A slot for a call that is written down; another turn, where the server has failed since the first."""
        turn: float | None = expected
        while turn is not None:
            try:
                await self._enter()
                if self.durable is not None and (error := self.durable.overspent()) is not None:
                    raise error
            except BaseException:
                self.gate.let_go(self.key, turn)
                raise
            if self.gate.is_still_open_to(self.key):
                break
            self.gate.let_go(self.key, turn)
            turn = await self.gate.turn(self.key, self.job.request)
        return turn

    async def _enter(self) -> None:
        if not self.in_slot:
            await self.gate.enter()
            self.in_slot = True

    def _leave(self) -> None:
        """Also the media are not needed any more."""
        self.media.let_go()
        if self.in_slot:
            self.in_slot = False
            self.gate.leave()

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
            # In a server's outage all fail: one that answered others is there.
            suspect = self.job.blamed_before or (self.job.failed_before and self.gate.line.has_answered)
            self.gate.failed(self.key, error, sent_at, suspect=suspect)
            return error
        except BaseException:  # the run is cancelled, or a bug
            self.gate.let_go(self.key, expected)
            raise
        latency_s = self.clock.monotonic() - sent_at
        self.gate.answered(answer, expected)
        return self._receipt(answer, latency_s)

    def _receipt(self, answer: Response, latency_s: float) -> Receipt:
        sent_bytes = self.media.size_bytes + self.job.request.size_bytes
        usage = answer.usage or usage_at_most(self.job.section, sent_bytes)
        return Receipt(
            answer.text, answer.model_version, usage, answer.finish_reason, answer.logprobs, latency_s
        )
