"""Judges with known faults are caught by the report, and a fair one is not blamed."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from typing import Any

import pytest

from pipeline.commands.judging import report_lines
from pipeline.judging.page import html_page
from pipeline.judging.parts import Finding, JudgeReport, JudgesReport
from pipeline.judging.report import report_on_judges
from pipeline.judging.row import Row, row_of
from pipeline.outputs import ClaimRates
from schemas.records import Judgement
from tests.agents.test_judge import make_case
from tests.judging import jurors
from tests.judging.jurors import Fault, Study, judged, rows, study


@cache
def cases() -> Study:
    return study()


def reported(fault: Fault, *, labelled: bool = True, **changes: Any) -> JudgeReport:
    found = judged(cases(), fault, second_look=False, **changes)
    (report,) = report_on(rows(cases(), found, labelled=labelled)).judges
    return report


def report_on(found: list[Row], **how: Any) -> JudgesReport:
    return report_on_judges(found, draws=400, **how)


def told(report: JudgeReport, code: str) -> list[Finding]:
    return [finding for finding in report.findings if finding.code == code]


def problems(report: JudgeReport) -> set[str]:
    return {finding.code for finding in report.findings if finding.good is False}


def test_a_fair_judge_is_blamed_for_nothing() -> None:
    report = reported(jurors.fair)
    assert problems(report) == set()
    (near,) = told(report, "agreement")
    assert near.good
    (comparison,) = report.comparisons
    assert comparison.n == 120
    assert comparison.metrics["quadratic_kappa"].low > 0.8  # type: ignore[operator]
    assert comparison.metrics["icc_a_1"].low > 0.9  # type: ignore[operator]
    assert comparison.metrics["cohen_kappa"].value == 1
    assert comparison.metrics["icc_a_1"].clusters == 30
    assert {finding.good for finding in told(report, "length_bias")} <= {True, None}
    assert {finding.good for finding in told(report, "self_preference")} == {True}


def test_who_loves_long_answers_is_caught() -> None:
    report = reported(jurors.loves_length)
    (found,) = [f for f in told(report, "length_bias") if "the label" in f.text]
    assert found.good is False
    assert "longer rationales get higher ratings" in found.text
    assert "at the same human score" in found.text
    assert report.length_beside_people["s_rec"].low > 0.8  # type: ignore[operator]
    assert "agreement" in problems(report)


def test_without_people_it_is_said_that_longer_ones_may_be_better() -> None:
    report = reported(jurors.loves_length, labelled=False)
    (found,) = [f for f in told(report, "length_bias") if "the label" in f.text]
    assert "cannot be told without human ratings" in found.text
    (needed,) = told(report, "too_few_human_labels")
    assert (needed.good, needed.text) == (
        None, "0 of its ratings can be compared with people; 50 more are needed",
    )  # fmt: skip


def test_who_prefers_its_own_family_is_caught() -> None:
    report = reported(jurors.prefers_kin)
    assert (report.kin.own, report.kin.others, report.kin.beside) == (60, 60, "people")
    assert report.kin.excess is not None
    assert report.kin.excess.value == pytest.approx(0.35, abs=0.1)
    (found,) = told(report, "self_preference")
    assert found.good is False


def test_a_preference_shows_beside_other_judges_too_when_nobody_labelled() -> None:
    kin = rows(cases(), judged(cases(), jurors.prefers_kin, second_look=False), labelled=False)
    other = rows(cases(), judged(cases(), jurors.fair, model="gemini-2"), labelled=False, name="fair")
    report = report_on([*kin, *other])
    biased = next(judge for judge in report.judges if judge.judge == "j")
    assert biased.kin.beside == "other_judges"
    assert {finding.good for finding in told(biased, "self_preference")} == {False}
    assert report.together["s_rec"]["icc_c_1"].value is not None


def test_who_gives_everything_the_same_is_caught() -> None:
    report = reported(jurors.always_high)
    assert {"constant", "agreement", "too_high"} <= problems(report)
    (comparison,) = report.comparisons
    assert (comparison.metrics["spearman"].value, comparison.metrics["spearman"].reason) == (None, "constant")
    assert comparison.metrics["cohen_kappa"].value == 0
    assert comparison.metrics["ece"].value == pytest.approx(0.9 - comparison.people_mean)  # type: ignore[operator]


def test_scores_that_are_one_impression_are_told_and_ratings_of_their_own_are_not() -> None:
    report = reported(jurors.fair)
    (found,) = told(report, "scores_alike")
    assert found.good is None
    assert "s_rec and s_reason, s_rec and s_cot, s_reason and s_cot rank the annotations alike" in found.text
    apart = reported(lambda seen: {**jurors.fair(seen), "s_cot": (seen.n * 37 % 100) / 100})
    (found,) = told(apart, "scores_alike")
    assert found.text.startswith("s_rec and s_reason rank")
    assert apart.alike["s_rec and s_cot"].value == pytest.approx(0, abs=0.3)


def test_who_fails_every_third_time_is_caught_and_its_failures_are_no_zeros() -> None:
    report = reported(jurors.fails_every_third)
    assert report.outcomes == {"scored": 80, "unparsed": 40}
    (found,) = told(report, "fails")
    assert (found.good, found.text) == (
        False, "40 of 120 ratings failed (33%: 40 unparsed); they are no score, the others stand for them",
    )  # fmt: skip
    fair = reported(jurors.fair)
    assert report.means["s_rec"] == pytest.approx(fair.means["s_rec"], abs=0.08)


def judgement_of(kind: str, outcome: str, **more: Any) -> Judgement:
    about = {
        "annotation_id": make_case().annotation.id,
        "provider": "p",
        "model": "m",
        "request_digest": kind,
    }
    return Judgement.model_validate({**about, "judge": "j", "kind": kind, "outcome": outcome, **more})


def one_row(*judgements: Judgement) -> Row:
    return row_of("j", make_case().annotation, judgements, human={}, source_id="s", speaker="p")


def test_second_looks_and_evaluations_that_failed_are_told_and_those_that_were_not_blind() -> None:
    found = [
        one_row(judgement_of("second_look", "refused", reason="refusal")),
        one_row(judgement_of("second_look", "answered", implied_label="joy", flags=("not_blind",))),
        one_row(judgement_of("mme_emotion", "failed", reason="timeout")),
    ]
    (report,) = report_on(found).judges
    assert (report.second_looks.outcomes, report.second_looks.not_blind) == ({"refused": 1, "answered": 1}, 1)
    assert [(finding.good, finding.text) for finding in told(report, "fails")] == [
        (False, "1 of 2 second looks failed (50%: 1 refused); they tell nothing"),
        (False, "1 of 1 evaluations failed (100%: 1 failed); nothing is known from it"),
    ]
    (hidden,) = told(report, "not_blind")
    assert (hidden.good, hidden.text.startswith("in 1 second looks the label could not")) == (None, True)


def test_how_much_lower_is_told_without_a_minus() -> None:
    report = reported(lambda seen: jurors.scores(0.6 if seen.right else 0.0))
    (low,) = told(report, "too_low")
    assert re.search(r"lower than people do, by 0\.\d\d \[0\.\d\d, 0\.\d\d\]", low.text), low.text


def test_spread_over_repetitions_is_told() -> None:
    report = reported(jurors.fair, replicates=3)
    assert report.repeated == 120
    assert 0 < report.repeat_spread["s_rec"] < 0.1
    (found,) = told(report, "unsteady")
    assert found.good


def test_right_labels_with_reasons_for_another_are_counted_by_annotator() -> None:
    of = study(20, wrong_reasons=10)
    (report,) = report_on(rows(of, judged(of, jurors.fair))).judges
    looks = report.second_looks
    assert (looks.outcomes, looks.answered, looks.mismatches) == ({"answered": 40}, 40, 10)
    assert (looks.none_implied, looks.not_blind) == (0, 0)
    assert sum(bad for bad, _ in looks.by_annotator.values()) == 10
    (found,) = told(report, "label_mismatches")
    assert "imply another label in 10 of 40" in found.text
    assert report.comparisons[0].more_needed == 10


def test_the_order_of_rows_does_not_matter() -> None:
    found = rows(cases(), judged(cases(), jurors.fair, second_look=False))
    assert report_on(found) == report_on(found[::-1])


def test_clusters_may_be_speakers() -> None:
    found = rows(cases(), judged(cases(), jurors.fair, second_look=False))
    report = report_on(found, cluster="speaker")
    assert report.judges[0].comparisons[0].metrics["spearman"].clusters == 7


def test_the_text_tells_what_is_worst_first() -> None:
    found = rows(cases(), judged(cases(), jurors.always_high, second_look=False))
    lines = list(report_lines(report_on(found)))
    assert lines[0] == "j: asked about 120 annotations, on average s_rec 0.90, s_reason 0.90, s_cot 0.90"
    signs = [line[2] for line in lines[1:-1]]
    assert signs == sorted(signs, key="!?+".index)
    assert next(report_lines(report_on([]))).startswith("No judge has rated anything yet.")


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.seen.append(tag)
        if tag not in ("meta", "circle", "line", "rect"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("circle", "line", "rect"):
            assert self.open.pop() == tag


def test_the_page_is_whole_draws_and_runs_nothing() -> None:
    found = rows(cases(), judged(cases(), jurors.fair), name="<script>alert(1)</script>")
    page = html_page(report_on(found), "P & <b>Q</b>")
    tags = _Tags()
    tags.feed(page)
    assert tags.open == []
    assert "script" not in tags.seen
    assert "b" not in tags.seen
    assert tags.seen.count("svg") == 2
    assert "circle" in tags.seen
    assert page.count("viewBox=") == 2  # or a narrow screen would cut them off
    assert "default-src 'none'" in page
    for axis in ("mean s_rec of the judge", "share of people who agree", "agreement (0: as by chance"):
        assert f">{axis}" in page, axis
    assert "<td>ours</td><td>0 (0%)</td><td>60</td>" in page  # second looks, by annotator
    assert "nan" not in page


def test_the_page_tells_whose_claims_are_contradicted() -> None:
    apart = {
        "shown": {},
        "not_shown": {"contradicted": 3, "measurable": 4, "rate": 0.75, "low": 0.3, "high": 0.95},
    }
    whole = {
        "claims": 6,
        "contradicted": 3,
        "measurable": 4,
        "not_measurable": 2,
        "rate": 0.75,
        "low": 0.3,
        "high": 0.95,
    }
    claims = {"<i>gpt</i>": ClaimRates.model_validate({**whole, **apart}), "facial": ClaimRates()}
    page = html_page(report_on([]), "P", claims, {"facial"})
    tags = _Tags()
    tags.feed(page)
    assert (tags.open, "i" in tags.seen, tags.seen.count("svg")) == ([], False, 1)
    rows = [row for row in page.split("<tr>") if row.startswith("<td>")]
    told = [re.sub("<[^>]+>", "|", row.partition("</tr>")[0]).strip("|").replace("||", "|") for row in rows]
    share = "3 of 4 (75 %, 30-95 %)"
    assert told == [f"&lt;i&gt;gpt&lt;/i&gt;|{share}|{share}|-|2 of 6|0", "facial (rules)|-|-|-|0 of 0|0"]


def test_the_page_draws_what_claims_say_that_were_not_told() -> None:
    """Who repeats what was told is contradicted by nothing, and looks no better for it."""
    told = {"claims": 40, "supported": 40, "measurable": 40, "rate": 0.0, "low": 0.0, "high": 0.09}
    copies = ClaimRates.model_validate({**told, "shown": told})
    page = html_page(report_on([]), "P", {"gpt": copies})
    drawing = page[page.index("<svg") : page.index("</svg>")]
    assert "none" in drawing
    assert "circle" not in drawing
    assert "not told" in page


def test_the_report_loads_no_web_framework_and_no_vendor() -> None:
    code = (
        "import sys, pipeline.judging.report, pipeline.metrics.bootstrap; "
        "print([m for m in ('prefect', 'openai', 'fastapi', 'google.genai', 'av') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_failures_are_no_ratings_and_repeats_one_unit() -> None:
    """Of one annotation's repetitions each has an order of its own: none stands for the others."""

    def rated(number: int, place: int, score: float | None) -> Judgement:
        others = ("b", "c")
        given = {"s_rec": score, "s_reason": score, "s_cot": score} if score is not None else {}
        return Judgement(
            annotation_id="a", request_digest=f"r{number}", judge="j", provider="p", model="m",
            outcome="scored" if given else "failed", reasons=("so",) if given else (),
            label_order=(*others[:place], "joy", *others[place:]), **given,
        )  # fmt: skip

    annotation = make_case().annotation
    where: dict[str, Any] = {"human": {}, "source_id": "s", "speaker": "p"}
    row = row_of("j", annotation, [rated(1, 0, 0.1), rated(2, 2, 0.9), rated(3, 2, None)], **where)
    assert row.label_place == 0.5
    rows = [
        replace(
            row_of("j", annotation, [rated(1, 0, 0.5 if n < 10 else None)], **where), annotation_id=f"a{n}"
        )
        for n in range(60)
    ]
    (report,) = report_on_judges(rows, draws=20).judges
    assert (report.annotations, report.scored["s_rec"]) == (60, 10)
    assert "constant" not in {finding.code for finding in report.findings}
