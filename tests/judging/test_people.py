"""What people say, as judges are compared with it: who counts, and how a file of ratings becomes reviews."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.importers.ratings import read_ratings
from pipeline.judging.people import rubric_of, truth_of
from pipeline.judging.rows import judge_rows
from pipeline.policy import counted_reviews
from pipeline.project import open_project
from schemas.errors import UserError
from schemas.records import Annotation, Judgement, Review, Sample
from schemas.rubric import RubricRating
from tests.pipeline.project import write_settings
from tests.release.builder import TAXONOMY, annotation, blind, review, small_project

JOY = annotation("smp", "a", "joy")


def agreement(*reviews: Review, **facts: Any) -> float | None:
    return truth_of(reviews, facts, TAXONOMY).agreement(JOY, TAXONOMY)


def test_the_share_of_blind_labels_that_agree() -> None:
    assert agreement(*blind("s", "joy", "anna", "ben"), *blind("s", "anger", "cleo")) == pytest.approx(2 / 3)
    assert (
        agreement(*blind("s", "anger", "Anna"), *blind("s", "joy", "anna")) == 1
    )  # one person, the latest word
    assert agreement() is None
    assert agreement(review("s", None)) is None  # "cannot tell" is no label
    assert agreement(review("s", "joy", phase="revealed")) is None  # said after the claims were seen
    assert agreement(review("s", "joy", taxonomy="other")) is None


def test_an_adjudication_stands_alone_and_gold_where_nobody_looked() -> None:
    decided = review("s", "anger", phase="adjudication", reviewer="dora")
    assert agreement(*blind("s", "joy", "anna", "ben"), decided) == 0
    assert agreement(gold="Happy") == 1
    assert agreement(*blind("s", "anger", "anna"), gold="joy") == 0
    assert agreement(gold="no such label") is None


def rated(by: str, at: str, **scores: float) -> Review:
    rating = RubricRating(annotation_id="ann_1", **scores)
    return review("s", None, phase="rubric", reviewer=by, at=at, ratings=(rating,), cannot_tell=False)


def test_ratings_are_means_over_people_of_the_latest_word_of_each() -> None:
    said = [
        rated("anna", "2026-01-01", s_reason=0.2, s_cot=0.5),
        rated("ben", "2026-01-02", s_reason=0.8),
        rated("Anna", "2026-01-03", s_reason=0.4),
    ]
    assert rubric_of(said) == {"ann_1": {"s_reason": pytest.approx(0.6), "s_cot": 0.5}}


# --- the file --------------------------------------------------------------------------------------


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = write_settings(tmp_path / "p", "")
    small_project(folder).store.close()
    return folder


def ids(root: Path) -> tuple[list[str], list[str]]:
    """Of the labelled annotations that stand, in order of their samples, and the samples."""
    with open_project(root) as project:
        said = [one for one in project.store.live(Annotation) if one.answer is not None]
        return [one.id for one in said], [one.id for one in project.store.live(Sample)]


def written(root: Path, text: str) -> Path:
    path = root / "ratings.csv"
    path.write_text(text, encoding="utf-8")
    return path


def told(*words: str | Path) -> Any:
    done = CliRunner().invoke(app, [*map(str, words), "--json"], standalone_mode=False)
    assert done.exception is None, done.exception
    assert done.return_value == 0
    return json.loads(done.stdout)


def test_a_file_of_ratings_is_compared_with_the_judge_and_decides_nothing(root: Path) -> None:
    annotations, samples = ids(root)
    lines = ["id,rater,s_rec,s_reason,s_cot,label"]
    lines += [f"{one},anna,1,0.{n % 8},0.5," for n, one in enumerate(annotations)]
    lines += [f"{samples[0]},ben,,,,happy"]
    path = written(root, "\n".join(lines))
    first = told("import", path, "--project", root)
    assert (first["rows"], first["new"], first["known"]) == (len(lines) - 1, len(lines) - 1, 0)
    assert first["raters"] == ["anna", "ben"]
    again = told("import", path, "--project", root)
    assert (again["new"], again["known"], again["raters"]) == (0, len(lines) - 1, [])
    with open_project(root) as project:
        reviews = project.store.all(Review)
        assert {one.phase for one in reviews} == {"rubric"}
        assert counted_reviews(reviews, project.taxonomy) == []
        found = list(judge_rows(project))
        assert {row.judge for row in found} == {"rules"}
        assert all({"s_rec", "s_reason", "s_cot"} <= row.human.keys() for row in found)
        assert {row.human.get("label") for row in found} == {1.0, None}
    report = told("report", "--project", root)
    (judge,) = report["judges"]["judges"]
    compared = {(one["score"], one["people"]): one["n"] for one in judge["comparisons"]}
    assert compared == {("s_reason", "rubric"): len(annotations), ("s_cot", "rubric"): len(annotations)}
    assert judge["comparisons"][0]["metrics"]["spearman"]["reason"] == "constant"
    assert Path(report["path"]).read_text("utf-8").startswith("<!doctype html>")


def test_a_changed_rating_is_taken_in_and_counts(root: Path) -> None:
    one = ids(root)[0][0]
    for value in ("0.2", "0.9"):
        told("import", written(root, f"id,rater,s_cot\n{one},anna,{value}\n"), "--project", root)
    with open_project(root) as project:
        row = next(row for row in judge_rows(project) if row.annotation_id == one)
    assert row.human["s_cot"] == 0.9


@pytest.mark.parametrize(("confidence", "kept"), [(0.75, 0.9), (0.5, None)])
def test_a_rating_holds_for_the_same_answer_read_anew_and_for_no_other(
    root: Path, confidence: float, kept: float | None
) -> None:
    one = ids(root)[0][0]
    told("import", written(root, f"id,rater,s_cot\n{one},anna,0.9\n"), "--project", root)
    with open_project(root) as project:
        store = project.store
        (old,) = store.by_id(Annotation, [one])
        assert old.answer is not None
        assert old.answer.confidence == 0.75
        fields = {name: getattr(old, name) for name in Annotation.model_fields}
        answer = old.answer.model_copy(update={"confidence": confidence})
        new = Annotation(**{**fields, "answer": answer, "parser_version": "next"})
        rating = Judgement(
            annotation_id=new.id, request_digest="r", judge="j", provider="p", model="m",
            outcome="scored", s_rec=1, s_reason=1, s_cot=1,
        )  # fmt: skip
        store.add([new, rating])
        store.set_live(Annotation, [*(set(store.live_ids(Annotation)) - {old.id}), new.id])
        store.set_live(Judgement, [rating.id])
        (row,) = judge_rows(project)
    assert row.human.get("s_cot") == kept


def test_files_of_one_moment_are_joined_and_a_contradiction_loses_nothing(root: Path) -> None:
    one = ids(root)[0][0]

    def take(score: str, value: str, at: str) -> None:
        text = f"id,rater,{score},at\n{one},anna,{value},{at}\n"
        with open_project(root) as project:
            path = written(root, text)
            project.store.add(read_ratings(path, project.store, project.taxonomy).reviews)

    def stands() -> tuple[float, float]:
        with open_project(root) as project:
            row = next(row for row in judge_rows(project) if row.annotation_id == one)
        return row.human["s_reason"], row.human["s_cot"]

    take("s_reason", "0.9", "2026-05-01")
    take("s_cot", "0.4", "2026-05-01T02:00:00+02:00")  # the same moment
    assert stands() == (0.9, 0.4)
    with pytest.raises(UserError, match="at the same time before") as raised:
        take("s_reason", "0.1", "2026-05-01")
    assert raised.value.line == 2
    assert stands() == (0.9, 0.4)
    take("s_reason", "0.3", "2026-04-01")  # said before, taken in after
    assert stands() == (0.9, 0.4)
    take("s_reason", "0.5", "2026-05-02")
    assert stands() == (0.5, 0.4)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("id,rater,score\n", 1, 'unknown column "score"'),
        ("id,s_rec\n", 1, 'no column "rater"'),
        ("id,rater,s_rec\n{ann},,1\n", 2, "rater is empty"),
        ("id,rater,s_rec\n{ann},anna,\n", 2, "neither a score nor a label"),
        ("id,rater,s_rec\n{ann},anna,5\n", 2, "s_rec is 5"),
        ("id,rater,s_rec\n{ann},anna,good\n", 2, "s_rec is good"),
        ("id,rater,s_rec\n{ann},anna,nan\n", 2, "s_rec is nan"),
        ("id,rater,s_rec\nann_nobody,anna,1\n", 2, "no annotation or sample ann_nobody"),
        ("id,rater,s_rec\n{smp},anna,1\n", 2, "scores are of one annotation"),
        ("id,rater,label\n{smp},anna,envy\n", 2, 'no label "envy"'),
        ("id,rater,label\n{smp},anna,joy\n{ann},anna,fear\n", 3, "two labels"),
        ("id,rater,s_rec\n{ann},anna,1\n{ann},anna,0\n", 3, "rates one annotation twice"),
        ("id,rater,label,at\n{smp},anna,joy,noon\n", 2, "at is noon"),
        ("id,rater,s_rec\n{ann},anna,1,2\n", 2, "more fields than columns"),
    ],
)
def test_a_row_that_cannot_be_is_told_with_its_line(root: Path, text: str, line: int, words: str) -> None:
    annotations, samples = ids(root)
    with open_project(root) as project:
        first = project.store.live(Annotation)[0]
        assert first.sample_id in samples
        path = written(root, text.format(ann=first.id, smp=first.sample_id))
        with pytest.raises(UserError, match=words) as refused:
            read_ratings(path, project.store, project.taxonomy)
    assert (refused.value.code, refused.value.file, refused.value.line) == ("bad_ratings", str(path), line)
    assert refused.value.remedy
    assert annotations
