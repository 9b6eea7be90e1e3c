"""Consensus and decision where there is more, or less, than one label of a closed set. All values by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from pipeline.aggregate.base import Ballot, combine
from pipeline.aggregate.majority import weigh
from pipeline.policy import decide, review_priority, review_reasons
from schemas.parts import Dimensions, LabelScore, Readings, Spread, Step, Triplet
from schemas.records import Annotation, Consensus, Review
from schemas.settings import AggregateSection, PolicySection
from schemas.taxonomy import Taxonomy, load_taxonomy
from tests.release.builder import TARGET, evidence

OPEN, VAD = load_taxonomy("open"), load_taxonomy("vad")
SENTIMENT = load_taxonomy("sentiment-sims")
POLICY = PolicySection(random_review_share=0.0, accept_s_final=0.5)
LABELS = {"joy": {"verbalizers": ["happy"]}, "anger": {"verbalizers": []}}
WITH_INTENT = Taxonomy.model_validate(
    {
        "name": "both",
        "instruction": "",
        "labels": LABELS,
        "heads": {
            "intent": {"question": "Why?", "labels": {n: {"verbalizers": []} for n in ("thank", "joke")}}
        },
    }
)


def says(who: str, labels: Sequence[str] = (), **fields: Any) -> Annotation:
    answer = Triplet(
        evidence=(evidence("e1"),),
        rationale=(Step(n=1, text="because", evidence_ids=("e1",)),),
        readings=fields.pop("readings", Readings()),
        labels=tuple(LabelScore(label=label) for label in labels),
        confidence=0.8,
        **fields,
    )
    return Annotation(
        sample_id="s", annotator=who, request_digest=who, provider="scripted", model="m", outcome="labelled",
        answer=answer,
    )  # fmt: skip


def together(taxonomy: Taxonomy, *said: Annotation) -> Consensus:
    ballot = Ballot("seg_x", TARGET, "smp_x", said, (), ())
    params = AggregateSection(alpha=1, beta=0, gamma=0)
    return combine([ballot], "majority", weigh, taxonomy=taxonomy, params=params, seed=0)[0]


def vad(who: str, **values: float) -> Annotation:
    return says(who, dimensions=Dimensions.of(values))


def person(taxonomy: Taxonomy, who: str = "anna", **fields: Any) -> Review:
    common = {
        "segment_id": "seg_x",
        "target": TARGET,
        "taxonomy": taxonomy.name,
        "reviewer": who,
        "phase": "blind",
    }
    return Review(**{**common, "at": "2026-01-01T00:00:00", **fields})


def decision_of(consensus: Consensus, taxonomy: Taxonomy, *reviews: Review, **policy: Any) -> Any:
    rules = POLICY.model_copy(update=policy)
    return decide(consensus, reviews, {}, rules, taxonomy=taxonomy, seed=0)


def test_numbers_are_averaged_with_their_spread_and_how_many_gave_them() -> None:
    found = together(VAD, vad("a", valence=0.5, arousal=-1), vad("b", valence=0.9), vad("c", valence=0.7))
    assert found.dimensions.given == pytest.approx({"valence": 0.7, "arousal": -1.0})
    assert found.spread["valence"].n == 3
    assert found.spread["valence"].sd == pytest.approx((0.08 / 3) ** 0.5)
    assert found.spread["arousal"] == Spread(sd=0.0, n=1)
    assert (found.label, found.distribution, found.margin, found.entropy) == (None, {}, 0.0, 0.0)
    assert found.rationale  # numbers cannot tie: the best answer's reasons stand
    assert found.conflict == "undetermined"
    # Agreement is nearness: a is 0.4 and 0.2 of a width of 2 from the others.
    by_name = {score.annotator: score.s_rec for score in found.scores}
    assert by_name["a"] == pytest.approx((0.8 + 0.9) / 2)


def test_a_scale_of_ones_own_gives_the_same_agreement() -> None:
    manikins = load_taxonomy("vad-sam5")
    small = together(VAD, vad("a", valence=0.5), vad("b", valence=-0.5))
    large = together(manikins, vad("a", valence=4), vad("b", valence=2))
    assert [s.s_rec for s in small.scores] == [s.s_rec for s in large.scores] == [0.5, 0.5]
    assert large.dimensions.valence == 3
    assert review_priority(small, VAD, POLICY, seed=0) == review_priority(large, manikins, POLICY, seed=0)


def test_numbers_off_the_taxonomy_and_labels_where_none_are_asked_are_a_mistake_of_the_parser() -> None:
    with pytest.raises(ValueError, match="is not in vad"):
        together(VAD, says("a", ["joy"]))
    with pytest.raises(ValueError, match="is not in open"):
        together(OPEN, says("a", ["Joy!"]))


def test_open_words_count_as_cells_and_those_off_the_wheel_as_themselves() -> None:
    found = together(
        OPEN,
        says("a", ["joyful", "nostalgic"], readings=Readings(text="delighted", audio="sad")),
        says("b", ["happiness"], readings=Readings(text="joyful")),
        says("c", ["neutral"], readings=Readings(audio="lonely")),
    )
    assert found.label == "happy"
    assert found.distribution == pytest.approx({"happy": 2 / 3, "neutral": 1 / 3})
    assert [(said.word, said.cell, said.supporters) for said in found.open_labels] == [
        ("happiness", "happy", ("b",)),
        ("joyful", "happy", ("a",)),
        ("neutral", None, ("c",)),
        ("nostalgic", OPEN.cell("nostalgic"), ("a",)),
    ]
    assert found.conflict == "text_aligned"  # happy words, a sad voice
    assert {score.annotator: score.s_rec for score in found.scores} == {"a": 0.5, "b": 0.5, "c": 0.0}


def test_further_questions_have_a_distribution_of_their_own() -> None:
    found = together(
        WITH_INTENT,
        says("a", ["joy"], heads={"intent": "thank"}),
        says("b", ["joy"], heads={"intent": "joke"}),
        says("c", ["joy"]),
    )
    assert found.heads == {"intent": {"joke": 0.5, "thank": 0.5}}
    assert decision_of(found, WITH_INTENT).heads == {}  # a tie is no answer
    decided = decision_of(
        found, WITH_INTENT, person(WITH_INTENT, labels=(LabelScore(label="joy"),), heads={"intent": "joke"})
    )
    assert (decided.heads, decided.heads_of) == ({"intent": "joke"}, {"intent": "people"})
    open_question = person(WITH_INTENT, labels=(LabelScore(label="anger"),))
    agreed = together(WITH_INTENT, says("a", ["joy"], heads={"intent": "thank"}))
    beside = decision_of(agreed, WITH_INTENT, open_question)  # a person's label, the annotators' intent
    assert (beside.label, beside.heads, beside.heads_of) == (
        "anger", {"intent": "thank"}, {"intent": "annotators"},
    )  # fmt: skip
    stale = person(WITH_INTENT, labels=(LabelScore(label="joy"),), heads={"intent": "bow", "mood": "joke"})
    assert decision_of(found, WITH_INTENT, stale).heads == {}


@pytest.mark.parametrize(
    ("values", "reasons"),
    [
        ((0.5, 0.7, 0.6), ()),
        ((-1.0, 1.0, 1.0), ("wide_spread",)),
        ((0.5,), ("not_rated", "too_few_annotators")),
        ((), ("no_number", "too_few_annotators")),
    ],
)
def test_numbers_stand_when_the_annotators_are_near_each_other(
    values: tuple[float, ...], reasons: tuple[str, ...]
) -> None:
    found = together(SENTIMENT, *(vad(f"a{n}", sentiment=value) for n, value in enumerate(values)))
    assert review_reasons(found, {}, POLICY, taxonomy=SENTIMENT, seed=0) == reasons
    decided = decision_of(found, SENTIMENT)
    assert decided.status == ("needs_review" if reasons else "auto_accepted")
    assert decided.label is None
    assert bool(decided.dimensions.given) == (not reasons)


def test_a_number_that_too_few_gave_keeps_all_from_standing() -> None:
    found = together(
        VAD, vad("a", valence=0.5, arousal=0.2, dominance=0.1), vad("b", valence=0.5, arousal=0.2)
    )
    assert decision_of(found, VAD).reasons == ("too_few_annotators",)


def test_a_declared_number_that_nobody_gave_needs_a_person_who_may_leave_it_open() -> None:
    found = together(VAD, vad("a", valence=0.5, arousal=0.2), vad("b", valence=0.5, arousal=0.2))
    decided = decision_of(found, VAD)
    assert (decided.status, decided.reasons) == ("needs_review", ("no_number", "too_few_annotators"))
    assert decided.priority == 0.5  # as without any number: nothing is known of it
    seen = decision_of(found, VAD, person(VAD, dimensions=Dimensions(valence=0.5)))
    assert seen.status == "reviewed"
    assert seen.dimensions_of == {"arousal": "annotators", "valence": "people"}


def test_peoples_numbers_are_their_mean_and_what_they_leave_open_is_the_annotators() -> None:
    found = together(VAD, vad("a", valence=-0.6, arousal=0.2), vad("b", valence=-0.4, arousal=0.4))
    anna = person(VAD, dimensions=Dimensions(valence=0.5))
    ben = person(VAD, "ben", dimensions=Dimensions(valence=0.7))
    decided = decision_of(found, VAD, anna, ben)
    assert decided.status == "reviewed"
    assert decided.dimensions.given == pytest.approx({"valence": 0.6, "arousal": 0.3})
    assert decided.dimensions_of == {"arousal": "annotators", "valence": "people"}
    assert decided.rationale == ()  # the annotators' reasons argue for another number
    assert decision_of(found, VAD, person(VAD, dimensions=Dimensions(valence=-0.4))).rationale
    far = person(VAD, "ben", dimensions=Dimensions(valence=-0.9))
    assert decision_of(found, VAD, anna, far).reasons[0] == "reviewers_disagree"
    last = person(VAD, "cleo", phase="adjudication", dimensions=Dimensions(valence=-0.9))
    assert decision_of(found, VAD, anna, far, last).dimensions.valence == -0.9
    unsure = person(VAD, cannot_tell=True)
    assert decision_of(found, VAD, unsure).reasons[0] == "cannot_tell"
    off_scale = person(VAD, dimensions=Dimensions(valence=3))
    assert decision_of(found, VAD, off_scale).reasons[0] == "cannot_tell"


def test_peoples_words_meet_in_their_cell() -> None:
    found = together(OPEN, says("a", ["happy"]), says("b", ["neutral"]))
    anna = person(OPEN, labels=(LabelScore(label="lonely"), LabelScore(label="sad")))
    ben = person(OPEN, "ben", labels=(LabelScore(label="depressed"),))
    decided = decision_of(found, OPEN, anna, ben)
    assert (decided.status, decided.label) == ("reviewed", "sad")
    assert decision_of(found, OPEN, anna).labels == (LabelScore(label="sad"),)
    joyful = person(OPEN, "ben", labels=(LabelScore(label="joyful"),))
    assert decision_of(found, OPEN, anna, joyful).reasons[0] == "reviewers_disagree"
    alone = person(OPEN, labels=(LabelScore(label="neutral"),))
    assert decision_of(found, OPEN, alone).label == "neutral"
