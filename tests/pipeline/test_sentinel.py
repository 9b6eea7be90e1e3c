"""The sentinel asks again about a fixed set of clips: its cost, that it counts for nothing, what it shows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.commands.status import status_of
from pipeline.drift import Occasion, drift
from pipeline.explain import explain
from pipeline.facts import stretch_key
from pipeline.project import Project
from pipeline.sentinel import asked_again, drifts, is_due
from pipeline.stages.annotate import AnnotateStage
from pipeline.stages.base import Run, run_async, shards
from pipeline.stages.samples import SampleRef, Samples
from pipeline.stages.sentinel import SentinelStage
from pipeline.status import dead_letters
from schemas.records import Annotation, Sample, Segment
from tests.pipeline.records import make_run, project_in, segment, source
from tests.wire.material import make_sample
from tests.wire.server import FakeModels, Reply

SETTINGS = """[sentinel]
size = 2
every_days = {days}
[[annotators]]
name = "model"
provider = "openai_compatible"
model = "m"
base_url = "{url}"
takes = ["text"]
attempts = 1
[[annotators]]
name = "lexicon"
provider = "cues"
model = "lexicon"
"""
CLIPS = 5


@pytest.fixture
def models() -> Iterator[FakeModels]:
    with FakeModels() as server:
        yield server


def settings(models: FakeModels, days: float = 0) -> str:
    return SETTINGS.format(url=models.openai_url, days=days)


def prepared(project: Project) -> Run:
    run, of = make_run(project), source(1)
    run.sources[of.id] = of
    run.segments = [segment(of, n) for n in range(CLIPS)]
    samples: list[Sample] = [
        make_sample(segment_id=one.id, duration_s=3.0 + n) for n, one in enumerate(run.segments)
    ]
    store = project.store
    store.add([*run.segments, *samples])
    store.set_live(Sample, [one.id for one in samples])
    run.samples = Samples(store, [SampleRef(one.id, one.segment_id, one.target) for one in samples])
    run.facts = store.facts()
    return run


def ask(project: Project, *, stop_after: int | None = None) -> Run:
    run = prepared(project)
    run_async(run, run.batches.collect())
    for stage in (AnnotateStage(), SentinelStage()):
        pieces = list(shards(stage.plan(run), 1))
        if stage.name == "sentinel" and stop_after is not None:
            for piece in pieces[:stop_after]:
                stage.work(run, piece)
            return run
        for piece in pieces:
            stage.work(run, piece)
        stage.finish(run)
    return run


def test_the_first_occasion_costs_nothing_and_the_next_one_asks_the_set_again(
    models: FakeModels, tmp_path: Path
) -> None:
    with project_in(tmp_path, settings(models)) as project:
        ask(project)
        assert len(models.requests) == CLIPS
        assert drifts(project.store) == []
        standing = project.store.live_ids(Annotation)

        ask(project)
        assert len(models.requests) == CLIPS + 2
        asked_first = {request.digest for request in models.requests[:CLIPS]}
        assert {
            request.digest for request in models.requests[CLIPS:]
        } <= asked_first  # the very same questions
        assert project.store.live_ids(Annotation) == standing
        (row,) = drifts(project.store)
        assert (row.annotator, row.compared, row.changed, row.verdict) == ("model", 2, 0, "steady")
        assert status_of(project).drift == [row]
        assert status_of(project).annotations.labelled + status_of(project).annotations.abstained == 2 * CLIPS


def test_an_occasion_in_batches_ends_when_its_answers_are_there(models: FakeModels, tmp_path: Path) -> None:
    models.batches.looks = 0
    batch = 'takes = ["text"]\nmode = "batch"\ngives = ["json_schema", "batches"]'
    with project_in(tmp_path, settings(models).replace('takes = ["text"]', batch)) as project:
        ask(project)
        ask(project)  # the first occasion is the answers that came now
        assert len(models.requests) == CLIPS
        standing = project.store.live_ids(Annotation)
        ask(project)
        assert is_due(project.store, project.settings.sentinel)  # it is open: a job has its questions
        ask(project)
        assert len(models.requests) == CLIPS + 2
        assert project.store.live_ids(Annotation) == standing
        (row,) = drifts(project.store)
        assert (row.annotator, row.compared, row.verdict) == ("model", 2, "steady")


def test_what_was_asked_again_is_no_earlier_form_of_a_question(models: FakeModels, tmp_path: Path) -> None:
    with project_in(tmp_path, settings(models)) as project:
        for _ in range(3):
            run = ask(project)
        assert len(asked_again(project.store)) == 2 * 2
        project.store.add([source(1)])
        project.store.set_live(Segment, [one.id for one in run.segments])
        (recording,) = {segment.source_id for segment in run.segments}
        questions = [one for sample in explain(project, recording).samples for one in sample.questions]
        assert {one.asked for one in questions} == {"model", "lexicon"}
        assert [one.before for one in questions] == [[]] * 2 * CLIPS


def test_a_model_that_answers_otherwise_is_told(models: FakeModels, tmp_path: Path) -> None:
    with project_in(tmp_path, settings(models)) as project:
        models.script(Reply(label="joy", times=CLIPS))
        ask(project)
        models.script(Reply(label="anger", times=0))
        ask(project)
        (row,) = drifts(project.store)
        assert (row.compared, row.changed, row.verdict) == (2, 2, "other_answers")


def test_between_two_occasions_nothing_is_asked(models: FakeModels, tmp_path: Path) -> None:
    with project_in(tmp_path, settings(models, days=7)) as project:
        ask(project)
        ask(project)
        assert len(models.requests) == CLIPS
        assert not is_due(project.store, project.settings.sentinel)


def test_an_occasion_that_was_cut_off_goes_on_and_pays_nothing_twice(
    models: FakeModels, tmp_path: Path
) -> None:
    with project_in(tmp_path, settings(models)) as project:
        ask(project)
        ask(project, stop_after=1)
        assert len(models.requests) == CLIPS + 1
        assert is_due(project.store, project.settings.sentinel)
        ask(project)
        assert len(models.requests) == CLIPS + 2
        assert drifts(project.store)[0].compared == 2


def test_consent_keeps_the_sentinel_here_too(models: FakeModels, tmp_path: Path) -> None:
    third = settings(models).replace('takes = ["text"]', 'takes = ["text"]\nlocal = false')
    with project_in(tmp_path, third) as project:
        ask(project)
        project.store.add_facts([(source(1).id, "consent", "local_only")])
        run = ask(project)
        assert len(models.requests) == CLIPS
        assert run.kept_here == {}


def answered(label: str, *, version: str = "v1", outcome: str = "labelled", **changes: Any) -> Annotation:
    answer = {
        "evidence": (), "rationale": (), "readings": {}, "labels": ({"label": label},), "confidence": 0.5,
    }  # fmt: skip
    fields = {
        "sample_id": "s", "annotator": "a", "request_digest": "r", "provider": "p", "model": "m",
        "outcome": outcome, "model_version": version, "answer": answer if outcome == "labelled" else None,
    }  # fmt: skip
    return Annotation.model_validate({**fields, **changes})


def test_drift_compares_the_last_answer_with_the_first_one_to_the_same_question() -> None:
    first = Occasion(
        "2026-01-01T00:00:00", {"q1": answered("joy"), "q2": answered("joy"), "q3": answered("joy")}
    )
    middle = Occasion("2026-02-01T00:00:00", {"q1": answered("anger"), "q4": answered("joy")})
    last = Occasion(
        "2026-03-01T00:00:00",
        {
            "q1": answered("joy"),
            "q2": answered("joy", outcome="refused", version="v2"),
            "q4": answered("joy", version="v2"),
            "q5": answered("fear"),
        },
    )
    (row,) = drift([first, middle, last])
    assert (row.compared, row.changed) == (3, 1)
    assert (row.versions, row.versions_now) == (("v1",), ("v1", "v2"))
    assert (row.low, row.high) == (0.0615, 0.7923)  # Wilson, 1 of 3
    assert (row.first, row.last) == ("2026-01-01T00:00:00", "2026-03-01T00:00:00")
    assert row.verdict == "other_version"
    assert drift([]) == drift([first]) == []


def test_another_version_is_told_though_no_answer_changed() -> None:
    rows = drift(
        [
            Occasion("1", {"q": answered("joy")}),
            Occasion("2", {"q": answered("joy", version="v2")}),
        ]
    )
    assert [row.verdict for row in rows] == ["other_version"]


def test_what_was_never_asked_is_not_repeated(models: FakeModels, tmp_path: Path) -> None:
    third = settings(models).replace('takes = ["text"]', 'takes = ["text"]\nlocal = false')
    with project_in(tmp_path, third.replace("size = 2", f"size = {CLIPS}")) as project:
        stretch = stretch_key(20.0, 25.0)
        project.store.add_facts([(source(1).id, stretch, {"consent": "local_only"})])
        ask(project)
        assert len(models.requests) == CLIPS - 1
        project.store.add_facts([(source(1).id, stretch, {"consent": "research"})])
        run, stage = prepared(project), SentinelStage()
        run.chosen = [ref.id for ref in run.samples.refs]
        assert len(stage.plan(run)) == CLIPS - 1


def test_a_dead_letter_of_the_sentinel_is_listed(models: FakeModels, tmp_path: Path) -> None:
    with project_in(tmp_path, settings(models)) as project:
        ask(project)
        models.script(Reply(status=400, times=1))
        run = ask(project)
        failed = [item.model_dump(mode="json") for item in run.failed_items()]
        project.store.add_run("2026-01-01", 1.0, {}, failed_items=failed)
        assert [letter.stage for letter in dead_letters(project.store)] == ["sentinel"]
