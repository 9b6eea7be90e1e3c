"""Whose emotion: who of a segment gets a sample, under which name, with which voice and which face."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.facts import stretch_key
from pipeline.features.speakers import shift_turns
from pipeline.stages.targets import Aim, Cast, Face, Voice, faces_in, scene_of, targets_of
from schemas.parts import SpeakerTurn, Word
from schemas.records import Segment
from schemas.settings import SelectSection

SELECT = SelectSection()
SOURCE = "src_1"
A, B, C = "SPEAKER_00", "SPEAKER_01", "SPEAKER_02"


def turn(speaker: str, start_s: float, end_s: float) -> SpeakerTurn:
    return SpeakerTurn(speaker=speaker, start_s=start_s, end_s=end_s)


def segment(start_s: float = 0.0, end_s: float = 10.0) -> Segment:
    return Segment(
        source_id=SOURCE, rule="given", version="1", index=0, source_start_s=start_s, source_end_s=end_s
    )


def cast(*turns: SpeakerTurn, **own: Any) -> Cast:
    return Cast(SOURCE, turns, own)


def stretch(start_s: float, end_s: float, **said: Any) -> dict[str, Any]:
    return {stretch_key(start_s, end_s): said}


def keys(aims: tuple[Aim, ...]) -> list[str]:
    return [aim.target.key for aim in aims]


def spans(voice: Voice) -> list[tuple[float, float]] | None:
    return None if voice.where is None else [(span.start_s, span.end_s) for span in voice.where]


# --- who is heard ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("own", "name", "subject"),
    [({}, None, "source:src_1"), ({"speaker": "ann"}, "ann", "speaker:ann")],
)
def test_without_turns_there_is_one_voice(own: dict[str, str], name: str | None, subject: str) -> None:
    (voice,) = scene_of(segment(), cast(**own), SELECT).voices
    assert voice == Voice(name, None, None, subject)


def test_who_is_alone_in_a_segment_is_measured_in_all_of_it() -> None:
    found = scene_of(segment(), cast(turn(A, 1, 4), turn(B, 20, 40)), SELECT)
    assert found.voices == (Voice(A, A, None, f"source:{SOURCE}/{A}"),)
    assert [(t.speaker, t.start_s, t.end_s) for t in found.turns] == [(A, 1, 4)]


def test_everybody_who_speaks_enough_is_heard_where_nobody_else_is() -> None:
    found = scene_of(segment(10, 20), cast(turn(B, 11, 14), turn(A, 13, 19), turn(C, 19.2, 19.6)), SELECT)
    assert [(voice.found, spans(voice)) for voice in found.voices] == [(B, [(1, 3)]), (A, [(4, 9)])]
    assert {voice.subject for voice in found.voices} == {f"source:{SOURCE}/{A}", f"source:{SOURCE}/{B}"}
    assert [t.speaker for t in found.turns] == [B, A, C]


def test_a_silence_within_what_one_says_is_theirs_and_one_between_two_people_is_nobodys() -> None:
    found = scene_of(segment(), cast(turn(A, 0, 2), turn(A, 3, 4), turn(B, 5, 6), turn(A, 7, 9)), SELECT)
    assert [(voice.found, spans(voice)) for voice in found.voices] == [(A, [(0, 4), (7, 9)]), (B, [(5, 6)])]


def test_where_nobody_speaks_enough_it_is_who_speaks_most() -> None:
    found = scene_of(segment(), cast(turn(A, 1, 1.2), turn(B, 2, 2.4)), SELECT)
    assert [voice.found for voice in found.voices] == [B]
    found = scene_of(segment(), cast(turn(A, 1, 1.2), turn(B, 2, 2.4)), SelectSection(min_target_speech_s=0))
    assert [voice.found for voice in found.voices] == [A, B]


def test_the_declared_speaker_of_a_recording_stands_for_who_speaks_most_in_it() -> None:
    who = cast(turn(A, 0, 3), turn(B, 3, 5), turn(B, 20, 30), speaker="ann")
    found = scene_of(segment(), who, SELECT)
    assert [(v.name, v.found, v.subject) for v in found.voices] == [
        (A, A, f"source:{SOURCE}/{A}"),
        ("ann", B, "speaker:ann"),
    ]
    assert [t.speaker for t in found.turns] == [A, "ann"]
    said = (Word(text="so", start_s=3, end_s=4, speaker=B), Word(text="eh", start_s=6, end_s=7))
    assert [word.speaker for word in found.named(said)] == ["ann", None]


def test_who_is_called_so_in_the_turns_is_meant() -> None:
    who = cast(turn("ann", 0, 1), turn("bob", 1, 9), speaker="ann")
    assert [v.subject for v in scene_of(segment(), who, SELECT).voices] == ["speaker:ann", "source:src_1/bob"]


def test_the_declared_speaker_of_a_stretch_is_the_only_one() -> None:
    who = cast(turn(A, 0, 3), turn(B, 3, 9), turn(A, 20, 60), speaker="ann", **stretch(0, 10, speaker="bob"))
    found = scene_of(segment(), who, SELECT)
    assert [(v.name, v.found, spans(v), v.subject) for v in found.voices] == [
        ("bob", B, [(3, 9)], "speaker:bob")
    ]
    assert [t.speaker for t in found.turns] == ["ann", "bob"]
    # One name is never two people: who is declared here is not also the one who speaks most elsewhere.
    who = cast(turn(A, 0, 3), turn(B, 3, 9), turn(A, 20, 60), speaker="ann", **stretch(0, 10, speaker="ann"))
    assert [t.speaker for t in scene_of(segment(), who, SELECT).turns] == [A, "ann"]


def test_a_segment_without_a_turn_keeps_who_was_declared() -> None:
    found = scene_of(segment(50, 60), cast(turn(A, 0, 3), speaker="ann"), SELECT)
    assert found.voices == (Voice("ann", None, None, "speaker:ann"),)


TURNS = st.lists(
    st.builds(
        lambda who, start, length: turn(who, start / 10, (start + length) / 10),
        st.sampled_from([A, B, C, "ann"]),
        st.integers(0, 150),
        st.integers(1, 60),
    ),
    max_size=8,
)


@given(
    TURNS,
    st.sampled_from([None, "ann", A]),
    st.sampled_from([None, "ann", "bob", B]),
    st.sampled_from([0, 3, 9]),
)
def test_names_are_told_apart_and_nobody_is_measured_while_others_speak(
    turns: list[SpeakerTurn], whole: str | None, here: str | None, first: int
) -> None:
    own = ({"speaker": whole} if whole else {}) | (stretch(0, 20, speaker=here) if here else {})
    part = segment(first, first + 10)
    found = scene_of(part, Cast(SOURCE, tuple(turns), own), SELECT)
    assert found.voices
    assert Cast(SOURCE, tuple(turns), own).turns_in(part) == shift_turns(turns, part)
    assert len({voice.name for voice in found.voices}) == len(found.voices)
    assert len({voice.key("prosody") for voice in found.voices}) == len(found.voices)
    assert len(set(found.names.values())) == len(found.names)
    for voice in found.voices:
        for span in voice.where or ():
            for other in shift_turns(turns, part):
                if other.speaker != voice.found:
                    assert min(span.end_s, other.end_s) - max(span.start_s, other.start_s) < 2e-3


# --- which face ----------------------------------------------------------------------------------------

ONE = (Voice("ann", None, None, "speaker:ann"),)
TWO = (Voice("ann", A, (), "speaker:ann"), Voice(B, B, (), f"source:{SOURCE}/{B}"))
TALKING = Face("f2", True, 0.97)


@pytest.mark.parametrize(
    ("faces", "target"),
    [
        ((), "ann/-"),
        ((Face("f1"), Face("f2")), "ann/f1"),
        ((Face("f1"), TALKING), "ann/f2"),
        ((Face("f1", False, 0.95), Face("f3", True, 0.92), TALKING), "ann/f2"),
    ],
)
def test_one_voice_has_the_face_that_speaks_else_the_main_face(faces: tuple[Face, ...], target: str) -> None:
    assert keys(targets_of(ONE, faces, SELECT)) == [target]


def test_each_of_several_voices_has_the_face_that_moves_with_it() -> None:
    faces = (Face("f1", True, 0.9, {B: 0.9}), Face("f2", True, 0.9, {A: 0.99, B: 0.85}))
    assert keys(targets_of(TWO, faces, SELECT)) == ["ann/f2", f"{B}/f1"]
    assert keys(targets_of(TWO, faces[1:], SELECT)) == ["ann/f2", f"{B}/-"]
    assert keys(targets_of(TWO, (Face("f1"), Face("f2")), SELECT)) == ["ann/-", f"{B}/-"]


def test_faces_that_nobody_hears_are_targets_where_that_is_wanted() -> None:
    faces = (Face("f1", True, 0.9, {A: 0.9}), Face("f2"))
    everybody = targets_of(TWO, faces, SelectSection(targets="all"))
    assert keys(everybody) == ["ann/f1", f"{B}/-", "-/f2"]
    assert [aim.voice for aim in everybody] == [*TWO, None]
    assert keys(targets_of(TWO, faces, SelectSection(targets="faces"))) == ["ann/f1", "-/f2"]
    assert keys(targets_of(TWO, (), SelectSection(targets="faces"))) == ["ann/-", f"{B}/-"]


def test_a_target_is_told_of_by_its_own_voice_and_by_what_is_everybodys() -> None:
    ids = {"asr": "fea_w", "au": "fea_f", f"prosody/{A}": "fea_a", f"prosody/{B}": "fea_b"}
    aims = targets_of(TWO, (Face("f1"),), SelectSection(targets="all"))
    common = {"asr": "fea_w", "au": "fea_f"}
    assert [aim.measured(ids) for aim in aims] == [
        {**common, "prosody": "fea_a"},
        {**common, "prosody": "fea_b"},
        common,
    ]
    (only,) = targets_of(ONE, (), SELECT)
    assert only.measured({"asr": "fea_w", "prosody": "fea_p"}) == {"asr": "fea_w", "prosody": "fea_p"}


def test_faces_are_read_from_what_was_joined_before_what_was_seen() -> None:
    joined = {"stage": "speakers", "faces": [["f1", True, 0.9]], "voices": {f"f1/{A}": 0.88}}
    seen = {"stage": "au", "faces": [["f1", None, None]]}
    assert faces_in([joined, seen]) == (Face("f1", True, 0.9, {A: 0.88}),)
    assert faces_in([{"stage": "speakers"}, seen]) == (Face("f1", None, None, {}),)
    assert faces_in([]) == ()


def test_a_declared_name_is_found_in_any_letters() -> None:
    who = cast(turn("ANNA", 0, 1), turn("BEN", 1, 9), speaker="Anna ")
    found = scene_of(segment(), who, SELECT)
    assert [(v.name, v.found, v.subject) for v in found.voices] == [
        ("Anna ", "ANNA", "speaker:Anna "),
        ("BEN", "BEN", f"source:{SOURCE}/BEN"),
    ]
    assert [found.called(name) for name in ("ANNA", "anna", "ben", "carl")] == [
        "Anna ",
        "Anna ",
        "BEN",
        "carl",
    ]
    # Two who are called nearly so: the one who is called exactly so.
    who = cast(turn("ANNA", 0, 5), turn("Anna", 5, 6), speaker="Anna")
    assert [v.name for v in scene_of(segment(), who, SELECT).voices] == ["ANNA", "Anna"]


def test_without_turns_a_declared_name_is_that_of_the_words() -> None:
    found = scene_of(segment(), cast(speaker="anna"), SELECT)
    said = tuple(Word(text="so", start_s=0, end_s=1, speaker=name) for name in ("ANNA", "BEN"))
    assert [word.speaker for word in found.named(said)] == ["anna", "BEN"]


# --- stretches that name several people ----------------------------------------------------------------


def of_rows(start_s: float, end_s: float, *rows: tuple[str, float, float], **own: Any) -> Any:
    """The scene of a segment of a recording of which only a manifest's rows are known."""
    said = {stretch_key(a, b): {"speaker": speaker} for speaker, a, b in rows}
    return scene_of(segment(start_s, end_s), Cast(SOURCE, (), said | own), SELECT)


def test_a_row_inside_another_takes_its_time_from_it() -> None:
    rows = (("ann", 0, 10), ("bob", 2, 4))
    found = of_rows(0, 10, *rows, speaker="carl")
    assert [(v.name, spans(v), v.subject) for v in found.voices] == [
        ("ann", [(0, 2), (4, 10)], "speaker:ann")
    ]
    assert [(t.speaker, t.start_s, t.end_s) for t in found.turns] == [
        ("ann", 0, 2),
        ("bob", 2, 4),
        ("ann", 4, 10),
    ]
    inner = of_rows(2, 4, *rows)
    assert (inner.voices, inner.turns) == ((Voice("bob", None, None, "speaker:bob"),), ())


def test_a_row_to_the_end_of_the_recording_may_hold_another() -> None:
    own = {stretch_key(0, None): {"speaker": "ann"}, stretch_key(12, 14): {"speaker": "bob"}}
    found = scene_of(segment(10, 20), Cast(SOURCE, (), own), SELECT)
    assert [(v.name, spans(v)) for v in found.voices] == [("ann", [(0, 2), (4, 10)])]


def test_rows_that_overlap_leave_each_what_is_theirs() -> None:
    rows = (("ann", 0, 5), ("bob", 4, 8))
    assert [spans(v) for v in of_rows(0, 5, *rows).voices] == [[(0, 4)]]
    assert [(v.name, spans(v)) for v in of_rows(4, 8, *rows).voices] == [("bob", [(1, 4)])]


@pytest.mark.parametrize(
    "rows",
    [
        (("ann", 0, 10), ("ann", 2, 4)),  # one person
        (("ann", 0, 10), ("bob", 10, 12)),  # nobody else in this segment
        (("bob", 1, 2), ("carl", 8, 9)),  # who speaks in the middle of it is not said
    ],
)
def test_rows_that_tell_nobody_apart_in_a_segment_change_nothing(rows: Any) -> None:
    found = of_rows(0, 10, *rows)
    assert ([v.where for v in found.voices], found.turns) == ([None], ())


def test_turns_that_were_measured_come_before_rows() -> None:
    rows = stretch(0, 10, speaker="ann") | stretch(2, 4, speaker="bob")
    found = scene_of(segment(), cast(turn(A, 0, 7), turn(B, 7, 10), **rows), SELECT)
    assert [(v.name, spans(v)) for v in found.voices] == [("ann", [(0, 7)])]
