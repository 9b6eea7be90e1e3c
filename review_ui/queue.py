"""The order of work: which items wait for a person, and what each reviewer has said so far."""

from __future__ import annotations

import hashlib
import math
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal, NamedTuple, TypeVar

from pipeline.facts import facts_of, is_withdrawn
from pipeline.policy import Standing, reviewer_key
from review_ui.shelves import Said, Samples, Shelf
from schemas.record import Record
from schemas.records import Decision, Review, Sample, Segment
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

    What was said belongs to a target of the segment, by its key; `pipeline.policy.Standing` tells whom a key
    means when another face backend or a speaker that is declared later has changed it.
    """

    sample_id: str
    segment_id: str
    target: str
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
    """All items in order, and the ways to find one. `standing`: segment -> its targets."""

    def __init__(self, entries: list[Entry], standing: Mapping[str, Standing]) -> None:
        self.entries = entries
        self.place = {entry.sample_id: n for n, entry in enumerate(entries)}
        self.waiting = frozenset(entry.sample_id for entry in entries if entry.needs_review)
        self._standing = standing
        self._by_target = {(entry.segment_id, entry.target): entry for entry in entries}

    def find(self, sample_id: str) -> Entry | None:
        place = self.place.get(sample_id)
        return None if place is None else self.entries[place]

    def about(self, segment_id: str, target: str) -> Entry | None:
        """The item that something said of a target of a segment is about now."""
        standing = self._standing.get(segment_id)
        meant = None if standing is None else standing.meant_by(target)
        return None if meant is None else self._by_target.get((segment_id, meant))

    def items(self, said: Iterable[tuple[str, str]]) -> set[str]:
        """The samples of the items that something was said of."""
        return {entry.sample_id for place in said if (entry := self.about(*place)) is not None}


class Queue:
    """Items by priority, for one taxonomy. Reviews are appended through `store_once` only. Safe for threads."""

    def __init__(self, store: Store, taxonomy: str, *, seed: int = 0) -> None:
        self._store = store
        self._taxonomy = taxonomy
        self._seed = seed
        self._decisions = Shelf(store, Decision, ("target", "consensus_id", "status", "priority"))
        self._samples = Samples(store)
        self._said = Said(store, taxonomy)
        self._order = _Order([], {})
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
            found = order.about(old.segment_id, old.target.key)
        return found

    def find_known(self, sample_id: str) -> Entry | None:
        """The same for a page that is open already: what came since matters only to an unknown sample."""
        return self._order.find(sample_id) or self.find(sample_id)

    def said(self, entry: Entry, reviewer: str, phase: Phase) -> Review | None:
        """The first review of this item, reviewer and phase, if there is one."""
        wanted = (self._taxonomy, reviewer_key(reviewer), phase)
        for review in self._store.by_parent(Review, [entry.segment_id])[entry.segment_id]:
            said = (review.taxonomy, reviewer_key(review.reviewer), review.phase)
            if said == wanted and self.is_about(entry, review.segment_id, review.target.key):
                return review
        return None

    def is_about(self, entry: Entry, segment_id: str, target: str) -> bool:
        """Whether something said of a target of a segment is about this item."""
        order = self._order
        about = order.about(segment_id, target)
        return about is not None and about == order.about(entry.segment_id, entry.target)

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
        wanted = (entry for entry in ahead if entry.sample_id in still_open)
        return next((entry for entry in wanted if not self.is_withdrawn(entry)), None)

    def progress(self, person: Person) -> Progress:
        with self._reading:
            order = self._now()
            done = order.items(self._said.places(person.name, "revealed"))
            seen = (order.waiting & self._seen(person)) - done
            still_open = (order.find(sample_id) for sample_id in self._open(person))
            left = sum(entry is not None and entry.segment_id not in self._withdrawn for entry in still_open)
            return Progress(len(done), left, len(seen))

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
        """Items that wait and were not seen, and those begun, which may always be ended."""
        begun = self._order.items(self._said.places(person.name, "blind"))
        done = self._order.items(self._said.places(person.name, "revealed"))
        return ((self._order.waiting - self._seen(person)) | begun) - done

    def _seen(self, person: Person) -> set[str]:
        """Items that were labelled in this browser under other names, and not under this one."""
        others = (self._order.items(self._said.places(other, "blind")) for other in person.others)
        return set().union(*others) - self._order.items(self._said.places(person.name, "blind"))

    def _now(self) -> _Order:
        """The order by what stands now; built once, then again only when something else stands."""
        with self._reading:
            self._said.look()
            thoroughly = time.monotonic() >= self._look_at_s
            looked = [shelf.look(thoroughly=thoroughly) for shelf in (self._decisions, self._samples)]
            if thoroughly:
                self._look_at_s = time.monotonic() + LOOK_AGAIN_S
            if any(looked):
                self._order = _Order(list(self._arranged()), self._samples.standing())
            return self._order

    def _arranged(self) -> Iterator[Entry]:
        """By bands of priority, and by chance inside: a place in the queue says little about the models."""
        samples = {row[:2]: sample_id for sample_id, row in self._samples.rows.items()}

        def order(row: tuple[Any, ...]) -> tuple[int, bytes]:
            segment_id, target, _, _, priority = row
            # Of several people in one segment each has a place of its own, where the claims about one were not
            # just read; alone, the place does not move when the target is called otherwise.
            drawn = segment_id if self._samples.is_alone(segment_id) else f"{segment_id}|{target}"
            chance = hashlib.sha256(f"{self._seed}|queue|{drawn}".encode()).digest()
            return -int(float(priority) * BANDS), chance

        for row in sorted(self._decisions.rows.values(), key=order):
            segment_id, target, consensus_id, status, _ = row
            if (segment_id, target) in samples:
                sample_id = samples[segment_id, target]
                yield Entry(sample_id, segment_id, target, consensus_id, status == "needs_review")
