"""What a plan tells: its lines and sums, what is missing to price it, and how far a budget goes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Literal

from agents.prices import price_of, table_date
from pipeline.estimate import ENOUGH_ANSWERS, LATENCY_S, Line, Step, total_usd
from pipeline.outputs import PlanBudget, PlanLine, PlanMissing, PlanOutput, PlanSum
from pipeline.stages.base import Run
from schemas.settings_models import BudgetSection, ModelSection

PRICES = "set usd_per_million_input_tokens and usd_per_million_output_tokens"
HOW_TO_COUNT = {"image": "tokens_per_image", "audio": "tokens_per_audio_s", "video": "tokens_per_video_s"}
STAGES = ("calibrate", "annotate", "contested", "judge", "sentinel")


def told(run: Run) -> PlanOutput:
    """All that the meter of a run has added up."""
    lines = sorted(run.meter.lines.values(), key=lambda line: STAGES.index(line.stage))
    by_provider: dict[str, list[Line]] = {}
    for line in lines:
        by_provider.setdefault(line.section.provider, []).append(line)
    return PlanOutput(
        date=datetime.now(UTC).date().isoformat(),
        prices_read_on=table_date().isoformat(),
        execution=_execution(lines),
        samples=len(run.samples),
        dropped=dict(run.dropped),
        lines=[_line(line) for line in lines],
        providers={name: _sum(of) for name, of in by_provider.items()},
        total=_sum(lines),
        budget=_budget(run),
        missing=[one for line in lines for one in _missing(line)],
        notes=list(_notes(run, lines)),
        failed_items=run.failed_items(),
    )


def _execution(lines: Sequence[Line]) -> Literal["live", "batch", "mixed"]:
    modes = {line.section.mode for line in lines}
    return "mixed" if len(modes) > 1 else next(iter(modes), "live")


def _line(line: Line) -> PlanLine:
    section = line.section
    return PlanLine(
        **_sum([line]).model_dump(exclude={"batch_usd"}),
        batch_usd=_money(line.batch_usd),
        stage=line.stage,
        name=section.name,
        provider=section.provider,
        model=section.model,
        answered=line.answered,
        under_way=line.under_way,
        expected=line.expected,
        output_from="history" if line.history.answers else "default",
        latency_from="default" if line.history.latency_s is None else "history",
        price_from=None if line.price is None else line.price.source,
    )


def _sum(lines: Sequence[Line]) -> PlanSum:
    """Models are asked side by side, stages one after the other."""
    tokens: Counter[str] = Counter()
    for line in lines:
        tokens.update(line.input_tokens)
    times = [[line.time_s for line in lines if line.stage == stage] for stage in STAGES]
    in_batches = (line.usd if line.batch_usd is None else line.batch_usd for line in lines)
    return PlanSum(
        calls=round(sum(line.calls for line in lines)),
        input_tokens={name: round(number) for name, number in tokens.items() if number},
        output_tokens=round(sum(line.output_tokens for line in lines)),
        usd=_money(total_usd(line.usd for line in lines)),
        batch_usd=_money(total_usd(in_batches)),
        time_s=round(sum(max(times_of, default=0.0) for times_of in times), 1),
    )


def _money(usd: float | None) -> float | None:
    return None if usd is None else round(usd, 6)


def _missing(line: Line) -> Iterator[PlanMissing]:
    """What nobody says: a price, or as how many tokens a kind of media counts."""
    name, model = line.section.name, line.section.model
    if line.price is None:
        passed_on = line.section.model_copy(update={"deployment": ""})
        vendors = (
            '; deployment = "" where it passes questions on to the vendor' if price_of(passed_on) else ""
        )
        yield PlanMissing(
            name=name,
            what=f"the price of {model}{_where(line.section)}",
            remedy=f"{PRICES} (0 where calls are free{vendors})",
        )
    elif line.price.is_free:
        return
    for kind in sorted(line.unpriced):
        key = "usd_per_million_audio_tokens" if kind == "audio" else "usd_per_million_input_tokens"
        yield PlanMissing(name=name, what=f"the price of {kind} for {model}", remedy=f"set {key}")
    for kind in sorted(line.unknown):
        what = f"as how many tokens {model} counts {kind}"
        yield PlanMissing(name=name, what=what, remedy=f"set {HOW_TO_COUNT[kind]}")


def _where(section: ModelSection) -> str:
    return f" at {section.base_url}" if section.base_url else ""


def _notes(run: Run, lines: Sequence[Line]) -> Iterator[str]:
    """What the figures rest on, where that is not what was measured."""
    if made := run.worked.get("compose"):
        yield f"samples made first: {made.items}; nothing was sent"
    if further := sorted(line.section.name for line in lines if line.expected and line.stage == "contested"):
        yield (
            f"{', '.join(further)}: asked where others leave the label open; that is taken to be everywhere, or "
            f"as often as it was once it is known of {ENOUGH_ANSWERS} samples"
        )
    if expecting := sorted(line.section.name for line in lines if line.expected and line.stage == "judge"):
        yield (
            f"{', '.join(expecting)}: judges of answers that do not exist yet; every model is taken to give a "
            f"label, or as often as it did once it gave {ENOUGH_ANSWERS} answers"
        )
    if new := sorted({line.section.name for line in lines if line.calls and not line.history.answers}):
        yield f"{', '.join(new)}: no answer yet; three items in each list are taken for typical, without thoughts"
    live = [line for line in lines if line.calls and line.section.mode == "live"]
    if new := sorted({line.section.name for line in live if line.history.latency_s is None}):
        yield f"{', '.join(new)}: no call yet; {LATENCY_S:g} s are taken for each"
    if any(line.calls for line in lines):
        yield "without calls that have to be repeated, and without what a vendor takes off for cached input"
    if batched := sorted(
        {line.section.name for line in lines if line.section.mode == "batch" and line.calls}
    ):
        yield f"{', '.join(batched)}: in batches; a vendor may take a day for one, and mostly takes less"
    if any(line.batch_usd is not None and line.section.mode == "live" for line in lines):
        yield 'set mode = "batch" to ask in batches; a vendor may take a day for one'


def _budget(run: Run) -> PlanBudget | None:
    budget = run.project.settings.budget
    if budget == BudgetSection():
        return None
    spent = run.project.store.call_totals()
    coming_usd = sum(job.planned_usd for job in run.project.store.open_batches())
    usd_left = None if budget.usd is None else max(0.0, budget.usd - spent["spent_usd"] - coming_usd)
    calls_left = None if budget.calls is None else max(0, budget.calls - int(spent["intent"]))
    stop = _stop(run.meter.steps, usd_left, calls_left)
    unknown = usd_left is not None and any(step.usd is None for step in run.meter.steps)
    enough = None if stop is None and unknown else stop is None
    left = PlanBudget(usd_left=_money(usd_left), calls_left=calls_left, enough=enough)
    if stop is None:
        return left
    stage = run.meter.steps[stop].stage
    of_stage = {step.sample_id for step in run.meter.steps if step.stage == stage}
    open_ = {step.sample_id for step in run.meter.steps[stop:] if step.stage == stage}
    done = len(of_stage - open_)
    where = {"stops_in": stage, "after_samples": done, "of_samples": len(of_stage)}
    return PlanBudget.model_validate({**left.model_dump(), **where})


def _stop(steps: Iterable[Step], usd_left: float | None, calls_left: float | None) -> int | None:
    """The first question that a budget does not pay for. The budget is looked at before each call, so the last
    one may carry the sum past it."""
    usd, calls = 0.0, 0.0
    for position, step in enumerate(steps):
        if usd_left is not None and usd >= usd_left and step.calls:
            return position
        if calls_left is not None and calls + step.calls > calls_left + 1e-6:
            return position
        usd, calls = usd + (step.usd or 0.0), calls + step.calls
    return None
