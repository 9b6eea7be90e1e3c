"""Which file tells of a recording, and what is wrong when none or several do."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.features.diarize_rttm import RttmFiles, RttmTurns, Stated
from pipeline.features.recordings import Recording
from schemas.errors import ItemError, UserError
from schemas.parts import AudioFacts, MediaFacts
from schemas.records import Features, Source


def line(file_id: str, speaker: str = "ann", start_s: float = 0, length_s: float = 1) -> str:
    return f"SPEAKER {file_id} 1 {start_s} {length_s} <NA> <NA> {speaker} <NA> <NA>\n"


def recording(length_s: float = 10) -> Recording:
    facts = MediaFacts(
        kind="audio",
        container="wav",
        duration_s=length_s,
        audio=(AudioFacts(codec="pcm_s16le", sample_rate_hz=16_000, channels=1),),
    )

    def no_audio() -> Path:
        raise AssertionError("turns in a file need no sound")

    return Recording(Source(sha256="0" * 64, size_bytes=1, media=facts), no_audio)


def speakers(stated: Stated | None) -> list[str] | None:
    return None if stated is None else [one.text.split()[7] for one in stated.lines()]


def test_the_file_of_the_same_name_comes_first_whatever_it_calls_the_recording(tmp_path: Path) -> None:
    talk = tmp_path / "talk.mp4"
    (tmp_path / "all.rttm").write_text(line("talk", "all") + line("talk2.wav", "all2"))
    assert speakers(RttmFiles().of([talk])) == ["all"]
    assert speakers(RttmFiles().of([tmp_path / "talk2.wav"])) == ["all2"]
    assert RttmFiles().of([tmp_path / "talk3.wav"]) is None
    (tmp_path / "talk.rttm").write_text(line("meeting-7", "own"))
    assert speakers(RttmFiles().of([talk])) == ["own"]
    (tmp_path / "talk.rttm").write_text(line("meeting-7", "other") + line("talk", "own"))
    assert speakers(RttmFiles().of([talk])) == ["own"]
    (tmp_path / "talk.rttm").write_text("")
    assert speakers(RttmFiles().of([talk])) == []


def test_another_copy_of_the_recording_may_have_the_file(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "talk.rttm").write_text(line("talk"))
    copies = [tmp_path / "a" / "talk.mp4", tmp_path / "b" / "talk.mp4"]
    assert speakers(RttmFiles().of(copies)) == ["ann"]


def test_a_link_that_leads_nowhere_may_name_every_recording_without_a_file(tmp_path: Path) -> None:
    for name in ("talk", "walk", "own"):
        (tmp_path / f"{name}.wav").touch()
    (tmp_path / "some.rttm").write_text(line("talk"))
    (tmp_path / "own.rttm").symlink_to(tmp_path / "not" / "fetched")
    assert RttmFiles().of([tmp_path / "walk.wav"]) is None, "the link is another recording's own"
    with pytest.raises(ItemError, match=r"own\.rttm is a link to a file that is not here") as caught:
        RttmFiles().of([tmp_path / "own.wav"])
    assert (caught.value.code, "datalad get" in caught.value.retry) == ("unreadable_rttm", True)
    (tmp_path / "all.rttm").symlink_to(tmp_path / "not" / "fetched")
    assert speakers(RttmFiles().of([tmp_path / "talk.wav"])) == ["ann"]
    with pytest.raises(ItemError, match=r"all\.rttm is a link"):
        RttmFiles().of([tmp_path / "walk.wav"])


def test_a_given_file_or_folder_is_looked_at_instead(tmp_path: Path) -> None:
    talk = tmp_path / "talk.mp4"
    (tmp_path / "talk.rttm").write_text(line("talk", "beside"))
    there = tmp_path / "there"
    there.mkdir()
    (there / "all.rttm").write_text(line("talk", "there"))
    assert speakers(RttmFiles(str(there)).of([talk])) == ["there"]
    assert speakers(RttmFiles(str(there / "all.rttm")).of([talk])) == ["there"]
    assert RttmFiles(str(there / "all.rttm")).of([tmp_path / "other.mp4"]) is None
    with pytest.raises(UserError) as caught:
        RttmFiles(str(tmp_path / "nowhere"))
    assert caught.value.code == "rttm_missing"


def test_several_files_or_one_of_others_are_told(tmp_path: Path) -> None:
    talk = tmp_path / "talk.mp4"
    for name in ("x.rttm", "y.rttm"):
        (tmp_path / name).write_text(line("talk"))
    with pytest.raises(ItemError, match=r"x\.rttm, y\.rttm") as caught:
        RttmFiles().of([talk])
    assert caught.value.code == "ambiguous_rttm"
    (tmp_path / "talk.rttm").write_text(line("a") + line("b"))
    with pytest.raises(ItemError, match="of a, b and not of talk") as caught:
        RttmFiles().of([talk])
    assert caught.value.code == "rttm_of_others"


def test_a_file_that_is_no_text_fails_its_own_recording_only(tmp_path: Path) -> None:
    (tmp_path / "bad.rttm").write_bytes(b"\xff\xfa\x00")
    assert RttmFiles().of([tmp_path / "talk.mp4"]) is None
    with pytest.raises(ItemError) as caught:
        RttmFiles().of([tmp_path / "bad.mp4"])
    assert caught.value.code == "bad_rttm"


def test_only_lines_of_the_recording_are_in_the_question(tmp_path: Path) -> None:
    path = tmp_path / "all.rttm"

    def params(text: str) -> dict[str, object]:
        path.write_text(text)
        return RttmTurns(Stated.of(path, "talk")).params

    first = params(line("talk") + line("other"))
    assert params(line("third") + line("talk").replace(" ", "\t") + "; a comment\n") == first
    assert params(line("talk", "bob") + line("other")) != first


def told(path: Path, length_s: float = 10) -> Features | ItemError:
    ((_, result),) = RttmTurns(Stated.of(path, "talk")).diarize([recording(length_s)])
    return result


def test_turns_are_kept_in_order_and_cut_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "talk.rttm"
    path.write_text(
        line("talk", "bob", 8, 2.4)
        + line("talk", "ann", 0, 3)
        + line("talk", "bob", 1, 1)
        + line("talk", "x", 4, 0)
    )
    result = told(path)
    assert isinstance(result, Features)
    turns = [(turn.speaker, turn.start_s, turn.end_s) for turn in result.turns]
    assert turns == [("ann", 0, 3), ("bob", 1, 2), ("bob", 8, 10)]
    assert (result.stage, result.extractor, result.missing) == ("diarize", "rttm", None)


def test_a_turn_far_over_the_end_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "talk.rttm"
    path.write_text(line("talk") + line("talk", "bob", 9, 2))
    result = told(path)
    assert isinstance(result, ItemError)
    assert (result.code, str(result)) == (
        "rttm_outside",
        f"{path}:2: the turn ends at 11 s, the recording at 10 s",
    )


def test_a_wrong_line_is_the_failure_of_one_recording(tmp_path: Path) -> None:
    path = tmp_path / "talk.rttm"
    path.write_text(line("talk") + line("talk", "<NA>"))
    result = told(path)
    assert isinstance(result, ItemError)
    assert (result.code, str(result)) == ("bad_rttm", f"{path}:2: the turn has no speaker")


def test_a_file_without_turns_says_that_nobody_speaks(tmp_path: Path) -> None:
    path = tmp_path / "talk.rttm"
    path.write_text("; nobody\n")
    result = told(path)
    assert isinstance(result, Features)
    assert (result.turns, result.missing) == ((), "no_speech")


def test_a_file_that_changes_under_the_run_is_told(tmp_path: Path) -> None:
    path = tmp_path / "talk.rttm"
    path.write_text(line("talk"))
    turns = RttmTurns(Stated.of(path, "talk"))
    path.write_text(line("talk", "bob", 2, 3))
    ((_, result),) = turns.diarize([recording()])
    assert isinstance(result, ItemError)
    assert result.code == "changed_rttm"
