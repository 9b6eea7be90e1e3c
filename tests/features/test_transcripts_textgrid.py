"""Praat's TextGrids, as Praat itself writes them, long and short, and what is wrong in a broken one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.features.asr_sidecar import SidecarTranscript
from pipeline.features.transcripts import Cue, TimedWords, find_sidecar
from pipeline.features.transcripts_textgrid import read_textgrid
from schemas.errors import ItemError, UserError
from schemas.parts import Span
from schemas.records import Features
from tests.features.voice_media import make_clip

parselmouth: Any = pytest.importorskip("parselmouth")
HEAD = 'File type = "ooTextFile"\nObject class = "TextGrid"\n\n'
SHORT = (
    HEAD + '0\n2\n<exists>\n1\n"IntervalTier"\n"ANNA"\n0\n2\n2\n0\n0.5\n""\n0.5\n2\n"say ""hi"" to\nall"\n'
)


def written(
    folder: Path, how: str, tiers: dict[str, list[tuple[float, float, str]]], points: bool = False
) -> Path:
    """A TextGrid of 3 s that Praat writes: "Save as text file" or "Save as short text file"."""
    call = parselmouth.praat.call
    names = " ".join(name.replace(" ", "_") for name in tiers)
    grid = call(
        "Create TextGrid", 0.0, 3.0, names + (" clicks" if points else ""), "clicks" if points else ""
    )
    for number, (name, intervals) in enumerate(tiers.items(), start=1):
        call(grid, "Set tier name", number, name)
        for border_s in sorted({time_s for a, b, _ in intervals for time_s in (a, b)} - {0.0, 3.0}):
            call(grid, "Insert boundary", number, border_s)
        for a, b, text in intervals:
            call(
                grid,
                "Set interval text",
                number,
                call(grid, "Get interval at time", number, (a + b) / 2),
                text,
            )
    if points:
        call(grid, "Insert point", len(tiers) + 1, 1.5, "click")
    path = folder / "talk.TextGrid"
    call(grid, how, str(path))
    return path


def read(path: Path) -> TimedWords | tuple[Cue, ...]:
    data = path.read_bytes()
    return read_textgrid(
        data.decode("utf-16" if data[:2] in (b"\xfe\xff", b"\xff\xfe") else "utf-8"), path.name
    )


@pytest.mark.parametrize("how", ["Save as text file", "Save as short text file"])
@pytest.mark.parametrize("said", ['He said "no"', "schöne Grüße 3.5 <b>", "你好 世界"])
def test_what_praat_writes_is_read(tmp_path: Path, how: str, said: str) -> None:
    path = written(tmp_path, how, {"BOB": [(0.5, 1.25, said)], "phones": [(0.5, 0.75, "a")]}, points=True)
    assert read(path) == (Cue(0.5, 1.25, (("BOB", said),)),)


@pytest.mark.parametrize("how", ["Save as text file", "Save as short text file"])
def test_a_tier_of_words_has_the_times_of_words(tmp_path: Path, how: str) -> None:
    path = written(
        tmp_path,
        how,
        {
            "ANNA - words": [(0.5, 0.9, "well"), (0.9, 1.0, "sp"), (1.0, 1.4, "done")],
            "ANNA - phones": [(0.5, 0.7, "w")],
        },
    )
    found = read(path)
    assert found == TimedWords((Cue(0.5, 0.9, (("ANNA", "well"),)), Cue(1.0, 1.4, (("ANNA", "done"),))))
    clip = make_clip(None, start_s=0.2, end_s=3.0, source_s=3.0)
    ((_, result),) = SidecarTranscript.beside(path, [Span(start_s=0.2, end_s=3.0)]).extract([clip])
    assert isinstance(result, Features)
    assert result.notes == ("word_times_given",)
    assert [(w.text, w.start_s, w.end_s, w.speaker) for w in result.words] == [
        ("well", 0.3, 0.7, "ANNA"), ("done", 0.8, 1.2, "ANNA"),
    ]  # fmt: skip


def test_two_speakers_and_names_that_are_none(tmp_path: Path) -> None:
    path = written(
        tmp_path, "Save as text file",
        {"ANNA": [(0, 1, "hello there")], "BOB": [(0.8, 2, "hi")], "utterances": [(2, 3, "well")]},
    )  # fmt: skip
    found = read(path)
    assert isinstance(found, tuple)
    assert [cue.lines[0] for cue in found] == [("ANNA", "hello there"), ("BOB", "hi"), (None, "well")]


def test_quotes_and_line_ends_in_a_text() -> None:
    assert read_textgrid(SHORT, "x") == (Cue(0.5, 2.0, (("ANNA", 'say "hi" to\nall'),)),)


def test_a_textgrid_beside_a_recording_is_found(tmp_path: Path) -> None:
    for name in ("talk.TextGrid", "talk.txt", "talk.mp4"):
        (tmp_path / name).write_text(SHORT)
    assert find_sidecar(tmp_path / "talk.mp4") == tmp_path / "talk.TextGrid"
    (tmp_path / "talk.srt").touch()
    assert find_sidecar(tmp_path / "talk.mp4") == tmp_path / "talk.srt"


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ("", 1, "the file ends where the file type"),
        (SHORT.replace("TextGrid", "Sound"), 2, "a TextGrid begins with"),
        (SHORT.replace("IntervalTier", "OddTier"), 8, "OddTier"),
        (SHORT.replace("\n2\n0\n0.5", "\n2\n0\nhalf"), 15, "expected the end of an interval"),
        (SHORT.replace('""\n0.5', '""\n-0.5'), 16, "times are seconds"),
        (SHORT.replace("0.5\n2\n", "0.5\n0.25\n"), 17, "ends before it starts"),
        (SHORT.replace("2\n2\n", "2\n2.5\n"), 12, "expected the number of intervals"),
        (SHORT[:-20], 17, "the text of an interval"),
    ],
)
def test_mistakes_are_told_with_their_line(tmp_path: Path, text: str, line: int, part: str) -> None:
    with pytest.raises(UserError, match=part) as caught:
        read_textgrid(text, "x")
    assert caught.value.line == line
    (tmp_path / "talk.TextGrid").write_text(text)
    with pytest.raises(ItemError, match=rf"talk.TextGrid:{line}: "):
        SidecarTranscript.beside(tmp_path / "talk.TextGrid", [])


@given(st.text(st.characters(codec="utf-8"), max_size=80), st.integers(0, len(SHORT)))
def test_any_text_is_read_or_refused_with_a_line(text: str, at: int) -> None:
    found: object
    try:
        found = read_textgrid(SHORT[:at] + text + SHORT[at:], "x")
    except UserError as error:
        found = error
    assert not isinstance(found, UserError) or found.line is not None
