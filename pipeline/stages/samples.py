"""The samples of a run, read from the store page by page: a project may hold more than memory does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from agents.judge import Case
from schemas.parts import Target
from schemas.records import Annotation, Check, Sample
from schemas.store import Store

PAGE = 500  # segments that are held at a time


class SampleRef(NamedTuple):
    """What is known of a sample without reading it."""

    id: str
    segment_id: str
    target: Target


class Samples:
    """The samples that stand, in the order of the segments. To go through them reads them anew, in pages."""

    def __init__(self, store: Store, refs: Sequence[SampleRef] = ()) -> None:
        self._store = store
        self.refs = tuple(refs)

    def __len__(self) -> int:
        return len(self.refs)

    def __iter__(self) -> Iterator[Sample]:
        for page in self.pages():
            yield from self._store.by_id(Sample, [ref.id for ref in page])

    def pages(self) -> Iterator[Sequence[SampleRef]]:
        for start in range(0, len(self.refs), PAGE):
            yield self.refs[start : start + PAGE]


def cases(store: Store, sample_ids: Sequence[str]) -> list[Case]:
    """What there is to judge about some samples: their labelled annotations that stand, with their checks."""
    samples = {sample.id: sample for sample in store.by_id(Sample, sample_ids)}
    labelled = [a for a in store.live(Annotation, sample_ids) if a.outcome == "labelled"]
    checks = {check.annotation_id: check for check in store.live(Check, [a.id for a in labelled])}
    return [Case(samples[a.sample_id], a, checks[a.id]) for a in labelled if a.id in checks]
