"""The order of work: which items wait for a person, and what each reviewer has said so far."""

from __future__ import annotations

import hashlib
import math
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Literal, NamedTuple, TypeVar

from pipeline.facts import facts_of, is_withdrawn
from pipeline.policy import reviewer_key
from review_ui.shelves import Said, Standing
from schemas.records import Decision, Record, Review, Sample, Segment
from schemas.store import Store

Phase = Literal["blind", "revealed"]
R = TypeVar("R", bound=Record)
LOOK_AGAIN_S = 30.0  # how often the ids of all that stands are read although nothing new came
BANDS = 5  # of priority; within a band chance gives the order


def stored(store: Store, cls: type[R], record_id: str) -> R | None:
    """A record by an id that a browser sent: the id of another kind of record finds nothing."""
    return store.get(cls, record_id) if record_id.startswith(f"{cls.PREFIX}_") else None


class Person(NamedTuple):
    """Who works: the name given now, and the other names that were given in the same browser."""

    name: str
    others: tuple[str, ...] = ()


class Entry(NamedTuple):
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
    """Items of one person. `seen`: wait, but the reveal was open in this browser under another name."""

    done: int
    left: int
    seen: int = 0

    @property
    def total(self) -> int:
        return self.done + self.left


class Kept(NamedTuple):
    """The review that stands after a save. `how`: stored, sent once more, or another one stood already."""

    review: Review
    how: Literal["new", "again", "stands"]


class _Order:
    """All items in order, and the ways to find one."""

    def __init__(self, entries: list[Entry]) -> None:
        self.entries = entries
        self.place = {entry.sample_id: n for n, entry in enumerate(entries)}
        self.by_segment = {entry.segment_id: entry for entry in entries}
        self.waiting = frozenset(entry.segment_id for entry in entries if entry.needs_review)

    def find(self, sample_id: str) -> Entry | None:
        place = self.place.get(sample_id)
        return None if place is None else self.entries[place]


class Queue:
    """Items by priority, for one taxonomy. Reviews are appended through `store_once` only. Safe for threads."""

    def __init__(self, store: Store, taxonomy: str, *, seed: int = 0) -> None:
        self._store = store
        self._taxonomy = taxonomy
        self._seed = seed
        self._decisions = Standing(store, Decision, ("consensus_id", "status", "priority"))
        self._samples = Standing(store, Sample)
        self._said = Said(store, taxonomy)
        self._order = _Order([])
        self._withdrawn: set[str] = set()  # segments found so since they were put in order
        self._sent: dict[str, str] = {}  # review id -> id of the form that brought it
        self._look_at_s = -math.inf
        self._reading, self._writing = threading.RLock(), threading.Lock()

    def entries(self) -> list[Entry]:
        """Every live decision whose sample stands, highest priority first."""
        return self._now().entries

    def find(self, sample_id: str) -> Entry | None:
        """The item of a sample; a sample that was composed anew since leads to the item that took its place."""
        order = self._now()
        found = order.find(sample_id)
        if found is None and (old := stored(self._store, Sample, sample_id)) is not None:
            found = order.by_segment.get(old.segment_id)
        return found

    def find_known(self, sample_id: str) -> Entry | None:
        """The same for a page that is open already: what came since matters only to an unknown sample."""
        return self._order.find(sample_id) or self.find(sample_id)

    def said(self, entry: Entry, reviewer: str, phase: Phase) -> Review | None:
        """The first review of this item, reviewer and phase, if there is one."""
        wanted = (self._taxonomy, reviewer_key(reviewer), phase)
        for review in self._store.by_parent(Review, [entry.segment_id])[entry.segment_id]:
            if (review.taxonomy, reviewer_key(review.reviewer), review.phase) == wanted:
                return review
        return None

    def was_seen(self, entry: Entry, person: Person) -> bool:
        """Whether this browser could see the claims under another name: a label here would not be blind."""
        return any(self.said(entry, other, "blind") for other in person.others)

    def is_withdrawn(self, entry: Entry) -> bool:
        """Whether consent was taken back, by what is known now."""
        facts = facts_of(self._store, self._store.by_id(Segment, [entry.segment_id]))
        found = any(is_withdrawn(said) for said in facts.values())
        with self._reading:
            (self._withdrawn.add if found else self._withdrawn.discard)(entry.segment_id)
        return found

    def after(self, person: Person, sample_id: str | None = None) -> Entry | None:
        """The next open item after `sample_id` in the order, from the top again at the end."""
        with self._reading:
            order = self._now()
            still_open = self._open(person)
            start = order.place.get(sample_id or "", -1) + 1
            ahead = chain(order.entries[start:], order.entries[:start])
        wanted = (entry for entry in ahead if entry.segment_id in still_open)
        return next((entry for entry in wanted if not self.is_withdrawn(entry)), None)

    def progress(self, person: Person) -> Progress:
        with self._reading:
            order = self._now()
            done = self._said.segments(person.name, "revealed") & order.by_segment.keys()
            seen = (order.waiting & self._seen(person)) - done
            return Progress(len(done), len(self._open(person) - self._withdrawn), len(seen))

    def store_once(self, entry: Entry, review: Review, form_id: str) -> Kept:
        """Append a review, unless this reviewer already said something in this phase: then that stands."""
        phase: Phase = "blind" if review.phase == "blind" else "revealed"
        with self._writing:
            known = self.said(entry, review.reviewer, phase)
            if known is None:
                self._store.add([review])
                self._sent[review.id] = form_id
                return Kept(review, "new")
        same = known.model_copy(update={"at": review.at, "seconds": review.seconds}) == review
        return Kept(known, "again" if same and self._sent.get(known.id) == form_id else "stands")

    def _open(self, person: Person) -> frozenset[str]:
        """Segments that wait and were not seen, and those begun, which may always be ended."""
        begun = self._said.segments(person.name, "blind") & self._order.by_segment.keys()
        done = self._said.segments(person.name, "revealed")
        return ((self._order.waiting - self._seen(person)) | begun) - done

    def _seen(self, person: Person) -> set[str]:
        """Segments that were labelled in this browser under other names, and not under this one."""
        others = (self._said.segments(other, "blind") for other in person.others)
        return set().union(*others) - self._said.segments(person.name, "blind")

    def _now(self) -> _Order:
        """The order by what stands now; built once, then again only when something else stands."""
        with self._reading:
            self._said.look()
            thoroughly = time.monotonic() >= self._look_at_s
            looked = [shelf.look(thoroughly=thoroughly) for shelf in (self._decisions, self._samples)]
            if thoroughly:
                self._look_at_s = time.monotonic() + LOOK_AGAIN_S
            if any(looked):
                self._order = _Order(list(self._arranged()))
            return self._order

    def _arranged(self) -> Iterator[Entry]:
        """By bands of priority, and by chance inside: a place in the queue says little about the models."""
        samples = {segment_id: sample_id for sample_id, (segment_id,) in self._samples.rows.items()}

        def order(row: tuple[str, str, str, float]) -> tuple[int, bytes]:
            segment_id, _, _, priority = row
            chance = hashlib.sha256(f"{self._seed}|queue|{segment_id}".encode()).digest()
            return -int(float(priority) * BANDS), chance

        for segment_id, consensus_id, status, _ in sorted(self._decisions.rows.values(), key=order):
            if segment_id in samples:
                yield Entry(samples[segment_id], segment_id, consensus_id, status == "needs_review")
