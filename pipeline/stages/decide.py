"""Decide: by rule, by a person, or not yet. Pure and cheap, so reviews are taken in without a whole run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from pipeline.policy import decide, decision_question
from pipeline.project import Project
from pipeline.stages.base import Run, each
from schemas.records import Consensus, Decision, Record, Review, Sample


class _Case(NamedTuple):
    consensus: Consensus
    reviews: list[Review]
    missing: dict[str, str]


class DecideStage:
    name = "decide"
    shard_size = 500

    def __init__(self) -> None:
        self._expected: list[str] = []

    def plan(self, run: Run) -> list[Any]:
        cases = _cases(run.project)
        self._expected = list(cases)
        there = run.project.store.digests(Decision)
        return [case for key, case in cases.items() if key not in there]

    def work(self, run: Run, items: Sequence[_Case]) -> None:
        def make(case: _Case) -> list[Record]:
            decision = _decide(run.project, case)
            run.count("reviewed" if decision.status == "adjudicated" else decision.status)
            return [decision]

        each(
            run,
            self.name,
            items,
            make,
            name=lambda case: case.consensus.segment_id,
            path=lambda case: run.segment_text(case.consensus.segment_id),
        )

    def finish(self, run: Run) -> None:
        run.project.store.set_live(Decision, self._expected)


def bring_decisions_up_to_date(project: Project) -> None:
    """Take in the reviews that were saved since the last run; what `release` and `status` do first."""
    cases = _cases(project)
    there = project.store.digests(Decision)
    project.store.add(_decide(project, case) for key, case in cases.items() if key not in there)
    project.store.set_live(Decision, cases)


def _cases(project: Project) -> dict[str, _Case]:
    """What there is to decide, by the id that the decision has or would get."""
    store, settings = project.store, project.settings
    consensuses = store.live(Consensus)
    reviews = store.by_parent(Review, [consensus.segment_id for consensus in consensuses])
    missing = {sample.id: sample.missing for sample in store.live(Sample)}
    cases = {}
    for consensus in consensuses:
        # A segment has one target, and its name is machine-made: another backend must not orphan a label.
        mine = reviews[consensus.segment_id]
        case = _Case(consensus, mine, missing.get(consensus.sample_id, {}))
        key = decision_question(*case, settings.policy, taxonomy=project.taxonomy, seed=settings.project.seed)
        cases[key] = case
    return cases


def _decide(project: Project, case: _Case) -> Decision:
    settings = project.settings
    return decide(*case, settings.policy, taxonomy=project.taxonomy, seed=settings.project.seed)
