"""Light copies of what the queue is made of, kept up by what came since: bodies are never read again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from pipeline.policy import reviewer_key
from schemas.records import Record, Review
from schemas.store import Store


class Standing:
    """Some fields of the records of a kind that stand now: id -> (parent, *fields)."""

    def __init__(self, store: Store, cls: type[Record], names: Sequence[str] = ()) -> None:
        self._store = store
        self._cls = cls
        self._names = names
        self._after = 0
        self.rows: dict[str, tuple[Any, ...]] = {}

    def look(self, *, thoroughly: bool) -> bool:
        """Take in what came, and tell whether anything is different.

        That an old record stands again, while no new one came, shows only when looked for `thoroughly`: it
        reads all ids that stand.
        """
        came = self._read(self._after)
        if not came and not thoroughly:
            return False
        standing = self._store.live_ids(self._cls)
        if not came and standing == self.rows.keys():
            return False
        known = {**self.rows, **came}
        if not standing <= known.keys():
            known = self._read(0)
        rows = {record_id: known[record_id] for record_id in standing if record_id in known}
        different, self.rows = rows != self.rows, rows
        return different

    def _read(self, after: int) -> dict[str, tuple[Any, ...]]:
        rows = self._store.columns(self._cls, self._names, after=after)
        if rows:
            self._after = rows[-1][0]
        return {row[1]: row[2:] for row in rows}


class Said:
    """Which segments each reviewer has spoken of under one taxonomy, by phase."""

    def __init__(self, store: Store, taxonomy: str) -> None:
        self._store = store
        self._taxonomy = taxonomy
        self._after = 0
        self._segments: defaultdict[tuple[str, str], set[str]] = defaultdict(set)

    def look(self) -> None:
        """Take in the reviews that came."""
        for seq, _, segment_id, taxonomy, reviewer, phase in self._store.columns(
            Review, ("taxonomy", "reviewer", "phase"), after=self._after
        ):
            self._after = seq
            if taxonomy == self._taxonomy:
                self._segments[reviewer_key(reviewer), phase].add(segment_id)

    def segments(self, reviewer: str, phase: str) -> set[str]:
        return self._segments.get((reviewer_key(reviewer), phase), set())
