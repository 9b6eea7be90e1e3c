"""Totals: what stands, the money of all runs, and the failures that still hold."""

from __future__ import annotations

import io
import time
from pathlib import Path

import pytest
from rich.console import Console

from pipeline.commands.printing import print_status
from pipeline.metrics.proportion import wilson_interval
from pipeline.outputs import AnnotationCounts, CheckCounts, ClaimRate, ClaimRates, StatusOutput, Totals
from pipeline.status import hallucination, last_failures, totals, was_stopped
from schemas.records import Annotation, Check
from schemas.store import CallEvent, ItemOutcome, utc_now
from tests.release.builder import NAMES, Project, blind, small_project

RUN = {"dropped": {"no_face": 2}, "cached_calls": 1}
FAILED = {"stage": "asr", "id": "fea_1", "path": "a.wav", "code": "broken", "message": "m", "retry": "r"}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Six clips with three agreeing annotators, and one with an open tie and a failed annotation."""
    return small_project(tmp_path)


def test_totals_count_what_stands(project: Project) -> None:
    found = totals(project.store)
    assert (found.sources, found.segments, found.samples) == (7, 7, 7)
    assert found.annotations == AnnotationCounts(labelled=20, failed=1)
    assert found.checks == CheckCounts(supported=20, contradicted=20)
    assert (found.judgements, found.auto_accepted, found.needs_review, found.reviewed) == (20, 6, 1, 0)
    standing = [annotation.id for annotation in project.store.live(Annotation)]
    project.store.set_live(Annotation, standing[:5])  # history does not count
    assert sum(totals(project.store).annotations.model_dump().values()) == 5


def test_a_review_moves_its_clip(project: Project) -> None:
    open_tie = next(d for d in project.decisions() if d.status == "needs_review")
    project.store.add(blind(open_tie.segment_id, "joy", "anna"))
    project.decide()
    found = totals(project.store)
    assert (found.auto_accepted, found.needs_review, found.reviewed) == (6, 0, 1)


def test_money_and_time_add_up_over_all_runs_and_failures_are_those_of_the_last(project: Project) -> None:
    store = project.store
    store.add_run("2026-01-01", 1.5, RUN, failed_items=[FAILED])
    assert [item.id for item in totals(store).failed_items] == ["fea_1"]
    store.add_run("2026-01-02", 0.25, {**RUN, "dropped": {"no_speech": 1}})
    for key, cost in (("a", 0.5), ("b", 0.25)):
        store.write_calls([CallEvent(key, "intent", "p", "m")])
        store.write_calls([CallEvent(key, "receipt", "p", "m", cost_usd=cost)])
    store.write_calls([CallEvent("c", "intent", "p", "m")])  # asked, never answered
    found = totals(store)
    assert (found.provider_calls, found.spent_usd, found.cached_calls) == (3, 0.75, 2)
    assert (found.wall_s, found.dropped, found.failed_items) == (1.75, {"no_speech": 1}, [])


def test_a_model_that_has_answered_since_it_was_refused_is_no_failure(project: Project) -> None:
    """Also where the run that mended it was interrupted."""
    store = project.store

    def told() -> list[str]:
        return [item.id for item in totals(store).failed_items]

    refused = {**FAILED, "stage": "annotate", "id": "gpt", "code": "unauthorized", "path": None}
    answered = CallEvent("a", "receipt", "p", "m", "gpt")
    store.write_calls([answered])
    time.sleep(0.01)
    store.add_run(utc_now(), 0.0, RUN, failed_items=[refused])
    assert told() == ["gpt"]
    time.sleep(0.01)
    store.write_calls([answered._replace(annotator="other")])
    assert told() == ["gpt"]
    store.write_calls([answered])
    store.add_run(utc_now(), 0.5, RUN, finished=False)
    assert told() == []


def test_every_stage_tells_its_items_its_failures_and_its_rate(project: Project) -> None:
    counts = {"items": 4, "failed": 1, "wall_s": 2.0, "items_per_s": 2.0}
    for failed_items in ([FAILED], [FAILED]):
        project.store.add_run(
            "2026-01-01", 3.0, {**RUN, "stages": {"pose": counts}}, failed_items=failed_items
        )
    found = totals(project.store).stages
    assert (found["pose"].items, found["pose"].failed, found["pose"].items_per_s) == (8, 0, 2.0)
    assert (found["asr"].items, found["asr"].failed, found["asr"].items_per_s) == (0, 1, None)


def test_a_file_that_was_read_after_all_is_no_failure(project: Project, tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.touch()
    broken = ItemOutcome("ingest", str(path), "failed", "a.mp4", "empty_file", "it is empty", "mend it")
    project.store.add([], [broken])
    assert [(item.stage, item.code) for item in totals(project.store).failed_items] == [
        ("ingest", "empty_file")
    ]
    project.store.add([], [broken._replace(status="done")])
    assert totals(project.store).failed_items == []


def test_an_empty_project_counts_nothing(tmp_path: Path) -> None:
    assert totals(Project(tmp_path).store) == Totals()


def test_contradicted_claims_are_counted_by_annotator(project: Project) -> None:
    rates = hallucination(project.store)
    assert set(rates) == set(NAMES)
    counted = ClaimRate(
        claims=14,
        supported=7,
        contradicted=7,
        measurable=14,
        rate=0.5,
        low=0.268,
        high=0.732,
        not_measurable_share=0.0,
    )
    assert rates["facial"] == ClaimRates(**dict(counted), not_shown=counted)
    assert rates["prosody"].measurable == 12  # one of its answers never came


def test_claims_that_were_shown_are_counted_apart(project: Project) -> None:
    told = project.store.live(Check)[0]
    of = {answer.id: answer.annotator for answer in project.store.live(Annotation)}[told.annotation_id]
    shown = tuple(verdict.model_copy(update={"shown": True}) for verdict in told.verdicts)
    project.store.add([told.model_copy(update={"verdicts": shown})])
    rates = hallucination(project.store)[of]
    assert rates.shown.measurable == rates.measurable - rates.not_shown.measurable == len(shown) > 0
    assert rates.shown.contradicted == rates.contradicted - rates.not_shown.contradicted == 1


def test_what_could_not_be_measured_has_its_share(project: Project) -> None:
    told = project.store.live(Check)[0]
    of = {answer.id: answer.annotator for answer in project.store.live(Annotation)}[told.annotation_id]
    before = hallucination(project.store)[of]
    names = ("not_measurable", "outside_clip")
    verdicts = tuple(
        verdict.model_copy(update={"verdict": name})
        for verdict, name in zip(told.verdicts, names, strict=True)
    )
    project.store.add([told.model_copy(update={"verdicts": verdicts})])
    after = hallucination(project.store)[of]
    assert (after.claims, after.measurable) == (before.claims, before.measurable - 2)
    assert (after.not_measurable, after.outside_clip) == (1, 1)
    assert after.not_measurable_share == round(1 / before.claims, 4)


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"),
    [
        (0, 0, 0.0, 1.0),
        (0, 10, 0.0, 0.2775),
        (1, 10, 0.0179, 0.4042),
        (10, 10, 0.7225, 1.0),
        (15, 148, 0.0624, 0.1605),
    ],
)
def test_wilson_by_hand(hits: int, of: int, low: float, high: float) -> None:
    """The last is worked in Newcombe 1998, Statistics in Medicine 17, 857."""
    assert wilson_interval(hits, of) == pytest.approx((low, high), abs=1e-4)


def test_status_tells_each_annotator_in_one_line(project: Project) -> None:
    console = Console(width=400, record=True, file=io.StringIO())
    whole = StatusOutput(
        **dict(totals(project.store)), project="p", hallucination=hallucination(project.store)
    )
    print_status(console, whole, {"facial"})
    lines = [" ".join(line.split()) for line in console.export_text().splitlines()]
    head = lines.index(
        "claims of contradicted of those not told of those told not measurable outside the clip"
    )
    assert "lexicon 7 of 14 (50 %, 27-73 %) 7 of 14 (50 %, 27-73 %) - 0 of 14 0" in lines[head:]
    assert any(line.startswith("facial (rules) ") for line in lines[head:])


def test_rates_of_any_size_are_plain_numbers(project: Project) -> None:
    stages = {"asr": {"items": 12_000, "failed": 1, "wall_s": 4.0, "items_per_s": 3000.0},
              "au": {"items": 3, "failed": 0, "wall_s": 2.0, "items_per_s": 1.5}}  # fmt: skip
    console = Console(width=100, record=True, file=io.StringIO())
    print_status(console, StatusOutput.model_validate({"project": "p", "stages": stages}), set())
    lines = [" ".join(line.split()) for line in console.export_text().splitlines()]
    assert lines[-2:] == ["asr 12,000 1 3,000", "au 3 0 1.5"]


def test_a_question_that_was_answered_since_is_no_failure_any_more(project: Project) -> None:
    """The run that answered it was stopped, by a budget or a hand, so that it tells no failures of its own."""
    store = project.store
    failed = next(one for one in store.live(Annotation) if one.outcome == "failed")
    item = {**FAILED, "stage": "annotate", "id": failed.id}
    store.add_run("2026-01-01", 1.5, RUN, failed_items=[item, FAILED])
    assert [one.id for one in last_failures(store)] == [failed.id, "fea_1"]
    answer = next(one.answer for one in store.live(Annotation) if one.outcome == "labelled")
    changes = {"outcome": "labelled", "reason": "", "detail": "", "answer": answer}
    store.add([failed.model_copy(update=changes)])
    assert [one.id for one in last_failures(store)] == ["fea_1"]


def test_what_has_no_known_price_is_not_told_as_free(project: Project) -> None:
    store = project.store
    store.write_calls([CallEvent(key, "receipt", "p", "m") for key in ("a", "b")])
    assert "2 answers of an unknown price" in told(project)
    assert " 0 USD" not in told(project)
    store.write_calls([CallEvent("c", "receipt", "p", "m", cost_usd=0.5)])
    assert "0.5 USD and 2 answers of an unknown price" in told(project)


def test_a_run_that_was_stopped_is_told(project: Project) -> None:
    assert "ended before" not in told(project)
    project.store.add_run("2026-01-01", 1.0, RUN, finished=False)
    assert "the last run ended before its last stage; to go on: emotrace run" in told(project)
    project.store.add_run("2026-01-02", 1.0, RUN)
    assert "ended before" not in told(project)


def told(project: Project) -> str:
    """What `emotrace status` prints."""
    console = Console(width=200, record=True, file=io.StringIO())
    whole = dict(totals(project.store))
    print_status(console, StatusOutput(**whole, project="p", stopped=was_stopped(project.store)), set())
    return console.export_text()
