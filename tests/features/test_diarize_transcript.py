"""Turns from a transcript that names who speaks: whom it tells apart, when it states none, what is asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.features.diarize_transcript import TranscriptTurns
from pipeline.features.select_diarizer import DiarizerChoice
from schemas.errors import ItemError
from schemas.records import Features
from tests.features.test_diarize_rttm import line, recording

TWO = """1
00:00:00,500 --> 00:00:02,000
ANNA: I love you.

2
00:00:02,100 --> 00:00:03,000
ANNA: So much.

3
00:00:03,500 --> 00:00:05,000
BEN: I hate you.

4
00:00:07,000 --> 00:00:12,000
<v Anna>Oh, no!
BEN: Oh, yes.
"""
TIERS = """File type = "ooTextFile"
Object class = "TextGrid"
0 4 <exists> 2
"IntervalTier" "Anna - words" 0 4 4
0 0.5 "" 0.5 1 "well" 1.1 1.5 "well" 3 4 "no"
"IntervalTier" "Ben - words" 0 4 2
0 1.2 "" 1.2 2 "what"
"""


def told(path: Path) -> list[tuple[str, float, float]]:
    found = TranscriptTurns.beside([path], None)
    assert found is not None
    ((_, result),) = found.diarize([recording(10)])
    assert isinstance(result, Features)
    assert (result.stage, result.extractor, result.missing) == ("diarize", "transcript", None)
    return [(turn.speaker, turn.start_s, turn.end_s) for turn in result.turns]


def test_cues_are_turns_and_a_name_in_other_letters_is_the_same(tmp_path: Path) -> None:
    (tmp_path / "talk.srt").write_text(TWO)
    turns = told(tmp_path / "talk.mp4")
    assert turns[:2] == [("ANNA", 0.5, 3.0), ("BEN", 3.5, 5.0)]  # a break of 0.1 s ends no turn
    (_, first_s, change_s), (_, again_s, last_s) = turns[2:]
    assert [speaker for speaker, _, _ in turns[2:]] == ["ANNA", "BEN"]
    assert (first_s, last_s) == (7.0, 10.0)  # cut at the end of the recording
    assert 8 < change_s == again_s < 10


def test_words_of_tiers_are_joined_and_may_overlap(tmp_path: Path) -> None:
    (tmp_path / "talk.TextGrid").write_text(TIERS)
    assert told(tmp_path / "talk.wav") == [("Anna", 0.5, 1.5), ("Ben", 1.2, 2.0), ("Anna", 3.0, 4.0)]


@pytest.mark.parametrize(
    "text",
    [
        TWO.replace("BEN", "ANNA"),  # one person
        TWO.replace("BEN: I hate", "I hate"),  # it names only some of those who speak
        TWO.replace("ANNA: ", "").replace("BEN: ", "").replace("<v Anna>", ""),
    ],
)
def test_a_transcript_that_leaves_open_who_speaks_states_no_turns(text: str, tmp_path: Path) -> None:
    (tmp_path / "talk.srt").write_text(text)
    assert TranscriptTurns.beside([tmp_path / "talk.mp4"], None) is None
    assert DiarizerChoice("auto", {}).of([tmp_path / "talk.mp4"]).name == "none"
    with pytest.raises(ItemError, match=r"no transcript beside talk\.mp4 names") as caught:
        DiarizerChoice("transcript", {}).of([tmp_path / "talk.mp4"])
    assert caught.value.code == "speakers_missing"


def test_it_comes_after_rttm_and_before_a_diarizer(tmp_path: Path) -> None:
    talk = tmp_path / "talk.mp4"
    (tmp_path / "talk.srt").write_text(TWO)
    assert DiarizerChoice("auto", {}).of([talk]).name == "transcript"
    assert DiarizerChoice("transcript", {}).of([talk]).name == "transcript"
    assert DiarizerChoice("none", {}).of([talk]).name == "none"
    (tmp_path / "talk.rttm").write_text(line("talk"))
    assert DiarizerChoice("auto", {}).of([talk]).name == "rttm"


def test_the_transcript_of_the_language_of_the_recording_is_read(tmp_path: Path) -> None:
    talk = tmp_path / "talk.mp4"
    (tmp_path / "talk.en.srt").write_text(TWO)
    (tmp_path / "talk.de.srt").write_text(TWO.replace("ANNA", "HANS"))
    english, german = (DiarizerChoice("transcript", {}).of([talk], tag) for tag in ("en", "de"))
    assert english.params != german.params
    assert DiarizerChoice("auto", {}).of([talk]).name == "none"  # which one is meant is asked about its words
    with pytest.raises(ItemError, match="several transcripts"):
        DiarizerChoice("transcript", {}).of([talk])


def test_who_speaks_when_is_asked_and_not_what_is_said(tmp_path: Path) -> None:
    path, talk = tmp_path / "talk.srt", tmp_path / "talk.mp4"

    def params(text: str) -> dict[str, object]:
        path.write_text(text)
        return DiarizerChoice("transcript", {}).of([talk]).params

    first = params(TWO)
    assert params(TWO.replace("hate", "like")) == first
    assert params(TWO.replace("BEN", "BOB")) != first
    assert params(TWO.replace("00:00:05,000", "00:00:06,000")) != first


def test_a_wrong_file_is_told_by_who_was_told_to_read_it(tmp_path: Path) -> None:
    talk = tmp_path / "talk.mp4"
    (tmp_path / "talk.srt").write_text("1\n00:00:xx\n")
    assert DiarizerChoice("auto", {}).of([talk]).name == "none"
    with pytest.raises(ItemError) as caught:
        DiarizerChoice("transcript", {}).of([talk])
    assert caught.value.code == "bad_transcript"


def test_a_file_that_changes_under_the_run_is_told(tmp_path: Path) -> None:
    path = tmp_path / "talk.srt"
    path.write_text(TWO)
    found = TranscriptTurns.beside([tmp_path / "talk.mp4"], None)
    assert found is not None
    path.write_text(TWO.replace("BEN", "BOB"))
    ((_, result),) = found.diarize([recording()])
    assert isinstance(result, ItemError)
    assert result.code == "changed_transcript"
