"""What `emotrace plan` prints."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from pipeline.commands.plan_text import print_plan
from pipeline.outputs import PlanBudget, PlanLine, PlanMissing, PlanOutput, PlanSum


def line(name: str, **changes: Any) -> PlanLine:
    told: dict[str, Any] = {
        "stage": "annotate", "name": name, "provider": "gemini", "model": "some-model",
        "calls": 1200, "answered": 3,
        "input_tokens": {"text": 3_600_000, "video": 1_000_000}, "output_tokens": 700_000, "usd": 12.345,
        "batch_usd": 6.1725, "time_s": 4500.0, "expected": False, "output_from": "history",
        "latency_from": "default", "price_from": "https://example.org/prices",
    }  # fmt: skip
    return PlanLine.model_validate({**told, **changes})


def printed(**changes: Any) -> tuple[str, str]:
    lines = changes.get("lines", [line("one"), line("two", usd=None, batch_usd=None, provider="other")])
    told: dict[str, Any] = {
        "date": "2026-11-30", "prices_read_on": "2026-11-19", "execution": "live", "samples": 1200, "dropped": {},
        "lines": lines, "providers": {one.provider: PlanSum(calls=one.calls, usd=one.usd) for one in lines},
        "total": PlanSum(calls=2400, usd=None), "budget": None, "missing": [], "notes": ["judges of nothing"],
        "failed_items": [],
    }  # fmt: skip
    out, errors = (Console(file=io.StringIO(), width=160) for _ in range(2))
    print_plan(out, errors, PlanOutput.model_validate({**told, **changes}))
    return out.file.getvalue(), errors.file.getvalue()  # type: ignore[attr-defined]


def test_a_row_for_each_model_the_providers_and_the_sum() -> None:
    rows = [" ".join(row.split()) for row in printed()[0].splitlines()]
    assert rows[1] == "annotate one some-model 1,200 3,600,000 0 0 1,000,000 700,000 12.35 6.1725 1.2 h"
    assert rows[2].endswith("700,000 ? ? 1.2 h")
    none = [line("one", batch_usd=None, under_way=4)]  # its server has no batches
    assert "700,000 12.35 - 1.2 h" in " ".join(printed(lines=none)[0].split())
    assert "4 questions are under way in batch jobs" in printed(lines=none)[0]
    assert [row.partition(" 1")[0] for row in rows[3:5]] == ["all of gemini", "all of other"]
    assert rows[5].startswith("all 2,400")
    assert "6 questions are answered in the ledger already and cost nothing" in rows
    assert "table of prices last read on 2026-11-19; nothing was sent" in rows
    assert rows[-1] == "note: judges of nothing"


def test_what_is_missing_is_an_error_with_its_remedy() -> None:
    missing = [PlanMissing(name="two", what="the price of some-model", remedy="set this and that")]
    assert (
        printed(missing=missing)[1]
        == "missing: two: nobody says the price of some-model -> set this and that\n"
    )
    assert printed()[1] == ""


def test_a_budget_that_does_not_suffice_is_a_warning() -> None:
    short = PlanBudget(
        usd_left=3.5, calls_left=7, enough=False, stops_in="judge", after_samples=2, of_samples=9
    )
    out = printed(budget=short)[0]
    assert (
        "WARNING budget: 3.5 USD and 7 calls left, which is not enough: "
        "a run stops in judge after 2 of 9 samples"
    ) in out
    assert (
        "budget: 3.5 USD left, which is enough"
        in printed(budget=PlanBudget(usd_left=3.5, calls_left=None, enough=True))[0]
    )


def test_a_budget_that_cannot_be_compared_is_not_called_enough() -> None:
    told = printed(budget=PlanBudget(usd_left=3.5, calls_left=None, enough=None))[0]
    assert "budget: 3.5 USD left; whether that is enough cannot be told before all prices are known" in told


def test_each_source_of_prices_is_named_once() -> None:
    told = printed(lines=[line("one"), line("two"), line("one", stage="judge")])[0]
    assert told.count("prices of https://example.org/prices") == 1
    assert "one, two: prices of https://example.org/prices" in told


def test_nothing_to_ask_is_said() -> None:
    assert printed(lines=[])[0] == "1200 samples; nothing is left to ask of a model over a network\n"
