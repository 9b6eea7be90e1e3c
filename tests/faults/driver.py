"""Runs one `emotrace` command in this process and kills it at a write barrier; the product has no such hooks.

`python -m tests.faults.driver TRACE KILL COMMAND...` wraps the few functions that make things durable. KILL is
"-" or "WHEN POINT N", e.g. "before call.receipt 2": SIGKILL when that point is reached the second time. WHEN is
"before" the write, "within" it (written, but not yet committed or renamed) or "after" it. Every point that is
reached is appended to TRACE first, so the last line says where any kill hit.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa

import pipeline.cli
from agents.providers.gemini_batches import GeminiBatches
from agents.providers.openai_batches import OpenAIBatches
from pipeline.artifacts import Artifacts
from pipeline.run import all_stages
from pipeline.stages.base import Run
from schemas.record import Record
from schemas.records import Features
from schemas.store import ItemOutcome, Store

READY = "ready"


class Barriers:
    """Counts the points that are reached, tells them to the trace, and kills the process at one of them."""

    def __init__(self, trace: Path, kill: str) -> None:
        self._trace = os.open(trace, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._when, self._point, number = kill.split() if kill != "-" else ("", "", "0")
        self._number = int(number)
        self._seen: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()
        self._inside = threading.local()

    def tell(self, line: str) -> None:
        os.write(self._trace, f"{line}\n".encode())

    def reach(self, when: str, point: str) -> None:
        with self._lock:
            self._seen[when, point] += 1
            self.tell(f"{when} {point}")
            if (when, point, self._seen[when, point]) == (self._when, self._point, self._number):
                os.kill(os.getpid(), signal.SIGKILL)

    def reach_within(self, *_: object) -> None:
        """Called at every commit and rename, of whatever write this thread is in."""
        for point in getattr(self._inside, "points", ()):
            self.reach("within", point)

    @contextmanager
    def around(self, *points: str) -> Iterator[None]:
        """One write of one thing, or of several that become durable together."""
        for point in points:
            self.reach("before", point)
        self._inside.points = points
        try:
            yield
        finally:
            self._inside.points = ()
        for point in points:
            self.reach("after", point)


def install(barriers: Barriers) -> None:
    """Wrap everything that makes something durable."""
    _wrap_store_add(barriers)
    _wrap(Store, "write_calls", barriers, lambda events, *_: [f"call.{call.event}" for call in events])
    _wrap(Store, "set_live", barriers, lambda cls, _ids: f"live.{cls.__name__.lower()}")
    _wrap(Store, "add_facts", barriers, lambda _facts: "facts")
    _wrap(Store, "set_paths", barriers, lambda _paths: "paths")
    _wrap(Store, "add_run", barriers, lambda *_: "run_row")
    for event in ("begin_batch", "uploaded_batch", "submitted_batch", "end_batch"):
        _wrap(Store, event, barriers, partial(_batch_point, event))
    for step in ("upload", "create"):
        for batches in (OpenAIBatches, GeminiBatches):
            _wrap_async(batches, step, barriers, f"batch.{step}")
    _wrap(Artifacts, "put", barriers, lambda _key, name, _file: f"cache.{name}")
    sa.event.listen(sa.Engine, "commit", barriers.reach_within)
    _wrap_rename(barriers)
    _tell_stages(barriers)


def _wrap(owner: type, name: str, barriers: Barriers, points_of: Callable[..., str | list[str]]) -> None:
    original = getattr(owner, name)

    def wrapped(self: Any, *given: Any, **options: Any) -> Any:
        points = points_of(*given)
        with barriers.around(*([points] if isinstance(points, str) else points)):
            return original(self, *given, **options)

    setattr(owner, name, wrapped)


def _batch_point(event: str, *_: object) -> str:
    return f"batch.{event}"


def _wrap_async(owner: type, name: str, barriers: Barriers, point: str) -> None:
    original = getattr(owner, name)

    async def wrapped(self: Any, *given: Any) -> Any:
        barriers.reach("before", point)
        told = await original(self, *given)
        barriers.reach("after", point)
        return told

    setattr(owner, name, wrapped)


def _wrap_store_add(barriers: Barriers) -> None:
    original = Store.add

    def add(self: Store, records: Iterable[Record], outcomes: Iterable[ItemOutcome] = ()) -> None:
        kept, ends = list(records), list(outcomes)
        if not kept and not ends:
            return
        with barriers.around(f"store.{_kind(kept[-1]) if kept else 'outcome'}"):
            original(self, kept, ends)

    Store.add = add  # type: ignore[method-assign]


def _kind(record: Record) -> str:
    return record.stage if isinstance(record, Features) else type(record).__name__.lower()


def _wrap_rename(barriers: Barriers) -> None:
    original = os.rename

    def rename(src: Any, dst: Any, **options: Any) -> None:
        """A release is renamed once, when it is complete."""
        if Path(dst).name == "0.1.0":
            with barriers.around("release.place"):
                original(src, dst, **options)
            return
        barriers.reach_within()
        original(src, dst, **options)

    os.rename = rename


def _tell_stages(barriers: Barriers) -> None:
    """A stage begins when it plans."""
    for cls in {type(stage) for stage in all_stages()}:
        setattr(cls, "plan", _told(barriers, cls.plan))  # noqa: B010 - a plain assignment fails the type check


def _told(barriers: Barriers, plan: Callable[[Any, Run], list[Any]]) -> Callable[[Any, Run], list[Any]]:
    def told(self: Any, run: Run) -> list[Any]:
        barriers.tell(f"stage {self.name}")
        return plan(self, run)

    return told


def main() -> None:
    trace, kill, *command = sys.argv[1:]
    barriers = Barriers(Path(trace), kill)
    install(barriers)
    sys.argv = ["emotrace", *command]
    barriers.tell(f"stage {command[0]}")
    barriers.tell(READY)
    pipeline.cli.main()


if __name__ == "__main__":
    main()
