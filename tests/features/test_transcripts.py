"""Transcripts beside a recording: which one is taken, what is read, and where the words land."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.features.transcripts import Cue, decode_text, find_sidecar, read_cues
from schemas.errors import ItemError, UserError

SRT = """1
00:00:01,000 --> 00:00:03,000
{\\an8}<b>Hello</b> there.

2
00:00:04,500 --> 00:00:06,000 X1:10 X2:20
ANNA: Where were
you? [door]
- BEN: Out.

3
00:01:00,000 --> 01:01:00,250
Remember: the sea &amp; the sky.
(laughs)
"""

VTT = """WEBVTT - a title
Kind: captions

STYLE
::cue { color: red }

NOTE a remark
over two lines

intro
00:01.000 --> 00:03.000 align:start
<v.loud Mary Lou>Hi <i>you</i></v> <v Bob>Hey

00:00:03.000 --> 00:00:04.000
<c.yellow>Well</c> <00:00:03.500>now&nbsp;then
"""


def test_srt_is_read() -> None:
    hello, where, sea = read_cues(SRT, ".srt", "a.srt")
    assert hello == Cue(1.0, 3.0, ((None, "Hello  there."),)) or hello.lines[0][1].split() == [
        "Hello",
        "there.",
    ]
    assert [(speaker, text.split()) for speaker, text in where.lines] == [
        ("ANNA", ["Where", "were"]),
        ("ANNA", ["you?"]),
        ("BEN", ["Out."]),
    ]
    assert (where.start_s, where.end_s) == (4.5, 6.0)
    assert sea == Cue(60.0, 3660.25, ((None, "Remember: the sea & the sky."),))


def test_vtt_is_read() -> None:
    first, second = read_cues(VTT, ".vtt", "a.vtt")
    assert [(speaker, text.split()) for speaker, text in first.lines] == [
        ("Mary Lou", ["Hi", "you"]),
        ("Bob", ["Hey"]),
    ]
    assert (first.start_s, first.end_s) == (1.0, 3.0)
    assert [text.split() for _, text in second.lines] == [["Well", "now", "then"]]


@pytest.mark.parametrize(
    ("line", "speaker", "text"),
    [
        ("The President: We all know", "The President", "We all know"),
        ("DR. O'NEIL: Yes", "DR. O'NEIL", "Yes"),
        (">> SPEAKER 1: Yes", "SPEAKER 1", "Yes"),
        ("Anna: once only", None, "Anna: once only"),
        ("the reason: none", None, "the reason: none"),
        ("It is 10:30 now", None, "It is 10:30 now"),
        ("- Yes.", None, "Yes."),
        ("ÄNNE: Ja", "ÄNNE", "Ja"),
    ],
)
def test_speaker_prefix(line: str, speaker: str | None, text: str) -> None:
    (cue,) = read_cues(f"1\n00:00:00,000 --> 00:00:01,000\n{line}\n", ".srt", "a.srt")
    assert cue.lines == ((speaker, text),)


def test_a_capitalised_word_before_two_lines_is_a_name() -> None:
    text = "".join(f"{i}\n00:00:0{i},000 --> 00:00:0{i},900\nAnna: yes\n\n" for i in (1, 2))
    assert [cue.lines for cue in read_cues(text, ".srt", "a.srt")] == [(("Anna", "yes"),)] * 2


@pytest.mark.parametrize(
    ("text", "kind", "line", "part"),
    [
        ("1\n00:00:01,000 -> 00:00:02,000\nHi\n", ".srt", 1, "expected a time line"),
        ("1\n00:00:01,000 --> 00:00:02,000\nHi\n\n2\n0:00:xx --> 1\nHo\n", ".srt", 6, "unreadable times"),
        ("1\n00:00:05,000 --> 00:00:02,000\nHi\n", ".srt", 2, "ends before it starts"),
        ("00:01.000 --> 00:02.000\nHi\n", ".vtt", 1, "WEBVTT"),
        ("WEBVTT\n\nid\nno times here\n", ".vtt", 3, "expected a time line"),
        ("Just some text.\n", ".srt", 1, "expected a time line"),
    ],
)
def test_bad_files_are_named_with_their_line(text: str, kind: str, line: int, part: str) -> None:
    with pytest.raises(UserError, match=part) as caught:
        read_cues(text, kind, f"bad{kind}")
    assert (caught.value.code, caught.value.file, caught.value.line) == ("bad_transcript", f"bad{kind}", line)
    assert caught.value.remedy


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings(encoding: str) -> None:
    assert decode_text("Grüße".encode(encoding), "a.srt") == "Grüße"


def test_other_encodings_are_refused_with_the_line() -> None:
    with pytest.raises(UserError, match="UTF-8") as caught:
        decode_text("ok\nGrüße".encode("latin-1"), "a.srt")
    assert caught.value.line == 2


def test_line_ends_of_windows() -> None:
    assert read_cues(SRT.replace("\n", "\r\n"), ".srt", "a.srt") == read_cues(SRT, ".srt", "a.srt")


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    for kind in (".srt", ".vtt"):
        try:
            cues = read_cues(text, kind, "x")
        except UserError as error:
            assert error.line is not None  # noqa: PT017 - both outcomes are right
        else:
            assert all(cue.end_s >= cue.start_s for cue in cues)


@pytest.mark.parametrize(
    ("beside", "language", "expected"),
    [
        ((), None, None),
        (("talk.srt", "talk.vtt", "talk.txt"), None, "talk.srt"),
        (("talk.vtt", "talk.txt"), None, "talk.vtt"),
        (("talk.txt", "talk.en.srt"), None, "talk.en.srt"),
        (("talk.en.srt", "talk.de.srt"), "de", "talk.de.srt"),
        (("talk.en-GB.vtt", "talk.de.srt"), "en", "talk.en-GB.vtt"),
        (("talk.de.srt",), "en", None),
        (("talk.SRT",), None, "talk.SRT"),
        (("talks.srt", "alk.srt", "talk.notes.srt.bak"), None, None),
    ],
)
def test_which_transcript_is_taken(
    tmp_path: Path, beside: tuple[str, ...], language: str | None, expected: str | None
) -> None:
    for name in ("talk.mp4", *beside):
        (tmp_path / name).touch()
    found = find_sidecar(tmp_path / "talk.mp4", language)
    assert (found.name if found else None) == expected


def test_two_languages_and_none_asked_for(tmp_path: Path) -> None:
    for name in ("talk.en.srt", "talk.de.srt"):
        (tmp_path / name).touch()
    with pytest.raises(ItemError, match=r"de, en"):
        find_sidecar(tmp_path / "talk.mp4")
