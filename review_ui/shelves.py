"""Light copies of what the queue is made of, kept up by what came since: bodies are never read again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from pipeline.policy import Standing, reviewer_key
from schemas.parts import Target
from schemas.record import Record
from schemas.records import Review, Sample
from schemas.store import Store


class Shelf:
    """Some fields of the records of a kind that stand now: id -> (parent, *fields); targets by their keys."""

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
        return {row[1]: self._fields(row[2:]) for row in rows}

    def _fields(self, row: tuple[Any, ...]) -> tuple[Any, ...]:
        named = zip(("parent", *self._names), row, strict=True)
        return tuple(target_key(value) if name == "target" else value for name, value in named)


class Samples(Shelf):
    """Segment and target of the samples that stand, and which targets ever stood beside others."""

    def __init__(self, store: Store) -> None:
        super().__init__(store, Sample, ("target", "others"))
        self._told_apart: defaultdict[str, set[str]] = defaultdict(set)
        self._keys: defaultdict[str, set[str]] = defaultdict(set)

    def look(self, *, thoroughly: bool) -> bool:
        different = super().look(thoroughly=thoroughly)
        if different:
            self._keys.clear()
            for segment_id, target in self.rows.values():
                self._keys[segment_id].add(target)
        return different

    def is_alone(self, segment_id: str) -> bool:
        return len(self._keys.get(segment_id, ())) == 1

    def standing(self) -> dict[str, Standing]:
        """Segment -> its targets."""
        return {
            segment_id: Standing(frozenset(keys), frozenset(self._told_apart.get(segment_id, ())))
            for segment_id, keys in self._keys.items()
        }

    def _fields(self, row: tuple[Any, ...]) -> tuple[Any, ...]:
        segment_id, target, others = row
        key = target_key(target)
        if others not in (None, "[]"):
            self._told_apart[segment_id].add(key)
        return segment_id, key


def target_key(text: str) -> str:
    """The key of a target, from its JSON."""
    return Target.model_validate_json(text).key


class Said:
    """Whom each reviewer has spoken of under one taxonomy, by phase: segments and keys of targets."""

    def __init__(self, store: Store, taxonomy: str) -> None:
        self._store = store
        self._taxonomy = taxonomy
        self._after = 0
        self._places: defaultdict[tuple[str, str], set[tuple[str, str]]] = defaultdict(set)

    def look(self) -> None:
        """Take in the reviews that came."""
        for seq, _, segment_id, target, taxonomy, reviewer, phase in self._store.columns(
            Review, ("target", "taxonomy", "reviewer", "phase"), after=self._after
        ):
            self._after = seq
            if taxonomy == self._taxonomy:
                self._places[reviewer_key(reviewer), phase].add((segment_id, target_key(target)))

    def places(self, reviewer: str, phase: str) -> set[tuple[str, str]]:
        return self._places.get((reviewer_key(reviewer), phase), set())
