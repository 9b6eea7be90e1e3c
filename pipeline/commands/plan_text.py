"""What `emotrace plan` prints: a row for each model that is asked, sums, what a budget pays, what it rests on."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

from pipeline.commands.endings import say
from pipeline.commands.hints import complete
from pipeline.commands.printing import print_failures
from pipeline.outputs import PlanBudget, PlanOutput, PlanSum

KINDS = ("text", "image", "audio", "video")
MINUTE_S, HOUR_S = 60, 3600


def print_plan(console: Console, errors: Console, plan: PlanOutput) -> None:
    """The table and the lines below it; as errors what failed, and what nobody says but the plan needs."""
    if plan.lines:
        console.print(_table(plan))
        for line in _lines(plan):
            say(console, line)
    else:
        say(console, f"{plan.samples} samples; nothing is left to ask of a model over a network")
        if not plan.samples:
            say(console, complete("no clip is there yet; first: emotrace ingest FOLDER"))
    print_failures(errors, plan.failed_items)
    for one in plan.missing:
        say(errors, f"missing: {one.name}: nobody says {one.what} -> {one.remedy}")


def _table(plan: PlanOutput) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("stage", "asked", "model"):
        table.add_column(column, overflow="fold")
    for column in ("calls", *KINDS, "output", "USD", "in batches", "time"):
        table.add_column(column, justify="right")
    for line in plan.lines:
        table.add_row(line.stage, line.name, line.model, *_cells(line))
    if len(plan.providers) > 1:
        for name, of in plan.providers.items():
            table.add_row("", "", f"all of {name}", *_cells(of))
    if len(plan.lines) > 1:
        table.add_row("", "", "all", *_cells(plan.total))
    return table


def _cells(of: PlanSum) -> list[str]:
    tokens = [f"{of.input_tokens.get(kind, 0):,}" for kind in KINDS]
    return [
        f"{of.calls:,}",
        *tokens,
        f"{of.output_tokens:,}",
        _usd(of.usd),
        "-" if of.batch_usd is None and of.usd is not None else _usd(of.batch_usd),  # it has no batches
        _time(of.time_s),
    ]


def _usd(usd: float | None) -> str:
    return "?" if usd is None else f"{usd:.2f}" if usd >= 10 else f"{usd:.4f}"


def _time(time_s: float) -> str:
    if time_s < MINUTE_S:
        return f"{time_s:.0f} s"
    return f"{time_s / MINUTE_S:.0f} min" if time_s < HOUR_S else f"{time_s / HOUR_S:.1f} h"


def _lines(plan: PlanOutput) -> Iterator[str]:
    answered = sum(line.answered for line in plan.lines)
    if answered:
        yield f"{answered} questions are answered in the ledger already and cost nothing"
    under_way = sum(line.under_way for line in plan.lines)
    if under_way:
        yield f"{under_way} questions are under way in batch jobs and are not asked again"
    prices: dict[str, list[str]] = {line.price_from: [] for line in plan.lines if line.price_from is not None}
    for line in plan.lines:
        if line.price_from is not None and line.name not in prices[line.price_from]:
            prices[line.price_from].append(line.name)
    for source, names in prices.items():
        yield f"{', '.join(names)}: prices of {source}"
    yield f"table of prices last read on {plan.prices_read_on}; nothing was sent"
    if plan.budget is not None:
        yield _budget(plan.budget)
    yield from (f"note: {note}" for note in plan.notes)


def _budget(budget: PlanBudget) -> str:
    left = [f"{budget.usd_left:.4g} USD"] if budget.usd_left is not None else []
    left += [f"{budget.calls_left} calls"] if budget.calls_left is not None else []
    held = f"budget: {' and '.join(left)} left"
    if budget.enough is None:
        return f"{held}; whether that is enough cannot be told before all prices are known"
    if budget.enough:
        return f"{held}, which is enough"
    where = f"a run stops in {budget.stops_in} after {budget.after_samples} of {budget.of_samples} samples"
    return f"WARNING {held}, which is not enough: {where}"
