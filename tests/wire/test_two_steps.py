"""A question in two steps: the second follows from the first answer, and neither is ever paid twice."""

from __future__ import annotations

import asyncio
import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from agents.annotators.two_steps import REASONS, goes_on, joined
from agents.answers.parsing import parse_annotation
from agents.calls.call import Job, Outcome
from agents.calls.engine import ask_all
from agents.protocol import Request, TextPart
from agents.providers.openai_compatible import OpenAICompatibleProvider
from agents.questions.prompting import annotation_request
from pipeline.ledger import Ledger
from schemas.errors import UserError
from schemas.parts import Usage
from schemas.ports import Journal, Receipt
from schemas.settings_models import BudgetSection
from schemas.store import Store
from tests.wire.material import (
    InstantClock,
    MemoryJournal,
    answer,
    make_sample,
    media_bytes,
    section,
    taxonomy,
)
from tests.wire.server import FakeModels, Reply


def first() -> Request:
    return annotation_request(make_sample(), taxonomy(), section(takes=("text",)))


def following(receipt: Receipt) -> Request | None:
    """The second question tells the first answer; an answer that says so has none."""
    if receipt.raw == "enough":
        return None
    asked = first()
    parts = (*asked.parts, TextPart(text=f"you said: {receipt.raw}"))
    return asked.model_copy(update={"parts": parts})


def run(models: FakeModels, journal: Journal, *, jobs: int = 1, ending: Any = None) -> list[Outcome]:
    found: list[Outcome] = []

    async def go() -> None:
        settings = section(base_url=models.openai_url, attempts=1)
        provider = OpenAICompatibleProvider(settings)
        try:
            await ask_all(
                [(n, Job(first(), provider, settings, following)) for n in range(jobs)],
                journal=journal,
                clock=InstantClock(),
                load=media_bytes,
                on_outcome=lambda _, outcome: found.append(outcome),
            )
        finally:
            await provider.close()

    with ending or nullcontext():
        asyncio.run(go())
    return found


def test_the_second_question_follows_from_the_first_answer(models: FakeModels) -> None:
    models.script(Reply(text="because"), Reply(match="you said: because", text="joy"))
    (outcome,) = run(models, MemoryJournal())
    assert outcome.response is not None
    assert outcome.before is not None
    assert (outcome.before.raw, outcome.response.raw) == ("because", "joy")
    assert (outcome.calls, outcome.cached, len(models.requests)) == (2, False, 2)


def test_a_first_answer_may_be_the_last_word(models: FakeModels) -> None:
    models.script(Reply(text="enough"))
    (outcome,) = run(models, MemoryJournal())
    assert outcome.response is not None
    assert (outcome.response.raw, outcome.before, len(models.requests)) == ("enough", None, 1)


def test_equal_questions_in_flight_are_sent_once_in_both_steps(models: FakeModels) -> None:
    models.script(Reply(text="because", delay_s=0.1), Reply(text="joy", delay_s=0.1))
    outcomes = run(models, MemoryJournal(), jobs=3)
    assert [outcome.response.raw for outcome in outcomes if outcome.response] == ["joy"] * 3
    assert len(models.requests) == 2


def test_after_a_failed_second_step_only_that_is_asked_again(models: FakeModels, tmp_path: Path) -> None:
    models.script(Reply(text="because"), Reply(status=400), Reply(text="joy"))
    outcomes, sent = [], []
    for _ in range(3):
        store = Store.open(f"sqlite:///{tmp_path / 's.db'}")  # as a new process finds it
        outcomes += run(models, Ledger(store, BudgetSection()))
        store.close()
        sent.append(len(models.requests))
    assert [outcome.error.code if outcome.error else "answered" for outcome in outcomes] == [
        "bad_request", "answered", "answered",
    ]  # fmt: skip
    assert sent == [2, 3, 3]
    assert outcomes[2].cached
    assert all("you said: because" in request.raw for request in models.requests[1:])


def test_a_budget_that_ends_between_the_steps_keeps_the_first(models: FakeModels) -> None:
    models.script(Reply(text="because"), Reply(text="joy"))
    journal = MemoryJournal(budget_calls=1)
    ending = pytest.raises(UserError, match="budget")
    assert run(models, journal, ending=ending) == []
    journal.budget_calls = None
    (outcome,) = run(models, journal)
    assert outcome.response is not None
    assert (outcome.response.raw, len(models.requests)) == ("joy", 2)


def test_a_run_that_is_dropped_in_the_second_step_has_paid_the_first_once(models: FakeModels) -> None:
    models.script(Reply(text="because"), Reply(text="late", delay_s=1.0), Reply(text="joy"))
    journal = MemoryJournal()

    async def dropped() -> None:
        settings = section(base_url=models.openai_url, attempts=1)
        provider = OpenAICompatibleProvider(settings)
        asking = asyncio.create_task(
            ask_all(
                [(0, Job(first(), provider, settings, following))],
                journal=journal,
                clock=InstantClock(),
                load=media_bytes,
                on_outcome=lambda *_: None,
            )
        )
        while journal.count("intend") < 2:
            await asyncio.sleep(0.01)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await provider.close()

    asyncio.run(dropped())
    (outcome,) = run(models, journal)
    assert outcome.response is not None
    assert outcome.before == journal.receipts[journal.events[0][1]]
    firsts = [request for request in models.requests if "you said" not in request.raw]
    assert len(firsts) == 1


def test_each_step_gives_its_own_fields_alone() -> None:
    """A server that holds a model to no schema lets it write its reasons anew, after the label."""
    told = {"evidence": [1], "rationale": ["first"], "abstain_reason": None, "labels": ["joy"]}
    after = {"labels": ["anger"], "confidence": 0.9, "evidence": [2], "rationale": ["to fit anger"]}
    usage = Usage()
    steps = [Receipt(json.dumps(answer), "m", usage, "stop") for answer in (told, after)]
    assert json.loads(joined(*steps).raw) == {
        "evidence": [1], "rationale": ["first"], "abstain_reason": None, "labels": ["anger"], "confidence": 0.9,
    }  # fmt: skip
    assert json.loads(joined(steps[0], None).raw)["labels"] == []


def test_what_takes_the_label_back_below_the_second_answer_is_heard() -> None:
    reasons, label = (
        json.dumps({name: value for name, value in answer().items() if (name in REASONS) is first})
        for first in (True, False)
    )
    one = Receipt(reasons, "m", Usage(), "stop")
    for below, reason in (
        ("", ""),
        ("\n```\nSo it is joy.", ""),
        ("\n```\nWait.\nIt is anger.", "several_answers"),
    ):
        both = joined(one, Receipt(f"```json\n{label}{below}" if below else label, "m", Usage(), "stop"))
        parsed = parse_annotation(both.raw, "stop", make_sample(), taxonomy(), shown=frozenset())
        assert (parsed.reason, parsed.answer is None) == (reason, bool(reason)), below


@pytest.mark.parametrize(
    ("reason", "on"), [(None, True), ("N/A", True), ("none", True), ("", True), ("the face is hidden", False)]
)
def test_only_a_reason_to_abstain_ends_a_question_after_its_first_step(reason: str | None, on: bool) -> None:
    raw = json.dumps({"evidence": [], "rationale": [], "abstain_reason": reason})
    first_answer = Receipt(raw, "m", Usage(), "stop")
    assert (goes_on(first_answer) is not None) is on
