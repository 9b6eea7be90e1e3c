"""The ledger: what was asked and answered survives, and the budget holds, also over restarts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.ledger import Ledger
from schemas.errors import UserError
from schemas.parts import Usage
from schemas.ports import Receipt, TokenLogprob
from schemas.settings_models import BudgetSection
from schemas.store import Store

FREE = BudgetSection()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(f"sqlite:///{tmp_path / 'emotrace.db'}")
    yield opened
    opened.close()


def intend(ledger: Ledger, key: str) -> Receipt | None:
    told = {"provider": "vendor", "model": "m", "annotator": "a"}
    return asyncio.run(ledger.intend(key, **told, components={"prompt": "1"}))


def answer(text: str, cost_usd: float | None = None) -> Receipt:
    return Receipt(text, "m-1", Usage(input_tokens=10, output_tokens=2, cost_usd=cost_usd), "stop")


def test_a_receipt_is_found_again_after_reopening(tmp_path: Path) -> None:
    url, receipt = f"sqlite:///{tmp_path / 'emotrace.db'}", answer('{"label": "Freude \U0001f600"}', 0.25)
    store = Store.open(url)
    ledger = Ledger(store, FREE)
    assert ledger.find("call_1") is None
    intend(ledger, "call_1")
    assert ledger.find("call_1") is None
    asyncio.run(ledger.receive("call_1", receipt))
    store.close()
    store = Store.open(url)
    try:
        later = Ledger(store, FREE)
        assert later.find("call_1") == receipt
        assert later.find("call_2") is None
        assert (later.calls, later.cached, later.spent_before_usd) == (0, 1, 0.25)
    finally:
        store.close()


def test_what_the_vendor_told_of_an_answer_is_kept_with_it(store: Store) -> None:
    usage = Usage(
        input_tokens=90, output_tokens=20, input_by_modality={"text": 30, "video": 60}, cached_input_tokens=0,
        reasoning_tokens=12, estimated=True,
    )  # fmt: skip
    tokens = (TokenLogprob('{"', -0.1, (("{", -2.5), ("né", -3.0))), TokenLogprob('joy"}', -1e-9))
    told = {"full": Receipt('{"joy"}', "m-1", usage, "stop", tokens), "none": answer("{}")}
    told["empty"] = Receipt("", "m-1", Usage(), "length", (), latency_s=1.25)
    ledger = Ledger(store, FREE)
    for key, receipt in told.items():
        intend(ledger, key)
        asyncio.run(ledger.receive(key, receipt))
    assert {key: Ledger(store, FREE).find(key) for key in told} == told


def test_a_failure_is_no_receipt_and_the_answer_that_comes_later_is(store: Store) -> None:
    ledger = Ledger(store, FREE)
    intend(ledger, "call_1")
    asyncio.run(ledger.fail("call_1", code="timeout", message="no answer within 3 s"))
    assert ledger.find("call_1") is None
    intend(ledger, "call_1")
    asyncio.run(ledger.receive("call_1", answer("late")))
    found = ledger.find("call_1")
    assert found is not None
    assert found.raw == "late"
    assert ledger.calls == 2
    assert store.call_totals() == {"intent": 2, "receipt": 1, "failure": 1, "unpriced": 1, "spent_usd": 0.0}


def test_the_budget_of_calls_counts_those_of_earlier_runs_and_those_without_an_answer(store: Store) -> None:
    first = Ledger(store, BudgetSection(calls=3))
    intend(first, "call_1")
    asyncio.run(first.receive("call_1", answer("x")))
    intend(first, "call_2")  # killed before its answer came
    second = Ledger(store, BudgetSection(calls=3))
    intend(second, "call_2")
    with pytest.raises(UserError, match="3 calls") as caught:
        intend(second, "call_3")
    assert (caught.value.code, second.calls) == ("budget_reached", 1)
    assert store.call_totals()["intent"] == 3
    assert second.find("call_1") is not None  # what was paid for can still be used
    intend(Ledger(store, BudgetSection(calls=4)), "call_3")


def test_the_budget_of_money_stops_the_call_after_it_is_spent(store: Store) -> None:
    ledger = Ledger(store, BudgetSection(usd=0.5))
    for number, cost_usd in enumerate((0.3, None, 0.2)):
        intend(ledger, f"call_{number}")
        asyncio.run(ledger.receive(f"call_{number}", answer("x", cost_usd)))
    for late in (ledger, Ledger(store, BudgetSection(usd=0.5))):
        with pytest.raises(UserError, match=r"0\.5 USD") as caught:
            intend(late, "call_9")
        assert caught.value.code == "budget_reached"
        assert "budget.usd" in caught.value.remedy
    intend(Ledger(store, BudgetSection(usd=0.6)), "call_9")


def test_an_estimate_is_marked_in_the_ledger_and_counts_in_the_budget(store: Store) -> None:
    ledger = Ledger(store, BudgetSection(usd=0.5))
    usage = Usage(input_tokens=9000, output_tokens=2000, cost_usd=0.6, estimated=True)
    intend(ledger, "call_1")
    asyncio.run(ledger.receive("call_1", Receipt("x", None, usage)))
    row = store.receipt("call_1")
    assert row is not None
    assert row.message.startswith("usage_estimated: ")
    found = Ledger(store, FREE).find("call_1")
    assert found is not None
    assert found.usage == usage
    with pytest.raises(UserError, match="USD is used up"):
        intend(ledger, "call_2")


def test_a_budget_of_nothing_allows_no_call(store: Store) -> None:
    for budget in (BudgetSection(calls=0), BudgetSection(usd=0)):
        with pytest.raises(UserError):
            intend(Ledger(store, budget), "call_1")
    assert store.call_totals()["intent"] == 0


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_any_answer_comes_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    store = Store.open(f"sqlite:///{tmp_path_factory.mktemp('store') / 'emotrace.db'}")
    try:
        ledger = Ledger(store, FREE)
        intend(ledger, "call_1")
        asyncio.run(ledger.receive("call_1", answer(text)))
        found = ledger.find("call_1")
        assert found is not None
        assert found.raw == text
    finally:
        store.close()
