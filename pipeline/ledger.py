"""The ledger of paid calls: what was intended, what was received, what it cost; and the budget.

An intent is durable before a request is sent and a receipt before it is parsed, so a received answer is never
paid twice; after a kill, at most the calls in flight are repeated.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, NamedTuple

from pipeline.group_commit import End, GroupCommit
from schemas.errors import UserError
from schemas.ids import canonical_json
from schemas.parts import Usage
from schemas.ports import BUDGET_REACHED, NOT_SENT, UNSENT, Receipt, TokenLogprob
from schemas.settings_models import BudgetSection
from schemas.store import CallEvent, Store
from schemas.store_asked import CallSums

ESTIMATED = "usage_estimated: the vendor told none, this is the most that the call can have cost"
DETAILS = {"input_by_modality", "cached_input_tokens", "reasoning_tokens"}  # of Usage, beside the sums


class Who(NamedTuple):
    """Whose call it is, and of which annotator or judge."""

    provider: str
    model: str
    annotator: str


class Ledger:
    """Implements `schemas.ports.Journal` over the store. `calls` and `cached` count since it was made.

    The budget counts what stands in the store, so processes that share one share the budget, too.
    """

    def __init__(self, store: Store, budget: BudgetSection) -> None:
        self._store, self._budget = store, budget
        self._lock = threading.Lock()
        self._sums = store.call_sums()
        self.spent_before_usd = self._sums.spent_usd
        self._spent_here_usd = 0.0
        self._events = GroupCommit(self._write)
        self._asked: dict[str, Who] = {}  # of calls in flight
        self.calls = 0
        self.cached = 0
        self.brought: set[str] = set()  # call keys whose answers batch jobs brought, and nobody has read yet
        self.read_of_batches = 0
        self.reserved_calls = 0  # gathered for batch jobs that are not begun yet
        self.reserved_usd = 0.0  # planned for these, and for batch jobs that are under way

    def find(self, key: str) -> Receipt | None:
        return self._known(self._store.receipt(key))

    async def intend(
        self, key: str, *, provider: str, model: str, annotator: str, components: Mapping[str, str]
    ) -> Receipt | None:
        call = CallEvent(
            key, "intent", provider, model, annotator, components=canonical_json(dict(components))
        )
        who = Who(provider, model, annotator)
        row = await self._events.put(call, undo=failed(key, who, code=NOT_SENT, message=UNSENT))
        if row is None:
            with self._lock:
                self.calls += 1
                self._asked[key] = who
        return self._known(row)

    def overspent(self) -> UserError | None:
        with self._lock:
            usd = max(self._sums.spent_usd, self.spent_before_usd + self._spent_here_usd)
        return no_money(self._budget, usd + self.reserved_usd)

    def receive(self, key: str, receipt: Receipt) -> Awaitable[object]:
        return self._end(received(key, self._who(key), receipt))

    def fail(self, key: str, *, code: str, message: str, usage: Usage | None = None) -> Awaitable[object]:
        return self._end(failed(key, self._who(key), code=code, message=message, usage=usage))

    def _who(self, key: str) -> Who:
        with self._lock:
            return self._asked.pop(key)

    def _end(self, event: CallEvent) -> Awaitable[object]:
        with self._lock:
            self.calls -= event.was_not_sent
            self._spent_here_usd += event.cost_usd or 0.0
        return self._events.put(event)

    def _write(self, events: Sequence[CallEvent]) -> Sequence[End]:
        """In the one thread that writes."""
        ends, self._sums = self._store.write_calls(events, self._sums, self.over)
        return ends

    def _known(self, row: CallEvent | None) -> Receipt | None:
        """The receipt of a row that spares a call, or that a batch job has brought for one."""
        if row is None:
            return None
        with self._lock:
            if row.key in self.brought:
                self.brought.remove(row.key)
                self.read_of_batches += 1
            else:
                self.cached += 1
        return receipt_of(row)

    def over(self, sums: CallSums, calls: int = 0) -> UserError | None:
        """Why none may be sent beside `calls` that are about to be, and what is reserved."""
        spent_usd = sums.spent_usd + self.reserved_usd
        intents = sums.intents + self.reserved_calls + calls
        return used_up(self._budget, CallSums(sums.seq, intents, spent_usd))


def receipt_of(row: CallEvent) -> Receipt:
    """An answer from how the store keeps it."""
    usage = Usage(
        input_tokens=row.input_tokens,
        output_tokens=row.output_tokens,
        cost_usd=row.cost_usd,
        estimated=row.message == ESTIMATED,
        **json.loads(row.usage_details),
    )
    logprobs = None if row.logprobs is None else _logprobs(json.loads(row.logprobs))
    return Receipt(row.raw or "", row.model_version, usage, row.finish_reason, logprobs, row.latency_s)


def received(key: str, who: Who, receipt: Receipt) -> CallEvent:
    """An answer as the store keeps it."""
    return CallEvent(
        key,
        "receipt",
        *who,
        **_spent(receipt.usage),
        raw=receipt.raw,
        model_version=receipt.model_version,
        finish_reason=receipt.finish_reason,
        message=ESTIMATED if receipt.usage.estimated else "",
        latency_s=receipt.latency_s,
        logprobs=None if receipt.logprobs is None else json.dumps(receipt.logprobs, ensure_ascii=False),
    )


def failed(key: str, who: Who, *, code: str, message: str, usage: Usage | None = None) -> CallEvent:
    """A call that ended without an answer."""
    return CallEvent(key, "failure", *who, **_spent(usage or Usage()), message=f"{code}: {message}")


def _spent(usage: Usage) -> dict[str, Any]:
    spent = usage.model_dump(include={"input_tokens", "output_tokens", "cost_usd"})
    return {**spent, "usage_details": json.dumps(usage.model_dump(include=DETAILS, exclude_defaults=True))}


def used_up(budget: BudgetSection, sums: CallSums) -> UserError | None:
    """Why no further call may be sent; None while there is something left."""
    if budget.calls is not None and sums.intents >= budget.calls:
        return UserError(
            BUDGET_REACHED,
            f"the budget of {budget.calls} calls is used up",
            "raise budget.calls, then run again",
        )
    return no_money(budget, sums.spent_usd)


def no_money(budget: BudgetSection, spent_usd: float) -> UserError | None:
    """Why nothing more may be spent; None while there is something left."""
    if budget.usd is None or spent_usd < budget.usd:
        return None
    return UserError(
        BUDGET_REACHED,
        f"the budget of {budget.usd:g} USD is used up ({spent_usd:.4f} spent)",
        "raise budget.usd, then run again",
    )


def _logprobs(rows: list[list[Any]]) -> tuple[TokenLogprob, ...]:
    """Log-probabilities as they were, from the JSON in which they are kept."""
    return tuple(
        TokenLogprob(text, logprob, tuple((other, value) for other, value in top))
        for text, logprob, top in rows
    )
