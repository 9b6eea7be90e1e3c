"""Everything that stands now about each segment, put together from the store: for show, status and release."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from pipeline.facts import facts_around, target_facts
from pipeline.stages.samples import reviews_by_item
from pipeline.stages.targets import DIARIZE, Cast
from schemas.parts import SpeakerTurn
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
    """One segment and target with all that stands about it.

    `facts` are those of the target: `pipeline.facts.segment_facts` of the declared speaker, and of somebody else
    in the segment without what is said of that speaker. `cast` is who speaks in the recording.
    """

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
    reviews: tuple[Review, ...]  # of this target, in time order
    decision: Decision | None
    cast: Cast


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
    facts = facts_around(store, segments)
    features = _group(store.live(Features, ids))
    samples = _group(store.live(Sample, ids))
    consensus = {(c.segment_id, c.target.key): c for c in store.live(Consensus, ids)}
    decisions = {(d.segment_id, d.target.key): d for d in store.live(Decision, ids)}
    reviews = reviews_by_item(store, [(s.segment_id, s.target.key) for of in samples.values() for s in of])
    sample_ids = [sample.id for group in samples.values() for sample in group]
    annotations = _group(store.live(Annotation, sample_ids))
    annotation_ids = [annotation.id for group in annotations.values() for annotation in group]
    checks = {check.annotation_id: check for check in store.live(Check, annotation_ids)}
    judgements = _group(store.live(Judgement, annotation_ids))
    wanted = sorted(
        {baseline for group in samples.values() for sample in group for baseline in sample.baseline_ids}
    )
    baselines = {baseline.id: baseline for baseline in store.by_id(Baseline, wanted)}
    turns = _turns(store, source_ids)
    # One for all the segments of a recording: it looks through all of its turns and stretches.
    casts = {name: Cast(name, turns.get(name, ()), facts.get(name, {})) for name in source_ids}
    for segment in segments:
        mine = samples.get(segment.id, [])
        for sample in mine:
            said = tuple(annotations.get(sample.id, []))
            key = (segment.id, sample.target.key)
            yield LiveItem(
                source=sources[segment.source_id],
                segment=segment,
                facts=target_facts(facts, segment, sample.target.speaker),
                features=_features_of(sample, features.get(segment.id, []), alone=len(mine) == 1),
                baselines=tuple(baselines[i] for i in sample.baseline_ids if i in baselines),
                sample=sample,
                annotations=said,
                checks={a.id: checks[a.id] for a in said if a.id in checks},
                judgements={a.id: tuple(judgements.get(a.id, [])) for a in said},
                consensus=consensus.get(key),
                reviews=tuple(sorted(reviews[key], key=lambda r: r.at)),
                decision=decisions.get(key),
                cast=casts[segment.source_id],
            )


def _features_of(sample: Sample, features: list[Features], *, alone: bool) -> tuple[Features, ...]:
    """What was measured of a target; where others share the segment, a voice of its own."""
    if alone:
        return tuple(features)
    found = {feature.stage: feature for feature in features if feature.digest in sample.feature_digests}
    return tuple(feature for feature in features if found.get(feature.stage) is feature)


def _turns(store: Store, source_ids: list[str]) -> dict[str, tuple[SpeakerTurn, ...]]:
    """The turns that stand of each source."""
    stubs = store.stubs_by_parent(Features, source_ids)
    ids = [s.id for found in stubs.values() for s in found if s.live and s.brief["stage"] == DIARIZE]
    return {features.subject_id: features.turns for features in store.by_id(Features, ids)}


def _group(records: list[Any]) -> dict[str, list[Any]]:
    ordered = sorted(records, key=lambda record: str(record.parent_id))
    return {key: list(group) for key, group in groupby(ordered, key=lambda record: str(record.parent_id))}
