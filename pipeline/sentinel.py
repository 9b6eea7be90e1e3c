"""The sentinel: a fixed set of clips that is asked about again from time to time, to see whether models change.

Which clips, and when they were asked about, are facts of the project. The first occasion costs nothing: it is the
answers that stand already. The later ones are annotations that stand nowhere, as in
docs/decisions/0010-content-free-answers.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from pipeline.drift import Drift, Occasion, drift
from pipeline.facts import SENTINEL
from schemas.records import Annotation
from schemas.settings import SentinelSection
from schemas.store import Store, utc_now

SAMPLES, OPEN, LAST, ASKED = "samples", "open", "last", "asked "


class Book(NamedTuple):
    """What is kept of the sentinel. `open` is an occasion that was begun and has not come to its end, or ""."""

    samples: tuple[str, ...] = ()
    open: str = ""
    last: str = ""
    answers: Mapping[str, Mapping[str, str]] = {}  # occasion -> id of a question -> id of its annotation

    @classmethod
    def of(cls, facts: Mapping[str, Mapping[str, Any]]) -> Book:
        kept = facts.get(SENTINEL, {})
        return cls(
            tuple(kept.get(SAMPLES, ())),
            kept.get(OPEN, ""),
            kept.get(LAST, ""),
            {key.removeprefix(ASKED): kept[key] for key in sorted(kept) if key.startswith(ASKED)},
        )

    def occasion(self, settings: SentinelSection) -> str | None:
        """The occasion for which questions are to be asked now, None when none is due.

        The first one asks nothing, so it is not due.
        """
        if settings.size == 0 or not self.last:
            return None
        if self.open:
            return self.open
        now = utc_now()
        passed = datetime.fromisoformat(now) - datetime.fromisoformat(self.last)
        return now if passed >= timedelta(days=settings.every_days) else None

    def chosen(self, there: Collection[str], settings: SentinelSection, *, seed: int) -> tuple[str, ...]:
        """The set, among the samples that can be asked about now: those of before; drawn ones fill gaps."""
        kept = [name for name in self.samples if name in there]
        rest = sorted(set(there) - set(kept), key=lambda name: _draw(seed, name))
        return tuple((kept + rest)[: settings.size])


def _draw(seed: int, sample_id: str) -> str:
    return hashlib.sha256(f"{seed}|{SENTINEL}|{sample_id}".encode()).hexdigest()


def begin(store: Store, occasion: str, samples: Sequence[str]) -> None:
    store.add_facts([(SENTINEL, SAMPLES, list(samples)), (SENTINEL, OPEN, occasion)])


def end(store: Store, occasion: str, samples: Sequence[str], answers: Mapping[str, str]) -> None:
    """`answers`: id of a question -> id of the annotation that answers it."""
    kept: dict[str, Any] = {
        SAMPLES: list(samples),
        f"{ASKED}{occasion}": dict(answers),
        LAST: occasion,
        OPEN: "",
    }
    store.add_facts((SENTINEL, key, value) for key, value in kept.items())


def is_due(store: Store, settings: SentinelSection) -> bool:
    return settings.size > 0 and Book.of(store.facts([SENTINEL])).occasion(settings) is not None


def asked_again(store: Store) -> frozenset[str]:
    """The annotations of all occasions but the first, whose answers stand."""
    book = Book.of(store.facts([SENTINEL]))
    return frozenset(
        name for answers in book.answers.values() for asked, name in answers.items() if name != asked
    )


def drifts(store: Store) -> list[Drift]:
    """Whether the models have changed between the first and the last occasion."""
    book = Book.of(store.facts([SENTINEL]))
    occasions = []
    for at, answers in book.answers.items():
        found = {one.id: one for one in store.by_id(Annotation, list(answers.values()))}
        occasions.append(
            Occasion(at, {asked: found[name] for asked, name in answers.items() if name in found})
        )
    return drift(occasions)
