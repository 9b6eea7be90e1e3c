"""RTTM as it is found: several recordings in a file, comments, tabs, overlap; and lines that are wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.features.rttm import read_turns, split_rttm
from schemas.errors import UserError
from schemas.parts import SpeakerTurn

FOUND = """\
;; written by a program
SPKR-INFO talk 1 <NA> <NA> <NA> unknown ann <NA> <NA>
SPEAKER talk 1 0.50 2.25 <NA> <NA> ann 0.9 <NA>
SPEAKER\tother\t1\t0.0\t1.0\t<NA>\t<NA>\tann\t<NA>\t<NA>

# by hand
SPEAKER talk 2 2.0 1.5 <NA> <NA> bob -13.2
SPEAKER talk 1 1 0.000 <NA> <NA> bob <NA> <NA>
NON-SPEECH talk 1 4 1 <NA> noise <NA> <NA> <NA>
"""


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def turns_of(path: Path, file_id: str) -> list[tuple[int, SpeakerTurn]]:
    return read_turns(split_rttm(path)[file_id], path)


def test_what_is_found_in_the_wild(tmp_path: Path) -> None:
    path = write(tmp_path / "all.rttm", FOUND)
    assert set(split_rttm(path)) == {"talk", "other"}
    told = [(n, t.speaker, t.start_s, t.end_s, t.confidence) for n, t in turns_of(path, "talk")]
    assert told == [(3, "ann", 0.5, 2.75, 0.9), (7, "bob", 2.0, 3.5, None), (8, "bob", 1.0, 1.0, None)]


def test_windows_files_with_a_mark_are_read(tmp_path: Path) -> None:
    path = tmp_path / "talk.rttm"
    path.write_bytes("\ufeffSPEAKER talk 1 0 1 <NA> <NA> ann\r\n".encode())
    ((number, turn),) = turns_of(path, "talk")
    assert (number, turn.speaker, turn.end_s) == (1, "ann", 1.0)


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("SPEAKER talk 1 0 1 <NA> <NA>", "7 fields"),
        ("SPEAKER talk 1 zero 1 <NA> <NA> ann <NA> <NA>", '"zero" is no number'),
        ("SPEAKER talk 1 0 -1 <NA> <NA> ann <NA> <NA>", '"-1" is no number'),
        ("SPEAKER talk 1 0 nan <NA> <NA> ann <NA> <NA>", '"nan" is no number'),
        ("SPEAKER talk 1 <NA> 1 <NA> <NA> ann <NA> <NA>", '"<NA>" is no number'),
        ("SPEAKER talk 1 0 1 <NA> <NA> <NA> <NA> <NA>", "no speaker"),
        ("TURN talk 1 0 1 <NA> <NA> ann <NA> <NA>", 'unknown type "TURN"'),
        ("SPEAKER", "1 fields"),
    ],
)
def test_a_wrong_line_is_told_with_its_place(line: str, part: str, tmp_path: Path) -> None:
    path = write(tmp_path / "talk.rttm", f"SPEAKER talk 1 0 1 <NA> <NA> ann\n\n{line}\n")
    with pytest.raises(UserError) as caught:
        turns_of(path, "talk")
    assert (caught.value.code, caught.value.file, caught.value.line) == ("bad_rttm", str(path), 3)
    assert part in caught.value.message


def test_what_is_no_text_is_told(tmp_path: Path) -> None:
    path = tmp_path / "talk.rttm"
    path.write_bytes(b"SPEAKER talk 1 0 1 <NA> <NA> J\xf6rg\n")
    with pytest.raises(UserError, match="UTF-8") as caught:
        split_rttm(path)
    assert (caught.value.code, caught.value.line) == ("bad_rttm", 1)
    with pytest.raises(UserError) as caught:
        split_rttm(tmp_path / "gone.rttm")
    assert caught.value.code == "unreadable_rttm"


def test_the_truth_of_two_meetings(media: Callable[[str], Path]) -> None:
    path = media("audio/ami_debug.development.rttm")
    told = {name: [turn for _, turn in turns_of(path, name)] for name in split_rttm(path)}
    assert {name: len(turns) for name, turns in told.items()} == {"dev00": 9, "dev01": 8}
    assert all({turn.speaker for turn in turns} == {"MEE009", "MEE012"} for turns in told.values())
    assert all(0 <= turn.start_s < turn.end_s <= 30 for turns in told.values() for turn in turns)


NAMES = st.text(st.characters(exclude_categories=["Z", "C"]), min_size=1, max_size=8).filter(
    lambda name: name != "<NA>"
)
MS = st.integers(0, 3_600_000)


@given(st.lists(st.tuples(NAMES, MS, MS), max_size=10))
def test_what_is_written_is_read_again(turns: list[tuple[str, int, int]]) -> None:
    from tempfile import TemporaryDirectory

    lines = [f"SPEAKER talk 1 {a / 1000:.3f} {b / 1000:.3f} <NA> <NA> {who} <NA> <NA>" for who, a, b in turns]
    with TemporaryDirectory() as folder:
        path = write(Path(folder) / "talk.rttm", "\n".join(lines))
        read = [turn for _, turn in read_turns(split_rttm(path).get("talk", ()), path)]
    expected = [(who, a / 1000, (a + b) / 1000) for who, a, b in turns]
    assert [(t.speaker, t.start_s, round(t.end_s, 3)) for t in read] == expected
