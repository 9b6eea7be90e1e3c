"""The error rate of turns, on cases that can be counted by hand, and on the shared meetings."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.diarization import error_rate, main, turns_in
from schemas.parts import SpeakerTurn


def turns(*told: tuple[str, float, float]) -> list[SpeakerTurn]:
    return [SpeakerTurn(speaker=who, start_s=start_s, end_s=end_s) for who, start_s, end_s in told]


TALK = turns(("ann", 0, 4), ("bob", 3, 6))  # 7 s of speech, 1 s of it overlapped


@pytest.mark.parametrize(
    ("found", "wrong_s"),
    [
        (TALK, 0.0),
        (turns(("x", 0, 4), ("y", 3, 6)), 0.0),  # names do not count
        ((), 7.0),  # all missed
        (turns(("x", 0, 6)), 3.0),  # 1 s missed, 2 s confused
        (turns(("x", 0, 4), ("y", 3, 8)), 2.0),  # 2 s of false speech
        (turns(("x", 0, 2), ("z", 2, 4), ("y", 3, 6)), 2.0),  # one person taken for two
    ],
)
def test_what_is_counted(found: list[SpeakerTurn], wrong_s: float) -> None:
    assert error_rate([(TALK, found)]) == pytest.approx(wrong_s / 7)


def test_recordings_are_weighed_by_their_speech() -> None:
    assert error_rate([(TALK, ()), (turns(("ann", 0, 7)), turns(("x", 0, 7)))]) == pytest.approx(0.5)


def test_a_file_is_right_of_itself_and_a_meeting_is_not_one_speaker(
    media: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = media("audio/ami_debug.development.rttm")
    main(str(path), str(path))
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["value"] == 0
    main()
    told = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in told[:-1]] == list(turns_in(path))
    assert 0.2 < json.loads(told[-1])["value"] < 1
