"""What is said of a stretch holds for its segments only; what is said of the recording holds for all of it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.facts import (
    ROW,
    facts_of,
    is_withdrawn,
    segment_facts,
    shown_with,
    source_facts,
    speaker_subject,
    stretch_key,
    stretch_of,
    stretches,
    withdrawn_names,
)
from pipeline.stages.stated import Stated
from schemas.records import Segment
from schemas.store import Store

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
    return {"src_1": {**facts, **{stretch_key(start_s, end_s): said for start_s, end_s, said in spans}}}


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
    assert [str(one) for one in stretches(facts["src_1"])] == ["0 s to 2 s", "3 s to the end"]
    assert stretches({}) == []


def test_a_recording_of_a_speaker_who_withdrew_is_withdrawn() -> None:
    facts = said(speaker="carl", consent="given") | {"speaker:carl": {"consent": "withdrawn"}}
    assert is_withdrawn(source_facts(facts, "src_1"))


def test_what_holds_is_read_for_the_segments_asked_for_alone(tmp_path: Path) -> None:
    first, second, other = segment(0, 2), segment(3, 5), segment(0, 2, "src_2")
    anna = {"speaker": "anna", ROW: "list.csv:2"}
    with closing(Store.open(f"sqlite:///{tmp_path}/x.db")) as store:
        store.add_facts(
            [
                ("src_1", stretch_key(0, 2), anna),
                ("src_1", "speaker", "bob"),
                ("src_2", "speaker", "carl"),
                ("speaker:anna", "consent", "withdrawn"),
                ("speaker:bob", "license", "CC0-1.0"),
            ]
        )
        assert facts_of(store, [first, second]) == {
            first.id: {"speaker": "anna", "consent": "withdrawn"},
            second.id: {"speaker": "bob", "license": "CC0-1.0"},
        }
        assert facts_of(store, [other]) == {other.id: {"speaker": "carl"}}


@given(
    borders=st.lists(st.integers(0, 1_000_000), min_size=2, max_size=20, unique=True).map(sorted),
    data=st.data(),
)
def test_every_given_stretch_finds_its_own_facts(borders: list[int], data: st.DataObject) -> None:
    spans: list[Any] = [
        [a / 1000, b / 1000, {"gold": str(n)}]  # milliseconds
        for n, (a, b) in enumerate(zip(borders[::2], borders[1::2], strict=False))
    ]
    n = data.draw(st.integers(0, len(spans) - 1))
    start_s, end_s, own = spans[n]
    assert segment_facts(said(*spans), segment(start_s, end_s)) == own


spans_of_all_lengths = st.tuples(st.integers(0, 20), st.none() | st.integers(1, 20)).map(
    lambda drawn: [float(drawn[0]), None if drawn[1] is None else float(drawn[0] + drawn[1]), {"gold": "joy"}]
)


@given(st.lists(spans_of_all_lengths, max_size=12), st.integers(0, 20), st.integers(1, 8))
def test_looking_near_a_segment_finds_what_looking_everywhere_does(
    spans: list[Any], start_s: int, length_s: int
) -> None:
    own, part = said(*spans)["src_1"], segment(start_s, start_s + length_s)
    middle_s, everywhere = start_s + length_s / 2, stretches(own)
    holding = [one for one in everywhere if one.start_s <= middle_s < one.last_s]

    def distance_s(one: Any) -> float:
        at_end_s = 0.0 if one.end_s is None else abs(one.end_s - part.source_end_s)
        return abs(one.start_s - start_s) + at_end_s

    assert stretch_of(own, part) == min(holding, key=distance_s, default=None)
    assert shown_with(own, part) == [
        one
        for one in everywhere
        if min(one.last_s, part.source_end_s) - max(one.start_s, part.source_start_s) > 0.25
    ]


@pytest.mark.parametrize(
    ("start_s", "end_s", "shown"), [(0, 2.2, True), (0, 4, False), (2.5, 3.6, False), (5, 9, False)]
)
def test_who_withdrew_is_shown_in_no_segment_that_shares_time_with_a_row_of_theirs(
    start_s: float, end_s: float, shown: bool
) -> None:
    """Padding may touch the neighbour's stretch."""
    facts = said([0.0, 9.0, {"speaker": "anna"}], [2.0, 8.0, {"speaker": "bob"}])
    facts[speaker_subject("bob")] = {"consent": "withdrawn"}
    assert is_withdrawn(segment_facts(facts, segment(start_s, end_s))) == (not shown)
    assert withdrawn_names(facts) == {"bob"}


def test_a_row_that_was_taken_out_tells_nobody_apart() -> None:
    own = said(
        [0.0, 5.0, {"speaker": "anna"}],
        [5.0, 10.0, {"speaker": "ben"}],
        [3.0, 8.0, {"speaker": "ben", "consent": "withdrawn"}],
    )["src_1"]
    assert {turn.speaker for turn in Stated(own).turns_in(segment(0, 5))} <= {"anna"}
