"""The order of work: which items wait for a person, and what each reviewer has said so far."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Literal, TypeVar

from schemas.records import Decision, Record, Review, Sample
from schemas.store import Store

Phase = Literal["blind", "revealed"]
R = TypeVar("R", bound=Record)


def stored(store: Store, cls: type[R], record_id: str) -> R | None:
    """A record by an id that a browser sent: the id of another kind of record finds nothing."""
    return store.get(cls, record_id) if record_id.startswith(f"{cls.PREFIX}_") else None


@dataclass(frozen=True)
class Entry:
    """One item. It holds ids and the status only, so that handing it to a page cannot unblind anyone.

    What was said belongs to the segment: it has one target, whose name another face backend or a speaker that
    is declared later may change.
    """

    sample_id: str
    segment_id: str
    consensus_id: str
    needs_review: bool


@dataclass(frozen=True)
class Progress:
    done: int
    left: int

    @property
    def total(self) -> int:
        return self.done + self.left


class Queue:
    """Items by priority, for one taxonomy. Reviews are appended through `store_once` only."""

    def __init__(self, store: Store, taxonomy: str) -> None:
        self._store = store
        self._taxonomy = taxonomy
        self._lock = threading.Lock()
        self._cached: tuple[tuple[frozenset[str], frozenset[str]], list[Entry]] | None = None

    def entries(self) -> list[Entry]:
        """Every live decision whose sample stands, highest priority first."""
        standing = frozenset(self._store.live_ids(Decision)), frozenset(self._store.live_ids(Sample))
        cached = self._cached
        if cached is None or cached[0] != standing:
            cached = self._cached = (standing, self._read_entries())
        return cached[1]

    def find(self, sample_id: str) -> Entry | None:
        """The item of a sample; a sample that was composed anew since leads to the item that took its place."""
        entries = self.entries()
        found = next((entry for entry in entries if entry.sample_id == sample_id), None)
        if found is None and (old := stored(self._store, Sample, sample_id)) is not None:
            found = next((entry for entry in entries if entry.segment_id == old.segment_id), None)
        return found

    def history(self, reviewer: str) -> dict[str, dict[str, Review]]:
        """What a reviewer said: per segment, the first review of each phase."""
        found: dict[str, dict[str, Review]] = {}
        for review in self._store.all(Review):
            if review.reviewer == reviewer and review.taxonomy == self._taxonomy:
                phases = found.setdefault(review.segment_id, {})
                phases.setdefault(review.phase, review)
        return found

    def said(self, entry: Entry, reviewer: str, phase: Phase) -> Review | None:
        """The review of this item, reviewer and phase, if there is one."""
        wanted = (self._taxonomy, reviewer, phase)
        for review in self._store.by_parent(Review, [entry.segment_id])[entry.segment_id]:
            if (review.taxonomy, review.reviewer, review.phase) == wanted:
                return review
        return None

    def is_open(self, entry: Entry, phases: dict[str, Review]) -> bool:
        """Not finished by this reviewer, and waiting for a person; a review once begun may always be ended."""
        return "revealed" not in phases and (entry.needs_review or "blind" in phases)

    def after(self, reviewer: str, sample_id: str | None = None) -> Entry | None:
        """The next open item after `sample_id` in the order, from the top again at the end."""
        entries, history = self.entries(), self.history(reviewer)
        start = next((n + 1 for n, entry in enumerate(entries) if entry.sample_id == sample_id), 0)
        ahead = entries[start:] + entries[:start]
        return next(
            (entry for entry in ahead if self.is_open(entry, history.get(entry.segment_id, {}))), None
        )

    def progress(self, reviewer: str) -> Progress:
        history = self.history(reviewer)
        phases = [(entry, history.get(entry.segment_id, {})) for entry in self.entries()]
        return Progress(
            done=sum("revealed" in said for _, said in phases),
            left=sum(self.is_open(entry, said) for entry, said in phases),
        )

    def store_once(self, entry: Entry, review: Review) -> Review:
        """Append a review, unless this reviewer already said something in this phase: then that stands."""
        phase: Phase = "blind" if review.phase == "blind" else "revealed"
        with self._lock:
            known = self.said(entry, review.reviewer, phase)
            if known is None:
                self._store.add([review])
            return known or review

    def _read_entries(self) -> list[Entry]:
        decisions = self._store.live(Decision)
        segments = list(dict.fromkeys(decision.segment_id for decision in decisions))
        samples = {sample.segment_id: sample.id for sample in self._store.live(Sample, segments)}
        decisions.sort(key=lambda decision: (-decision.priority, decision.segment_id))
        return [
            Entry(samples[d.segment_id], d.segment_id, d.consensus_id, d.status == "needs_review")
            for d in decisions
            if d.segment_id in samples
        ]
