"""What the stages of a run share: the `Run` they work on, and the boundary at which one item may fail."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol, TypeVar

from agents.calls.lines import Lines
from pipeline.batch_desk import Gathering
from pipeline.batches import Batches
from pipeline.decoding import MediaMaker
from pipeline.estimate import Meter
from pipeline.examples import Banks, Saved, banks_now, save
from pipeline.facts import segment_facts
from pipeline.ledger import Ledger
from pipeline.outputs import FailedItem, StageCounts
from pipeline.project import Project
from pipeline.splits import Placed
from pipeline.stages.samples import Samples
from pipeline.stages.targets import Cast
from schemas.errors import ItemError, UserError
from schemas.parts import MediaRef
from schemas.record import Record
from schemas.records import Segment, Source
from schemas.store import ItemOutcome

T = TypeVar("T")
_SHARD: ContextVar[tuple[str, StageCounts] | None] = ContextVar("shard", default=None)
COMMIT_EVERY = 64  # records of one shard in one transaction
CANCEL_POLL_S = 0.1
CURABLE = frozenset({"missing_file", "changed_file"})
RETRY = "emotrace run --retry-failed"


class Stopped(Exception):  # noqa: N818 - it says what happened, it is no error
    """The run was interrupted; what is done is stored, the next run goes on from there."""


class Progress(Protocol):
    """Where a run tells how far it is; stages may tell it from several threads."""

    def start(self, stage: str, total: int) -> None: ...
    def advance(self, stage: str, n: int = 1) -> None: ...
    def finish(self, stage: str) -> None: ...
    def note(self, stage: str, text: str) -> None: ...


@dataclass
class Run:
    """One `emotrace run`: the project, what stands so far, and what this call did.

    `segments`, `feature_ids` and `samples` are set by the stages, each for those after it.
    """

    project: Project
    media: MediaMaker
    ledger: Ledger
    progress: Progress
    retry_failed: bool = False
    rebaseline: bool = False
    cancelled: threading.Event = field(default_factory=threading.Event)
    counts: Counter[str] = field(default_factory=Counter)
    failures: dict[tuple[str, str], ItemOutcome] = field(default_factory=dict)
    sources: dict[str, Source] = field(default_factory=dict)
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    source_feature_ids: list[str] = field(default_factory=list)  # shots and speech of the sources
    segments: list[Segment] = field(default_factory=list)
    # segment -> stage -> id; of what is measured of each voice apart: "STAGE/VOICE"
    feature_ids: dict[str, dict[str, str]] = field(default_factory=dict)
    casts: dict[str, Cast] = field(default_factory=dict)  # who speaks, by source
    samples: Samples = field(init=False)
    placed: Mapping[str, Placed] = field(default_factory=dict)  # sample -> the split that it is meant for
    renew_examples: bool = False
    chosen: list[str] = field(default_factory=list)  # samples that are worth annotating, in their order
    meter: Meter = field(init=False)  # of what there is to ask
    clips: list[MediaRef] = field(default_factory=list)  # that people still need
    dropped: Counter[str] = field(default_factory=Counter)
    kept_here: Counter[str] = field(
        default_factory=Counter
    )  # items that consent keeps from a model, by its name
    planned: Counter[str] = field(default_factory=Counter)  # samples by the split that they are meant for
    _names: dict[str, str] = field(default_factory=dict)
    _facts_now: tuple[int, dict[str, dict[str, Any]]] = (-1, {})  # up to which fact, by subject
    _failed: dict[tuple[str, str], ItemOutcome] = field(default_factory=dict)
    _done: dict[str, set[str]] = field(default_factory=dict)  # of the stages that ask, when they first do
    asking: threading.Lock = field(default_factory=threading.Lock)  # one shard asks models at a time
    batches: Batches = field(init=False)  # vendors' batch jobs that are under way
    gathering: Gathering = field(init=False)  # questions that go into further jobs
    lines: Lines = field(init=False)  # what is known of the servers that are asked
    waiting: set[str] = field(default_factory=set)  # samples that somebody has not been asked about
    spent_up: UserError | None = None  # the budget that ended the calls of this run
    worked: dict[str, StageCounts] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.samples = Samples(self.project.store)
        self.lines = Lines(self.progress.note)
        self.meter = Meter(self.project.store, lambda: self.sources)
        self.batches = Batches(self.project, self.ledger, self.progress.note)
        self.gathering = Gathering(self.batches, self.meter.usd_of, self.project.artifacts)
        self._failed = self.project.store.outcomes(status="failed")

    @cached_property
    def banks(self) -> Banks:
        """The bank of examples: the one that was frozen, else what is frozen when the first question is sent."""
        return banks_now(
            self.project.store,
            self.project.settings,
            lambda: self.placed,
            facts=self.facts,
            segments={segment.id: segment for segment in self.segments},
            renew=self.renew_examples,
        )

    @property
    def lacks_bank(self) -> bool:
        """Whether a bank will be frozen, if a question shows examples."""
        return self.renew_examples or Saved.of(self.facts) is None

    def freeze_bank(self) -> None:
        """Keep the bank that this run's questions show, if they show any."""
        if "banks" in self.__dict__:
            save(self.project.store, self.banks.saved)

    def facts_now(self) -> dict[str, dict[str, Any]]:
        """All that is said by now, by subject; read again only when somebody has said more."""
        newest = self.project.store.newest_fact()
        with self._lock:
            if newest != self._facts_now[0]:
                self._facts_now = newest, self.project.store.facts()
            return self._facts_now[1]

    def count(self, name: str, n: int = 1) -> None:
        with self._lock:
            self.counts[name] += n

    @contextmanager
    def shard(self, stage: str, size: int) -> Iterator[StageCounts]:
        """Counts what becomes of a shard that this thread works on; one that was cut off counts for nothing."""
        counts, started_s = StageCounts(items=size), time.monotonic()
        before = _SHARD.set((stage, counts))
        try:
            yield counts
        finally:
            _SHARD.reset(before)
        counts.wall_s = round(time.monotonic() - started_s, 3)
        with self._lock:
            of_stage = self.worked.setdefault(stage, StageCounts())
            of_stage.items += counts.items
            of_stage.failed += counts.failed

    def came_to_an_end(self, items: int) -> None:
        """Of the shard that this thread works on only so many items did: the others wait."""
        if (shard := _SHARD.get()) is not None:
            shard[1].items = items

    def stop_if_cancelled(self) -> None:
        """Called between items, so that an interrupted run ends with whole records.

        Raises:
            Stopped: somebody interrupted the run.
        """
        if self.cancelled.is_set():
            raise Stopped

    def done_before(self, stage: str, item: str) -> bool:
        """Whether the item ended well, now or in an earlier run."""
        with self._lock:
            if stage not in self._done:
                ended = self.project.store.outcomes(stage, status="done")
                self._done[stage] = {name for _, name in ended}
            return item in self._done[stage]

    def failed_before(self, stage: str, item: str, source: Source | None = None) -> bool:
        """Whether the item failed earlier and is not to be tried again now; it then stands as failed.

        A recording that was away is tried again as soon as it is back.
        """
        outcome = self._failed.get((stage, item))
        if outcome is None or self.retry_failed:
            return False
        if outcome.code in CURABLE and source is not None and self.media.is_there(source):
            return False
        with self._lock:
            self.failures[stage, item] = outcome
        return True

    def fail(self, outcome: ItemOutcome) -> None:
        shard = _SHARD.get()
        if shard is not None and shard[0] == outcome.stage:
            shard[1].failed += 1
        with self._lock:
            self.failures[outcome.stage, outcome.item] = outcome
            self._failed[outcome.stage, outcome.item] = outcome
            self._done.get(outcome.stage, set()).discard(outcome.item)

    def succeed(self, outcome: ItemOutcome) -> None:
        with self._lock:
            self.failures.pop((outcome.stage, outcome.item), None)
            self._failed.pop((outcome.stage, outcome.item), None)
            if outcome.stage in self._done:
                self._done[outcome.stage].add(outcome.item)

    def failed_items(self) -> list[FailedItem]:
        return [FailedItem.of(outcome) for _, outcome in sorted(self.failures.items())]

    def source_of(self, segment: Segment) -> Source:
        return self.sources[segment.source_id]

    def facts_of(self, segment: Segment) -> dict[str, Any]:
        """What people say about a segment: of its stretch, else of its recording, else of its speaker."""
        return segment_facts(self.facts, segment)

    def segment_text(self, segment_id: str) -> str:
        """The name of a segment's recording, for messages."""
        if not self._names:
            self._names = {segment.id: self.path_text(self.source_of(segment)) for segment in self.segments}
        return self._names.get(segment_id, segment_id)

    def path_text(self, source: Source) -> str:
        """The path of a source for messages, or its name when the file is gone."""
        return str(self.facts.get(source.id, {}).get("name", source.id))


class Stage(Protocol):
    """`plan` says which items are missing, `work` makes some of them, `finish` says what stands now."""

    name: str
    shard_size: int

    def plan(self, run: Run) -> list[Any]: ...
    def work(self, run: Run, items: Sequence[Any]) -> None: ...
    def finish(self, run: Run) -> None: ...


class Writer:
    """Collects the records of a shard and commits them in groups, also when the shard is interrupted.

    Nothing is told as done before it is durable.
    """

    def __init__(self, run: Run, stage: str) -> None:
        self._run, self._stage = run, stage
        self._records: list[Record] = []
        self._outcomes: list[ItemOutcome] = []

    def add(self, records: Iterable[Record], outcomes: Iterable[ItemOutcome] = ()) -> None:
        self._records += records
        self._outcomes += outcomes
        if len(self._records) + len(self._outcomes) >= COMMIT_EVERY:
            self.commit()

    def commit(self) -> None:
        self._run.project.store.add(self._records, self._outcomes)
        for outcome in self._outcomes:
            (self._run.succeed if outcome.status == "done" else self._run.fail)(outcome)
        self._records, self._outcomes = [], []

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self.commit()


def each(
    run: Run,
    stage: str,
    items: Sequence[T],
    make: Callable[[T], Iterable[Record]],
    *,
    name: Callable[[T], str],
    path: Callable[[T], str | None],
    remember: bool = False,
) -> None:
    """Make the records of every item. One that fails becomes a failed outcome and the others go on.

    `remember` also stores a "done" outcome per item, for items whose records do not tell that they are done.
    """
    with Writer(run, stage) as writer:
        for item in items:
            run.stop_if_cancelled()
            try:
                records = list(make(item))
            except UserError:
                raise
            except Exception as error:  # noqa: BLE001 - the per-item boundary: a failure becomes an outcome
                writer.add([], [failed(stage, name(item), path(item), error)])
            else:
                writer.add(records, [ItemOutcome(stage, name(item), "done", path(item))] if remember else [])
            run.progress.advance(stage)


def run_async(run: Run, work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine to its end, or until the run is cancelled: then calls in flight are dropped at once.

    A run that is cancelled already starts nothing.

    Raises:
        Stopped: the run was cancelled.
    """

    async def watched() -> None:
        task = asyncio.ensure_future(work)
        while not task.done():
            await asyncio.wait([task], timeout=CANCEL_POLL_S)
            if run.cancelled.is_set():
                task.cancel()
        try:
            task.result()
        except asyncio.CancelledError as error:
            raise Stopped from error

    if run.cancelled.is_set():
        work.close()
        raise Stopped
    asyncio.run(watched())


def failed(stage: str, item: str, path: str | None, error: Exception) -> ItemOutcome:
    """The failed outcome of an error; an unexpected one also leaves its traceback on stderr."""
    if isinstance(error, ItemError):
        return ItemOutcome(stage, item, "failed", path, error.code, _line(str(error)), _retry(error))
    traceback.print_exception(error, file=sys.stderr)
    message = _line(f"{type(error).__name__}: {error}")
    return ItemOutcome(stage, item, "failed", path, "internal_error", message, RETRY)


def _line(text: str) -> str:
    """A message as one line: libraries write several, and a failure is told in one."""
    return " ".join(line.strip() for line in text.splitlines() if line.strip())


def _retry(error: ItemError) -> str:
    return RETRY if error.retry == "emotrace run" else error.retry


def shards(items: Sequence[T], size: int) -> Iterator[list[T]]:
    for start in range(0, len(items), size):
        yield list(items[start : start + size])
