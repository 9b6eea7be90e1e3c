"""Everything that stands now about each segment, put together from the store: for show, status and release."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from pipeline.facts import facts_of
from schemas.records import (
    Annotation,
    Baseline,
    Check,
    Consensus,
    Decision,
    Features,
    Judgement,
    Review,
    Sample,
    Segment,
    Source,
)
from schemas.store import Store

PAGE = 500  # segments read at a time, so that memory does not grow with the project


@dataclass(frozen=True)
class LiveItem:
    """One segment and target with all that stands about it; `facts` as `pipeline.facts.segment_facts` tells."""

    source: Source
    segment: Segment
    facts: dict[str, Any]
    features: tuple[Features, ...]
    baselines: tuple[Baseline, ...]
    sample: Sample
    annotations: tuple[Annotation, ...]
    checks: dict[str, Check]  # by annotation id
    judgements: dict[str, tuple[Judgement, ...]]  # by annotation id
    consensus: Consensus | None
    reviews: tuple[Review, ...]  # of this segment, in time order
    decision: Decision | None


def live_items(store: Store, segment_ids: list[str] | None = None) -> Iterator[LiveItem]:
    """All live items, or those of some segments, in the order of the segments."""
    segments = store.live(Segment, ids=segment_ids)
    segments.sort(key=lambda segment: (segment.source_id, segment.source_start_s, segment.id))
    for start in range(0, len(segments), PAGE):
        yield from _page(store, segments[start : start + PAGE])


def _page(store: Store, segments: list[Segment]) -> Iterator[LiveItem]:
    ids = [segment.id for segment in segments]
    source_ids = list({segment.source_id: None for segment in segments})
    sources = {source.id: source for source in store.by_id(Source, source_ids)}
    facts = facts_of(store, segments)
    features = _group(store.live(Features, ids))
    samples = _group(store.live(Sample, ids))
    consensus = {(c.segment_id, c.target.key): c for c in store.live(Consensus, ids)}
    decisions = {(d.segment_id, d.target.key): d for d in store.live(Decision, ids)}
    reviews = store.by_parent(Review, ids)
    sample_ids = [sample.id for group in samples.values() for sample in group]
    annotations = _group(store.live(Annotation, sample_ids))
    annotation_ids = [annotation.id for group in annotations.values() for annotation in group]
    checks = {check.annotation_id: check for check in store.live(Check, annotation_ids)}
    judgements = _group(store.live(Judgement, annotation_ids))
    wanted = sorted(
        {baseline for group in samples.values() for sample in group for baseline in sample.baseline_ids}
    )
    baselines = {baseline.id: baseline for baseline in store.by_id(Baseline, wanted)}
    for segment in segments:
        for sample in samples.get(segment.id, []):
            mine = tuple(annotations.get(sample.id, []))
            key = (segment.id, sample.target.key)
            yield LiveItem(
                source=sources[segment.source_id],
                segment=segment,
                facts=facts[segment.id],
                features=tuple(features.get(segment.id, [])),
                baselines=tuple(baselines[i] for i in sample.baseline_ids if i in baselines),
                sample=sample,
                annotations=mine,
                checks={a.id: checks[a.id] for a in mine if a.id in checks},
                judgements={a.id: tuple(judgements.get(a.id, [])) for a in mine},
                consensus=consensus.get(key),
                reviews=tuple(
                    # A segment has one target, whose name is machine-made: a label outlives its renaming.
                    sorted(reviews[segment.id], key=lambda r: r.at)
                ),
                decision=decisions.get(key),
            )


def _group(records: list[Any]) -> dict[str, list[Any]]:
    ordered = sorted(records, key=lambda record: str(record.parent_id))
    return {key: list(group) for key, group in groupby(ordered, key=lambda record: str(record.parent_id))}
