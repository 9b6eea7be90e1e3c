"""What people see: progress with rate and time left, one-line errors, tables. All of it goes to stderr or to
a terminal; machines read `--json`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from pipeline.commands.claims_text import print_claims
from pipeline.commands.endings import say
from pipeline.commands.hints import complete
from pipeline.drift import Drift
from pipeline.ingest import IngestReport
from pipeline.outputs import (
    DemoOutput,
    FailedItem,
    IngestOutput,
    RunOutput,
    StageCounts,
    StatusOutput,
    Totals,
    VoiceCounts,
)
from pipeline.splits import SPLITS

VERDICTS = {
    "steady": "Steady.",
    "other_version": "Another version of the model answers: labels of before and after may not mix.",
    "other_answers": "DRIFT: labels of before and after do not mix.",
}

# Why a clip stands as it does, where its decision gives no reasons.
UNREASONED = {
    "not_annotated": "nobody was asked",
    "undecided": "answers are to come",
    "reviewed": "by people",
}

MAX_FAILED_SHOWN = 20
SHORT_ID = 12  # characters of an id that tell recordings of one name apart; `show` takes them
MAX_NAMES_SHOWN = 5


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.finished_speed or task.speed or 0:.1f}/s", style="progress.data.speed")


class TerminalProgress:
    """One bar per stage; without a terminal only what takes long is told, nothing when machines read."""

    def __init__(self, console: Console, *, silent: bool) -> None:
        self._console, self._silent = console, silent
        self._bars = Progress(
            TextColumn("{task.description:<10}"),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TimeRemainingColumn(),
            console=console,
            disable=silent or not console.is_terminal,
        )
        self._tasks: dict[str, Any] = {}
        self._noted: set[str] = set()
        self._lock = threading.Lock()

    def __enter__(self) -> TerminalProgress:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._bars.stop()

    def start(self, stage: str, total: int) -> None:
        with self._lock:
            self._tasks[stage] = self._bars.add_task(stage, total=total)

    def update(self, stage: str) -> Callable[[int, int], None]:
        """A callback that sets how many of how many are done, for work whose total shows on the way."""
        return lambda done, total: self._bars.update(self._tasks[stage], completed=done, total=total)

    def advance(self, stage: str, n: int = 1) -> None:
        self._bars.advance(self._tasks[stage], n)

    def note(self, stage: str, text: str) -> None:
        """A line of what takes long and moves no bar; every shard says it, and it is told once."""
        line = f"{stage}: {text}"
        with self._lock:
            known = line in self._noted
            self._noted.add(line)
        if not known and not self._silent:
            say(self._console, line)

    def finish(self, stage: str) -> None:
        task = self._bars.tasks[self._tasks[stage]] if self._tasks[stage] < len(self._bars.tasks) else None
        if task is not None:
            self._bars.update(self._tasks[stage], completed=task.total)


def ingest_output(report: IngestReport, sources: int) -> IngestOutput:
    """What `ingest --json` prints; `sources` are all recordings of the project."""
    return IngestOutput(
        new=report.new,
        known=report.known,
        duplicates=report.duplicates,
        ignored=len(report.ignored),
        ignored_files=report.ignored,
        speakers=report.speakers,
        notes=report.notes,
        sources=sources,
        failed_items=[FailedItem.of(outcome) for outcome in report.failed],
    )


def print_ingest(console: Console, report: IngestReport, sources: int) -> None:
    """What was taken in, what was left alone, and what a person should know of it."""
    found = report.new + report.known + report.duplicates + len(report.failed)
    lines = [
        f"{report.new} new, {report.known} known, {report.duplicates} duplicates, {len(report.failed)} failed; "
        f"{sources} recordings in all"
    ]
    if not found and not report.speakers:
        lines.append("no recording was found there: give files or folders of video, sound or pictures")
    if report.ignored:
        number = len(report.ignored)
        what = "1 file is no recording" if number == 1 else f"{number} files are no recordings"
        lines.append(f"{what}: {_some(report.ignored)}")
        lines.append(
            "(transcripts, turns and tables among them are read with their recordings by `emotrace run`)"
        )
    if report.speakers:
        lines.append(f"said of speakers, in all their recordings: {_some(report.speakers)}")
    lines += [f"note: {note}" for note in report.notes]
    for line in lines:
        say(console, line)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - MAX_NAMES_SHOWN} more" if len(names) > MAX_NAMES_SHOWN else ""
    return ", ".join(names[:MAX_NAMES_SHOWN]) + more


def print_run(console: Console, errors: Console, totals: RunOutput) -> None:
    """What stands after a run, what it spent and had planned, and what failed; or how to begin."""
    print_totals(console, totals)
    if (this := totals.this_run).planned_calls:
        planned = "of an unknown price" if this.planned_usd is None else f"for {this.planned_usd:.4g} USD"
        sent = f"{this.provider_calls} calls sent, {_money(this)}"
        say(console, f"this run: {sent}; {this.planned_calls} were planned {planned}")
    print_failures(errors, totals.failed_items)
    if totals.batches:
        say(errors, f"{_jobs(totals)} under way; a later `emotrace run` collects them")
    if not totals.sources:
        say(console, complete("There is nothing to do yet. First: emotrace ingest FOLDER"))


def _money(of: Totals) -> str:
    """What was spent; answers whose price nobody knows are no part of it, and are not free."""
    usd = f"{of.spent_usd:.4g} USD"
    if not of.unpriced_calls:
        return usd
    unknown = f"{of.unpriced_calls} answer{'s' * (of.unpriced_calls > 1)} of an unknown price"
    return f"{usd} and {unknown}" if of.spent_usd else unknown


def _jobs(totals: Totals) -> str:
    """How many batch jobs there are, and about how many questions."""
    jobs, questions = len(totals.batches), sum(job.questions for job in totals.batches)
    size_mb = sum(job.size_bytes for job in totals.batches) / 1e6
    oldest_h = max(job.age_s for job in totals.batches) / 3600
    usd = sum(job.planned_usd for job in totals.batches)
    money = f"for about {usd:.4g} USD, " if usd else ""
    return (
        f"{jobs} batch job{'' if jobs == 1 else 's'} of {questions} questions "
        f"({money}{size_mb:.3g} MB, the oldest {oldest_h:.1f} h)"
    )


def _answered(totals: Totals) -> str:
    in_batches = f"{totals.batch_answers} of them answered in batches, " * bool(totals.batch_answers)
    return f"{in_batches}and {totals.cached_calls} answered from the ledger"


def print_totals(console: Console, totals: Totals) -> None:
    """The summary after `run` and of `status`."""
    notes, verdicts = totals.annotations, totals.checks
    rows = [
        ("recordings", f"{totals.sources}; {totals.segments} segments, {totals.samples} samples"),
        (
            "not annotated",
            ", ".join(f"{n} {reason}" for reason, n in sorted(totals.dropped.items())) or "none",
        ),
        (
            "planned splits",
            ", ".join(_planned(*one) for one in totals.planned_splits.items()) or "none",
        ),
        (
            "annotations",
            f"{notes.labelled} labelled, {notes.abstained} abstained, {notes.refused} refused, "
            f"{notes.unparsed} unparsed, {notes.failed} failed",
        ),
        (
            "claims",
            f"{verdicts.supported} supported, {verdicts.contradicted} contradicted, "
            f"{verdicts.not_measurable} not measurable, {verdicts.outside_clip} outside the clip",
        ),
        *([("batches", f"{_jobs(totals)} under way")] if totals.batches else []),
        (
            "calls sent",
            f"{totals.provider_calls} ({_answered(totals)}), {_money(totals)}",
        ),
        (
            "decisions",
            f"{totals.auto_accepted} accepted, {totals.reviewed} by people, "
            f"{totals.needs_review} wait for a person",
        ),
    ]
    rows[5:5] = [("asked repeatedly", _agreeing(name, voice)) for name, voice in totals.voices.items()]
    if totals.kept_here:
        kept = ", ".join(f"{n} from {name}" for name, n in sorted(totals.kept_here.items()))
        rows.insert(2, ("consent keeps", kept))
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, text in rows:
        table.add_row(name, Text(text))
    console.print(table)


def _agreeing(name: str, voice: VoiceCounts) -> str:
    wordings = f" in {voice.variants} wordings" if voice.variants > 1 else ""
    return f"{name}: {voice.asked} answers{wordings} about {voice.clips} clips, {voice.agreement:.0%} agree"


def _planned(split: str, samples: int) -> str:
    return f"{samples} {split}" if split in SPLITS else f"none, cannot be divided ({split})"


def print_status(console: Console, status: StatusOutput, rules: Collection[str]) -> None:
    """What stands, what each stage did, how far each annotator's claims hold, and whether models have changed.

    `rules` are the names of annotators that cite nothing but what they measured.
    """
    print_totals(console, status)
    if status.stopped:
        say(console, complete("the last run ended before its last stage; to go on: emotrace run"))
    _print_stages(console, status.stages)
    print_claims(console, status.hallucination, rules)
    for one in status.drift:
        say(console, _drift(one))


def _drift(one: Drift) -> str:
    changed = f"{one.changed} of {one.compared} answers changed"
    text = f"{one.annotator}: {changed} since {one.first[:10]} (95 %: {one.low:.0%} to {one.high:.0%})"
    if one.versions != one.versions_now:
        text += f"; it was {', '.join(one.versions) or '?'} and is {', '.join(one.versions_now) or '?'}"
    return f"{text}. {VERDICTS[one.verdict]}"


def _print_stages(console: Console, stages: Mapping[str, StageCounts]) -> None:
    """What each stage did over all runs, how fast, and what of it stands as failed."""
    table = Table(box=None, pad_edge=False)
    table.add_column("stage")
    for column in ("items", "failed", "per s"):
        table.add_column(column, justify="right")
    for name, counts in stages.items():
        table.add_row(name, f"{counts.items:,}", f"{counts.failed:,}", _rate(counts.items_per_s))
    if stages:
        console.print(table)


def _rate(per_s: float | None) -> str:
    if not per_s:
        return "-"
    return f"{per_s:,.0f}" if per_s >= 100 else f"{per_s:.3g}"


def print_failures(console: Console, failed: Sequence[FailedItem]) -> None:
    """What failed, why, how to retry: one line for all items that failed alike."""
    alike: dict[tuple[object, ...], list[FailedItem]] = {}
    for item in failed:
        key = (item.stage, item.code, item.message, item.retry, item.dead_letter)
        alike.setdefault(key, []).append(item)
    groups = list(alike.values())
    for items in groups[:MAX_FAILED_SHOWN]:
        say(console, _failed(items))
    if left := [item for items in groups[MAX_FAILED_SHOWN:] for item in items]:
        say(console, f"... and {len(left)} more: {complete('emotrace status --json')}")


def _failed(items: Sequence[FailedItem]) -> str:
    """The line of items that differ in nothing but what they are."""
    one = items[0]
    names = _some(list(dict.fromkeys(item.path or item.id for item in items)))
    which = names if len(items) == 1 or one.path is None else f"{len(items)} items of {names}"
    kind = ("", ", a dead letter", ", dead letters")[one.dead_letter * min(len(items), 2)]
    return f"failed: {one.stage} {which}: {one.message} ({one.code}{kind}) -> {complete(one.retry)}"


def print_decisions(console: Console, items: Sequence[dict[str, Any]]) -> None:
    """What was decided and why, one row per segment and target."""
    table = Table(box=None, pad_edge=False)
    for column in ("recording", "label", "decision", "why", "votes"):
        table.add_column(column, overflow="fold")
    named: dict[str, set[str]] = {}
    for item in items:
        named.setdefault(item["name"], set()).add(item["source"])
    for item in sorted(items, key=lambda i: (i["name"], i["source"], float(i["span"].partition("-")[0]))):
        which = f" {item['source'][:SHORT_ID]}" if len(named[item["name"]]) > 1 else ""
        cells = [
            f"{item['name']}{which} {item['span']}" + (f" {item['target']}" if item["others"] else ""),
            item["label"] or "(open)",
            item["status"].replace("_", " "),
            ", ".join(item["reasons"]).replace("_", " ") or UNREASONED.get(item["status"], "all rules hold"),
            item["votes"],
        ]
        table.add_row(*map(Text, cells))
    console.print(table)


def print_backends(console: Console, rows: Sequence[dict[str, Any]]) -> None:
    """One line per backend: whether it can measure now, and when it is used; below it what it brings along."""
    for row in rows:
        state = "ready" if row["reachable"] else "needs weights" if row["installed"] else "not installed"
        say(console, f"{row['stage']:<8} {row['name']:<15} {state:<14} {row['note']}")
        download = f"; downloads {row['download']}" if row["download"] else ""
        say(console, f"{'':<24} licence: {row['licence']}{download}")


def print_checks(console: Console, rows: Sequence[dict[str, Any]]) -> None:
    for row in rows:
        say(console, f"{'ok' if row['ok'] else 'FAILED':<7} {row['check']}: {row['detail']}")


def print_demo(console: Console, result: DemoOutput) -> None:
    """The end of the demo: what was decided, where the release is, how to open the page."""
    print_decisions(console, result.items)
    print_totals(console, result.run)
    say(console, f"release: {result.release} ({'verified' if result.verified else 'NOT verified'})")
    if result.release_command:
        told = "the records have changed since; this version stays as it is. To release them:"
        say(console, f"{told} {result.release_command}")
    say(console, f"review page: {result.review_command}")
