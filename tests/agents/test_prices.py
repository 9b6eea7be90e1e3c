"""What models cost: the shipped table, what a project says in its place, and money out of usage."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.prices import INPUTS, PROJECT_FILE, Price, find_price, price_of, price_table, table_date
from agents.providers.common import usage, usage_at_most
from schemas.parts import Usage
from tests.wire.material import section

TODAY = date(2026, 11, 30)
ELSEWHERE = "http://127.0.0.1:9/v1"
tokens = st.integers(0, 10**7)


def gemini(**changes: Any) -> Any:
    return section("gemini", model="gemini-2.5-flash", **changes)


def test_every_row_of_the_table_says_what_it_is_and_where_it_was_read() -> None:
    rows = price_table()
    assert len({(row.provider, row.model, row.valid_from) for row in rows}) == len(rows) >= 25
    for row in rows:
        assert row.provider in ("openai", "gemini")
        assert row.price.source.startswith("https://")
        assert row.price.inputs["text"] <= row.price.output
        assert row.price.cached is None or row.price.cached < row.price.inputs["text"]
        assert row.price.batch_factor in (None, 0.5)
        assert row.read_on <= table_date()


def test_a_model_of_the_table_has_its_price_by_modality() -> None:
    price = price_of(gemini(), TODAY)
    assert price is not None
    assert price.inputs == {"text": 0.30, "image": 0.30, "audio": 1.00, "video": 0.30}
    assert (price.output, price.cached, price.batch_factor) == (2.50, 0.03, 0.5)


def test_a_snapshot_costs_what_its_model_costs_unless_it_has_a_row_of_its_own() -> None:
    def text(model: str) -> float | None:
        price = find_price(price_table(), "openai", model, TODAY)
        return None if price is None else price.inputs["text"]

    assert text("gpt-4.1-2025-04-14") == text("gpt-4.1") == 2.0
    assert (text("gpt-4o-2024-05-13"), text("gpt-4o-2024-11-20")) == (5.0, 2.5)
    assert text("gpt-4.1-turbo") is None


def test_the_price_of_the_day_counts() -> None:
    def text(day: date) -> float | None:
        price = find_price(price_table(), "gemini", "gemini-3.8-flash", day)
        return None if price is None else price.inputs["text"]

    assert text(date(2026, 12, 31)) == 0.75
    assert text(date(2027, 1, 1)) == 1.5
    assert text(date(2026, 1, 1)) is None  # there was none yet


def test_an_unknown_model_and_another_server_have_no_price() -> None:
    assert price_of(section(model="no-such-model"), TODAY) is None
    assert price_of(section(model="gpt-4.1", base_url=ELSEWHERE), TODAY) is None
    # A gateway that is said to be the vendor itself sells at the vendor's price.
    assert price_of(section(model="gpt-4.1", base_url=ELSEWHERE, deployment=""), TODAY) is not None


@pytest.mark.parametrize("given_key", ["usd_per_million_input_tokens", "usd_per_million_output_tokens"])
def test_half_a_price_is_none_where_the_table_does_not_know_the_rest(given_key: str) -> None:
    assert price_of(section(model="mine", base_url=ELSEWHERE, **{given_key: 1.0}), TODAY) is None


def test_what_the_project_says_goes_before_the_table() -> None:
    own = {"usd_per_million_input_tokens": 0.2, "usd_per_million_output_tokens": 1.0}
    price = price_of(gemini(**own), TODAY)
    assert price is not None
    assert price.inputs == dict.fromkeys(INPUTS, 0.2)
    assert (price.output, price.cached, price.source) == (1.0, None, PROJECT_FILE)
    price = price_of(gemini(**own, usd_per_million_audio_tokens=0.9), TODAY)
    assert price is not None
    assert (price.inputs["audio"], price.inputs["video"]) == (0.9, 0.2)
    price = price_of(gemini(usd_per_million_output_tokens=2.0), TODAY)
    assert price is not None
    assert (price.inputs["audio"], price.output) == (1.0, 2.0)


def test_free_is_what_is_said_to_be_free() -> None:
    free = {"usd_per_million_input_tokens": 0, "usd_per_million_output_tokens": 0}
    price = price_of(section(model="mine", base_url=ELSEWHERE, **free), TODAY)
    assert price is not None
    assert price.is_free
    assert price_of(section(model="mine", base_url=ELSEWHERE), TODAY) is None


def test_money_of_a_usage_by_hand() -> None:
    price = Price({"text": 2.0, "audio": 10.0}, output=8.0, cached=0.5)
    used = Usage(
        input_tokens=1000, output_tokens=100, input_by_modality={"text": 600, "audio": 300, "image": 100}
    )
    assert price.cost_usd(used) == pytest.approx((700 * 2 + 300 * 10 + 100 * 8) / 1e6)
    cached = used.model_copy(update={"cached_input_tokens": 400})
    assert price.cost_usd(cached) == pytest.approx((300 * 2 + 400 * 0.5 + 300 * 10 + 100 * 8) / 1e6)
    untold = Usage(input_tokens=1000, output_tokens=100)
    assert price.cost_usd(untold) == pytest.approx((1000 * 2 + 100 * 8) / 1e6)


@given(st.lists(tokens, min_size=4, max_size=4), tokens, st.integers(0, 10**6))
def test_more_of_anything_never_costs_less(inputs: list[int], output: int, more: int) -> None:
    price = Price({"text": 0.3, "image": 0.4, "audio": 1.0, "video": 0.2}, output=2.5, cached=0.03)
    parts = dict(zip(INPUTS, inputs, strict=True))
    base = price.cost_usd(Usage(input_tokens=sum(inputs), output_tokens=output, input_by_modality=parts))
    for name in INPUTS:
        grown = {**parts, name: parts[name] + more}
        used = Usage(input_tokens=sum(grown.values()), output_tokens=output, input_by_modality=grown)
        assert price.cost_usd(used) >= base
    assert base >= 0


def test_a_vendor_that_tells_nothing_is_priced_by_its_dearest_input() -> None:
    own = gemini(max_output_tokens=10)
    most = usage_at_most(own, 1000)
    assert most.cost_usd == pytest.approx((1000 * 1.0 + 10 * 2.5) / 1e6)
    assert (most.input_tokens, most.input_by_modality, most.estimated) == (1000, {}, True)


def test_the_ledgers_money_comes_from_the_table() -> None:
    told = usage(gemini(), 1000, 100)
    assert told is not None
    assert told.cost_usd == pytest.approx((1000 * 0.30 + 100 * 2.50) / 1e6)
