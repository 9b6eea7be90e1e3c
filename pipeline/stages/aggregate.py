"""Aggregate: what the annotators say together, per segment and target."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from pipeline.aggregate import AGGREGATORS
from pipeline.aggregate.base import Ballot, consensus_question
from pipeline.stages.base import Run, each
from schemas.records import Annotation, Check, Consensus, Judgement, Record, Sample
from schemas.registry import resolve


class AggregateStage:
    name = "aggregate"
    shard_size = 500

    def __init__(self) -> None:
        self._expected: list[str] = []

    def plan(self, run: Run) -> list[Any]:
        settings = run.project.settings
        ballots = {
            consensus_question(
                ballot, taxonomy=run.project.taxonomy, params=settings.aggregate, seed=settings.project.seed
            ): ballot
            for ballot in self._ballots(run)
        }
        self._expected = list(ballots)
        there = run.project.store.digests(Consensus)
        return [ballot for key, ballot in ballots.items() if key not in there]

    def _ballots(self, run: Run) -> list[Ballot]:
        """One ballot per sample that was asked about; samples dropped by `select` have none."""
        said: dict[str, list[Annotation]] = defaultdict(list)
        for annotation in run.annotations:
            said[annotation.sample_id].append(annotation)
        ids = [annotation.id for annotation in run.annotations]
        checks = {check.annotation_id: check for check in run.project.store.live(Check, ids)}
        judgements: dict[str, list[Judgement]] = defaultdict(list)
        for judgement in run.project.store.live(Judgement, ids):
            judgements[judgement.annotation_id].append(judgement)
        return [
            _ballot(sample, said[sample.id], checks, judgements) for sample in run.samples if said[sample.id]
        ]

    def work(self, run: Run, items: Sequence[Ballot]) -> None:
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
            items,
            make,
            name=lambda b: b.segment_id,
            path=lambda b: run.segment_text(b.segment_id),
        )

    def finish(self, run: Run) -> None:
        run.project.store.set_live(Consensus, self._expected)


def _ballot(
    sample: Sample,
    annotations: list[Annotation],
    checks: dict[str, Check],
    judgements: dict[str, list[Judgement]],
) -> Ballot:
    return Ballot(
        segment_id=sample.segment_id,
        target=sample.target,
        sample_id=sample.id,
        annotations=tuple(annotations),
        checks=tuple(checks[a.id] for a in annotations if a.id in checks),
        judgements=tuple(j for a in annotations for j in judgements[a.id]),
    )
