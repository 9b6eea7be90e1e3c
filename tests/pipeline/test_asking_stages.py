"""The stages that ask models, over a real socket: in which order, what a budget leaves, and when to give up."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.stages.annotate import AnnotateStage
from pipeline.stages.base import Run, shards
from pipeline.stages.check import CheckStage
from pipeline.stages.judge import JudgeStage
from pipeline.stages.samples import SampleRef, Samples
from schemas.records import Annotation
from tests.pipeline.records import make_run, project_in, segment, source
from tests.wire.material import make_sample
from tests.wire.server import FakeModels, Reply

MODEL = """[[annotators]]
name = "{name}"
provider = "openai_compatible"
model = "{name}"
base_url = "{url}"
takes = ["text"]
concurrency = {concurrency}
"""


@pytest.fixture
def models() -> Iterator[FakeModels]:
    with FakeModels() as server:
        yield server


def settings(models: FakeModels, *names: str, concurrency: int = 1, more: str = "") -> str:
    sections = [MODEL.format(name=name, url=models.openai_url, concurrency=concurrency) for name in names]
    return "\n".join([*sections, more])


def to_ask(run: Run, clips: int, stage: AnnotateStage) -> list[list[Any]]:
    """The shards of so many clips, each of another length: no two questions are the same."""
    of = source(1)
    run.sources[of.id] = of
    run.segments = [segment(of, n) for n in range(clips)]
    samples = [make_sample(segment_id=one.id, duration_s=3.0 + n) for n, one in enumerate(run.segments)]
    store = run.project.store
    store.add(samples)
    run.samples = Samples(store, [SampleRef(one.id, one.segment_id, one.target) for one in samples])
    return list(shards(stage.plan(run), stage.shard_size))


def asked(models: FakeModels) -> list[str]:
    return [str(request.body["model"]) for request in models.requests]


def test_a_slow_annotator_and_a_fast_one_are_asked_side_by_side(models: FakeModels, tmp_path: Path) -> None:
    models.script(Reply(match='"model":"slow"', delay_s=0.03, times=0))
    with project_in(tmp_path, settings(models, "slow", "fast", concurrency=2)) as project:
        run, stage = make_run(project), AnnotateStage()
        for shard in to_ask(run, 30, stage):
            stage.work(run, shard)
    seen: Counter[str] = Counter()
    apart = []
    for name in asked(models):
        seen[name] += 1
        apart.append(abs(seen["slow"] - seen["fast"]))
    assert seen == {"slow": 30, "fast": 30}
    assert max(apart) <= 8  # never further than the few that wait for a slot
    assert (
        models.most_at_once >= 3
    )  # both slots of the slow one are taken, and the fast one is not kept waiting


def test_what_a_budget_pays_for_is_whole_clips(models: FakeModels, tmp_path: Path) -> None:
    text = settings(models, "one", "two", "three", more="[budget]\ncalls = 60\n")
    with project_in(tmp_path, text) as project:
        run, stage = make_run(project), AnnotateStage()
        (shard,) = to_ask(run, 40, stage)
        stage.work(run, shard)
        assert run.spent_up is not None
        assert "60 calls" in run.spent_up.message
        votes: dict[str, set[str]] = defaultdict(set)
        for annotation in project.store.all(Annotation):
            votes[annotation.sample_id].add(annotation.annotator)
        whole = [ref.id for ref in run.samples.refs if len(votes[ref.id]) == 3]
    assert len(models.requests) == 60
    assert len(whole) >= 16  # of 20 that 60 votes can make whole; the others were under way
    assert whole[:14] == [ref.id for ref in run.samples.refs[:14]]  # one after the other


@pytest.mark.parametrize("status", [401, 404])
def test_a_refused_key_is_tried_once_in_a_run_and_not_in_every_shard(
    models: FakeModels, status: int, tmp_path: Path
) -> None:
    models.script(Reply(match='"model":"bad"', status=status, times=0))
    with project_in(tmp_path, settings(models, "bad", "good")) as project:
        run, stage = make_run(project), AnnotateStage()
        stage.shard_size = 8
        pieces = to_ask(run, 12, stage)
        assert len(pieces) == 3
        for shard in pieces:
            stage.work(run, shard)
        stage.finish(run)
        assert Counter(asked(models)) == {"bad": 1, "good": 12}
        assert run.ledger.calls == 13
        assert Counter((a.annotator, a.outcome) for a in project.store.live(Annotation)) == {
            ("bad", "failed"): 1,  # the one that was sent
            ("good", "labelled"): 12,
        }
        told = run.failures["annotate", "bad"]
        assert told.message.endswith("; 12 questions wait for it")
        assert told.retry.endswith(", then: emotrace run")
        assert len(run.failures) == 1  # the one that was sent waits with the others
        assert len(run.waiting) == 12

        again = make_run(project)  # the next run tries again, once
        next_stage = AnnotateStage()
        for shard in to_ask(again, 12, next_stage):
            next_stage.work(again, shard)
        assert Counter(asked(models)) == {"bad": 2, "good": 12}


def test_what_a_refused_annotator_answered_before_is_still_read(models: FakeModels, tmp_path: Path) -> None:
    """Its answers are in the ledger, and reading them costs nothing."""
    with project_in(tmp_path, settings(models, "bad")) as project:
        run, stage = make_run(project), AnnotateStage()
        (shard,) = to_ask(run, 3, stage)
        stage.work(run, shard[1:])
        models.script(Reply(status=401, times=0))
        stage.work(run, shard)
        outcomes = Counter(a.outcome for a in project.store.all(Annotation))
    assert outcomes == {"labelled": 2, "failed": 1}


THIRD = """[[annotators]]
name = "{name}"
provider = "openai_compatible"
model = "{name}"
base_url = "{url}"
local = {local}
takes = ["text"]
concurrency = 1
"""


def test_what_must_stay_here_is_sent_to_no_third_party(models: FakeModels, tmp_path: Path) -> None:
    sections = [
        THIRD.format(name=name, url=models.openai_url, local=local)
        for name, local in (("cloud", "false"), ("own", "true"))
    ]
    with project_in(tmp_path, "\n".join(sections)) as project:
        store, run, stage = project.store, make_run(project), AnnotateStage()
        store.add_facts([(source(1).id, "consent", "local_only")])
        run.facts = store.facts()
        for shard in to_ask(run, 3, stage):
            stage.work(run, shard)
        stage.finish(run)
        assert Counter(asked(models)) == {"own": 3}
        assert run.kept_here == {"cloud": 3}
        assert {a.annotator for a in store.live(Annotation)} == {"own"}
        assert not run.failures

        store.add_facts([(source(1).id, "consent", "research")])
        run.facts = store.facts()
        (shard,) = to_ask(run, 3, stage)
        store.add_facts([(source(1).id, "consent", "local_only")])  # while the run goes on
        stage.work(run, shard)
        assert Counter(asked(models)) == {"own": 3}

        store.add_facts([(source(1).id, "consent", "research")])
        stage.work(run, shard)
        assert Counter(asked(models)) == {"own": 3, "cloud": 3}


def test_what_a_third_party_answered_before_it_was_forbidden_stays(
    models: FakeModels, tmp_path: Path
) -> None:
    with project_in(tmp_path, THIRD.format(name="cloud", url=models.openai_url, local="false")) as project:
        run, stage = make_run(project), AnnotateStage()
        for shard in to_ask(run, 2, stage):
            stage.work(run, shard)
        project.store.add_facts([(source(1).id, "consent", "local_only")])
        run.facts = project.store.facts()
        assert to_ask(run, 2, stage) == []
        stage.finish(run)
        assert len(project.store.live(Annotation)) == 2
        assert run.kept_here == {}


def test_a_judge_of_a_third_party_is_shown_nothing_that_must_stay_here(
    models: FakeModels, tmp_path: Path
) -> None:
    """Its rating and its second look of one annotation are counted as one that was kept."""
    judge = THIRD.format(name="judge", url=models.openai_url, local="false").replace("annotators", "judges")
    with project_in(tmp_path, settings(models, "own") + judge) as project:
        store, run = project.store, make_run(project)
        store.add_facts([(source(1).id, "consent", "local_only")])
        run.facts = store.facts()
        stage = AnnotateStage()
        for shard in to_ask(run, 3, stage):
            stage.work(run, shard)
        stage.finish(run)
        check, judging = CheckStage(), JudgeStage()
        check.work(run, check.plan(run))
        check.finish(run)
        assert judging.plan(run) == []
        assert run.kept_here == {"judge": 3}

        store.add_facts([(source(1).id, "consent", "research")])
        run.facts = store.facts()
        pending = judging.plan(run)
        assert len(pending) == 6
        store.add_facts([(source(1).id, "consent", "local_only")])  # while the run goes on
        judging.work(run, pending)
        assert set(asked(models)) == {"own"}


def test_what_is_said_is_read_again_only_when_more_is_said(tmp_path: Path) -> None:
    with project_in(tmp_path) as project:
        run = make_run(project)
        first = run.facts_now()
        assert run.facts_now() is first
        project.store.add_facts([("speaker:anna", "consent", "local_only")])
        assert run.facts_now() == {"speaker:anna": {"consent": "local_only"}}
