"""`emotrace explain`: why a question will or will not be asked again, and which part of it has changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.commands.explain_text import dead_letter_lines, explain_lines
from pipeline.explain import explain
from pipeline.outputs import ExplainedQuestion
from pipeline.project import Project
from pipeline.stages.annotate import AnnotateStage
from pipeline.stages.asking import MENDS
from pipeline.stages.base import RETRY
from pipeline.stages.check import CheckStage
from pipeline.stages.judge import JudgeStage
from pipeline.stages.samples import SampleRef, Samples
from pipeline.status import dead_letters
from schemas.errors import UserError
from schemas.records import Annotation, Sample, Segment
from schemas.store import StoredPath
from tests.pipeline.records import make_run, project_in, segment, source
from tests.wire.material import make_sample
from tests.wire.server import FakeModels, Reply

MODEL = """[select]
require = "any"
[[annotators]]
name = "m"
provider = "openai_compatible"
model = "{model}"
base_url = "{url}"
deployment = "here"
takes = {takes}
attempts = 1
patience_s = 0
{more}
"""


@pytest.fixture
def models() -> Iterator[FakeModels]:
    with FakeModels() as server:
        yield server


def settings(url: str, *, model: str = "one", takes: str = '["text"]', more: str = "", rest: str = "") -> str:
    return MODEL.format(url=url, model=model, takes=takes, more=more) + rest


def stand(project: Project, **changes: Any) -> Sample:
    """One clip of one recording with its sample, as the stages before would leave them."""
    of = source(1)
    part = segment(of, 0)
    sample = make_sample(segment_id=part.id, feature_digests=(), **changes)
    store = project.store
    store.add([of, part, sample])
    store.set_paths([StoredPath(str(project.root / "a.mp4"), 9, 0, 0, of.id)])
    store.set_live(Segment, [part.id])
    store.set_live(Sample, [sample.id])
    return sample


def run_once(project: Project, sample: Sample) -> None:
    run, of = make_run(project), source(1)
    run.sources[of.id], run.segments = of, [segment(of, 0)]
    run.samples = Samples(project.store, [SampleRef(sample.id, sample.segment_id, sample.target)])
    for stage in (AnnotateStage(), CheckStage(), JudgeStage()):
        if pending := stage.plan(run):  # type: ignore[attr-defined]
            stage.work(run, pending)  # type: ignore[attr-defined]
        stage.finish(run)  # type: ignore[attr-defined]


def told(project: Project, what: str) -> dict[str, ExplainedQuestion]:
    """Questions by who is asked, of the one sample."""
    (sample,) = explain(project, what).samples
    return {question.asked: question for question in sample.questions}


def text(project: Project, what: str) -> str:
    return "\n".join(explain_lines(explain(project, what)))


def test_before_and_after_an_answer(models: FakeModels, tmp_path: Path) -> None:
    with project_in(tmp_path, settings(models.openai_url)) as project:
        sample = stand(project)
        before = told(project, sample.id)["m"]
        assert (before.state, before.will_be_asked, before.why) == ("waiting", True, "it was not asked yet")
        run_once(project, sample)
        after = told(project, sample.id)["m"]
        assert (after.state, after.will_be_asked, after.id) == ("answered", False, before.id)
        assert after.usage is not None
        assert (after.usage["input_tokens"], after.usage["output_tokens"]) == (100, 20)
        assert after.model_version == "one-2026-01-01"
        assert after.at is not None
        rules = told(project, sample.id)["rules"]
        assert (rules.stage, rules.state, rules.about) == ("judge", "answered", after.id)
        for what in (str(project.root / "a.mp4"), "a.mp4", sample.segment_id[:12], after.id, rules.id):
            assert told(project, what)["m"] == after
        assert "m: answered: labelled, 2" in text(project, sample.id)
        assert "rules about m: answered: scored, " in text(project, sample.id)
        assert "100 + 20 tokens, one-2026-01-01" in text(project, sample.id)
        with pytest.raises(UserError):
            explain(project, "nowhere")
        assert len(models.requests) == 1  # to be told costs nothing


def test_an_answer_that_is_no_label_is_told_with_what_mends_it(models: FakeModels, tmp_path: Path) -> None:
    with project_in(tmp_path, settings(models.openai_url)) as project:
        sample = stand(project)
        models.script(Reply(text='{"evidence": [', finish_reason="length"))
        run_once(project, sample)
        question = told(project, sample.id)["m"]
        assert question.why == "unparsed, cut off after 14 characters (truncated)"
        line = next(one for one in text(project, sample.id).splitlines() if one.startswith("  m: "))
        assert line.endswith(
            "one-2026-01-01 -> raise max_output_tokens, which asks this model anew, or change the model"
        )


def test_every_reason_that_has_a_remedy_of_its_own_is_in_the_documentation() -> None:
    table = (Path(__file__).parents[2] / "docs" / "dataset-builders.md").read_text(encoding="utf-8")
    assert [reason for reason in MENDS if f"`{reason}`" not in table] == []


def test_what_a_batch_job_has_is_not_asked_beside_it(models: FakeModels, tmp_path: Path) -> None:
    batch = 'mode = "batch"\ngives = ["json_schema", "batches"]'
    with project_in(tmp_path, settings(models.openai_url, more=batch)) as project:
        sample = stand(project)
        run_once(project, sample)
        question = told(project, sample.id)["m"]
        assert (question.state, question.will_be_asked) == ("waiting", False)
        assert question.why.startswith("the batch job batch_1 of 1 question has it")


@pytest.mark.parametrize(
    ("changes", "sample", "changed"),
    [
        ({"model": "two"}, {}, ["model"]),
        ({"more": "temperature = 0.5"}, {}, ["sampling"]),
        ({"more": 'options = { image_detail = "low" }'}, {}, ["sampling"]),
        ({"takes": '["text", "images"]'}, {}, ["media"]),
        ({"takes": '["images"]'}, {}, ["data", "media"]),
        ({"rest": '[project]\ntaxonomy = "iemocap4"\n'}, {}, ["answer_schema", "prompt"]),
        ({}, {"duration_s": 3.5}, ["data"]),
    ],
)
def test_an_older_answer_says_what_of_the_question_has_changed(
    models: FakeModels, changes: dict[str, str], sample: dict[str, Any], changed: list[str], tmp_path: Path
) -> None:
    with project_in(tmp_path, settings(models.openai_url)) as project:
        first = stand(project)
        run_once(project, first)
        old = told(project, first.id)["m"]
    with project_in(tmp_path, settings(models.openai_url, **changes)) as project:
        now = told(project, stand(project, **sample).id)["m"]
        assert (now.state, now.will_be_asked) == ("waiting", True)
        (before,) = now.before
        assert (before.id, before.outcome) == (old.id, "labelled")
        assert before.changed == changed
        line = f"before: {old.id} labelled; since then another: {', '.join(changed).replace('_', ' ')}"
        assert line in text(project, "a.mp4")


def test_another_server_is_named_and_what_does_not_matter_changes_nothing(
    models: FakeModels, tmp_path: Path
) -> None:
    first = settings(models.openai_url)
    with project_in(tmp_path, first) as project:
        sample = stand(project)
        run_once(project, sample)
    with project_in(tmp_path, first.replace('"here"', '"there"')) as project:
        (before,) = told(project, sample.id)["m"].before
        assert before.changed == ["server"]
    with project_in(tmp_path, first.replace("attempts = 1", "attempts = 2\nconcurrency = 1")) as project:
        question = told(project, sample.id)["m"]
        assert (question.state, question.before) == ("answered", [])


def test_a_newer_parser_reads_the_answer_again_without_a_call(
    models: FakeModels, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with project_in(tmp_path, settings(models.openai_url)) as project:
        sample = stand(project)
        run_once(project, sample)
        monkeypatch.setattr("agents.asking.PARSER_VERSION", "next")
        monkeypatch.setattr("pipeline.explain.PARSER_VERSION", "next")
        question = told(project, sample.id)["m"]
        assert (question.state, question.will_be_asked) == ("received", False)
        assert question.before[0].changed == ["parser"]


def test_a_failure_a_dead_letter_and_one_that_is_cut_off(models: FakeModels, tmp_path: Path) -> None:
    with project_in(tmp_path, settings(models.openai_url, rest="[run]\ndead_after_runs = 2\n")) as project:
        sample = stand(project)
        models.script(Reply(status=500, times=2))
        run_once(project, sample)
        question = told(project, sample.id)["m"]
        assert (question.state, question.will_be_asked) == ("failed", True)
        assert question.why.startswith("server_error, HTTP 500")
        assert question.why.endswith(", in 1 of 2 runs")
        assert dead_letters(project.store) == []
        assert list(dead_letter_lines([])) == ["no dead letters"]
        run_once(project, sample)
        question = told(project, sample.id)["m"]
        assert (question.state, question.will_be_asked) == ("dead_letter", False)
        assert question.retry == RETRY
        assert text(project, sample.id).endswith(f" -> {RETRY}")
        (letter,) = dead_letters(project.store)
        assert (letter.id, letter.code, letter.dead_letter) == (question.id, "server_error", True)
        assert letter.since == question.at
        first, last = dead_letter_lines([letter])
        assert letter.id in first
        assert last.startswith("1 dead letter; to send it once more: emotrace run")
        project.store.set_live(Annotation, [])
        assert dead_letters(project.store) == []  # it is asked in another way now


def test_what_keeps_a_question_from_being_asked_is_said(models: FakeModels, tmp_path: Path) -> None:
    with project_in(tmp_path, settings(models.openai_url, rest="[budget]\ncalls = 0\n")) as project:
        sample = stand(project)
        question = told(project, sample.id)["m"]
        assert (question.state, question.will_be_asked) == ("waiting", False)
        assert "the budget of 0 calls is used up" in question.why
        assert text(project, sample.id).startswith("no call is sent: the budget of 0 calls is used up")
    contested = settings(models.openai_url, more='when = "contested"')
    first = '[[annotators]]\nname = "lexicon"\nprovider = "cues"\nmodel = "lexicon"\n'
    with project_in(tmp_path, contested.replace("[[annotators]]", first + "[[annotators]]")) as project:
        question = told(project, sample.id)["m"]
        assert question.stage == "contested"
    with project_in(tmp_path, settings(models.openai_url, more="local = false")) as project:
        project.store.add_facts([(source(1).id, "consent", "local_only")])
        question = told(project, sample.id)["m"]
        assert (question.state, question.why) == ("not_asked", "consent keeps it from third parties")
    strict = settings(models.openai_url).replace('"any"', '"speech_and_face"')
    with project_in(tmp_path, strict) as project:
        question = told(project, sample.id)["m"]
        assert question.state == "not_asked"
        assert question.why.startswith("select drops the sample: no_")


def test_a_call_without_an_end_and_a_server_that_was_away(tmp_path: Path) -> None:
    with FakeModels() as gone:
        url = gone.openai_url
    with project_in(tmp_path, settings(url)) as project:
        sample = stand(project)
        run_once(project, sample)
        question = told(project, sample.id)["m"]
        assert (question.state, question.will_be_asked) == ("failed", True)
        assert question.why.startswith("connection, ")
    assert question.before == []


def test_a_second_look_is_told_from_a_rating(models: FakeModels, tmp_path: Path) -> None:
    judge = settings(models.openai_url, model="two").partition("[[annotators]]")[2].replace('"m"', '"j"')
    with project_in(tmp_path, settings(models.openai_url, rest=f"[[judges]]{judge}")) as project:
        sample = stand(project)
        run_once(project, sample)
        lines = text(project, sample.id).splitlines()
    assert [line.partition(": ")[0] for line in lines[1:]] == [
        "  m",
        "  j about m",
        "  j, second look about m",
    ]


def test_why_a_judge_is_not_asked_is_told(models: FakeModels, tmp_path: Path) -> None:
    judge = settings(models.openai_url, model="two").partition("[[annotators]]")[2].replace('"m"', '"j"')
    judges = f'[[judges]]{judge}rubric = "mme_emotion"\n'
    kin = f'[[judges]]{judge}family = "qwen"\nself_preference = "refuse"\n'.replace('"j"', '"k"')
    other = f'[[judges]]{judge}family = "gpt"\n'.replace('"j"', '"o"').replace('"two"', '"three"')
    with project_in(
        tmp_path, settings(models.openai_url, more='family = "qwen"', rest=judges + kin + other)
    ) as project:
        sample = stand(project)
        run_once(project, sample)
        found = told(project, sample.id)
    assert (found["j"].state, found["j"].will_be_asked) == ("not_asked", False)
    assert found["j"].why == "nobody knows the true label of the clip"
    assert (found["k"].state, found["k"].why) == (
        "not_asked", "it does not rate its own model family (same_family)",
    )  # fmt: skip
    assert found["o"].state == "answered"
