"""`run(project, engine)`: every stage in order, only what is missing. Read this first.

A stage plans (which items are missing?), works (in shards, through the engine) and finishes (what stands
now?). As long as nothing is missing no engine is started, so a run with nothing to do costs only the looking.
"""

from __future__ import annotations

import asyncio
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from pipeline.decoding import MediaMaker
from pipeline.estimate import planned_text
from pipeline.features.environments import prepare_environments
from pipeline.features.host import Host, hosted
from pipeline.ledger import Ledger
from pipeline.outputs import AnnotationCounts, CheckCounts, RunOutput, StageCounts, ThisRun
from pipeline.preflight import judge_notes, look_names_up, preflight
from pipeline.project import Project, only_run
from pipeline.stages.aggregate import AggregateStage
from pipeline.stages.annotate import AnnotateStage
from pipeline.stages.base import Progress, Run, Stage, Stopped, run_async, shards
from pipeline.stages.calibrate import CalibrateStage
from pipeline.stages.check import CheckStage
from pipeline.stages.compose import ComposeStage
from pipeline.stages.contested import ContestedStage
from pipeline.stages.decide import DecideStage
from pipeline.stages.diarize import DiarizeStage
from pipeline.stages.extract import ExtractStage
from pipeline.stages.judge import JudgeStage
from pipeline.stages.media import MediaStage
from pipeline.stages.segment import SegmentStage
from pipeline.stages.sentinel import SentinelStage
from pipeline.stages.speakers import SpeakersStage
from pipeline.status import totals
from pipeline.unchanged import Chosen, forget, look, remember
from schemas.settings import FEATURE_STAGES, MORE_STAGES, Settings
from schemas.store import utc_now

# Stages that keep a core busy: their items are spread over all workers, also when there are few.
SPREAD = frozenset({"segment", *FEATURE_STAGES, *MORE_STAGES, "media"})
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
# Python hears a signal in the main thread only. One that comes just before this thread begins to wait does not
# wake it: an engine waits in steps.
SIGNAL_POLL_S = 0.5

Work = Callable[[list[Any]], StageCounts | None]  # None: an earlier shard has failed, nothing was done
Execute = Callable[[str, list[list[Any]], Work], None]  # stage name, shards, what to do with a shard
Engine = Callable[[Callable[[Execute], None]], None]  # calls the body with an Execute


def local_stages(*, on_trial: bool = False) -> list[Stage]:
    """The stages up to the samples, in order: nobody is asked anything. `on_trial`: as for `ComposeStage`."""
    return [
        SegmentStage(),
        DiarizeStage(),
        *(ExtractStage(stage) for stage in (*FEATURE_STAGES, *MORE_STAGES)),
        SpeakersStage(),
        ComposeStage(on_trial=on_trial),
    ]


def all_stages() -> list[Stage]:
    """The stages in order; each one may rely on what those before it set on the `Run`."""
    return [
        *local_stages(),
        CalibrateStage(),
        AnnotateStage(),
        ContestedStage(),
        CheckStage(),
        JudgeStage(),
        AggregateStage(),
        DecideStage(),
        MediaStage(),
        SentinelStage(),
    ]


def run(
    project: Project,
    engine: Engine,
    *,
    progress: Progress,
    retry_failed: bool = False,
    rebaseline: bool = False,
    renew_examples: bool = False,
) -> RunOutput:
    """Bring the project up to date and tell what stands; every item is looked at.

    Raises:
        UserError: the user must change something (a key, the disk); what is done is kept. A budget that is
            used up is told at the end: what rests on answers that are there is made first.
        KeyboardInterrupt: interrupted; what is done is kept and the next run goes on from there.
    """
    with _begun(project, progress) as began:
        began.state.retry_failed, began.state.rebaseline = retry_failed, rebaseline
        began.state.renew_examples = renew_examples
        _whole_look(began.state, engine)
        began.finished = True
        if began.state.spent_up is not None:
            raise began.state.spent_up
    return RunOutput(**dict(totals(project.store)), this_run=began.told)


@contextmanager
def up_to_samples(
    project: Project, *, progress: Progress, retry_failed: bool = False, rebaseline: bool = False
) -> Iterator[Run]:
    """A run that stops where the first question would be asked: everything before stands, in this process.

    With `retry_failed` what failed is tried again. With `rebaseline` the samples are those against the newest
    baselines, and those that stand stay as they are.

    Raises:
        UserError: the user must change something (a setting, the disk); what is done is kept. No key is needed.
        KeyboardInterrupt: interrupted; what is done is kept.
    """
    with _begun(project, progress) as began:
        began.noted = False
        engine = local_engine(workers=workers_of(project.settings))
        look_names_up(project.root, project.settings)
        began.state.retry_failed, began.state.rebaseline = retry_failed, rebaseline
        _drive(began.state, engine, local_stages(on_trial=rebaseline))
        yield began.state


@dataclass
class _Began:
    """A run that is under way; what it has `told` stands when it is over. `noted`: also when it did nothing."""

    state: Run
    finished: bool = False
    noted: bool = True
    unpriced_before: float = 0
    told: ThisRun = field(default_factory=ThisRun)


@contextmanager
def _begun(project: Project, progress: Progress) -> Iterator[_Began]:
    """Hold the project for a run, and note in the end what it did."""
    started_at, clock = utc_now(), time.monotonic()
    ledger = Ledger(project.store, project.settings.budget)
    state: Run
    media = MediaMaker(project, on_decode=lambda: state.count("decodes"))
    state = Run(project, media, ledger, progress)
    began = _Began(state, unpriced_before=project.store.call_totals()["unpriced"])
    try:
        with only_run(project.root), _interruptible(state):
            yield began
    finally:
        asyncio.run(state.gathering.drop())
        began.told = _this_run(state, time.monotonic() - clock, began.unpriced_before)
        counts = began.told.model_dump(mode="json")
        failed = counts.pop("failed_items")
        if began.noted or state.worked:
            project.store.add_run(
                started_at, began.told.wall_s, counts, failed_items=failed, finished=began.finished
            )


def _whole_look(state: Run, engine: Engine) -> None:
    """Go through the stages; when nothing is left to do, the next call of `nothing_to_do` says so."""
    before = look(state.project)
    forget(state.project)
    ready = partial(preflight, state.project.root, state.project.settings)
    run_async(state, state.batches.collect())
    _drive(state, engine, all_stages(), ready)
    if not state.failures and not state.cancelled.is_set() and not state.project.store.open_batches():
        chosen = Chosen(state.dropped, state.planned, state.kept_here)
        remember(state.project, before, chosen, state.clips)


@contextmanager
def _interruptible(state: Run) -> Iterator[None]:
    """Ctrl-C (and SIGTERM) ask the stages to end after the item in hand; whole records are kept.

    Raises:
        KeyboardInterrupt: once everything in hand is stored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, partial(_stop, state)) for number in STOP_SIGNALS}
    try:
        yield
        if state.cancelled.is_set():
            raise KeyboardInterrupt
    except Stopped as error:
        raise KeyboardInterrupt from error
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(state: Run, *_signal: object) -> None:
    if state.cancelled.is_set():  # asked twice: leave now, the store holds every finished record
        raise KeyboardInterrupt
    state.cancelled.set()


def _drive(
    state: Run, engine: Engine, stages: Sequence[Stage], ready: Callable[[], None] = lambda: None
) -> None:
    """Plan stages until one has work; only then see if all is `ready`, start the engine, and go on inside it."""
    work = _pending(state, stages)
    first = next(work, None)
    if first is None:
        return
    ready()
    for note in judge_notes(state.project.settings):
        state.progress.note("judge", note)
    prepare_environments(state.project.settings.features, state.progress.note)
    state.project.artifacts.sweep()
    workers = workers_of(state.project.settings)

    def body(execute: Execute) -> None:
        step: tuple[Stage, list[Any]] | None = first
        while step is not None:
            stage, items = step
            state.progress.start(stage.name, len(items))
            pieces = list(shards(items, _shard_size(stage, len(items), workers)))
            started_s = time.monotonic()
            try:
                over = threading.Event()
                execute(stage.name, pieces, _until_one_fails(partial(_work, state, stage, over), over))
            finally:
                wall_s = time.monotonic() - started_s
                state.worked.setdefault(stage.name, StageCounts()).wall_s = round(wall_s, 3)
            state.progress.finish(stage.name)
            stage.finish(state)
            step = next(work, None)

    engine(body)


def _work(state: Run, stage: Stage, over: threading.Event, shard: list[Any]) -> StageCounts:
    host = Host(partial(state.progress.note, stage.name), partial(_stop_if_over, state, over))
    with state.shard(stage.name, len(shard)) as counts, hosted(host):
        stage.work(state, shard)
    return counts


def _stop_if_over(state: Run, over: threading.Event) -> None:
    """For a shard that waits: after another has failed it need not begin."""
    state.stop_if_cancelled()
    if over.is_set():
        raise Stopped


def workers_of(settings: Settings) -> int:
    """Shards that are worked on at the same time."""
    return settings.run.workers or len(os.sched_getaffinity(0))


def _shard_size(stage: Stage, items: int, workers: int) -> int:
    """Small shards keep all workers busy; where they take turns on a GPU each would only load its model anew."""
    if stage.name not in SPREAD or not getattr(stage, "spread", True):
        return stage.shard_size
    return min(stage.shard_size, math.ceil(items / workers))


def _until_one_fails(work: Work, over: threading.Event) -> Work:
    """After a shard has failed or was stopped, those that are begun later do nothing, whatever the engine.

    Nor do those that stop because it is `over`: the first one's error is what is told.
    """

    def guarded(shard: list[Any]) -> StageCounts | None:
        if over.is_set():
            return None
        try:
            return work(shard)
        except Stopped:
            if over.is_set():
                return None
            over.set()
            raise
        except BaseException:
            over.set()
            raise

    return guarded


def _pending(state: Run, stages: Sequence[Stage]) -> Iterator[tuple[Stage, list[Any]]]:
    """Stages with something missing; the others are finished here, in passing."""
    for stage in stages:
        state.stop_if_cancelled()
        with hosted(Host(partial(state.progress.note, stage.name))):
            items = stage.plan(state)
        if planned := planned_text(state.meter.of_stage(stage.name)):
            state.progress.note(stage.name, planned)
        if items:
            yield stage, items
        else:
            stage.finish(state)


def local_engine(*, workers: int = 1) -> Engine:
    """Shards in threads of this process; what `--local` uses."""

    def execute(_stage: str, pieces: list[list[Any]], work: Work) -> None:
        with ThreadPoolExecutor(workers) as pool:
            futures = [pool.submit(work, piece) for piece in pieces]
            try:
                while not _over(*wait(futures, SIGNAL_POLL_S, FIRST_EXCEPTION)):
                    pass
            finally:  # after a failure or an interrupt no further shard is begun
                for future in futures:
                    future.cancel()
            for future in futures:
                if not future.cancelled():
                    future.result()

    return lambda body: body(execute)


def _over(done: set[Future[Any]], waiting: set[Future[Any]]) -> bool:
    return not waiting or any(future.exception() for future in done)


def _this_run(state: Run, wall_s: float, unpriced_before: float) -> ThisRun:
    """What this call added, from what the stages counted."""
    counts, calls = state.counts, state.project.store.call_totals()
    spent = calls["spent_usd"] - state.ledger.spent_before_usd
    return ThisRun(
        sources=counts["sources"],
        segments=counts["segments"],
        samples=counts["samples"],
        dropped=dict(state.dropped),
        planned_splits=dict(state.planned),
        kept_here=dict(+state.kept_here),
        annotations=AnnotationCounts(
            **{k: counts[f"annotations.{k}"] for k in AnnotationCounts.model_fields}
        ),
        checks=CheckCounts(**{k: counts[f"checks.{k}"] for k in CheckCounts.model_fields}),
        judgements=counts["judgements"],
        provider_calls=state.ledger.calls,
        cached_calls=state.ledger.cached,
        batch_answers=state.ledger.read_of_batches,
        spent_usd=round(spent, 6),
        unpriced_calls=int(calls["unpriced"] - unpriced_before),
        auto_accepted=counts["auto_accepted"],
        needs_review=counts["needs_review"],
        reviewed=counts["reviewed"],
        wall_s=round(wall_s, 3),
        stages={name: counts.rated() for name, counts in state.worked.items()},
        failed_items=state.failed_items(),
        decodes=counts["decodes"],
        **state.meter.planned,
    )
