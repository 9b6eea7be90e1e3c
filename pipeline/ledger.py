"""The ledger of paid calls: what was intended, what was received, what it cost; and the budget.

An intent is durable before a request is sent and a receipt before it is parsed, so a received answer is never
paid twice; after a kill, at most the calls in flight are repeated.
"""

from __future__ import annotations

import json
import threading
from typing import Any

from schemas.errors import UserError
from schemas.parts import Usage
from schemas.ports import Receipt, TokenLogprob
from schemas.settings_models import BudgetSection
from schemas.store import CallEvent, Store

ESTIMATED = "usage_estimated: the vendor told none, this is the most that the call can have cost"

DETAILS = {"input_by_modality", "cached_input_tokens", "reasoning_tokens"}  # of Usage, beside the sums


class Ledger:
    """Implements `schemas.ports.Journal` over the store. `calls` and `cached` count since it was made."""

    def __init__(self, store: Store, budget: BudgetSection) -> None:
        self._store, self._budget = store, budget
        self._lock = threading.Lock()
        totals = store.call_totals()
        self._intended = int(totals["intent"])
        self._spent_usd = self.spent_before_usd = totals["spent_usd"]
        self._asked: dict[str, tuple[str, str, str]] = {}
        self.calls = 0
        self.cached = 0

    def find(self, key: str) -> Receipt | None:
        row = self._store.receipt(key)
        if row is None:
            return None
        with self._lock:
            self.cached += 1
        usage = Usage(
            input_tokens=row.input_tokens,
            output_tokens=row.output_tokens,
            cost_usd=row.cost_usd,
            estimated=row.message == ESTIMATED,
            **json.loads(row.usage_details),
        )
        logprobs = None if row.logprobs is None else _logprobs(json.loads(row.logprobs))
        return Receipt(row.raw or "", row.model_version, usage, row.finish_reason, logprobs)

    def intend(self, key: str, *, provider: str, model: str, annotator: str) -> None:
        with self._lock:
            self._refuse_over_budget()
            self._intended += 1
            self.calls += 1
            self._asked[key] = (provider, model, annotator)
        self._store.add_call(CallEvent(key, "intent", provider, model, annotator))

    def receive(self, key: str, receipt: Receipt) -> None:
        provider, model, annotator = self._asked[key]
        details = receipt.usage.model_dump(include=DETAILS, exclude_defaults=True)
        logprobs = None if receipt.logprobs is None else json.dumps(receipt.logprobs, ensure_ascii=False)
        self._store.add_call(
            CallEvent(
                key,
                "receipt",
                provider,
                model,
                annotator,
                receipt.raw,
                receipt.model_version,
                receipt.finish_reason,
                receipt.usage.input_tokens,
                receipt.usage.output_tokens,
                receipt.usage.cost_usd,
                message=ESTIMATED if receipt.usage.estimated else "",
                usage_details=json.dumps(details),
                logprobs=logprobs,
            )
        )
        with self._lock:
            self._spent_usd += receipt.usage.cost_usd or 0.0

    def fail(self, key: str, *, code: str, message: str) -> None:
        provider, model, annotator = self._asked[key]
        self._store.add_call(
            CallEvent(key, "failure", provider, model, annotator, message=f"{code}: {message}")
        )

    def _refuse_over_budget(self) -> None:
        calls, usd = self._budget.calls, self._budget.usd
        if calls is not None and self._intended >= calls:
            raise UserError(
                "budget_reached",
                f"the budget of {calls} calls is used up",
                "raise budget.calls, then run again",
            )
        if usd is not None and self._spent_usd >= usd:
            raise UserError(
                "budget_reached",
                f"the budget of {usd:g} USD is used up ({self._spent_usd:.4f} spent)",
                "raise budget.usd, then run again",
            )


def _logprobs(rows: list[list[Any]]) -> tuple[TokenLogprob, ...]:
    """Log-probabilities as they were, from the JSON in which they are kept."""
    return tuple(
        TokenLogprob(text, logprob, tuple((other, value) for other, value in top))
        for text, logprob, top in rows
    )
