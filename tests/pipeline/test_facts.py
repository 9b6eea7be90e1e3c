"""What is said of a stretch holds for its segments only; what is said of the recording holds for all of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.facts import is_withdrawn, segment_facts, source_facts, spans_of
from schemas.records import Segment

ANNA = [0.0, 2.0, {"speaker": "anna", "transcript": "hello there", "gold": "joy"}]
BOB = [3.0, None, {"speaker": "bob", "transcript": "go away"}]


def segment(start_s: float, end_s: float, source_id: str = "src_1") -> Segment:
    return Segment(
        source_id=source_id,
        rule="given",
        version="1",
        source_start_s=start_s,
        source_end_s=end_s,
        index=0,
    )


def said(*spans: Any, **facts: Any) -> dict[str, dict[str, Any]]:
    return {"src_1": {**facts, "spans": list(spans)}}


def test_two_speakers_of_one_recording_are_two_speakers() -> None:
    facts = said(ANNA, BOB, language="en", speaker="nobody in particular")
    first, second = segment_facts(facts, segment(0, 2)), segment_facts(facts, segment(3, 5))
    assert first == {
        "language": "en",
        "speaker": "anna",
        "transcript": "hello there",
        "gold": "joy",
    }
    assert second == {"language": "en", "speaker": "bob", "transcript": "go away"}


def test_between_the_stretches_only_what_is_said_of_the_recording_holds() -> None:
    assert segment_facts(said(ANNA, BOB, speaker="carl"), segment(2, 3)) == {"speaker": "carl"}
    assert segment_facts(said(ANNA), segment(1.9, 3)) == {}  # more than half of it lies outside


def test_the_speaker_whose_facts_hold_is_the_stretchs_own() -> None:
    facts = {
        **said(ANNA, BOB, speaker="carl", group="g1"),
        "speaker:anna": {"license": "CC0-1.0", "group": "of anna"},
        "speaker:carl": {"license": "CC-BY-4.0"},
    }
    assert segment_facts(facts, segment(0, 2))["license"] == "CC0-1.0"
    assert segment_facts(facts, segment(0, 2))["group"] == "g1"  # the recording's own wins over the speaker's
    assert segment_facts(facts, segment(2, 3))["license"] == "CC-BY-4.0"
    assert "license" not in segment_facts(facts, segment(3, 5))


def test_of_stretches_that_overlap_the_one_with_the_nearest_borders_holds() -> None:
    outer, inner = [0.0, None, {"gold": "outer"}], [4.0, 6.0, {"gold": "inner"}]
    for spans in ((outer, inner), (inner, outer)):
        assert segment_facts(said(*spans), segment(4, 6))["gold"] == "inner"
        assert segment_facts(said(*spans), segment(0, 10))["gold"] == "outer"
    same = [4.0, 6.0, {"gold": "later"}]
    assert segment_facts(said(inner, same), segment(4, 6))["gold"] == "later"


@pytest.mark.parametrize("where", ["src_1", "speaker:anna", "stretch"])
def test_a_withdrawn_consent_is_not_overruled_by_what_is_nearer(where: str) -> None:
    consent = dict.fromkeys(("src_1", "speaker:anna", "stretch"), "given") | {where: " Withdrawn"}
    facts = {
        **said([0.0, 2.0, {"speaker": "anna", "consent": consent["stretch"]}], consent=consent["src_1"]),
        "speaker:anna": {"consent": consent["speaker:anna"]},
    }
    assert segment_facts(facts, segment(0, 2))["consent"] == "withdrawn"
    assert is_withdrawn(segment_facts(facts, segment(0, 2)))
    assert is_withdrawn(segment_facts(facts, segment(5, 6))) == (where == "src_1")


def test_the_recording_itself_keeps_its_stretches() -> None:
    facts = {**said(ANNA, BOB, speaker="carl"), "speaker:carl": {"license": "CC0-1.0"}}
    assert source_facts(facts, "src_1") == {"speaker": "carl", "license": "CC0-1.0", "spans": [ANNA, BOB]}
    assert source_facts(facts, "src_2") == {}
    assert spans_of(source_facts(facts, "src_1")) == [(0.0, 2.0), (3.0, None)]
    assert spans_of({}) == []


@given(
    borders=st.lists(st.floats(0, 1000), min_size=2, max_size=20, unique=True).map(sorted),
    data=st.data(),
)
def test_every_given_stretch_finds_its_own_facts(borders: list[float], data: st.DataObject) -> None:
    spans: list[Any] = [
        [a, b, {"gold": str(n)}] for n, (a, b) in enumerate(zip(borders[::2], borders[1::2], strict=False))
    ]
    n = data.draw(st.integers(0, len(spans) - 1))
    start_s, end_s, own = spans[n]
    if start_s <= (start_s + end_s) / 2 < end_s:  # two neighbouring floats have no middle
        assert segment_facts(said(*spans), segment(start_s, end_s)) == own
