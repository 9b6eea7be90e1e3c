"""Words get the speaker of the turn that they lie in; where two talk, nobody is alone."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.features.speakers import (
    NEAR_S,
    alone,
    local_subject,
    shift_turns,
    speak,
    who_is_who,
    with_pauses,
)
from schemas.parts import SpeakerTurn, Word
from schemas.records import Segment


def turn(speaker: str, start_s: float, end_s: float) -> SpeakerTurn:
    return SpeakerTurn(speaker=speaker, start_s=start_s, end_s=end_s)


def word(start_s: float, end_s: float, speaker: str | None = None) -> Word:
    return Word(text="well", start_s=start_s, end_s=end_s, speaker=speaker)


def segment(start_s: float, end_s: float) -> Segment:
    return Segment(
        source_id="src-1", rule="fixed", version="1", source_start_s=start_s, source_end_s=end_s, index=0
    )


@pytest.mark.parametrize(
    ("said", "turns", "speaker"),
    [
        (word(1, 2), [turn("ann", 0, 3)], "ann"),
        (word(1, 2), [turn("ann", 0, 1.4), turn("bob", 1.4, 3)], "bob"),
        (word(1, 2), [turn("ann", 1, 1.3), turn("ann", 1.6, 2), turn("bob", 1.1, 1.6)], "ann"),  # in sum
        (word(1, 2), [turn("bob", 0.9, 2.1), turn("ann", 0, 9)], "ann"),  # over both: who has the floor
        (word(1, 2), [turn("bob", 0, 3), turn("ann", 0, 3)], "ann"),  # nothing tells: the same one always
        (word(1, 2), [turn("ann", 0, 0.9), turn("bob", 2.2, 3)], "ann"),  # in a gap: the nearest
        (word(1, 2), [turn("ann", 0, 1 - 2 * NEAR_S)], None),
        (word(1, 1), [turn("ann", 0, 2)], "ann"),  # without length
        (word(1, 2), [], None),
        (word(1, 2, "eve"), [turn("ann", 0, 3)], "eve"),  # the transcript says so
    ],
)
def test_who_says_a_word(said: Word, turns: list[SpeakerTurn], speaker: str | None) -> None:
    (heard,) = speak([said], turns)
    assert heard == said.model_copy(update={"speaker": speaker})


def test_alone_is_where_nobody_else_talks() -> None:
    turns = [turn("ann", 0, 4), turn("bob", 3, 5), turn("ann", 4, 8), turn("bob", 6, 6.5), turn("eve", 9, 10)]
    assert [(s.start_s, s.end_s) for s in alone(turns, "ann")] == [(0, 3), (5, 6), (6.5, 8)]
    assert [(s.start_s, s.end_s) for s in alone(turns, "bob")] == []
    assert [(s.start_s, s.end_s) for s in alone(turns, "eve")] == [(9, 10)]
    assert alone(turns, "nobody") == alone([], "ann") == ()


def test_a_silence_is_a_pause_of_who_speaks_before_and_after_it() -> None:
    turns = [turn("ann", 0, 2), turn("ann", 3, 4), turn("bob", 5, 6), turn("ann", 7, 8), turn("ann", 30, 31)]
    assert [(s.start_s, s.end_s) for s in with_pauses(turns, "ann")] == [(0, 4), (7, 31)]
    assert [(s.start_s, s.end_s) for s in with_pauses(turns, "bob")] == [(5, 6)]
    over = [turn("ann", 0, 4), turn("bob", 3, 4.5), turn("ann", 5, 8)]  # somebody else ends in the silence
    assert [(s.start_s, s.end_s) for s in with_pauses(over, "ann")] == [(0, 3), (5, 8)]
    assert with_pauses(turns, "nobody") == ()


def test_turns_are_cut_at_the_borders_of_a_segment() -> None:
    turns = [turn("bob", 4, 20), turn("ann", 0, 6), turn("eve", 0, 5), turn("eve", 9, 12)]
    assert shift_turns(turns, segment(5, 9)) == (turn("ann", 0, 1), turn("bob", 0, 4))


def test_names_of_two_recordings_are_two_subjects() -> None:
    assert local_subject("src-1", "SPEAKER_00") != local_subject("src-2", "SPEAKER_00")
    assert not local_subject("src-1", "SPEAKER_00").startswith("speaker:")


NAMED = [turn("ANNA", 0.2, 3.8), turn("BEN", 4.3, 8), turn("ANNA", 9, 9.5)]


@pytest.mark.parametrize(
    ("turns", "names"),
    [
        ([turn("SPEAKER_00", 0, 4), turn("SPEAKER_01", 4, 8)], {"SPEAKER_00": "ANNA", "SPEAKER_01": "BEN"}),
        ([turn("spk1", 0, 4), turn("B", 3.5, 8)], {"spk1": "ANNA", "B": "BEN"}),
        (
            [turn("Ann", 0, 4), turn("SPEAKER_01", 4, 8)],
            {"SPEAKER_01": "BEN"},
        ),  # a person gave the first name
        ([turn("SPEAKER_00", 0, 8)], {}),  # one turn for two people
        ([turn("S1", 0, 2), turn("S2", 2, 4), turn("S3", 4, 8)], {"S3": "BEN"}),  # two names for one person
        ([turn("BEN", 0, 4), turn("SPEAKER_01", 4, 8)], {}),  # there would be two BENs
        ([turn("SPEAKER_00", 20, 30)], {}),
    ],
)
def test_who_is_called_how_in_a_transcript_is_told_by_time(
    turns: list[SpeakerTurn], names: dict[str, str]
) -> None:
    assert who_is_who(turns, NAMED) == names
    assert who_is_who(turns, []) == {}


MS = st.integers(0, 5000)
TURNS = st.lists(
    st.builds(
        lambda speaker, a, b: turn(speaker, min(a, b) / 1000, max(a, b) / 1000),
        st.sampled_from(["ann", "bob", "eve"]),
        MS,
        MS,
    ),
    max_size=8,
)
WORDS = st.lists(
    st.builds(
        lambda a, b, speaker: word(min(a, b) / 1000, max(a, b) / 1000, speaker),
        MS,
        MS,
        st.sampled_from([None, None, "given"]),
    ),
    max_size=6,
)


@given(WORDS, TURNS, st.randoms())
def test_words_keep_all_but_an_unknown_speaker(
    words: list[Word], turns: list[SpeakerTurn], chance: Random
) -> None:
    heard = speak(words, turns)
    mixed = list(turns)
    chance.shuffle(mixed)
    assert speak(words, mixed) == heard  # the order of the turns says nothing
    assert speak(heard, turns) == heard
    for before, after in zip(words, heard, strict=True):
        assert before.model_copy(update={"speaker": None}) == after.model_copy(update={"speaker": None})
        if before.speaker is not None:
            assert after.speaker == before.speaker
        elif after.speaker is None:
            assert all(t.start_s - before.end_s > NEAR_S or before.start_s - t.end_s > NEAR_S for t in turns)
        else:
            assert after.speaker in {t.speaker for t in turns}


@given(TURNS, MS)
def test_alone_agrees_with_looking_at_every_instant(turns: list[SpeakerTurn], time_ms: int) -> None:
    time_s = (time_ms + 0.5) / 1000  # never on a border
    talking = {t.speaker for t in turns if t.start_s <= time_s <= t.end_s}
    for speaker in ("ann", "bob", "eve"):
        spans = alone(turns, speaker)
        assert any(s.start_s < time_s < s.end_s for s in spans) == (talking == {speaker})
        assert all(a.end_s < b.start_s for a, b in pairwise(spans))


@given(TURNS)
def test_pauses_are_joined_wherever_and_only_where_nobody_else_has_a_turn(turns: list[SpeakerTurn]) -> None:
    for speaker in ("ann", "bob", "eve"):
        clear, joined = alone(turns, speaker), with_pauses(turns, speaker)
        others = [t for t in turns if t.speaker != speaker and t.length_s]
        assert {s.start_s for s in joined} <= {s.start_s for s in clear}
        assert {s.end_s for s in joined} <= {s.end_s for s in clear}
        assert all(any(j.start_s <= s.start_s and s.end_s <= j.end_s for j in joined) for s in clear)
        assert not any(o.start_s < s.end_s and s.start_s < o.end_s for s in joined for o in others)
        for before, after in pairwise(joined):
            assert any(
                t.start_s <= after.start_s and t.end_s >= before.end_s for t in turns if t.speaker != speaker
            )


@given(TURNS, MS, MS)
def test_shifted_turns_lie_inside_and_keep_what_is_said_there(
    turns: list[SpeakerTurn], start_ms: int, length_ms: int
) -> None:
    where = segment(start_ms / 1000, (start_ms + length_ms + 1) / 1000)
    shifted = shift_turns(turns, where)
    assert all(0 <= t.start_s < t.end_s <= where.duration_s for t in shifted)
    for time_ms in range(0, length_ms, 97):
        time_s = (time_ms + 0.5) / 1000
        in_source = sorted(t.speaker for t in turns if t.start_s < where.source_start_s + time_s < t.end_s)
        assert sorted(t.speaker for t in shifted if t.start_s < time_s < t.end_s) == in_source
