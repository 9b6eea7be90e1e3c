"""How often each annotator's claims are contradicted by the signal, as `status` and `report` print it."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.outputs import ClaimRate, ClaimRates
from schemas.settings import Settings

COLUMNS = ("contradicted", "of those not told", "of those told", "not measurable", "outside the clip")


def rules_of(settings: Settings) -> set[str]:
    """The names of annotators that cite nothing but what they measured: they are right by construction."""
    return {section.name for section in settings.annotators if section.provider == "cues"}


def print_claims(console: Console, rates: Mapping[str, ClaimRates], rules: Collection[str]) -> None:
    """A row for each annotator."""
    table = Table(box=None, pad_edge=False)
    table.add_column("claims of", overflow="fold")
    for column in COLUMNS:
        table.add_column(column, justify="right")
    for name, row in rates.items():
        table.add_row(Text(named(name, rules)), *cells(row))
    if rates:
        console.print(table)


def named(name: str, rules: Collection[str]) -> str:
    return f"{name} (rules)" if name in rules else name


def cells(row: ClaimRates) -> list[str]:
    """One text for each of the columns."""
    counts = [_contradicted(one) for one in (row, row.not_shown, row.shown)]
    return [*counts, f"{row.not_measurable} of {row.claims}", f"{row.outside_clip}"]


def _contradicted(row: ClaimRate) -> str:
    """ "3 of 20 (15 %, 5-36 %)": the share of the measurable ones with its 95 % interval."""
    if row.rate is None or row.low is None or row.high is None:
        return "-"
    share = f"{100 * row.rate:.0f} %, {100 * row.low:.0f}-{100 * row.high:.0f} %"
    return f"{row.contradicted} of {row.measurable} ({share})"
