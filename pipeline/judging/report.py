"""The report on each judge: agreement with people, calibration, what moves its scores that should not. Pure."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import combinations
from statistics import fmean, pstdev
from typing import Literal

import numpy as np

from pipeline.judging.findings import LEAST_HUMAN, findings
from pipeline.judging.parts import (
    Bin,
    Chains,
    Comparison,
    JudgeReport,
    JudgesReport,
    Kin,
    Measured,
    SecondLooks,
)
from pipeline.judging.people import SCORES
from pipeline.judging.row import Row
from pipeline.metrics.base import Table
from pipeline.metrics.bootstrap import DRAWS, measure
from pipeline.metrics.calibration import reliability
from pipeline.metrics.mme_emotion import Rated, printed

ICC = ("icc_1", "icc_a_1", "icc_c_1", "icc_1_k", "icc_a_k", "icc_c_k")
AGREEMENT = ("quadratic_kappa", "spearman", *ICC, "mean_difference", "ece", "brier")
COMPARED: tuple[tuple[str, Literal["label", "rubric"]], ...] = (
    ("s_rec", "label"),
    ("s_rec", "rubric"),
    ("s_reason", "rubric"),
    ("s_cot", "rubric"),
)
HALF = 0.5  # from which a rating counts as "right", for kappa of two classes
LEAST_OF_KIN = 10
MOST_WORK = 4_000_000  # items times draws: with more items fewer draws say as much
LEAST_DRAWS = 200
Cluster = Literal["source", "speaker"]


def report_on_judges(
    rows: Iterable[Row], *, cluster: Cluster = "source", seed: int = 0, draws: int = DRAWS
) -> JudgesReport:
    """One report per judge, by name, and how the judges agree with each other."""
    by_judge: dict[str, list[Row]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: (row.annotation_id, row.judge)):
        by_judge[row.judge].append(row)
    measuring = _Measuring(cluster, seed, draws)
    others = _by_annotation(by_judge)
    return JudgesReport(
        cluster=cluster,
        judges=[_judge(name, by_judge[name], others, measuring) for name in sorted(by_judge)],
        together=_together(by_judge, measuring),
    )


class _Measuring:
    """How numbers are taken of rows: by which clusters, with which seed."""

    def __init__(self, cluster: Cluster, seed: int, draws: int) -> None:
        self.cluster, self.seed, self.draws = cluster, seed, draws

    def __call__(self, name: str, rows: Sequence[Row], *columns: Callable[[Row], float | None]) -> Measured:
        """The metric of rows; an item without one of the columns is left out and counted."""
        values = [[_or_nan(column(row)) for column in columns] for row in rows]
        table = np.array(values, dtype=float).reshape(len(rows), len(columns))
        return self.of_table(name, table, rows)

    def of_table(self, name: str, table: Table, rows: Sequence[Row]) -> Measured:
        clusters = [row.source_id if self.cluster == "source" else row.speaker for row in rows]
        draws = min(self.draws, max(LEAST_DRAWS, MOST_WORK // max(1, len(rows))))
        return Measured.of(measure(name, table, clusters, seed=self.seed, draws=draws))


def _judge(
    name: str, rows: list[Row], all_scores: Mapping[str, Mapping[str, float]], measuring: _Measuring
) -> JudgeReport:
    scored = {score: [row for row in rows if score in row.scores] for score in SCORES}
    made = JudgeReport(
        judge=name,
        annotations=sum(row.judged for row in rows),
        outcomes=_total(row.outcomes for row in rows),
        evaluations=_total(row.evaluations for row in rows),
        means={score: fmean(r.scores[score] for r in mine) for score, mine in scored.items() if mine},
        spreads={score: pstdev(r.scores[score] for r in mine) for score, mine in scored.items() if mine},
        scored={score: len(mine) for score, mine in scored.items() if mine},
        repeated=sum(bool(row.spread) for row in rows),
        repeat_spread=_repeat_spread(rows),
        comparisons=[
            found
            for score, people in COMPARED
            if (found := _compare(scored[score], score, people, measuring)) is not None
        ],
        alike=_alike(rows, measuring),
        length={score: _length(mine, score, measuring) for score, mine in scored.items() if mine},
        length_beside_people={
            score: _length(mine, score, measuring, beside_people=True)
            for score, mine in scored.items()
            if any(_people(row, score) is not None for row in mine)
        },
        position=_position(rows, measuring),
        second_looks=_second_looks(rows),
        kin=_kin(name, [row for row in rows if row.judged], all_scores, measuring),
        mme_emotion=_chains(rows),
        findings=[],
    )
    return made.model_copy(update={"findings": findings(made)})


def _compare(
    rows: Sequence[Row], score: str, people: Literal["label", "rubric"], measuring: _Measuring
) -> Comparison | None:
    """A score beside people's; None where nobody rated or labelled anything that the judge rated."""
    key = "label" if people == "label" else score
    mine = [row for row in rows if key in row.human]
    if not mine:
        return None

    def given(row: Row) -> float:
        return row.scores[score]

    def said(row: Row) -> float:
        return row.human[key]

    metrics = {name: measuring(name, mine, given, said) for name in AGREEMENT}
    metrics["cohen_kappa"] = measuring(
        "cohen_kappa", mine, lambda row: given(row) >= HALF, lambda row: said(row) >= HALF
    )
    table = np.array([[given(row), said(row)] for row in mine])
    return Comparison(
        score=score,
        people=people,
        n=len(mine),
        more_needed=max(0, LEAST_HUMAN - len(mine)),
        judge_mean=fmean(map(given, mine)),
        people_mean=fmean(map(said, mine)),
        metrics=metrics,
        bins=[
            Bin(low=b.low, high=b.high, n=b.n, score=b.score, people=b.outcome) for b in reliability(table)
        ],
    )


def _alike(rows: Sequence[Row], measuring: _Measuring) -> dict[str, Measured]:
    """Rank correlation of each two scores, which are to be ratings of their own."""
    return {
        f"{one} and {other}": measuring(
            "spearman", both, partial(_score_of, score=one), partial(_score_of, score=other)
        )
        for one, other in combinations(SCORES, 2)
        if (both := [row for row in rows if {one, other} <= row.scores.keys()])
    }


def _people(row: Row, score: str) -> float | None:
    """What people say that a score should follow: their rating of it, else whether they agree with the label."""
    if score in row.human:
        return row.human[score]
    return row.human.get("label") if score == "s_rec" else None


def _length(
    rows: Sequence[Row], score: str, measuring: _Measuring, *, beside_people: bool = False
) -> Measured:
    columns: list[Callable[[Row], float | None]] = [
        lambda row: row.scores[score],
        lambda row: float(row.length_chars),
    ]
    if not beside_people:
        return measuring("spearman", rows, *columns)
    return measuring("partial_spearman", rows, *columns, lambda row: _people(row, score))


def _position(rows: Sequence[Row], measuring: _Measuring) -> dict[str, Measured]:
    """Rank correlations of a rating with places, and how far from the middle the implied label stood."""
    rated = [row for row in rows if row.scores]
    placed = [row for row in rated if row.position is not None]
    listed = [row for row in rated if row.label_place is not None and "s_rec" in row.scores]
    implied = [row for row in rows if row.implied_place is not None]
    found = {}
    if placed:
        found["asked"] = measuring("spearman", placed, _mean_score, lambda row: row.position)
    if listed:
        found["claimed_label"] = measuring(
            "spearman", listed, lambda row: row.scores["s_rec"], lambda row: row.label_place
        )
    if implied:
        found["implied_label"] = measuring(
            "mean_difference", implied, lambda row: row.implied_place, lambda _: HALF
        )
    return found


def _second_looks(rows: Sequence[Row]) -> SecondLooks:
    looked = [row for row in rows if row.look is not None]
    by_annotator: dict[str, tuple[int, int]] = {}
    for row in looked:
        if row.look == "answered" and "not_blind" not in row.flags:
            bad, n = by_annotator.get(row.annotator, (0, 0))
            by_annotator[row.annotator] = (bad + ("label_mismatch" in row.flags), n + 1)
    return SecondLooks(
        outcomes=_total({row.look: 1} for row in looked if row.look),
        answered=sum(n for _, n in by_annotator.values()),
        not_blind=sum("not_blind" in row.flags for row in looked),
        mismatches=sum(bad for bad, _ in by_annotator.values()),
        none_implied=sum("no_label_implied" in row.flags for row in looked),
        by_annotator=dict(sorted(by_annotator.items())),
    )


def _chains(rows: Sequence[Row]) -> dict[str, dict[Literal["strict", "as_published"], Chains]]:
    """The tables of MME-Emotion, by annotator and over all of them."""
    by_annotator: dict[str, list[Rated]] = defaultdict(list)
    for row in rows:
        by_annotator[row.annotator] += row.chains
    if not any(by_annotator.values()):
        return {}
    groups = {
        **dict(sorted(by_annotator.items())),
        "all": [one for rated in by_annotator.values() for one in rated],
    }
    modes: tuple[Literal["strict", "as_published"], ...] = ("strict", "as_published")
    return {
        name: {mode: Chains(**printed(rated, mode)._asdict()) for mode in modes}
        for name, rated in groups.items()
    }


def _kin(
    judge: str, rows: Sequence[Row], all_scores: Mapping[str, Mapping[str, float]], measuring: _Measuring
) -> Kin:
    """The excess over people's labels where there are enough, else over the other judges, else none."""
    known = [row for row in rows if row.scores and "family_unknown" not in row.flags]
    own = [row for row in known if "same_family" in row.flags]
    counts = {"own": len(own), "others": len(known) - len(own)}
    counts["unknown"] = sum("family_unknown" in row.flags for row in rows)
    if not own:
        return Kin(**counts)

    def beside_people(row: Row) -> float | None:
        people = _people(row, "s_rec")
        return None if people is None or "s_rec" not in row.scores else row.scores["s_rec"] - people

    def beside_others(row: Row) -> float | None:
        others = [value for name, value in all_scores[row.annotation_id].items() if name != judge]
        return _mean_score(row) - fmean(others) if others else None

    ways: tuple[tuple[Literal["people", "other_judges", "nothing"], Callable[[Row], float | None]], ...] = (
        ("people", beside_people),
        ("other_judges", beside_others),
        ("nothing", _mean_score),
    )
    for beside, value in ways:
        there = [row for row in known if value(row) is not None]
        kin = sum("same_family" in row.flags for row in there)
        if beside == "nothing" or min(kin, len(there) - kin) >= LEAST_OF_KIN:
            break
    excess = measuring("group_difference", there, value, lambda row: float("same_family" in row.flags))
    return Kin(**counts, beside=beside, excess=excess)


def _together(by_judge: Mapping[str, Sequence[Row]], measuring: _Measuring) -> dict[str, dict[str, Measured]]:
    """Agreement of the judges on each score; they need not all have rated everything."""
    found = {}
    names = sorted(by_judge)
    rated = {name: {row.annotation_id: row for row in by_judge[name]} for name in names}
    for score in SCORES:
        giving = [name for name in names if any(score in row.scores for row in by_judge[name])]
        if len(giving) < 2:
            continue
        ids = sorted({row.annotation_id for name in giving for row in by_judge[name]})
        firsts = [next(rated[name][i] for name in giving if i in rated[name]) for i in ids]
        table = np.array(
            [[_or_nan(_score_of(rated[name].get(i), score)) for name in giving] for i in ids], dtype=float
        )
        metrics = ("icc_a_1", "icc_c_1", "krippendorff_alpha_interval")
        found[score] = {name: measuring.of_table(name, table, firsts) for name in metrics}
    return found


def _by_annotation(by_judge: Mapping[str, Sequence[Row]]) -> dict[str, dict[str, float]]:
    """Annotation -> judge -> the mean of its scores."""
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for name, rows in by_judge.items():
        for row in rows:
            if row.scores:
                found[row.annotation_id][name] = _mean_score(row)
    return found


def _mean_score(row: Row) -> float:
    return fmean(row.scores.values())


def _score_of(row: Row | None, score: str) -> float | None:
    return None if row is None else row.scores.get(score)


def _repeat_spread(rows: Sequence[Row]) -> dict[str, float]:
    found = {score: [row.spread[score] for row in rows if score in row.spread] for score in SCORES}
    return {score: fmean(values) for score, values in found.items() if values}


def _total(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    found: dict[str, int] = defaultdict(int)
    for one in counts:
        for name, n in one.items():
            found[name] += n
    return dict(sorted(found.items()))


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else float(value)
