"""Metrics against values worked by hand, published tables and a library, and where they have no value."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from pipeline.metrics import METRICS
from pipeline.metrics.base import Metric, Table, UndefinedError
from pipeline.metrics.bootstrap import measure
from pipeline.metrics.calibration import reliability
from schemas.registry import resolve
from tests.conftest import data_dir

TABLES = data_dir() / "tables"


def shared_table(name: str) -> Path:
    """A shared table with known truth; skips the test where the data is absent."""
    if not (TABLES / name).exists():
        pytest.skip(f"test media not found: set EMOTRACE_TEST_DATA (wanted tables/{name})")
    return TABLES / name


ICC = ("icc_1", "icc_a_1", "icc_c_1", "icc_1_k", "icc_a_k", "icc_c_k")
SHROUT_FLEISS = ((9, 2, 5, 8), (6, 1, 3, 2), (8, 4, 6, 8), (7, 1, 2, 6), (10, 5, 6, 9), (6, 2, 4, 7))


def metric(name: str) -> Metric:
    found: Metric = resolve(METRICS, name, what="metric")
    return found


def table(*rows: tuple[float | None, ...]) -> Table:
    return np.array([[math.nan if value is None else value for value in row] for row in rows], dtype=float)


def columns(*values: list[float]) -> Table:
    return np.array(values, dtype=float).T


# --- worked by hand --------------------------------------------------------------------------------


def test_cohens_kappa_by_hand() -> None:
    # 20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no: observed 0.7, by chance 0.5 * 0.6 + 0.5 * 0.4 = 0.5
    rows = table(*[(1, 1)] * 20, *[(1, 0)] * 5, *[(0, 1)] * 10, *[(0, 0)] * 15)
    assert metric("cohen_kappa")(rows) == pytest.approx(0.4)
    assert metric("quadratic_kappa")(rows) == pytest.approx(0.4)  # two classes leave nothing to weigh
    assert metric("linear_kappa")(rows) == pytest.approx(0.4)


def test_weighted_kappa_by_hand() -> None:
    # a = 0 1 2, b = 0 2 2. Distances 0 1 0; by chance, over the nine pairs: (0+2+2+1+1+1+2+0+0)/9 = 1
    rows = columns([0, 1, 2], [0, 2, 2])
    assert metric("linear_kappa")(rows) == pytest.approx(1 - (1 / 3) / 1)
    # Squares: observed 1/3; by chance (0+4+4+1+1+1+4+0+0)/9 = 15/9
    assert metric("quadratic_kappa")(rows) == pytest.approx(1 - (1 / 3) / (15 / 9))


def test_raters_who_never_agree_with_different_words_have_a_kappa_of_nought() -> None:
    assert metric("cohen_kappa")(columns([0, 0, 0], [1, 1, 1])) == 0


def test_spearman_with_ties_by_hand() -> None:
    # Ranks 1 2.5 2.5 4 and 1 2 3 4: covariance 4.5, variances 4.5 and 5
    assert metric("spearman")(columns([1, 2, 2, 3], [1, 2, 3, 4])) == pytest.approx(4.5 / math.sqrt(4.5 * 5))


def test_partial_spearman_by_hand() -> None:
    # Ranks as they stand: r_xy = 0.8, r_xz = 0.6, r_yz = 0.8 by 1 - 6 sum d^2 / (n (n^2 - 1)) with n = 4
    rows = columns([1, 2, 3, 4], [1, 3, 2, 4], [2, 1, 3, 4])
    assert metric("spearman")(rows[:, :2]) == pytest.approx(0.8)
    assert metric("spearman")(rows[:, [0, 2]]) == pytest.approx(0.8)
    assert metric("spearman")(rows[:, 1:]) == pytest.approx(0.4)
    expected = (0.8 - 0.8 * 0.4) / math.sqrt((1 - 0.64) * (1 - 0.16))
    assert metric("partial_spearman")(rows) == pytest.approx(expected)


def test_calibration_by_hand() -> None:
    # Bin [0.9, 1]: 0.9, 0.9, 1.0 with outcomes 1 0 1: |2.8 - 2|; bin [0.2, 0.3): 0.2 with 1: |0.2 - 1|
    rows = columns([0.9, 0.9, 1.0, 0.2], [1, 0, 1, 1])
    assert metric("ece")(rows) == pytest.approx((0.8 + 0.8) / 4)
    assert metric("brier")(rows) == pytest.approx((0.01 + 0.81 + 0 + 0.64) / 4)
    bins = reliability(rows)
    assert [found.n for found in bins] == [0, 0, 1, 0, 0, 0, 0, 0, 0, 3]
    assert (bins[2].score, bins[2].outcome, bins[0].score) == (0.2, 1.0, None)
    assert bins[9].score == pytest.approx(2.8 / 3)


@pytest.mark.parametrize("edge", [n / 10 for n in range(11)])
def test_a_score_on_the_edge_of_a_bin_belongs_to_the_upper_one(edge: float) -> None:
    filled = [n for n, found in enumerate(reliability(columns([edge], [1.0]))) if found.n]
    assert filled == [min(9, round(edge * 10))]


# --- published -------------------------------------------------------------------------------------


def test_the_six_forms_of_shrout_and_fleiss() -> None:
    values = [metric(name)(table(*SHROUT_FLEISS)) for name in ICC]
    # To four decimals as pingouin gives them; the paper prints .17 .29 .71 .44 .62 .91
    assert values == pytest.approx([0.1657, 0.2898, 0.7148, 0.4428, 0.6201, 0.9093], abs=5e-5)


@pytest.mark.media
def test_the_wines_of_pingouin() -> None:
    with shared_table("pingouin_icc.csv").open(encoding="utf-8") as file:
        scores = {(row["Wine"], row["Judge"]): float(row["Scores"]) for row in csv.DictReader(file)}
    wines = sorted({wine for wine, _ in scores})
    rows = table(*(tuple(scores[wine, judge] for judge in "ABCD") for wine in wines))
    values = [metric(name)(rows) for name in ICC]
    assert values == pytest.approx([0.728, 0.728, 0.729, 0.914, 0.914, 0.915], abs=6e-4)


@pytest.mark.media
def test_four_raters_with_gaps_as_irrcac_publishes_them() -> None:
    with shared_table("irrcac_cac.raw4raters.csv").open(encoding="utf-8") as file:
        given = [[row[f"Rater{n}"] for n in range(1, 5)] for row in csv.DictReader(file)]
    rows = table(*(tuple(float(value) if value else None for value in row) for row in given))
    assert metric("fleiss_kappa")(rows) == pytest.approx(0.76117, abs=5e-6)
    assert metric("gwet_ac1")(rows) == pytest.approx(0.77544, abs=5e-6)
    assert metric("krippendorff_alpha")(rows) == pytest.approx(0.74342, abs=5e-6)
    assert metric("krippendorff_alpha_interval")(rows) == pytest.approx(0.849, abs=5e-4)


@pytest.mark.media
def test_two_raters_as_irrcac_publishes_them() -> None:
    with shared_table("irrcac_cont3x3abstractors.csv").open(encoding="utf-8") as file:
        counts = [[int(value) for value in row[1:]] for row in list(csv.reader(file))[1:]]
    rows = table(*((a, b) for a in range(3) for b in range(3) for _ in range(counts[a][b])))
    assert metric("cohen_kappa")(rows) == pytest.approx(0.79641, abs=5e-6)
    assert metric("gwet_ac1")(rows) == pytest.approx(0.84933, abs=5e-6)
    assert metric("krippendorff_alpha")(rows) == pytest.approx(0.79726, abs=5e-6)
    assert metric("fleiss_kappa")(rows) == pytest.approx(0.79624, abs=5e-6)  # of two raters: Scott's pi


def test_fleiss_1971() -> None:
    counts = (
        (0, 0, 0, 6, 0), (0, 3, 0, 0, 3), (0, 1, 4, 0, 1), (0, 0, 0, 0, 6), (0, 3, 0, 3, 0), (2, 0, 4, 0, 0),
        (0, 0, 4, 0, 2), (2, 0, 3, 1, 0), (2, 0, 0, 4, 0), (0, 0, 0, 0, 6), (1, 0, 0, 5, 0), (1, 1, 0, 4, 0),
        (0, 3, 3, 0, 0), (1, 0, 0, 5, 0), (0, 2, 0, 3, 1), (0, 0, 5, 0, 1), (3, 0, 0, 1, 2), (5, 1, 0, 0, 0),
        (0, 2, 0, 4, 0), (1, 0, 2, 0, 3), (0, 0, 0, 0, 6), (0, 1, 0, 5, 0), (0, 2, 0, 1, 3), (2, 0, 0, 4, 0),
        (1, 0, 0, 4, 1), (0, 5, 0, 1, 0), (4, 0, 0, 0, 2), (0, 2, 0, 4, 0), (1, 0, 5, 0, 0), (0, 0, 0, 0, 6),
    )  # fmt: skip
    rows = table(*(tuple(n for n, count in enumerate(row) for _ in range(count)) for row in counts))
    assert metric("fleiss_kappa")(rows) == pytest.approx(0.430, abs=5e-4)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=3, max_size=30))
def test_spearman_agrees_with_scipy(pairs: list[tuple[int, int]]) -> None:
    rows = table(*pairs)
    if min(len(set(column)) for column in rows.T) < 2:
        with pytest.raises(UndefinedError, match="never varies"):
            metric("spearman")(rows)
    else:
        assert metric("spearman")(rows) == pytest.approx(spearmanr(*rows.T).statistic, abs=1e-12)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30))
def test_weighted_kappa_is_the_classic_formula_over_a_table_of_counts(pairs: list[tuple[int, int]]) -> None:
    counts = np.zeros((4, 4))
    for a, b in pairs:
        counts[a, b] += 1
    by_chance = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / len(pairs)
    apart = np.abs(np.subtract.outer(np.arange(4), np.arange(4)))
    for name, weights in (("linear_kappa", apart), ("quadratic_kappa", apart**2)):
        if (weights * by_chance).sum() == 0:
            with pytest.raises(UndefinedError):
                metric(name)(table(*pairs))
        else:
            classic = 1 - (weights * counts).sum() / (weights * by_chance).sum()
            assert metric(name)(table(*pairs)) == pytest.approx(classic, abs=1e-9)


# --- where there is no value -----------------------------------------------------------------------

PAIRS = ("cohen_kappa", "quadratic_kappa", "linear_kappa", "spearman", "ece", "brier")
MANY = (*ICC, "fleiss_kappa", "gwet_ac1", "krippendorff_alpha", "krippendorff_alpha_interval")


@pytest.mark.parametrize("name", METRICS)
def test_without_ratings_every_metric_says_so(name: str) -> None:
    width = 3 if name == "partial_spearman" else 2
    score = measure(name, np.full((4, width), math.nan))
    assert (score.value, score.low, score.high, score.n, score.missing) == (None, None, None, 0, 4)
    assert score.reason == "no_items"


@pytest.mark.parametrize("name", [*MANY, "cohen_kappa", "quadratic_kappa", "linear_kappa", "spearman"])
@pytest.mark.parametrize("value", [0.0, 0.1, 7.0])
def test_ratings_that_are_all_the_same_have_no_agreement(name: str, value: float) -> None:
    score = measure(name, np.full((5, 2), value))
    assert score.value is None
    assert score.reason in ("one_class", "constant", "no_variance_between_items")


@pytest.mark.parametrize("name", sorted(METRICS.keys() - {"group_difference"}))  # it compares two groups
def test_perfect_agreement(name: str) -> None:
    rows = columns([0, 0.25, 0.5, 1, 0.75, 0], [0, 0.25, 0.5, 1, 0.75, 0])
    if name == "partial_spearman":
        rows = np.column_stack([rows, [3, 1, 2, 5, 4, 9]])
    assert metric(name)(rows) == pytest.approx(0 if name in ("ece", "brier", "mean_difference") else 1)


def test_a_third_column_that_says_all_leaves_nothing_to_explain() -> None:
    score = measure("partial_spearman", columns([1, 2, 3, 4, 5], [2, 1, 3, 5, 4], [1, 2, 3, 4, 5]))
    assert (score.value, score.reason) == (None, "explained")


def test_items_that_differ_not_at_all_while_raters_do() -> None:
    rows = columns([1, 1, 1, 1], [3, 3, 3, 3])
    assert metric("icc_a_k")(rows) == 0
    assert measure("icc_c_1", rows).reason == "constant"


def test_a_gap_leaves_the_item_out_or_only_the_rating() -> None:
    rows = table((1, 1, 1), (2, 2, None), (3, 1, 3), (None, None, 2))
    assert measure("icc_a_1", rows)[3:5] == (2, 2)
    assert measure("fleiss_kappa", rows)[3:5] == (4, 0)
    assert metric("krippendorff_alpha")(rows) == metric("krippendorff_alpha")(rows[:3])  # no pair, no matter


def test_a_table_of_the_wrong_width_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="table of shape"):
        measure("cohen_kappa", np.zeros((4, 3)))
    with pytest.raises(ValueError, match=r"in \[0, 1\]"):
        measure("ece", np.array([[1.2, 1.0]]))


# --- intervals -------------------------------------------------------------------------------------


def raters(seed: int, items: int, clusters: int) -> tuple[Table, list[int]]:
    """Two raters of items whose truth is shared within a cluster."""
    rng = np.random.default_rng(seed)
    cluster = rng.integers(0, clusters, items)
    truth = rng.normal(size=clusters)[cluster] + rng.normal(size=items)
    rows = np.column_stack([truth + rng.normal(size=items), truth + rng.normal(size=items)])
    return rows, cluster.tolist()


def test_items_of_one_cluster_make_the_interval_wider() -> None:
    rows, clusters = raters(1, 200, 8)
    alone, together = measure("icc_c_1", rows), measure("icc_c_1", rows, clusters)
    assert alone.value == together.value
    assert together.high - together.low > alone.high - alone.low  # type: ignore[operator]
    assert (alone.clusters, together.clusters) == (200, 8)


def test_copies_of_items_tell_nothing_new_within_their_cluster() -> None:
    rows, _ = raters(2, 60, 60)
    once = measure("spearman", rows, list(range(60)))
    thrice = measure("spearman", np.repeat(rows, 3, axis=0), [n for n in range(60) for _ in range(3)])
    assert (thrice.low, thrice.high) == pytest.approx((once.low, once.high), abs=0.02)


def test_the_interval_is_the_same_each_time_and_one_cluster_has_none() -> None:
    rows, clusters = raters(3, 50, 10)
    assert measure("spearman", rows, clusters, seed=4) == measure("spearman", rows, clusters, seed=4)
    alone = measure("spearman", rows, ["one"] * 50)
    assert alone.value is not None
    assert (alone.low, alone.reason) == (None, "one_cluster")


def test_an_interval_over_mostly_empty_resamples_is_none() -> None:
    score = measure("cohen_kappa", table((1, 1), (0, 0), *[(0, 0)] * 8), list("ab" + "b" * 8))
    assert (score.value, score.low, score.reason) == (1.0, None, "unstable")


@pytest.mark.parametrize("name", ["spearman", "icc_c_1", "cohen_kappa"])
def test_intervals_hold_the_truth_as_often_as_they_say(name: str) -> None:
    """Over 200 studies of 120 items in 40 clusters; 186 of 200 and more is within chance of 95 %."""
    whole, _ = raters(0, 200_000, 200_000)

    def seen(rows: Table) -> Table:
        return (rows > 0).astype(float) if name == "cohen_kappa" else rows

    truth = metric(name)(seen(whole))
    held = 0
    for study in range(200):
        rows, clusters = raters(100 + study, 120, 40)
        score = measure(name, seen(rows), clusters, seed=study, draws=300)
        assert score.low is not None
        assert score.high is not None
        held += score.low <= truth <= score.high
    assert held >= 180
