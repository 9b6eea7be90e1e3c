"""Aggregate: what the annotators say together, per segment and target."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from agents.annotators.ensemble import Hearing
from pipeline.aggregate import AGGREGATORS
from pipeline.aggregate.base import Ballot, consensus_question
from pipeline.stages.base import Run, each
from pipeline.stages.calibrate import heard
from pipeline.stages.samples import SampleRef
from schemas.briefs import EVALUATIONS
from schemas.record import Record
from schemas.records import Annotation, Check, Consensus, Judgement
from schemas.registry import resolve
from schemas.store import Store, Stub


class AggregateStage:
    name = "aggregate"
    shard_size = 500

    def __init__(self) -> None:
        self._expected: list[str] = []

    def plan(self, run: Run) -> list[Any]:
        self._expected, missing = [], []
        for page in run.samples.pages():
            wanted = _wanted(run, page)
            there = run.project.store.stubs(Consensus, list(wanted))
            # What waits for somebody's answer gets no new consensus; one that there is stands until then.
            due = {key: ref for key, ref in wanted.items() if key in there or ref.id not in run.waiting}
            missing += [ref for key, ref in due.items() if key not in there]
            self._expected += due
            kept = run.waiting.difference(ref.id for ref in due.values())
            self._expected += _kept(run, [ref for ref in page if ref.id in kept])
        return missing

    def work(self, run: Run, items: Sequence[SampleRef]) -> None:
        settings = run.project.settings
        aggregate = resolve(AGGREGATORS, settings.aggregate.method, what="aggregation method")

        def make(ballot: Ballot) -> list[Record]:
            return list(
                aggregate(
                    [ballot],
                    taxonomy=run.project.taxonomy,
                    params=settings.aggregate,
                    seed=settings.project.seed,
                )
            )

        each(
            run,
            self.name,
            _ballots(run, items),
            make,
            name=lambda b: b.sample_id,
            path=lambda b: run.segment_text(b.segment_id),
        )

    def finish(self, run: Run) -> None:
        run.project.store.set_live(Consensus, self._expected)


def _kept(run: Run, waiting: Sequence[SampleRef]) -> list[str]:
    """What stands of those that wait."""
    targets = {(ref.segment_id, ref.target.key) for ref in waiting}
    there = run.project.store.live(Consensus, [ref.segment_id for ref in waiting]) if waiting else []
    return [one.id for one in there if (one.segment_id, one.target.key) in targets]


def _wanted(run: Run, page: Sequence[SampleRef]) -> dict[str, SampleRef]:
    """Consensus id -> sample, of those that were asked about; samples dropped by `select` are not."""
    settings = run.project.settings
    found = heard(run.project.store, settings, run.project.taxonomy)
    wanted = {}
    for ref, said in _said(run.project.store, page):
        if said:
            question = consensus_question(
                ref.segment_id,
                ref.target,
                said,
                hearings=found,
                taxonomy=run.project.taxonomy,
                params=settings.aggregate,
                seed=settings.project.seed,
            )
            wanted[question] = ref
    return wanted


def _said(store: Store, page: Sequence[SampleRef]) -> Iterator[tuple[SampleRef, list[Stub]]]:
    """Each sample with the annotations, checks and judgements that stand about it, evaluations aside."""
    annotations = _standing(store, Annotation, [ref.id for ref in page])
    ids = [annotation.id for found in annotations.values() for annotation in found]
    checks, judgements = _standing(store, Check, ids), _standing(store, Judgement, ids)
    for ref in page:
        mine = annotations[ref.id]
        rated = {a.id: [one for one in judgements[a.id] if "kind" not in one.brief] for a in mine}
        about = (one for a in mine for one in (*checks[a.id], *rated[a.id]))
        yield ref, [*mine, *about]


def _standing(store: Store, cls: type[Record], parents: list[str]) -> dict[str, list[Stub]]:
    found = store.stubs_by_parent(cls, parents)
    return {parent: [stub for stub in stubs if stub.live] for parent, stubs in found.items()}


def _ballots(run: Run, refs: Sequence[SampleRef]) -> list[Ballot]:
    store, project = run.project.store, run.project
    found = heard(store, project.settings, project.taxonomy)
    said: dict[str, list[Annotation]] = defaultdict(list)
    for annotation in store.live(Annotation, [ref.id for ref in refs]):
        said[annotation.sample_id].append(annotation)
    ids = [annotation.id for found in said.values() for annotation in found]
    checks = {check.annotation_id: check for check in store.live(Check, ids)}
    judgements: dict[str, list[Judgement]] = defaultdict(list)
    for judgement in store.live(Judgement, ids):
        if judgement.kind not in EVALUATIONS:
            judgements[judgement.annotation_id].append(judgement)
    return [_ballot(ref, said[ref.id], checks, judgements, found) for ref in refs]


def _ballot(
    ref: SampleRef,
    annotations: list[Annotation],
    checks: dict[str, Check],
    judgements: dict[str, list[Judgement]],
    hearings: dict[str, Hearing],
) -> Ballot:
    return Ballot(
        segment_id=ref.segment_id,
        target=ref.target,
        sample_id=ref.id,
        annotations=tuple(annotations),
        checks=tuple(checks[a.id] for a in annotations if a.id in checks),
        judgements=tuple(j for a in annotations for j in judgements[a.id]),
        hearings=hearings,
    )
