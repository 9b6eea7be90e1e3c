"""`report` and `import`: how the judges stand, and what people say that they are compared with."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.commands import hints
from pipeline.commands.arguments import HERE, AsJson, ProjectDir, out
from pipeline.commands.endings import OK, emit, say

if TYPE_CHECKING:
    from pipeline.judging.parts import Chains, JudgeReport, JudgesReport

SIGNS = {False: "!", None: "?", True: "+"}
PAGE = "report.html"


class Cluster(StrEnum):
    source = "source"
    speaker = "speaker"


def report(
    project: ProjectDir = HERE,
    page: Annotated[
        Path | None, typer.Option(help="The page to write.", show_default=f"{PAGE} of the project")
    ] = None,
    by: Annotated[Cluster, typer.Option(help="What belongs together, for intervals.")] = Cluster.source,
    as_json: AsJson = False,
) -> int:
    """How far judges and annotators can be trusted: beside people, and by what moves their ratings and claims."""
    from pipeline.commands.claims_text import print_claims, rules_of
    from pipeline.judging.page import html_page
    from pipeline.judging.report import report_on_judges
    from pipeline.judging.rows import judge_rows
    from pipeline.outputs import ReportOutput
    from pipeline.project import open_project
    from pipeline.status import hallucination

    with open_project(project) as opened:
        name, seed = opened.settings.project.name, opened.settings.project.seed
        judges = report_on_judges(judge_rows(opened), cluster=by.value, seed=seed)
        claims, rules = hallucination(opened.store), rules_of(opened.settings)
    path = page or project / PAGE
    path.write_text(html_page(judges, name, claims, rules), encoding="utf-8")
    if as_json:
        emit(ReportOutput(judges=judges, hallucination=claims, path=str(path)))
    else:
        for line in report_lines(judges):
            say(out, line)
        print_claims(out, claims, rules)
        say(out, f"{path} has the drawings and all numbers")
    return OK


def report_lines(report: JudgesReport) -> Iterator[str]:
    """Each judge with what is to be known of it, what is worst first."""
    if not report.judges:
        yield hints.complete("No judge has rated anything yet. First: emotrace run")
    for judge in report.judges:
        yield f"{judge.judge}: {_rated(judge)}"
        for finding in judge.findings:
            yield f"  {SIGNS[finding.good]} {finding.text}"
        for name, modes in judge.mme_emotion.items():
            for mode, one in modes.items():
                yield f"  {name}, MME-Emotion {mode.replace('_', ' ')}: {_chains(one)}"
    if report.judges:
        yield "! a problem, ? open, + as it should be; intervals are 95 %"


def _chains(one: Chains) -> str:
    numbers = {"Rec-S": one.rec_s, "Rea-S": one.rea_s, "CoT-S": one.cot_s, "average steps": one.average_steps}
    told = (f"{name} {'-' if value is None else f'{value:.1f}'}" for name, value in numbers.items())
    return f"{', '.join(told)} (n = {one.n}, {one.unread} not read)"


def _rated(judge: JudgeReport) -> str:
    means = ", ".join(f"{name} {judge.means[name]:.2f}" for name in judge.means)
    return f"asked about {judge.annotations} annotations" + (f", on average {means}" if means else "")


def import_ratings(
    path: Annotated[Path, typer.Argument(help="A CSV file of people's ratings: id, rater, s_rec, ...")],
    project: ProjectDir = HERE,
    as_json: AsJson = False,
) -> int:
    """Take in people's own ratings of annotations, which judges are compared with; no decision rests on them."""
    from pipeline.importers.ratings import read_ratings
    from pipeline.outputs import ImportOutput
    from pipeline.project import open_project

    with open_project(project) as opened:
        taken = read_ratings(path, opened.store, opened.taxonomy)
        opened.store.add(taken.reviews)
    raters = sorted({review.reviewer for review in taken.reviews})
    new = taken.rows - taken.known
    if as_json:
        emit(ImportOutput(rows=taken.rows, new=new, known=taken.known, raters=raters))
    else:
        known = f", {taken.known} were known" if taken.known else ""
        say(out, f"{new} of {taken.rows} ratings taken in{known}. Next: {hints.command('report')}")
    return OK
