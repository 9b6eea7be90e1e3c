"""The keyless judge: what raises a score and what never may."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.cue_rules.judge import RuleRating, grounding, implied_label, mentioned, rate
from schemas.parts import Readings, Step, Triplet, Verdict, VerdictName
from schemas.records import Judgement
from tests.agents import cue_samples as make

SMILE = make.claim("AU12")
WORDS = make.claim("quote", id="e2", quote="how nice")
BOTH = make.triplet(SMILE, WORDS)
SAMPLE = make.face_sample(words=make.said("how nice"), missing={"audio": "no_audio_stream"})


def verdict(name: VerdictName, item_id: str = "e1", *, shown: bool = False) -> Verdict:
    return Verdict(evidence_id=item_id, verdict=name, shown=shown)


def rating(answer: Triplet | None = BOTH, *verdicts: Verdict) -> RuleRating:
    return rate(SAMPLE, make.annotation(answer), make.check(*verdicts), make.EKMAN7)


def test_grounding_by_hand() -> None:
    assert grounding(()) == 0.5
    assert grounding((verdict("supported"),)) == pytest.approx(1.5 / 2)
    assert grounding((verdict("contradicted"),)) == pytest.approx(0.5 / 2)
    assert grounding((verdict("supported"), verdict("outside_clip"))) == pytest.approx(1.5 / 3)
    assert grounding((verdict("not_measurable"),)) == 0.5


def test_a_full_rating_by_hand() -> None:
    found = rating(BOTH, verdict("supported"), verdict("supported", "e2"))
    assert found.s_reason == pytest.approx((2.5 / 3 + 1) / 2, abs=1e-4)
    assert found.s_cot == 1.0
    assert found.implied_label == "joy"
    assert found.flags == ()


def test_a_shown_claim_never_raises_a_score_but_lowers_it_when_refuted() -> None:
    nothing = rating(BOTH)
    copied = rating(BOTH, verdict("supported", shown=True), verdict("supported", "e2", shown=True))
    wrong = rating(BOTH, verdict("contradicted", shown=True))
    assert copied.s_reason < nothing.s_reason
    assert copied.s_cot < nothing.s_cot  # nothing was read, only repeated
    assert wrong.s_reason < nothing.s_reason
    assert "contradicted_evidence" in wrong.flags


def test_reasons_for_another_label_are_flagged() -> None:
    steps = (Step(n=1, text="The voice is harsh.", evidence_ids=("e1",)), Step(n=2, text="This is anger."))
    found = rating(make.triplet(SMILE, label="joy", steps=steps))
    assert found.implied_label == "anger"
    assert {"label_mismatch", "uncited_step", "single_modality"} <= set(found.flags)
    same = rating(make.triplet(SMILE, label="anger", steps=steps))
    assert found.s_reason < same.s_reason / 2 + 1e-9


def test_unused_modalities_lower_s_cot() -> None:
    one = rating(make.triplet(SMILE))
    read = rating(make.triplet(SMILE, readings=Readings(text="joy")))
    assert one.s_cot < read.s_cot == rating(BOTH).s_cot


def test_one_step_is_no_chain() -> None:
    short = make.triplet(SMILE, WORDS, steps=(Step(n=1, text="It is joy.", evidence_ids=("e1", "e2")),))
    assert rating(short).s_cot < rating(BOTH).s_cot


def test_unknown_ids_and_bare_answers_are_flagged() -> None:
    steps = (Step(n=1, text="Seen.", evidence_ids=("e9",)), Step(n=2, text="Joy.", evidence_ids=("e9",)))
    found = rating(make.triplet(steps=steps))
    assert {"unknown_evidence_id", "no_evidence"} <= set(found.flags)
    assert rating(make.triplet(steps=())).s_reason <= 0.5


def test_an_annotation_without_an_answer_is_no_zero() -> None:
    with pytest.raises(ValueError, match="nothing to rate"):
        rating(None)


def test_implied_label_does_not_look_at_the_label() -> None:
    for label in make.EKMAN7.names:
        answer = make.triplet(SMILE, label=label, steps=(Step(n=1, text="Clearly furious."),))
        assert implied_label(answer, make.EKMAN7) == "anger"
    by_readings = make.triplet(
        SMILE, steps=(Step(n=1, text="It shows."),), readings=Readings(text="fear", visual="fear")
    )
    assert implied_label(by_readings, make.EKMAN7) == "fear"
    assert implied_label(make.triplet(SMILE, steps=()), make.EKMAN7) is None


def test_mentioned_reads_whole_words() -> None:
    assert mentioned("A madman, not angry, but happily unhappy", make.EKMAN7, BOTH) == {"sadness"}
    assert mentioned("joy or anger", make.EKMAN7, BOTH) == {"joy", "anger"}


def test_a_rating_fits_the_record() -> None:
    fields = rating(BOTH)._asdict()
    record = Judgement(
        annotation_id="a", request_digest="d", judge="rules", provider="cues", model="rules", outcome="scored",
        **fields,
    )  # fmt: skip
    assert record.s_rec is None


NAMES: list[VerdictName] = ["supported", "contradicted", "not_measurable", "outside_clip"]
verdicts = st.builds(verdict, st.sampled_from(NAMES), st.sampled_from(["e1", "e2"]), shown=st.booleans())
steps = st.builds(
    lambda text, ids: (text, tuple(ids)),
    st.one_of(st.text(max_size=20), st.sampled_from(["So it is joy.", "angry and sad"])),
    st.lists(st.sampled_from(["e1", "e2", "e7"]), max_size=3),
)


@given(st.lists(verdicts, max_size=6), st.lists(steps, max_size=4), st.sampled_from(make.EKMAN7.names))
@settings(max_examples=200, deadline=None)
def test_scores_stay_in_range_and_shown_support_raises_none(
    found: list[Verdict], written: list[tuple[str, tuple[str, ...]]], label: str
) -> None:
    chain = tuple(Step(n=n, text=text, evidence_ids=ids) for n, (text, ids) in enumerate(written, start=1))
    answer = make.triplet(SMILE, WORDS, label=label, steps=chain)
    before = rating(answer, *found)
    assert 0 <= before.s_reason <= 1
    assert 0 <= before.s_cot <= 1
    after = rating(answer, *found, verdict("supported", shown=True))
    assert after.s_reason <= before.s_reason
    assert after.s_cot <= before.s_cot
    worse = rating(answer, *found, verdict("contradicted"))
    assert worse.s_reason <= before.s_reason
    assert worse.s_cot <= before.s_cot


@given(st.lists(verdicts, max_size=5))
def test_the_order_of_verdicts_does_not_matter(found: list[Verdict]) -> None:
    scores = {rating(BOTH, *order)[1:4] for order in itertools.islice(itertools.permutations(found), 10)}
    assert len(scores) == 1
