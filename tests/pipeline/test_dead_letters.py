"""Questions that never get an answer: put aside with their reason, listed, replayed; and those that only wait."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.consent import Consent
from pipeline.live import live_items
from pipeline.project import Project
from pipeline.release.stale import Today
from pipeline.stages.annotate import AnnotateStage
from pipeline.stages.asking import REMEDIES
from pipeline.stages.base import RETRY, Run
from pipeline.stages.contested import ContestedStage, given_up
from schemas.records import Annotation, Sample, Segment
from tests.pipeline.records import make_run, project_in, source
from tests.pipeline.test_asking_stages import asked, to_ask
from tests.wire.server import FakeModels, Reply

MODEL = """[[annotators]]
name = "{name}"
provider = "openai_compatible"
model = "{name}"
base_url = "{url}"
deployment = "here"
takes = ["text"]
concurrency = {concurrency}
attempts = 1
patience_s = {patience_s}
{more}
"""
THIRD_CLIP = "5.000 s"  # how long it lasts, as the prompt tells


@pytest.fixture
def models() -> Iterator[FakeModels]:
    with FakeModels() as server:
        yield server


def model(url: str, name: str = "m", *, concurrency: int = 1, patience_s: float = 600, more: str = "") -> str:
    return MODEL.format(name=name, url=url, concurrency=concurrency, patience_s=patience_s, more=more)


def run_once(project: Project, clips: int = 6, *, retry_failed: bool = False) -> Run:
    """One run of the stage, from the plan to the end."""
    run, stage = make_run(project), AnnotateStage()
    run.retry_failed = retry_failed
    for shard in to_ask(run, clips, stage):
        stage.work(run, shard)
    stage.finish(run)
    return run


def standing(project: Project) -> Counter[str]:
    return Counter(annotation.outcome for annotation in project.store.live(Annotation))


@pytest.mark.parametrize("status", [400, 403, 413, 422])
def test_what_can_never_heal_is_sent_once_and_then_only_on_request(
    models: FakeModels, status: int, tmp_path: Path
) -> None:
    models.script(Reply(status=status, match=THIRD_CLIP, times=0))
    with project_in(tmp_path, model(models.openai_url)) as project:
        for _ in range(3):
            run = run_once(project)
            assert len(models.requests) == 6
            assert standing(project) == {"labelled": 5, "failed": 1}  # it stays in the denominator
            (told,) = run.failures.values()
            assert (told.status, told.retry) == ("dead", RETRY)
            assert f"HTTP {status}" in told.message
        again = run_once(project, retry_failed=True)
        assert len(models.requests) == 7
        assert [told.status for told in again.failures.values()] == ["dead"]

        models.replies.clear()
        healed = run_once(project, retry_failed=True)
        assert (len(models.requests), standing(project)) == (8, {"labelled": 6})
        assert not healed.failures
        assert project.store.outcomes("annotate", status="dead") == {}
        run_once(project)
        assert len(models.requests) == 8


def test_what_failed_in_three_runs_is_a_dead_letter(models: FakeModels, tmp_path: Path) -> None:
    models.script(Reply(status=500, match=THIRD_CLIP, times=0))
    with project_in(tmp_path, model(models.openai_url)) as project:
        ends = []
        for _ in range(5):
            (told,) = run_once(project).failures.values()
            ends.append((len(models.requests), told.status))
        assert ends == [(6, "failed"), (7, "failed"), (8, "dead"), (8, "dead"), (8, "dead")]

        (told,) = run_once(project, retry_failed=True).failures.values()  # three more runs
        assert (len(models.requests), told.status) == (9, "failed")
        models.replies.clear()
        run_once(project)
        assert standing(project) == {"labelled": 6}


def test_a_failure_that_healed_in_between_is_not_counted(models: FakeModels, tmp_path: Path) -> None:
    with project_in(tmp_path, model(models.openai_url) + "[run]\ndead_after_runs = 2\n") as project:
        models.script(Reply(status=500, match=THIRD_CLIP))
        (told,) = run_once(project).failures.values()
        assert told.status == "failed"
        assert not run_once(project).failures
        (ended,) = project.store.outcomes("annotate").values()
        assert ended.status == "done"
        assert project.store.failed_runs("annotate", ended.item) == 0


def test_another_question_is_no_dead_letter(models: FakeModels, tmp_path: Path) -> None:
    models.script(Reply(status=400, match=THIRD_CLIP))
    with project_in(tmp_path / "a", model(models.openai_url)) as project:
        run_once(project)
    (tmp_path / "a" / "emotrace.toml").write_text(model(models.openai_url, more="temperature = 0.5"))
    with project_in(tmp_path / "a", model(models.openai_url, more="temperature = 0.5")) as project:
        assert not run_once(project).failures
        assert standing(project) == {"labelled": 6}


@pytest.mark.parametrize("concurrency", [1, 8])
def test_an_outage_over_many_runs_kills_no_question(concurrency: int, tmp_path: Path) -> None:
    with FakeModels() as gone:
        url = gone.openai_url  # nobody listens there any more
    settings = model(url, concurrency=concurrency, patience_s=0)
    with project_in(tmp_path, settings) as project:
        for _ in range(5):
            run = run_once(project, clips=40)
            line = run.failures["annotate", "m"]
            assert (line.code, line.retry) == ("connection", "emotrace run")
            assert line.message.endswith("; 40 questions wait for it")  # those that were tried as well
            assert len(run.failures) == 1
            assert len(run.waiting) == 40
        assert project.store.outcomes("annotate", status="dead") == {}
    with FakeModels() as back, project_in(tmp_path, model(back.openai_url, concurrency=8)) as project:
        assert not run_once(project, clips=40).failures
        assert standing(project) == {"labelled": 40}


@pytest.mark.parametrize("concurrency", [1, 8])
def test_many_bad_questions_in_a_row_keep_no_others_from_being_asked_and_become_dead_letters(
    concurrency: int, models: FakeModels, tmp_path: Path
) -> None:
    bad = 8
    models.script(*(Reply(status=500, match=f" {n}.000 s", times=0) for n in range(5, 5 + bad)))
    settings = model(models.openai_url, concurrency=concurrency, patience_s=0)
    with project_in(tmp_path, settings) as project:
        for _ in range(2):  # five in a row look like an outage, once
            run_once(project, clips=40)
        assert standing(project) == {"labelled": 40 - bad, "failed": bad}
        for _ in range(2):
            run = run_once(project, clips=40)
        assert [told.status for told in run.failures.values()] == ["dead"] * bad
        calls = len(models.requests)
        run_once(project, clips=40)
        assert len(models.requests) == calls


@pytest.mark.parametrize("status", [500, 502, 503, 429, 529])
def test_what_only_a_server_can_be_blamed_for_kills_no_question_that_failed_before(
    status: int, models: FakeModels, tmp_path: Path
) -> None:
    models.script(Reply(status=status, times=0))
    with project_in(tmp_path, model(models.openai_url, concurrency=8, patience_s=0)) as project:
        for _ in range(5):
            run = run_once(project, clips=20)
            assert run.failures["annotate", "m"].message.endswith("for it")
        assert project.store.outcomes("annotate", status="dead") == {}


def test_who_is_asked_where_the_label_is_open_waits_for_those_who_are_away_and_not_for_dead_letters(
    models: FakeModels, tmp_path: Path
) -> None:
    """A clip whose first annotator is away is not sent to the costly one; one whose question died is."""
    first, costly = "first", model(models.openai_url, "costly", more='when = "contested"')

    def contested(run: Run) -> int:
        before = asked(models).count("costly")
        stage = ContestedStage()
        run.chosen = [ref.id for ref in run.samples.refs]
        if pending := stage.plan(run):
            stage.work(run, pending)
        stage.finish(run)
        return asked(models).count("costly") - before

    models.script(Reply(match='"model":"first"', status=401, times=0))
    with project_in(tmp_path, model(models.openai_url, first) + costly) as project:
        assert contested(run_once(project)) == 0
        models.replies.clear()
        models.script(Reply(match=f'"model":"{first}"', status=400, times=2))
        run = run_once(project)
        assert Counter(end.status for end in run.failures.values()) == {"dead": 2}
        assert contested(run) == 2  # nobody gave these a label


def test_a_release_waits_for_who_is_asked_after_a_dead_letter(models: FakeModels, tmp_path: Path) -> None:
    """The first question will never be answered, so that the second annotator has its turn."""
    costly = model(models.openai_url, "costly", more='when = "contested"')
    models.script(Reply(match='"model":"first"', status=400, times=1))
    with project_in(tmp_path, model(models.openai_url, "first") + costly) as project:
        store = project.store
        run = run_once(project, clips=11)  # others are answered: it is the question's own fault
        store.add([*run.sources.values(), *run.segments])
        store.set_live(Segment, [one.id for one in run.segments])
        store.set_live(Sample, [ref.id for ref in run.samples.refs])

        def is_complete() -> list[bool]:
            settings = project.settings
            consent = Consent({}, settings.consent)
            dead = given_up(store)
            today = Today(settings, project.taxonomy, consent, lambda: run.banks, {}, dead)
            whole = [one for one in live_items(store) if any(a.id in dead for a in one.annotations)]
            return [today._asked(item) for item in whole]

        assert is_complete() == [False]
        stage = ContestedStage()
        run.chosen = [ref.id for ref in run.samples.refs]
        stage.work(run, stage.plan(run))
        stage.finish(run)
        assert is_complete() == [True]


@pytest.mark.parametrize("status", [503, 400, 401])
def test_a_server_that_answers_nobody_from_the_start_makes_no_dead_letters(
    models: FakeModels, status: int, tmp_path: Path
) -> None:
    """Away, refusing every question, or refusing the account: it is not the questions."""
    models.script(Reply(status=status, times=0))
    with project_in(tmp_path, model(models.openai_url, patience_s=0)) as project:
        for _ in range(4):
            run = run_once(project, clips=30)
            assert "m" in {item for _, item in run.failures}
        assert project.store.outcomes("annotate", status="dead") == {}


def test_a_key_that_is_withdrawn_in_the_middle_of_a_run_kills_no_question(
    models: FakeModels, tmp_path: Path
) -> None:
    models.script(Reply(times=8), Reply(status=403, times=0))
    with project_in(tmp_path, model(models.openai_url, concurrency=2)) as project:
        run = run_once(project, clips=40)
        assert run.failures["annotate", "m"].message.endswith("wait for it")
        assert len(models.requests) <= 8 + 10 + 2
        assert project.store.outcomes("annotate", status="dead") == {}
        models.replies.clear()
        run_once(project, clips=40)
        assert standing(project) == {"labelled": 40}


def test_questions_that_are_forbidden_keep_no_others_from_being_asked_and_become_dead_letters(
    models: FakeModels, tmp_path: Path
) -> None:
    bad = 12
    models.script(*(Reply(status=403, match=f" {n}.000 s", times=0) for n in range(3, 3 + bad)))
    with project_in(tmp_path, model(models.openai_url)) as project:
        line = run_once(project, clips=40).failures["annotate", "m"]  # ten in a row may be a key's fault
        assert (line.code, line.retry) == ("forbidden", REMEDIES["forbidden"])
        run_once(project, clips=40)
        assert standing(project)["labelled"] == 40 - bad
        run = run_once(project, clips=40)
        assert [told.status for told in run.failures.values()] == ["dead"] * bad
        assert not run.waiting


def test_what_failed_before_and_is_not_reached_for_want_of_money_goes_on_waiting(
    models: FakeModels, tmp_path: Path
) -> None:
    models.script(Reply(status=401, times=0))
    with project_in(tmp_path / "a", model(models.openai_url)) as project:
        assert len(run_once(project).waiting) == 6
    broke = model(models.openai_url) + "[budget]\ncalls = 1\n"
    with project_in(tmp_path / "a", broke) as project:
        run = run_once(project)
        assert len(models.requests) == 1
        assert len(run.waiting) == 6
        assert [told.code for told in run.failures.values()] == ["budget_reached"]


def test_a_question_that_failed_rests_when_its_clip_may_not_be_shown_any_more(
    models: FakeModels, tmp_path: Path
) -> None:
    models.script(Reply(status=500, match=THIRD_CLIP))
    with project_in(tmp_path, model(models.openai_url, more="local = false")) as project:
        assert len(run_once(project).failures) == 1
        project.store.add_facts([(source(1).id, "consent", "local_only")])
        run, stage = make_run(project), AnnotateStage()
        run.facts = project.store.facts()
        assert to_ask(run, 6, stage) == []
        stage.finish(run)
        assert not run.failures
        assert standing(project) == {"labelled": 5}
