"""MELD's table of utterances: the published file, and recordings that are named as in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.features.base import Clip
from pipeline.features.select import pick_extractor
from pipeline.features.transcripts import GivenText
from pipeline.features.transcripts_meld import find_row, read_meld
from schemas.errors import ItemError, UserError
from schemas.parts import Span
from schemas.records import Features
from tests.features.voice_media import make_clip

HEAD = (
    "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime\n"
)
ROW = '1,"Oh, no.",Phoebe,sadness,negative,0,1,4,7,"00:20:57,256","00:21:00,049"\n'


def recording(folder: Path, name: str = "dia0_utt1.mp4") -> Path:
    (folder / name).touch()
    return folder / name


def table(folder: Path, text: str, name: str = "dev_sent_emo.csv") -> None:
    (folder / name).write_text(text, encoding="utf-8")


@pytest.mark.media
def test_the_published_table_is_read_whole(media: Callable[[str], Path]) -> None:
    path = media("video").parents[1] / "tables" / "meld_dev_sent_emo.csv"
    rows = read_meld(path.read_bytes(), path.name)
    assert len(rows) == 1109
    assert len({dialogue for dialogue, _ in rows}) == 114
    assert rows[0, 0] == GivenText("Oh my God, he’s lost it. He’s totally lost it.", 0.0, 2.793, "Phoebe")
    assert all(row.text and row.speaker for row in rows.values())


def test_a_row_becomes_the_words_of_its_recording(tmp_path: Path) -> None:
    table(tmp_path, HEAD + ROW)
    path = recording(tmp_path)
    picked = pick_extractor("asr", "auto", {}, path, segments=[Span(start_s=0, end_s=4)])
    clip: Clip = make_clip(None, end_s=4.0, source_speech=(Span(start_s=0.5, end_s=1.5),))
    ((_, result),) = picked.extract([clip])
    assert isinstance(result, Features)
    assert (result.extractor, result.notes) == ("meld", ("word_times_spread_over_speech",))
    assert [(word.text, word.speaker) for word in result.words] == [("Oh,", "Phoebe"), ("no.", "Phoebe")]
    assert (result.words[0].start_s, result.words[-1].end_s) == (0.5, 1.5)
    table(tmp_path, HEAD + ROW.replace("Phoebe", "Ross"))
    assert pick_extractor("asr", "meld", {}, path).params != picked.params


def test_which_recordings_a_table_names(tmp_path: Path) -> None:
    table(tmp_path, HEAD + ROW)
    table(tmp_path, "a,b\n1,2\n", "other.csv")
    assert find_row(recording(tmp_path, "final_videos_testdia0_utt1.mp4")) is not None
    for name in ("dia0_utt2.mp4", "dia0_utt1_cut.mp4", "talk.mp4"):
        assert find_row(recording(tmp_path, name)) is None
        assert pick_extractor("asr", "auto", {}, tmp_path / name).name == "pocketsphinx"
    assert find_row(tmp_path / "gone" / "dia0_utt1.mp4") is None
    with pytest.raises(ItemError, match=r"names talk\.mp4"):
        pick_extractor("asr", "meld", {}, tmp_path / "talk.mp4")


def test_other_words_of_first_choice_come_before_it(tmp_path: Path) -> None:
    table(tmp_path, HEAD + ROW)
    path = recording(tmp_path)
    assert pick_extractor("asr", "auto", {}, path, transcript=GivenText("hi")).name == "manifest"
    path.with_suffix(".srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nhi\n")
    assert pick_extractor("asr", "auto", {}, path).name == "sidecar"


def test_two_tables_that_name_a_recording_are_told(tmp_path: Path) -> None:
    path = recording(tmp_path)
    table(tmp_path, HEAD + ROW)
    table(tmp_path, HEAD + ROW, "train_sent_emo.csv")
    with pytest.raises(ItemError, match=r"dev_sent_emo\.csv, train_sent_emo\.csv") as caught:
        find_row(path)
    assert caught.value.code == "ambiguous_transcript"


def test_a_link_that_leads_nowhere_may_be_the_table(tmp_path: Path) -> None:
    path = recording(tmp_path)
    (tmp_path / "dia0_utt0.csv").symlink_to(tmp_path / "not" / "fetched")
    assert find_row(path) is None, "the link belongs to another recording"
    (tmp_path / "train_sent_emo.csv").symlink_to(tmp_path / "kept" / "away.csv")
    with pytest.raises(
        ItemError, match=r"train_sent_emo\.csv is a link to a file that is not here"
    ) as caught:
        find_row(path)
    assert caught.value.code == "unreadable_transcript"
    assert find_row(recording(tmp_path, "talk.mp4")) is None, "no recording of MELD's"
    (tmp_path / "kept").mkdir()
    table(tmp_path / "kept", HEAD + ROW, "away.csv")  # as `git annex get` does: the link stays as it is
    found = find_row(path)
    assert found is not None
    assert found.speaker == "Phoebe"


def test_an_utterance_that_ends_before_it_starts_has_no_length() -> None:
    row = read_meld((HEAD + ROW.replace("00:21:00,049", "00:20:00,049")).encode(), "x")[0, 1]
    assert row.end_s is None


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        (HEAD + ROW.replace(",0,1,4", ",zero,1,4"), 2, 'Dialogue_ID is "zero"'),
        (HEAD + ROW.replace("00:20:57,256", "20 min"), 2, "not a time"),
        (HEAD + ROW + ROW, 3, "twice"),
        (HEAD + "1,short\n", 2, "Dialogue_ID"),
    ],
)
def test_mistakes_are_told_with_their_line(tmp_path: Path, text: str, line: int, part: str) -> None:
    with pytest.raises(UserError, match=part) as caught:
        read_meld(text.encode(), "x")
    assert caught.value.line == line
    table(tmp_path, text)
    with pytest.raises(ItemError, match=rf"dev_sent_emo.csv:{line}: "):
        find_row(recording(tmp_path))
