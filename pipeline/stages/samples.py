"""The samples of a run, read from the store page by page: a project may hold more than memory does."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from agents.judges.judge import Case
from pipeline.policy import Standing, reviews_about
from schemas.ids import content_digest
from schemas.parts import Target
from schemas.records import Annotation, Check, Review, Sample
from schemas.store import Store

PAGE = 500  # segments that are held at a time


class SampleRef(NamedTuple):
    """What is known of a sample without reading it; `features`: ids of what was measured of its target."""

    id: str
    segment_id: str
    target: Target
    features: tuple[str, ...] = ()


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

    @cached_property
    def features(self) -> dict[str, tuple[str, ...]]:
        """Sample -> what was measured of its target."""
        return {ref.id: ref.features for ref in self.refs}

    def pages(self) -> Iterator[Sequence[SampleRef]]:
        for start in range(0, len(self.refs), PAGE):
            yield self.refs[start : start + PAGE]


def targets_standing(store: Store, segment_ids: Sequence[str]) -> dict[str, Standing]:
    """Segment -> its targets, from all the samples that were ever made of it."""
    found = {}
    for segment_id, stubs in store.stubs_by_parent(Sample, segment_ids).items():
        keys = frozenset(stub.brief["target"] for stub in stubs if stub.live)
        found[segment_id] = Standing(
            keys, frozenset(stub.brief["target"] for stub in stubs if not stub.brief["alone"])
        )
    return found


def reviews_by_item(store: Store, items: Collection[tuple[str, str]]) -> dict[tuple[str, str], list[Review]]:
    """(segment, key of a target) -> the reviews that are about it, in the order in which they came."""
    said = store.by_parent(Review, list({segment_id: None for segment_id, _ in items}))
    standing = targets_standing(store, [segment_id for segment_id, reviews in said.items() if reviews])
    return {
        (segment_id, key): reviews_about(key, standing[segment_id], said[segment_id])
        if said[segment_id]
        else []
        for segment_id, key in items
    }


def cases(
    store: Store,
    sample_ids: Sequence[str],
    *,
    seed: int,
    references: Mapping[str, tuple[str, ...]] | None = None,
) -> list[Case]:
    """What there is to judge about some samples: their labelled annotations that stand, with their checks.

    Those of a sample come in an order drawn from the seed, so that no annotator is always asked about first.
    `references`: the true labels by sample, for judges that evaluate.
    """
    samples = {sample.id: sample for sample in store.by_id(Sample, sample_ids)}
    labelled = [a for a in store.live(Annotation, sample_ids) if a.outcome == "labelled"]
    checks = {check.annotation_id: check for check in store.live(Check, [a.id for a in labelled])}
    of_sample: dict[str, list[Annotation]] = {sample_id: [] for sample_id in sample_ids}
    for annotation in sorted(labelled, key=lambda a: content_digest([seed, a.id])):
        if annotation.id in checks:
            of_sample[annotation.sample_id].append(annotation)
    return [
        Case(
            samples[sample_id],
            annotation,
            checks[annotation.id],
            position,
            (references or {}).get(sample_id, ()),
        )
        for sample_id, said in of_sample.items()
        for position, annotation in enumerate(said, start=1)
    ]
