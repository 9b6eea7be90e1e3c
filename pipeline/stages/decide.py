"""Decide: by rule, by a person, or not yet. Pure and cheap, so reviews are taken in without a whole run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from pipeline.policy import decide, decision_question
from pipeline.project import Project
from pipeline.stages.base import Run, each, shards
from pipeline.stages.samples import PAGE, reviews_by_item
from schemas.record import Record
from schemas.records import Consensus, Decision, Review, Sample


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
        self._expected, missing = [], []
        for cases in _pages(run.project):
            self._expected += cases
            missing += [case.consensus.id for case in _undecided(run.project, cases)]
        return missing

    def work(self, run: Run, items: Sequence[str]) -> None:
        def make(case: _Case) -> list[Record]:
            decision = _decide(run.project, case)
            run.count("reviewed" if decision.status == "adjudicated" else decision.status)
            return [decision]

        each(
            run,
            self.name,
            list(_cases(run.project, items).values()),
            make,
            name=lambda case: case.consensus.sample_id,
            path=lambda case: run.segment_text(case.consensus.segment_id),
        )

    def finish(self, run: Run) -> None:
        run.project.store.set_live(Decision, self._expected)


def bring_decisions_up_to_date(project: Project) -> None:
    """Take in the reviews that were saved since the last run; what `release` and `status` do first."""
    expected: list[str] = []
    for cases in _pages(project):
        project.store.add(_decide(project, case) for case in _undecided(project, cases))
        expected += cases
    project.store.set_live(Decision, expected)


def _pages(project: Project) -> Iterator[dict[str, _Case]]:
    """All that there is to decide, a page at a time."""
    for page in shards(sorted(project.store.live_ids(Consensus)), PAGE):
        yield _cases(project, page)


def _undecided(project: Project, cases: dict[str, _Case]) -> list[_Case]:
    there = project.store.stubs(Decision, list(cases))
    return [case for key, case in cases.items() if key not in there]


def _cases(project: Project, consensus_ids: Sequence[str]) -> dict[str, _Case]:
    """What there is to decide, by the id that the decision has or would get."""
    store, settings = project.store, project.settings
    consensuses = store.by_id(Consensus, consensus_ids)
    reviews = reviews_by_item(store, [(c.segment_id, c.target.key) for c in consensuses])
    samples = store.stubs(Sample, [consensus.sample_id for consensus in consensuses])
    cases = {}
    for consensus in consensuses:
        mine = reviews[consensus.segment_id, consensus.target.key]
        sample = samples.get(consensus.sample_id)
        case = _Case(consensus, mine, sample.brief["missing"] if sample else {})
        key = decision_question(*case, settings.policy, taxonomy=project.taxonomy, seed=settings.project.seed)
        cases[key] = case
    return cases


def _decide(project: Project, case: _Case) -> Decision:
    settings = project.settings
    return decide(*case, settings.policy, taxonomy=project.taxonomy, seed=settings.project.seed)
