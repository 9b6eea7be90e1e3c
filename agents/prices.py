"""What models cost: the dated table `data/prices.csv`, and what a project file says in its place.

The table holds for the vendors' own servers. A model that nobody gives a price for has none: it is asked for,
never guessed.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import NamedTuple

from agents.servers import deployment_of, vendor_of
from schemas.parts import Usage
from schemas.settings_models import ModelSection

PRICE_FILE = Path(__file__).parent / "data" / "prices.csv"
INPUTS = ("text", "image", "audio", "video")
PROJECT_FILE = "project file"
# A dated or numbered snapshot costs what its model costs, unless it has a row of its own.
SNAPSHOT = re.compile(r"-(\d{4}-\d{2}-\d{2}|\d{3}|preview-\d{2}-\d{4})$")


class Price(NamedTuple):
    """USD per million tokens. `inputs` holds the modalities that have a price; `cached` None: as any text.

    `batch_factor`: what a call costs in a vendor's batch, as a share of this; None: no batches, or nobody knows.
    `batch_cached_factor`: the same of cached input, which not every vendor gives for less; None: as the rest.
    """

    inputs: Mapping[str, float]
    output: float
    cached: float | None = None
    batch_factor: float | None = None
    batch_cached_factor: float | None = None
    source: str = PROJECT_FILE

    def cost_usd(self, usage: Usage) -> float:
        """What a call costs. Input whose modality is not told or has no price of its own counts as text."""
        parts = {name: tokens for name, tokens in usage.input_by_modality.items() if name in self.inputs}
        parts["text"] = usage.input_tokens - sum(n for name, n in parts.items() if name != "text")
        total = sum(tokens * self.inputs[name] for name, tokens in parts.items())
        if self.cached is not None and usage.cached_input_tokens:
            # Media may be cached as well, at prices that nobody tells apart: then this is rather too much.
            total -= min(usage.cached_input_tokens, parts["text"]) * (self.inputs["text"] - self.cached)
        return round((total + usage.output_tokens * self.output) / 1e6, 9)

    def in_batches(self) -> Price:
        """The same in the vendor's batches; where no factor is known, as it is."""
        factor = 1.0 if self.batch_factor is None else self.batch_factor
        of_cached = factor if self.batch_cached_factor is None else self.batch_cached_factor
        return self._replace(
            inputs={name: usd * factor for name, usd in self.inputs.items()},
            output=self.output * factor,
            cached=None if self.cached is None else self.cached * of_cached,
            batch_factor=None,
            batch_cached_factor=None,
        )

    @property
    def is_free(self) -> bool:
        return self.output == 0 and not any(self.inputs.values())


class Listed(NamedTuple):
    """A row of the table; a cell that is empty is None."""

    provider: str
    model: str
    valid_from: date
    price: Price
    read_on: date


def price_of(section: ModelSection, on: date | None = None) -> Price | None:
    """What the model of a section costs on a day (today); None when input or output has no price.

    What the section says goes before the table; its price of input holds for every modality but audio that it
    gives a price of its own.
    """
    listed = listed_price(section, on or datetime.now(UTC).date())
    price_in, price_out = section.usd_per_million_input_tokens, section.usd_per_million_output_tokens
    inputs = dict(listed.inputs) if listed is not None else {}
    if price_in is not None:
        inputs = dict.fromkeys(INPUTS, price_in)
    if section.usd_per_million_audio_tokens is not None:
        inputs["audio"] = section.usd_per_million_audio_tokens
    output = price_out if price_out is not None else listed.output if listed is not None else None
    if "text" not in inputs or output is None:
        return None
    own = price_in is not None or price_out is not None
    live = Price(
        inputs=inputs,
        output=output,
        cached=listed.cached if listed is not None and price_in is None else None,
        batch_factor=listed.batch_factor if listed is not None else None,
        batch_cached_factor=listed.batch_cached_factor if listed is not None else None,
        source=PROJECT_FILE if own or listed is None else listed.source,
    )
    return live.in_batches() if section.mode == "batch" else live


def listed_price(section: ModelSection, on: date) -> Price | None:
    """The table's price on a day, where the section asks the vendor itself."""
    if deployment_of(section):
        return None
    return find_price(price_table(), vendor_of(section), section.model, on)


def find_price(table: Iterable[Listed], provider: str, model: str, on: date) -> Price | None:
    """The newest price of a model that was valid on a day; of its snapshot, if it has a row of its own."""
    for name in (model, SNAPSHOT.sub("", model)):
        rows = [
            row for row in table if (row.provider, row.model) == (provider, name) and row.valid_from <= on
        ]
        if rows:
            return max(rows, key=lambda row: row.valid_from).price
    return None


def table_date() -> date:
    """The day on which the newest price of the table was read off its vendor's page."""
    return max(row.read_on for row in price_table())


@cache
def price_table() -> tuple[Listed, ...]:
    """The shipped table."""
    with PRICE_FILE.open(encoding="utf-8", newline="") as file:
        return tuple(_listed(row) for row in csv.DictReader(file))


def _listed(row: dict[str, str]) -> Listed:
    def number(column: str) -> float | None:
        return float(row[column]) if row[column] else None

    given = {name: number(name) for name in INPUTS}
    price = Price(
        inputs={name: value for name, value in given.items() if value is not None},
        output=float(row["output"]),
        cached=number("cached"),
        batch_factor=number("batch_factor"),
        batch_cached_factor=number("batch_cached_factor"),
        source=row["source"],
    )
    since, read = date.fromisoformat(row["valid_from"]), date.fromisoformat(row["read_on"])
    return Listed(row["provider"], row["model"], since, price, read)
