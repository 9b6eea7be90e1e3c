"""A judge by MME-Emotion's rubric: asked where the truth is known, printed two ways, and moving nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agents.judges.judge import Case
from agents.judges.mme import MmeJudge
from agents.judges.panel import asked_about, panel
from agents.protocol import TextPart
from pipeline.judging.people import truth_of
from pipeline.judging.report import report_on_judges
from pipeline.judging.row import row_of
from pipeline.judging.rows import judge_rows, true_labels
from pipeline.live import live_items
from pipeline.preflight import preflight
from pipeline.project import Project, open_project
from pipeline.release.stale import _moving
from pipeline.stages.aggregate import _said
from pipeline.stages.base import Run
from pipeline.stages.judge import JudgeStage
from pipeline.stages.samples import SampleRef, Samples
from schemas.briefs import brief_of
from schemas.errors import UserError
from schemas.parts import LabelScore
from schemas.records import Annotation, Judgement, Sample, Segment
from schemas.settings_file import load_settings
from tests.agents.test_judge import make_case, run
from tests.pipeline.project import write_settings
from tests.pipeline.records import make_run
from tests.release.builder import blind, small_project
from tests.wire.material import judge_section, taxonomy
from tests.wire.server import FakeModels, Reply

STEPS = [
    {"n": 1, "text": "GPT-4o sees a smile.", "evidence_ids": ["e1"]},
    {"n": 2, "text": "The voice is high.", "evidence_ids": []},
]


@pytest.fixture
def models() -> Iterator[FakeModels]:
    with FakeModels() as server:
        yield server


def case(reference: tuple[str, ...] = ("joy",)) -> Case:
    return make_case(rationale=STEPS)._replace(reference=reference)


def section(**changes: Any) -> Any:
    return judge_section(**{"name": "mme", "rubric": "mme_emotion", **changes})


def said(models: FakeModels, reply: Reply) -> Judgement:
    models.script(reply)
    (found,) = run(MmeJudge(section(base_url=models.openai_url), taxonomy()), [case()])
    return found


def score(text: str) -> Reply:
    return Reply(text=json.dumps({"score": text}))


def test_it_is_told_the_truth_and_the_steps_and_no_name() -> None:
    request = MmeJudge(section(), taxonomy()).request(case())
    part = request.parts[0]
    assert isinstance(part, TextPart)
    assert "<Truth>\nlabel: joy\n</Truth>" in part.text
    assert (
        "Step 1: ⟦annotator⟧ sees a smile.\nStep 2: The voice is high.\nStep 3: So the label is: joy."
        in part.text
    )
    assert "secret" not in json.dumps(request.model_dump(mode="json"))


def test_it_is_asked_where_the_truth_is_known_and_takes_no_second_look() -> None:
    jurors = panel([section(replicates=2)], [], taxonomy(), seed=0)
    assert [juror.kind for juror, _, _ in asked_about(jurors, case())] == ["mme_emotion", "mme_emotion"]
    assert list(asked_about(jurors, case(()))) == []


@pytest.mark.parametrize(
    ("reply", "outcome", "kept"),
    [
        (score("<score>Step 1: 1/1</score>"), "answered", "<score>Step 1: 1/1</score>"),
        (Reply(text="Fine.\n<score>Step 1: 1/1</score>"), "answered", "Fine.\n<score>Step 1: 1/1</score>"),
        (Reply(text="all right"), "unparsed", ""),
        (Reply(refusal="no"), "refused", ""),
        (Reply(status=400), "failed", ""),
    ],
)
def test_what_becomes_of_a_reply(models: FakeModels, reply: Reply, outcome: str, kept: str) -> None:
    found = said(models, reply)
    assert (found.kind, found.outcome, found.reply) == ("mme_emotion", outcome, kept)
    assert (found.s_rec, found.s_reason, found.s_cot) == (None, None, None)
    assert brief_of(found)["kind"] == "mme_emotion"
    assert found.reference == ("joy",)


def two_labels(reference: tuple[str, ...]) -> Case:
    """An answer of two labels, joy first."""
    answer = case().annotation.answer
    assert answer is not None
    labels = (*answer.labels, LabelScore(label="surprise"))
    both = case().annotation.model_copy(update={"answer": answer.model_copy(update={"labels": labels})})
    return case(reference)._replace(annotation=both)


@pytest.mark.parametrize(
    ("reference", "truth", "step", "last", "rec"),
    [
        (("joy",), "label: joy", "So the label is: joy.", "1/1", 1.0),  # the second one is not asked about
        (("joy", "fear"), "labels: joy, fear", "So the label is: joy, surprise.", "1/2", 0.5),
    ],
)
def test_what_is_asked_of_several_labels_is_what_is_read(
    models: FakeModels, reference: tuple[str, ...], truth: str, step: str, last: str, rec: float
) -> None:
    """One true label: the first of the answer counts, in the question and in the score; else C of K."""
    models.script(score(f"<score>Step 1: 1/1, Step 2: 1/1, Step 3: {last}</score>"))
    asked = two_labels(reference)
    judge = MmeJudge(section(base_url=models.openai_url), taxonomy())
    request = judge.request(asked)
    part = request.parts[0]
    assert isinstance(part, TextPart)
    assert f"<Truth>\n{truth}\n</Truth>" in part.text
    assert f"Step 3: {step}\n" in part.text
    assert "C of the K true labels" in request.system
    (found,) = run(judge, [asked])
    row = row_of("mme", asked.annotation, [found], human={}, source_id="s", speaker="p")
    table = report_on_judges([row]).judges[0].mme_emotion["all"]
    assert (table["strict"].unread, table["strict"].rec_s) == (0, 100 * rec)


def test_the_table_in_two_ways(models: FakeModels) -> None:
    good = said(models, score("<score>Step 1: 1/1, Step 2: 0/1, Step 3: 1/1</score>"))
    lines = said(models, score("<score>\nStep 1: 1/1,\nStep 2: 1/1,\nStep 3: 0/1\n</score>"))
    refused = said(models, Reply(refusal="no"))
    rows = [
        row_of("mme", case().annotation, [one], human={}, source_id=f"s{n}", speaker="p")
        for n, one in enumerate((good, lines, refused))
    ]
    (report,) = report_on_judges(rows).judges
    table = report.mme_emotion["all"]
    strict, published = table["strict"], table["as_published"]
    # Strict: Rec (1 + 0) / 2, Rea (0.5 + 1) / 2; as published only the first one is read. That the judge refused
    # is held against nobody.
    assert (strict.rec_s, strict.rea_s, strict.n, strict.unread) == (50.0, 75.0, 2, 0)
    assert (published.rec_s, published.rea_s, published.cot_s) == (100.0, 50.0, 75.0)
    assert (published.average_steps, published.n, published.unread) == (3.0, 1, 1)
    assert [finding.code for finding in report.findings] == ["fails", "kin_unknown"]
    assert (report.outcomes, report.evaluations) == ({}, {"answered": 2, "refused": 1})


def test_rules_cannot_judge_by_it(tmp_path: Path) -> None:
    text = '[[judges]]\nname = "r"\nprovider = "cues"\nmodel = "rules"\nrubric = "mme_emotion"\n'
    root = write_settings(tmp_path / "p", text)
    with pytest.raises(UserError, match="reads no prompt") as refused:
        preflight(root, load_settings(root))
    assert (refused.value.code, refused.value.line) == ("no_prompt", 5)


def test_no_consensus_rests_on_it(tmp_path: Path) -> None:
    root = write_settings(tmp_path / "p", "")
    small_project(root).store.close()
    with open_project(root) as project:
        store = project.store
        refs = [SampleRef(one.id, one.segment_id, one.target) for one in store.live(Sample)]
        before = list(_said(store, refs))
        rated = [one for one in store.live(Annotation) if one.answer is not None]
        found = [
            Judgement(
                annotation_id=one.id, request_digest=f"m{one.id}", judge="mme", provider="p", model="m",
                kind="mme_emotion", outcome="answered", reply="<score>Step 1: 0/1</score>", reference=("joy",),
            )
            for one in rated
        ]  # fmt: skip
        store.add(found)
        store.set_live(Judgement, [*store.live_ids(Judgement), *(one.id for one in found)])
        assert list(_said(store, refs)) == before
        assert all("mme" not in {j.judge for j in _moving(item)} for item in live_items(store))
        report = report_on_judges(judge_rows(project), draws=20)
    assert [judge.judge for judge in report.judges] == ["mme", "rules"]
    assert report.judges[0].mme_emotion["all"]["as_published"].n == len(found)


def test_the_truth_is_what_people_agree_on_else_what_is_declared(tmp_path: Path) -> None:
    root = write_settings(tmp_path / "p", "")
    made = small_project(root)
    first, second, third = made.segments[:3]
    made.store.add(
        [*blind(first, "fear", "anna", "ben"), *blind(second, "fear", "anna"), *blind(second, "joy", "b")]
    )
    made.store.close()
    with open_project(root) as project:
        found = true_labels(project, project.store.live(Sample))
        by_segment = {one.segment_id: found.get(one.id) for one in project.store.live(Sample)}
    assert (by_segment[first], by_segment[second], by_segment[third]) == (("fear",), None, None)


JUDGES = """[[annotators]]
name = "lexicon"
provider = "cues"
model = "lexicon"
[[judges]]
name = "mme"
provider = "openai_compatible"
model = "m"
base_url = "{url}"
takes = ["text"]
rubric = "mme_emotion"
"""


def planned(project: Project) -> tuple[Run, JudgeStage, list[Any]]:
    """A run that stands before its judges, and what these will be asked about."""
    run_, store = make_run(project), project.store
    run_.samples = Samples(store, [SampleRef(s.id, s.segment_id, s.target) for s in store.live(Sample)])
    run_.segments = store.live(Segment)
    stage = JudgeStage()
    return run_, stage, stage.plan(run_)


def test_a_run_asks_about_what_people_labelled_and_no_more(tmp_path: Path, models: FakeModels) -> None:
    models.script(
        score("<score>Step 1: 1/1, Step 2: 1/1, Step 3: 0/1</score>").model_copy(update={"times": 0})
    )
    root = write_settings(tmp_path / "p", JUDGES.format(url=models.openai_url))
    made = small_project(root)
    made.store.add(blind(made.segments[0], "fear", "anna"))
    made.store.close()
    with open_project(root) as project:
        run_, stage, pending = planned(project)
        store = project.store
        assert len(pending) == 3
        stage.work(run_, pending)
        stage.finish(run_)
        found = store.live(Judgement)
        assert {(one.kind, one.outcome, one.reference) for one in found} == {
            ("mme_emotion", "answered", ("fear",))
        }
        assert stage.plan(run_) == []
        (report,) = report_on_judges(judge_rows(project), draws=20).judges
    strict = report.mme_emotion["all"]["strict"]
    assert (strict.rec_s, strict.rea_s, strict.n) == (0.0, 100.0, 3)
    assert len(models.requests) == 1  # three equal answers are one question


def test_a_reply_without_an_answer_earns_nothing_strictly_and_what_people_say_meanwhile_waits(
    tmp_path: Path, models: FakeModels
) -> None:
    models.script(score("<score>Step 1: 1/1</score>").model_copy(update={"times": 0}))
    root = write_settings(tmp_path / "p", JUDGES.format(url=models.openai_url))
    made = small_project(root)
    made.store.add(blind(made.segments[0], "fear", "anna"))
    made.store.close()
    with open_project(root) as project:
        run_, stage, pending = planned(project)
        store = project.store
        store.add(blind(made.segments[0], "joy", "ben"))  # now nobody knows the truth
        stage.work(run_, pending)
        stage.finish(run_)
        assert {one.reference for one in store.live(Judgement)} == {("fear",)}
        store.add(blind(made.segments[1], "fear", "anna"))
        (sample,) = (one for one in store.live(Sample) if one.segment_id == made.segments[1])
        silent = [
            Annotation(
                sample_id=sample.id, request_digest=f"r{outcome}", annotator="silent", provider="p", model="m",
                variant=0, replicate=0, outcome=outcome, reason="x",
            )
            for outcome in ("refused", "unparsed", "failed")
        ]  # fmt: skip
        store.add(silent)
        store.set_live(Annotation, [*store.live_ids(Annotation), *(one.id for one in silent)])
        report = next(r for r in report_on_judges(judge_rows(project), draws=20).judges if r.judge == "mme")
    table = report.mme_emotion["silent"]
    assert (table["strict"].rec_s, table["strict"].n, table["as_published"].n) == (0.0, 2, 0)
    assert report.annotations == 3


def test_several_true_labels_are_those_that_all_name() -> None:
    def said(*labels: str, reviewer: str) -> Any:
        (review,) = blind("seg", labels[0], reviewer)
        return review.model_copy(update={"labels": tuple(LabelScore(label=label) for label in labels)})

    one = said("joy", "surprise", reviewer="a")
    assert truth_of([one], {}, taxonomy()).agreed == ("joy", "surprise")
    assert truth_of([one, said("joy", reviewer="b")], {}, taxonomy()).agreed == ("joy",)
    assert truth_of([one, said("surprise", "joy", reviewer="b")], {}, taxonomy()).agreed == ()
