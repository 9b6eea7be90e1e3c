"""The budget under concurrency, over a real socket: how far it is overrun, and what a resume makes of it."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.ledger import Ledger
from pipeline.project import Project
from pipeline.stages.annotate import AnnotateStage
from schemas.errors import UserError
from schemas.parts import Usage
from schemas.records import Annotation
from schemas.settings_models import BudgetSection
from schemas.store import Store
from tests.pipeline.records import make_run, project_in
from tests.pipeline.test_asking_stages import to_ask
from tests.wire.server import FakeModels, Reply

CONCURRENCY, CLIPS = 8, 60
COST_USD = 100 * 50e-6 + 20 * 250e-6  # of one answer of the server
SETTINGS = """[[annotators]]
name = "m"
provider = "openai_compatible"
model = "m"
base_url = "{url}"
takes = ["text"]
concurrency = 8
attempts = 1
usd_per_million_input_tokens = 50.0
usd_per_million_output_tokens = 250.0
[budget]
{budget}
"""


@pytest.fixture
def models() -> Iterator[FakeModels]:
    with FakeModels(delay_s=0.05) as server:
        yield server


def run_to_the_end(project: Project) -> UserError | None:
    """Ask about all clips; how the budget ended it."""
    run, stage = make_run(project), AnnotateStage()
    for shard in to_ask(run, CLIPS, stage):
        stage.work(run, shard)
    return run.spent_up


def test_money_is_overrun_by_what_is_in_flight_at_most_and_a_resume_goes_on_from_the_total(
    models: FakeModels, tmp_path: Path
) -> None:
    def run(usd: float) -> tuple[int, float, bool]:
        text = SETTINGS.format(url=models.openai_url, budget=f"usd = {usd}")
        with project_in(tmp_path, text) as project:
            stopped = run_to_the_end(project)
            spent = project.store.call_sums().spent_usd
            assert stopped is None or stopped.code == "budget_reached"
            return len(models.requests), spent, stopped is not None

    calls, spent, stopped = run(0.2)
    assert stopped
    assert 0.2 <= spent <= 0.2 + (CONCURRENCY - 1) * COST_USD + 1e-9
    assert spent == pytest.approx(calls * COST_USD)
    assert models.most_at_once == CONCURRENCY
    assert run(0.2) == (calls, pytest.approx(spent), True)  # nothing is sent for the same money
    more, spent, stopped = run(0.4)
    assert stopped
    assert more > calls
    assert 0.4 <= spent <= 0.4 + (CONCURRENCY - 1) * COST_USD + 1e-9
    calls, spent, stopped = run(100.0)
    assert (calls, stopped) == (CLIPS, False)
    assert max(Counter(request.digest for request in models.requests).values()) == 1


def test_a_number_of_calls_is_kept_to_the_call_those_without_an_answer_included(
    models: FakeModels, tmp_path: Path
) -> None:
    models.script(Reply(status=500, times=3))
    for calls in (25, 40):
        text = SETTINGS.format(url=models.openai_url, budget=f"calls = {calls}")
        with project_in(tmp_path, text) as project:
            stopped = run_to_the_end(project)
            assert stopped is not None
            assert len(models.requests) == calls
            outcomes = Counter(one.outcome for one in project.store.all(Annotation))
            assert sum(outcomes.values()) <= calls


def test_a_reply_that_is_no_answer_and_was_paid_for_counts_and_is_not_bought_again(
    models: FakeModels, tmp_path: Path
) -> None:
    body = {"choices": [], "usage": {"prompt_tokens": 100, "completion_tokens": 20}}
    models.script(Reply(body=json.dumps(body)))
    text = SETTINGS.format(url=models.openai_url, budget="usd = 100.0").replace(
        "attempts = 1", "attempts = 5"
    )
    with project_in(tmp_path, text) as project:
        for _ in range(2):
            assert run_to_the_end(project) is None
        assert len(models.requests) == CLIPS
        assert project.store.call_sums().spent_usd == pytest.approx(CLIPS * COST_USD)
        (letter,) = project.store.dead_letters(["annotate"])
        assert letter.code == "bad_reply"


def test_two_ledgers_over_one_store_share_the_budget_and_the_answers(tmp_path: Path) -> None:
    """As two runs on two machines would, over one database."""
    stores = [Store.open(f"sqlite:///{tmp_path / 'emotrace.db'}") for _ in range(2)]
    try:
        one, two = (Ledger(store, BudgetSection(calls=3)) for store in stores)

        def intend(ledger: Ledger, key: str) -> object:
            return asyncio.run(ledger.intend(key, provider="p", model="m", annotator="a", components={}))

        assert intend(one, "call_1") is None
        assert two.find("call_1") is None
        paid = Usage(output_tokens=5, cost_usd=0.5)
        asyncio.run(one.fail("call_1", code="bad_reply", message="empty", usage=paid))
        assert intend(one, "call_1") is None
        assert intend(two, "call_2") is None
        with pytest.raises(UserError, match="3 calls"):
            intend(two, "call_3")
        with pytest.raises(UserError, match="3 calls"):
            intend(one, "call_3")
        assert (one.calls, two.calls) == (2, 1)
        assert stores[0].call_totals()["spent_usd"] == 0.5
    finally:
        for store in stores:
            store.close()
