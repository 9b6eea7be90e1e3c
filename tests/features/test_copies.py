"""Of several copies of a recording the one is read that a backend finds something beside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.features.copies import copy_to_read
from pipeline.features.transcripts import GivenText
from schemas.errors import ItemError
from tests.features.test_au_tables import openface_row, pyfeat_row, write
from tests.features.test_transcripts_meld import HEAD, ROW

NAME = "dia0_utt1"


@pytest.fixture
def copies(tmp_path: Path) -> list[Path]:
    found = [tmp_path / folder / f"{NAME}.mp4" for folder in ("gone", "first", "second")]
    for path in found[1:]:
        path.parent.mkdir()
        path.touch()
    return found[1:] + found[:1]


def words(path: Path, *endings: str) -> None:
    for ending in endings:
        path.with_suffix(ending).write_text("1\n00:00:00,000 --> 00:00:01,000\nhi\n")


def chosen(copies: list[Path], stage: str, backend: str = "auto", **more: Any) -> str:
    return copy_to_read(stage, backend, more.pop("options", {}), copies, **more).parent.name


def test_the_first_where_nothing_stands_beside_any(copies: list[Path]) -> None:
    for stage in ("asr", "prosody", "au", "series", "pose"):
        assert chosen(copies, stage) == "first"


def test_what_stands_beside_the_second_is_found(copies: list[Path]) -> None:
    second = copies[1]
    second.with_suffix(".prosody.csv").write_text("time_s,pitch_hz\n0,100\n")
    second.with_suffix(".series.csv").write_text("time_s,pulse\n0,70\n")
    write(second.with_suffix(".csv"), [openface_row(1, 0.0)])
    (second.parent / "dev_sent_emo.csv").write_text(HEAD + ROW)
    for stage, named in (("prosody", "csv"), ("series", "sidecar"), ("au", "openface"), ("asr", "meld")):
        assert (chosen(copies, stage), chosen(copies, stage, named)) == ("second", "second")


def test_in_the_order_in_which_auto_takes_them(copies: list[Path]) -> None:
    (copies[0].parent / "dev_sent_emo.csv").write_text(HEAD + ROW)
    words(copies[1], ".srt")
    assert chosen(copies, "asr") == "second"
    assert chosen(copies, "asr", "meld") == "first"
    write(copies[0].with_suffix(".csv"), [pyfeat_row(0)])
    write(copies[1].with_suffix(".csv"), [openface_row(1, 0.0)])
    assert (chosen(copies, "au"), chosen(copies, "au", "openface")) == ("first", "second")


def test_the_option_says_the_language(copies: list[Path]) -> None:
    words(copies[0], ".de.srt")
    words(copies[1], ".en.srt", ".de.srt")
    assert chosen(copies, "asr", options={"language": "en"}, language="de") == "second"
    assert chosen(copies, "asr", language="de") == "first"
    with pytest.raises(ItemError, match="several transcripts"):
        chosen(copies[1:], "asr")


def test_what_a_backend_does_not_read_cannot_stop_it(copies: list[Path]) -> None:
    words(copies[0], ".en.srt", ".de.srt")
    for ending in (".csv", ".prosody.csv", ".series.csv"):
        copies[0].with_suffix(ending).symlink_to("not_fetched")
    for stage, backend in (
        ("asr", "whisperx"),
        ("asr", "manifest"),
        ("prosody", "core"),
        ("au", "mediapipe"),
    ):
        assert chosen(copies, stage, backend) == "first"
    copies[0].with_suffix(".en.srt").unlink()
    copies[0].with_suffix(".de.srt").unlink()
    (copies[0].parent / "all.csv").symlink_to("not_fetched")
    assert chosen(copies, "asr", transcript=GivenText("of the manifest")) == "first"
