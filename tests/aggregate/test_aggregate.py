"""Aggregation: properties that hold for any ballots, and worked examples."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.aggregate import AGGREGATORS
from pipeline.aggregate.base import Ballot, consensus_question
from schemas.parts import AnnotationScore
from schemas.records import Annotation, Consensus, Judgement
from schemas.registry import resolve
from schemas.settings import AggregateSection
from tests.release.builder import TARGET, TAXONOMY, annotation, check, consensus_of, evidence, judgement

LABELS = ("joy", "anger", "neutral")
METHODS = sorted(AGGREGATORS)
rating = st.one_of(st.none(), st.floats(0, 1))
vote = st.tuples(st.sampled_from([*LABELS, None]), rating, st.integers(0, 2))
votes = st.lists(vote, max_size=6)


def aggregate(
    method: str, annotations: Sequence[Annotation], judgements: Sequence[Judgement] = (), seed: int = 0
) -> Consensus:
    ballot = Ballot("seg_x", TARGET, "smp_x", tuple(annotations), (), tuple(judgements))
    params = AggregateSection(method=method)
    run = resolve(AGGREGATORS, method, what="aggregation")
    (consensus,) = run([ballot], taxonomy=TAXONOMY, params=params, seed=seed)
    inputs = (*annotations, *judgements)
    asked = consensus_question(
        "seg_x", TARGET, inputs, hearings={}, taxonomy=TAXONOMY, params=params, seed=seed
    )
    assert consensus.id == asked
    return consensus


def cast(given_votes: Sequence[tuple[str | None, float | None, int]], prefix: str = "a") -> tuple[list, list]:
    """Annotations of annotators that differ, each with its judgement (none when the rating is None)."""
    annotations = [annotation("smp_x", f"{prefix}{n}", label) for n, (label, _, _) in enumerate(given_votes)]
    judgements = [
        judgement(said, s_rec, s_rec, s_rec)
        for said, (_, s_rec, _) in zip(annotations, given_votes, strict=True)
        if s_rec is not None and said.answer is not None
    ]
    return annotations, judgements


@pytest.mark.parametrize("method", METHODS)
@given(given_votes=votes)
def test_distribution_sums_to_one_or_is_empty(method: str, given_votes: list) -> None:
    consensus = aggregate(method, *cast(given_votes))
    labelled = [label for label, _, _ in given_votes if label is not None]
    assert set(consensus.distribution) == set(labelled)
    assert math.isclose(sum(consensus.distribution.values()), 1.0) or not labelled
    assert 0 <= consensus.entropy <= math.log(len(LABELS)) + 1e-9
    assert sum(consensus.outcomes.values()) == len(given_votes)
    if consensus.label is not None:
        assert consensus.distribution[consensus.label] == max(consensus.distribution.values())
        assert consensus.margin > 0


@pytest.mark.parametrize("method", METHODS)
@given(
    label=st.sampled_from(LABELS),
    ratings=st.lists(rating, min_size=1, max_size=5),
    failures=st.integers(0, 3),
)
def test_unanimous_wins_whatever_failed(method: str, label: str, ratings: list, failures: int) -> None:
    consensus = aggregate(method, *cast([(label, r, 0) for r in ratings] + [(None, None, 0)] * failures))
    assert consensus.label == label
    assert consensus.distribution == {label: 1.0}
    assert (consensus.margin, consensus.entropy) == (1.0, 0.0)


@pytest.mark.parametrize("method", METHODS)
@given(given_votes=votes, data=st.data())
def test_order_of_rows_does_not_matter(method: str, given_votes: list, data: st.DataObject) -> None:
    annotations, judgements = cast(given_votes)
    shuffled = data.draw(st.permutations(annotations)), data.draw(st.permutations(judgements))
    assert aggregate(method, *shuffled) == aggregate(method, annotations, judgements)


@pytest.mark.parametrize("method", METHODS)
@given(given_votes=votes)
def test_names_of_annotators_do_not_matter(method: str, given_votes: list) -> None:
    one, other = aggregate(method, *cast(given_votes)), aggregate(method, *cast(given_votes, prefix="zz"))
    assert (one.label, one.distribution, one.conflict) == (other.label, other.distribution, other.conflict)


@pytest.mark.parametrize("method", METHODS)
@given(pairs=st.integers(1, 3), score=rating)
def test_exact_tie_stays_open(method: str, pairs: int, score: float | None) -> None:
    consensus = aggregate(method, *cast([("joy", score, 0), ("anger", score, 0)] * pairs))
    assert consensus.label is None
    assert consensus.margin == pytest.approx(0)
    assert consensus.best_annotation_id is None
    assert consensus.rationale == ()


@settings(max_examples=25)
@given(n=st.integers(2, 7))
def test_replicates_share_one_vote(n: int) -> None:
    many = [annotation("smp_x", "talker", "anger", replicate=k) for k in range(n)]
    others = [annotation("smp_x", name, "joy") for name in ("a", "b")]
    assert aggregate("majority", [*many, *others]).distribution == pytest.approx(
        {"anger": 1 / 3, "joy": 2 / 3}
    )


def test_nobody_labelled() -> None:
    consensus = consensus_of([annotation("smp_x", "a", None)])
    assert (consensus.label, consensus.distribution, consensus.outcomes) == (None, {}, {"failed": 1})
    assert consensus.conflict == "undetermined"


def test_judge_outweighs_the_majority_only_when_weighted() -> None:
    annotations, judgements = cast([("joy", 0.2, 0), ("joy", 0.2, 0), ("anger", 0.9, 0)])
    assert aggregate("majority", annotations, judgements).label == "joy"
    weighted = aggregate("judge_weighted", annotations, judgements)
    assert weighted.label == "anger"
    assert weighted.distribution["anger"] == pytest.approx(0.9 / 1.3)


def test_a_change_of_seed_or_weights_is_another_question() -> None:
    said = [annotation("smp_x", "a", "joy")]
    assert aggregate("majority", said).id != aggregate("majority", said, seed=1).id


def test_label_outside_the_taxonomy_is_refused() -> None:
    with pytest.raises(ValueError, match="bliss"):
        aggregate("majority", [annotation("smp_x", "a", "bliss")])


def test_dimensions_are_the_weighted_mean_of_those_given() -> None:
    said = [
        annotation("smp_x", "a", "joy", valence=1.0),
        annotation("smp_x", "b", "joy", valence=0.0),
        annotation("smp_x", "c", "joy"),
    ]
    rated = [judgement(a, s, s, s) for a, s in zip(said, (0.9, 0.3, 0.6), strict=True)]
    dimensions = aggregate("judge_weighted", said, rated).dimensions
    assert dimensions.valence == pytest.approx(0.75)
    assert dimensions.arousal is None


# --- scores ----------------------------------------------------------------------------------------


def only_score(consensus: Consensus, annotator: str) -> AnnotationScore:
    return next(score for score in consensus.scores if score.annotator == annotator)


def test_open_judges_leave_recognition_to_agreement() -> None:
    said = [annotation("smp_x", name, label) for name, label in (("a", "joy"), ("b", "joy"), ("c", "anger"))]
    consensus = consensus_of(said, judgements=[judgement(a, None, 0.8, 0.4) for a in said])
    score = only_score(consensus, "a")
    assert (score.s_rec, score.s_rec_source) == (0.5, "agreement")
    assert score.s_final == pytest.approx(0.5 * 0.5 + 0.25 * 0.8 + 0.25 * 0.4)


def test_judges_are_averaged_and_an_unscored_one_does_not_count() -> None:
    said = annotation("smp_x", "a", "joy")
    failed = judgement(said, 0.0).model_copy(update={"outcome": "failed", "judge": "third"})
    two = judgement(said, 0.6).model_copy(update={"judge": "second"})
    score = only_score(consensus_of([said], judgements=[judgement(said, 1.0), two, failed]), "a")
    assert (score.s_rec, score.s_rec_source) == (0.8, "judge")


def test_who_is_asked_more_often_counts_for_no_more() -> None:
    said = annotation("smp_x", "a", "joy")
    often = [judgement(said, 0.2).model_copy(update={"judge": "often", "replicate": n}) for n in range(3)]
    once = judgement(said, 1.0).model_copy(update={"judge": "once"})
    assert only_score(consensus_of([said], judgements=[*often, once]), "a").s_rec == pytest.approx(0.6)


def test_a_second_look_is_no_rating() -> None:
    said = annotation("smp_x", "a", "joy")
    look = judgement(said, None).model_copy(
        update={"kind": "second_look", "outcome": "answered", "s_reason": None, "s_cot": None}
    )
    odd = judgement(said, 0.0).model_copy(update={"kind": "second_look"})
    score = only_score(consensus_of([said], judgements=[judgement(said, 0.8), look, odd]), "a")
    assert (score.s_rec, score.s_reason) == (0.8, 0.8)


def test_alone_and_unrated_has_no_final_score() -> None:
    said = annotation("smp_x", "a", "joy")
    score = only_score(consensus_of([said]), "a")
    assert (score.s_rec, score.s_final, score.s_rec_source) == (None, None, "none")


@pytest.mark.parametrize(
    ("verdicts", "shown", "factor"),
    [
        ({"e1": "supported", "e2": "contradicted"}, False, 0.5),
        ({"e1": "supported", "e2": "contradicted"}, True, 0.0),  # the shown support proves nothing
        ({"e1": "supported", "e2": "not_measurable"}, True, 1.0),
        ({"e1": "outside_clip", "e2": "not_measurable"}, False, 1.0),
    ],
)
def test_contradicted_evidence_lowers_the_reason_score(verdicts: dict, shown: bool, factor: float) -> None:
    said = annotation("smp_x", "a", "joy", items=(evidence("e1"), evidence("e2", "AU06")))
    consensus = consensus_of([said], [check(said, verdicts, shown=shown)], [judgement(said, 0.5, 0.8, 0.5)])
    assert only_score(consensus, "a").s_reason == pytest.approx(0.8 * factor)


def test_check_of_an_earlier_answer_does_not_count() -> None:
    said = annotation("smp_x", "a", "joy", items=(evidence("e1"),))
    stale = check(said, {"e1": "contradicted"}).model_copy(update={"annotation_digest": "other"})
    consensus = consensus_of([said], [stale], [judgement(said, 0.5, 0.8)])
    assert only_score(consensus, "a").s_reason == 0.8
    assert consensus.evidence[0].verdict == "not_measurable"
