"""Merged evidence, the rationale that stands on it, and conflict between modalities."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.aggregate.evidence import temporal_iou
from pipeline.aggregate.readings import conflict_of, majority_readings
from schemas.parts import Readings, Span, Step, Verdict
from tests.release.builder import TAXONOMY, annotation, check, consensus_of, evidence, judgement

spans = st.tuples(st.floats(0, 10), st.floats(0, 10)).map(lambda t: Span(start_s=min(t), end_s=max(t)))


@given(a=spans, b=spans)
def test_iou_is_symmetric_and_bounded(a: Span, b: Span) -> None:
    assert temporal_iou(a, b) == temporal_iou(b, a)
    assert 0 <= temporal_iou(a, b) <= 1
    assert temporal_iou(a, a) == 1


def test_claims_merge_by_cue_and_overlap() -> None:
    a = annotation(
        "s", "a", "joy", items=(evidence("e1", "AU12", 0.0, 1.0), evidence("e2", "AU12", 5.0, 6.0))
    )
    b = annotation(
        "s", "b", "joy", items=(evidence("e1", "AU 12", 0.2, 1.0), evidence("e2", "AU06", 0.0, 1.0))
    )
    merged = consensus_of([a, b]).evidence
    start_s = 0.0 if a.id < b.id else 0.2  # of two that are rated alike the one with the first id stands
    assert sorted((m.evidence.start_s, m.supporters) for m in merged) == sorted(
        [(0.0, ("b",)), (start_s, ("a", "b")), (5.0, ("a",))]
    )
    assert [m.evidence.id for m in merged] == ["e1", "e2", "e3"]


def test_one_claim_in_other_words_is_one_claim() -> None:
    low = [("pitch_low", "present"), ("pitch_high", "down"), ("pitch", "down"), ("pitch_low", "down")]
    said = [
        annotation("s", name, "joy", items=(evidence("e1", cue, direction=direction),))
        for name, (cue, direction) in zip("abcd", low, strict=True)
    ]
    high = annotation("s", "e", "joy", items=(evidence("e1", "pitch", direction="up"),))
    supporters = sorted(m.supporters for m in consensus_of([*said, high]).evidence)
    assert supporters == [("a", "b", "c", "d"), ("e",)]


def test_opposite_directions_and_other_quotes_stay_apart() -> None:
    absent = evidence("e2", "AU12", direction="absent")
    a = annotation("s", "a", "joy", items=(evidence("e1", "quote", quote="So good!"), evidence("e2", "AU12")))
    b = annotation("s", "b", "joy", items=(evidence("e1", "quote", quote="so good"), absent))
    c = annotation("s", "c", "joy", items=(evidence("e1", "quote", quote="so bad"),))
    supporters = sorted(m.supporters for m in consensus_of([a, b, c]).evidence)
    assert supporters == [("a",), ("a", "b"), ("b",), ("c",)]


def test_contradicted_wins_and_stands_with_its_own_span() -> None:
    a = annotation("s", "a", "joy", items=(evidence("e1", "AU12", 0.0, 1.0),))
    b = annotation("s", "b", "joy", items=(evidence("e1", "AU12", 0.1, 1.0),))
    (merged,) = consensus_of(
        [a, b], [check(a, {"e1": "supported"}), check(b, {"e1": "contradicted"})]
    ).evidence
    assert (merged.verdict, merged.evidence.start_s) == ("contradicted", 0.1)


def test_the_numbers_are_those_of_the_deciding_verdict() -> None:
    a = annotation("s", "a", "joy", items=(evidence("e1", "AU12", 0.0, 1.0),))
    b = annotation("s", "b", "joy", items=(evidence("e1", "AU12", 0.1, 1.0),))
    said = Verdict(
        evidence_id="e1", verdict="contradicted", measured=0.1, reference=0.3, unit="intensity", reason="low"
    )
    other = check(b, {}).model_copy(update={"verdicts": (said,)})
    (merged,) = consensus_of([a, b], [check(a, {"e1": "supported"}), other]).evidence
    assert (merged.verdict, merged.measured, merged.reference) == ("contradicted", 0.1, 0.3)
    assert (merged.unit, merged.reason) == ("intensity", "low")
    (unchecked,) = consensus_of([a]).evidence
    assert (unchecked.verdict, unchecked.measured, unchecked.unit) == ("not_measurable", None, "")


def test_only_annotations_with_the_label_give_evidence() -> None:
    said = [
        annotation("s", "a", "joy", items=(evidence("e1", "AU12"),)),
        annotation("s", "b", "joy", items=(evidence("e1", "AU12"),)),
        annotation("s", "c", "anger", items=(evidence("e1", "AU04"),)),
    ]
    assert [m.evidence.cue for m in consensus_of(said).evidence] == ["AU12"]


def test_rationale_of_the_best_never_stands_on_contradicted_claims() -> None:
    items = (evidence("x1", "AU12", 2.0, 3.0), evidence("x2", "AU06", 0.0, 1.0), evidence("x3", "AU04"))
    steps = (
        Step(n=1, text="both", evidence_ids=("x1", "x2")),
        Step(n=2, text="contradicted only", evidence_ids=("x1",)),
        Step(n=3, text="supported only", evidence_ids=("x2",)),
        Step(n=4, text="no claim"),
    )
    best = annotation("s", "best", "joy", items=items, steps=steps)
    other = annotation("s", "other", "joy", steps=(Step(n=1, text="other"),))
    consensus = consensus_of(
        [best, other],
        [check(best, {"x1": "contradicted", "x2": "supported", "x3": "supported"})],
        [judgement(best, 0.9), judgement(other, 0.1, 0.1, 0.1)],
    )
    assert consensus.best_annotation_id == best.id
    assert [(s.n, s.text, s.evidence_ids) for s in consensus.rationale] == [
        (1, "supported only", ("e1",)),
        (2, "no claim", ()),
    ]
    assert {m.evidence.id: m.verdict for m in consensus.evidence}["e1"] == "supported"


@pytest.mark.parametrize(
    ("readings", "label", "conflict"),
    [
        (Readings(), "joy", "undetermined"),
        (Readings(text="joy"), "joy", "undetermined"),
        (Readings(text="joy", audio="joy"), "joy", "consistent"),
        (Readings(text="neutral", audio="joy", visual="neutral"), "joy", "consistent"),
        (Readings(text="neutral", audio="joy"), "neutral", "consistent"),
        (Readings(text="joy", audio="anger"), "joy", "text_aligned"),
        (Readings(text="joy", audio="anger"), "anger", "audio_aligned"),
        (Readings(text="joy", audio="anger", visual="sadness"), "sadness", "visual_aligned"),
        (Readings(text="joy", audio="anger", visual="joy"), "joy", "mixed"),
        (Readings(text="joy", audio="anger"), "fear", "mixed"),
        (Readings(text="joy", audio="anger"), None, "mixed"),
    ],
)
def test_conflict(readings: Readings, label: str | None, conflict: str) -> None:
    assert conflict_of(readings, label, neutral="neutral") == conflict


def test_majority_reading_per_modality() -> None:
    said = [
        annotation("s", "a", "joy", readings=Readings(text="joy", audio="anger")),
        annotation("s", "b", "joy", readings=Readings(text="joy", audio="joy")),
        annotation("s", "c", "joy", readings=Readings(text="fear", visual="joy")),
    ]
    assert majority_readings(said, TAXONOMY) == Readings(text="joy", audio=None, visual="joy")
