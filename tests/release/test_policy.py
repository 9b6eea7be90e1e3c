"""The decision policy: no doubt passes without a person, and a person's word is taken as it was given."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.policy import (
    NO_CONFLICT,
    Standing,
    decide,
    decision_question,
    in_random_share,
    review_priority,
    reviews_about,
)
from schemas.parts import MergedEvidence, Step, Target
from schemas.records import Consensus, Decision, Review
from schemas.settings import PolicySection
from tests.release.builder import TAXONOMY, annotation, consensus_of, evidence, judgement, mark, review

POLICY = PolicySection(random_review_share=0.0)


def consensus(label: str | None = "joy", **changes: Any) -> Consensus:
    """Three annotators who agree on joy, with one supported and one contradicted claim."""
    said = [annotation("smp_x", name, "joy") for name in ("a", "b", "c")]
    made = consensus_of(said, judgements=[judgement(a, 0.9) for a in said])
    fields: dict[str, Any] = {
        "label": label,
        "rationale": (
            Step(n=1, text="one", evidence_ids=("e1",)),
            Step(n=2, text="two", evidence_ids=("e2",)),
        ),
        "evidence": (
            MergedEvidence(evidence=evidence("e1"), verdict="supported", supporters=("a",)),
            MergedEvidence(evidence=evidence("e2", "AU06"), verdict="supported", supporters=("a",)),
            MergedEvidence(evidence=evidence("e3", "AU04"), verdict="contradicted", supporters=("a",)),
        ),
    }
    return Consensus(**{**dict(made), **fields, **changes})


def decided(given_consensus: Consensus, *reviews: Review, policy: PolicySection = POLICY) -> Decision:
    decision = decide(given_consensus, reviews, {}, policy, taxonomy=TAXONOMY, seed=0)
    assert decision.id == decision_question(given_consensus, reviews, {}, policy, taxonomy=TAXONOMY, seed=0)
    return decision


def said(label: str | None, **rest: Any) -> Review:
    return review("seg_x", label, **rest)


def test_agreement_is_accepted() -> None:
    decision = decided(consensus())
    assert (decision.status, decision.label, decision.reasons) == ("auto_accepted", "joy", ())
    assert decision.rationale == consensus().rationale


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"label": None}, "open_tie"),
        ({"conflict": "audio_aligned"}, "conflict"),
        ({"conflict": "mixed"}, "conflict"),
        ({"margin": 0.29}, "low_margin"),
        ({"distribution": {"joy": 0.79, "anger": 0.21}}, "low_probability"),
        ({"scores": consensus().scores[:1]}, "too_few_annotators"),
        ({"distribution": {}, "label": None}, "no_label"),
        ({"scores": tuple(s.model_copy(update={"s_final": None}) for s in consensus().scores)}, "not_rated"),
        ({"scores": tuple(s.model_copy(update={"s_final": 0.49}) for s in consensus().scores)}, "low_score"),
        # Three annotators that found nothing agree with each other, too.
        (
            {"scores": tuple(s.model_copy(update={"confidence": 0.39}) for s in consensus().scores)},
            "low_confidence",
        ),
        (
            {"scores": tuple(s.model_copy(update={"confidence": None}) for s in consensus().scores)},
            "low_confidence",
        ),
    ],
)
def test_every_doubt_goes_to_a_person(changes: dict[str, Any], reason: str) -> None:
    decision = decided(consensus(**changes))
    assert decision.status == "needs_review"
    assert reason in decision.reasons
    assert decision.label is None


def test_nothing_measured_goes_to_a_person() -> None:
    missing = {"text": "no_speech", "audio": "silence", "visual": "no_face"}
    decision = decide(consensus(), [], missing, POLICY, taxonomy=TAXONOMY, seed=0)
    assert decision.reasons == ("no_modality",)


@given(
    label=st.sampled_from(["joy", None]),
    probability=st.floats(0, 1),
    margin=st.floats(0, 1),
    s_final=st.one_of(st.none(), st.floats(0, 1)),
    conflict=st.sampled_from(["consistent", "undetermined", "mixed", "text_aligned"]),
    accept=st.floats(0, 1),
    share=st.floats(0, 1),
    confidence=st.floats(0, 1),
)
def test_accepted_means_that_every_condition_holds(
    label: str | None,
    probability: float,
    margin: float,
    s_final: float | None,
    conflict: str,
    accept: float,
    share: float,
    confidence: float,
) -> None:
    update = {"s_final": s_final, "confidence": confidence}
    scores = tuple(s.model_copy(update=update) for s in consensus().scores)
    policy = PolicySection(accept_probability=accept, random_review_share=share)
    made = consensus(
        label, distribution={"joy": probability}, margin=margin, scores=scores, conflict=conflict
    )
    decision = decided(made, policy=policy)
    holds = (
        label is not None
        and probability >= accept
        and margin >= policy.min_margin
        and s_final is not None
        and s_final >= policy.accept_s_final
        and confidence >= policy.accept_confidence
        and conflict in NO_CONFLICT
        and not in_random_share("seg_x", share, seed=0)
    )
    assert (decision.status == "auto_accepted") == holds
    assert bool(decision.reasons) != holds
    assert 0 <= decision.priority <= 1


def test_random_share_is_near_its_size_and_depends_on_seed() -> None:
    ids = [f"seg_{n}" for n in range(4000)]
    drawn = {seed: {i for i in ids if in_random_share(i, 0.1, seed=seed)} for seed in (0, 1)}
    assert 320 <= len(drawn[0]) <= 480
    assert drawn[0] != drawn[1]
    assert all(in_random_share(i, 0.2, seed=0) for i in drawn[0])  # a larger share keeps the smaller one


def test_place_in_the_queue_does_not_tell_random_items() -> None:
    """Their priority does not depend on how sure the annotators were."""
    policy = PolicySection(random_review_share=1.0)
    sure = review_priority(consensus(), TAXONOMY, policy, seed=0)
    assert sure == review_priority(consensus(None, conflict="mixed"), TAXONOMY, policy, seed=0)


def test_doubt_conflict_and_contradiction_raise_the_priority() -> None:
    base = review_priority(consensus(evidence=()), TAXONOMY, POLICY, seed=0)
    for worse in ({"entropy": 1.0}, {"conflict": "mixed"}, {"label": None}):
        changes = {"evidence": (), **worse}
        assert review_priority(consensus(**changes), TAXONOMY, POLICY, seed=0) > base
    assert review_priority(consensus(), TAXONOMY, POLICY, seed=0) > base


def test_a_claim_that_was_told_hides_no_contradicted_one() -> None:
    false = MergedEvidence(evidence=evidence("e1", "AU04"), verdict="contradicted", supporters=("a",))
    told = evidence("e2", "AU06").model_copy(update={"shown": True})
    copied = MergedEvidence(evidence=told, verdict="supported", supporters=("a",))
    seen = MergedEvidence(evidence=evidence("e2", "AU06"), verdict="supported", supporters=("a",))

    def priority(*claims: MergedEvidence) -> float:
        return review_priority(consensus(evidence=claims), TAXONOMY, POLICY, seed=0)

    assert priority(false, copied) == priority(false) > priority(false, seen) > priority()
    assert priority(copied) == priority()


# --- people ----------------------------------------------------------------------------------------


def test_the_reveal_replaces_the_blind_label() -> None:
    blind = said("anger")
    assert decided(consensus(), blind).label == "anger"
    revealed = said("joy", phase="revealed", at="2026-01-01T00:01", blind_review_id=blind.id)
    decision = decided(consensus(), blind, revealed)
    assert (decision.status, decision.label) == ("reviewed", "joy")
    assert decision.labels == revealed.labels
    assert decision.review_ids == tuple(sorted([blind.id, revealed.id]))


def test_disagreement_waits_for_an_adjudicator() -> None:
    two = said("joy"), said("anger", reviewer="ben")
    decision = decided(consensus(), *two)
    assert (decision.status, decision.label, decision.reasons) == (
        "needs_review",
        None,
        ("reviewers_disagree",),
    )
    judged = said("fear", reviewer="chris", phase="adjudication", at="2026-01-02")
    assert (decided(consensus(), *two, judged).status, decided(consensus(), *two, judged).label) == (
        "adjudicated",
        "fear",
    )


def test_cannot_tell_alone_stays_open_and_does_not_outvote() -> None:
    assert decided(consensus(), said(None)).reasons == ("cannot_tell",)
    assert decided(consensus(), said(None), said("joy", reviewer="ben")).status == "reviewed"
    judged = said(None, phase="adjudication", at="2026-01-02")
    assert decided(consensus(), said("joy"), judged).reasons == ("cannot_tell",)


def test_flagged_stays_open() -> None:
    assert decided(consensus(), said("joy", flagged=True)).reasons == ("flagged",)


def test_a_flag_on_the_blind_page_outlives_a_reveal_that_says_nothing_of_it() -> None:
    """Private or broken is private or broken, whatever the claims made somebody think of the label."""
    flagged = said("joy", flagged=True)
    revealed = said("joy", phase="revealed", at="2026-01-02", blind_review_id=flagged.id)
    assert decided(consensus(), flagged, revealed).reasons == ("flagged",)
    taken_back = revealed.model_copy(update={"flag_withdrawn": True})
    assert decided(consensus(), flagged, taken_back).status == "reviewed"
    by_another = said("joy", reviewer="ben", at="2026-01-02", flag_withdrawn=True)
    assert decided(consensus(), flagged, by_another).reasons == ("flagged",)
    again = said("joy", at="2026-01-03", flagged=True)
    assert decided(consensus(), flagged, taken_back, again).reasons == ("flagged",)


def test_names_in_other_letters_are_one_reviewer() -> None:
    """The later word of one person replaces the earlier: nobody disagrees with themselves."""
    words = said("anger", reviewer="Anna"), said("joy", reviewer="anna", at="2026-01-02")
    assert (decided(consensus(), *words).status, decided(consensus(), *words).label) == ("reviewed", "joy")


def test_reviews_that_do_not_count() -> None:
    others = (said("anger", taxonomy="other"), said("anger", phase="rubric"), said("bliss"))
    decision = decided(consensus(), *others)
    assert (decision.status, decision.review_ids) == ("auto_accepted", ())


@given(order=st.permutations(range(3)))
def test_order_of_reviews_does_not_matter(order: list[int]) -> None:
    three = [said("joy"), said("joy", phase="revealed", at="2026-01-02"), said("joy", reviewer="ben")]
    assert decided(consensus(), *(three[n] for n in order)) == decided(consensus(), *three)


def test_what_a_person_contradicts_leaves_the_rationale() -> None:
    made = consensus()
    word = said("joy", phase="revealed", consensus_id=made.id, marks=(mark("e1", "contradicted"),))
    assert [(s.n, s.text) for s in decided(made, word).rationale] == [(1, "two")]


def test_a_step_that_quotes_a_refuted_claim_goes_whatever_else_it_cites() -> None:
    steps = (Step(n=1, text="smiles, and says so", evidence_ids=("e1", "e2")),)
    made = consensus().model_copy(update={"rationale": steps})
    word = said("joy", phase="revealed", consensus_id=made.id, marks=(mark("e2", "contradicted"),))
    assert decided(made, word).rationale == ()


def test_marks_on_another_consensus_are_not_taken() -> None:
    made = consensus()
    word = said("joy", phase="revealed", consensus_id="con_old", marks=(mark("e1", "contradicted"),))
    assert decided(made, word).rationale == made.rationale


def test_another_label_does_not_take_the_old_reasons() -> None:
    made = consensus()
    assert decided(made, said("anger", phase="revealed", consensus_id=made.id)).rationale == ()


def test_edited_steps_are_what_is_released() -> None:
    made = consensus()
    steps = (
        Step(n=4, text="mine", evidence_ids=("e1",)),
        Step(n=7, text="not so", evidence_ids=("e3", "e1")),
        Step(n=9, text="all in all"),
    )
    word = said("anger", phase="revealed", consensus_id=made.id, rationale=steps)
    assert decided(made, word).rationale == (
        Step(n=1, text="mine", evidence_ids=("e1",)),
        Step(n=2, text="all in all"),
    )
    old = word.model_copy(update={"consensus_id": "con_old"})
    assert [s.evidence_ids for s in decided(made, old).rationale] == [(), (), ()]


def test_a_person_may_support_what_the_signal_contradicts() -> None:
    made = consensus()
    steps = (Step(n=1, text="mine", evidence_ids=("e3",)),)
    word = said(
        "joy", phase="revealed", consensus_id=made.id, rationale=steps, marks=(mark("e3", "supported"),)
    )
    assert decided(made, word).rationale == steps


@pytest.mark.parametrize(
    ("standing", "apart", "said_of", "meant"),
    [
        (["ann/f1"], [], "ann/f1", "ann/f1"),
        (["ann/f1"], [], "SPEAKER_00/face-1", "ann/f1"),  # other backends call the one person otherwise
        (["ann/f1"], ["SPEAKER_01/-", "ann/f1"], "SPEAKER_01/-", None),  # was never the one who is left
        (["ann/f1"], ["SPEAKER_01/-", "ann/f1"], "ann/f1", "ann/f1"),
        (["ann/f1", "bob/-"], ["ann/f1", "bob/-"], "bob/-", "bob/-"),
        (["ann/f1", "bob/-"], ["ann/f1", "bob/-"], "-/f1", None),  # whom of them it was about is not known
        ([], [], "ann/f1", None),
    ],
)
def test_what_was_said_of_one_person_is_about_nobody_else(
    standing: list[str], apart: list[str], said_of: str, meant: str | None
) -> None:
    targets = Standing(frozenset(standing), frozenset(apart))
    assert targets.meant_by(said_of) == meant
    speaker, face = (None if name == "-" else name for name in said_of.split("/"))
    spoken = review("seg_x", "joy", target=Target(speaker=speaker, face_track=face))
    assert {key: reviews_about(key, targets, [spoken]) for key in standing} == {
        key: [spoken] if key == meant else [] for key in standing
    }
