"""Answers of one annotator as one voice: weights, wordings, priors, and what cannot be calibrated."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.annotators.ensemble import Hearing, calibrated, hear, prior_of, stated, voice_records
from schemas.parts import LabelScore, Readings, Triplet
from schemas.records import Annotation
from tests.wire.material import taxonomy

TAXONOMY = taxonomy()
LABELS = TAXONOMY.names


def said(label: str | None, **changes: Any) -> Annotation:
    fields: dict[str, Any] = {
        "sample_id": "smp_1", "annotator": "a", "request_digest": "d", "provider": "p", "model": "m",
        "outcome": "labelled" if label else "failed",
    }  # fmt: skip
    confidence = changes.pop("confidence", 0.7)
    if label:
        fields["answer"] = Triplet(
            evidence=(),
            rationale=(),
            readings=Readings(),
            labels=(LabelScore(label=label),),
            confidence=confidence,
        )
    return Annotation(**fields | changes)


def heard(votes: list[Annotation], hearing: Hearing, weights: list[float] | None = None) -> dict[str, float]:
    (voice,) = hear(votes, weights or [1.0] * len(votes), {"a": hearing}, TAXONOMY)
    return voice.distribution


def test_each_answer_counts_by_its_weight_and_the_voice_by_their_mean() -> None:
    votes = [said("joy", replicate=n) for n in range(3)] + [said("fear", replicate=3)]
    (voice,) = hear(votes, [0.2, 0.2, 0.2, 0.6], {}, TAXONOMY)
    assert voice.distribution == pytest.approx({"joy": 0.5, "fear": 0.5})
    assert voice.weight == pytest.approx(0.3)
    assert heard(votes, Hearing(), [0.0] * 4) == pytest.approx({"joy": 0.75, "fear": 0.25})


def test_stated_probabilities_are_the_confidence_and_an_equal_rest() -> None:
    found = heard([said("joy", confidence=0.4)], Hearing("mean"))
    assert found == pytest.approx({label: 0.4 if label == "joy" else 0.1 for label in LABELS})
    assert heard([said("joy", confidence=None)], Hearing("mean")) == {"joy": 1.0}
    assert stated("joy", 0.4, ["joy"]) == {"joy": 1.0}


def test_each_wording_is_divided_by_its_own_prior() -> None:
    priors = tuple(said(label, variant=v) for v, label in ((0, "joy"), (0, "joy"), (1, "fear"), (1, "fear")))
    hearing = Hearing("vote", calibrate=True, priors=priors)
    assert prior_of(hearing, 0, TAXONOMY) == pytest.approx({n: (3 if n == "joy" else 1) / 9 for n in LABELS})
    first = [
        said("joy", variant=0),
        said("joy", variant=0, replicate=1),
        said("anger", variant=0, replicate=2),
    ]
    assert heard(first, hearing) == pytest.approx({"joy": 2 / 5, "anger": 3 / 5})
    second = [said("joy", variant=1), said("fear", variant=1, replicate=1)]
    both = heard([*first, *second], hearing)
    assert both == pytest.approx(
        {"joy": (3 * 0.4 + 2 * 0.75) / 5, "anger": 3 * 0.6 / 5, "fear": 2 * 0.25 / 5}
    )


def test_a_voice_is_calibrated_whole_or_not_at_all() -> None:
    known = Hearing("vote", calibrate=True, priors=(said("joy"),))
    votes = [said("joy"), said("fear", variant=1)]
    (voice,) = hear(votes, [1.0, 1.0], {"a": known}, TAXONOMY)
    assert not voice.calibrated
    assert voice.distribution == pytest.approx({"joy": 0.5, "fear": 0.5})
    tokens = {"probabilities": {"joy": 0.8, "fear": 0.2}, "prob_source": "logprobs"}
    means = Hearing("mean", calibrate=True, priors=(said("joy", **tokens),))
    (mixed,) = hear([said("joy", **tokens), said("fear")], [1.0, 1.0], {"a": means}, TAXONOMY)
    assert (mixed.calibrated, mixed.prob_sources) == (False, ("logprobs", "stated"))
    (whole,) = hear([said("joy", **tokens)], [1.0], {"a": means}, TAXONOMY)
    assert whole.calibrated
    assert whole.distribution["joy"] == pytest.approx(0.5, abs=0.02)


def test_only_what_is_asked_repeatedly_or_heard_otherwise_is_told() -> None:
    votes = [said("joy"), said("fear", replicate=1), said("joy", annotator="b")]
    everything = [*votes, said(None, replicate=2)]
    records = voice_records(everything, hear(votes, [1.0] * 3, {}, TAXONOMY), {}, TAXONOMY)
    assert [(one.annotator, one.asked, one.labelled) for one in records] == [("a", 3, 2)]
    assert records[0].agreement == pytest.approx(1 / 3)
    failed = voice_records([said(None), said(None, replicate=1)], [], {}, TAXONOMY)
    assert [(one.asked, one.labelled, one.agreement, one.distribution) for one in failed] == [(2, 0, 0, {})]


ANSWERS = st.lists(
    st.tuples(st.sampled_from(LABELS), st.integers(0, 2), st.floats(0, 1), st.floats(0, 1)),
    min_size=1,
    max_size=9,
)


@given(ANSWERS, st.lists(st.tuples(st.sampled_from(LABELS), st.integers(0, 2)), max_size=12), st.booleans())
def test_whatever_is_said_a_voice_is_a_distribution_that_no_order_changes(
    rows: list[tuple[str, int, float, float]], priors: list[tuple[str, int]], by_vote: bool
) -> None:
    votes = [
        said(label, variant=variant, replicate=n, confidence=sure)
        for n, (label, variant, sure, _) in enumerate(rows)
    ]
    hearing = Hearing(
        "vote" if by_vote else "mean", by_vote, tuple(said(label, variant=v) for label, v in priors)
    )
    weights = [weight for *_, weight in rows]
    found = heard(votes, hearing, weights)
    assert sum(found.values()) == pytest.approx(1)
    assert all(0 <= p <= 1 + 1e-9 for p in found.values())
    assert heard(votes[::-1], hearing, weights[::-1]) == found


def test_dividing_by_an_even_prior_changes_nothing() -> None:
    even = dict.fromkeys(LABELS, 1 / len(LABELS))
    assert calibrated({"joy": 0.7, "fear": 0.3}, even) == pytest.approx({"joy": 0.7, "fear": 0.3})
