"""What was said of a stretch, a recording or a speaker stays said, above all that consent was taken back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.facts import facts_of, is_withdrawn, stretches
from pipeline.ingest import IngestReport, ingest
from pipeline.project import Project, open_project
from schemas.errors import UserError
from schemas.records import Segment
from tests.media_io.make import make_sound, tone
from tests.pipeline.project import write_settings

HEADER = "path,start,end,speaker,consent,transcript"
ROWS = ("a.wav,0,2,anna,,one", "a.wav,2,4,ben,,two", "a.wav,4,,anna,,three")


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with open_project(write_settings(tmp_path / "project", '[segment]\nrule = "given"\n')) as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "recordings"
    folder.mkdir()
    make_sound(folder / "a.wav", tone(6.0))
    make_sound(folder / "b.wav", tone(1.5))
    return folder


def say(
    project: Project, folder: Path, *rows: str, header: str = HEADER, renew_consent: bool = False
) -> IngestReport:
    manifest = folder / "list.csv"
    manifest.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return ingest(project, [str(manifest)], renew_consent=renew_consent)


def own(project: Project, folder: Path, name: str = "a.wav") -> dict[str, Any]:
    source_id = project.store.paths()[str(folder / name)].source_id
    return project.store.facts()[source_id]


def consents(project: Project, folder: Path) -> list[bool]:
    """Of the three stretches: whether consent is withdrawn."""
    source_id = project.store.paths()[str(folder / "a.wav")].source_id
    parts = [
        Segment(source_id=source_id, rule="given", version="1", source_start_s=a, source_end_s=a + 2, index=0)
        for a in (0.0, 2.0, 4.0)
    ]
    return [is_withdrawn(said) for said in facts_of(project.store, parts).values()]


# --- stretches ----------------------------------------------------------------------------------------------


def test_a_manifest_of_one_row_leaves_what_was_said_of_the_others(project: Project, folder: Path) -> None:
    say(project, folder, *ROWS)
    say(project, folder, "a.wav,2.0004,4,,research,")
    found = [(str(one), one.said) for one in stretches(own(project, folder))]
    at = f"{folder}/list.csv"
    assert found == [
        ("0 s to 2 s", {"speaker": "anna", "transcript": "one", "row": f"{at}:2"}),
        ("2 s to 4 s", {"speaker": "ben", "transcript": "two", "consent": "research", "row": f"{at}:2"}),
        ("4 s to the end", {"speaker": "anna", "transcript": "three", "row": f"{at}:4"}),
    ]


@pytest.mark.parametrize(
    ("first", "second", "key"),
    [
        ("a.wav,0,2,anna,,", "a.wav,0.0,2.0,ben,,", "speaker"),
        ("a.wav,,2,anna,,", "a.wav,0,2,ben,,", "speaker"),
        ("a.wav,,,anna,,", "a.wav,,,ben,,", "speaker"),
        (",,,anna,research,", ",,,anna,withdrawn,", "consent"),
    ],
)
def test_rows_that_contradict_each_other_are_refused(
    first: str, second: str, key: str, project: Project, folder: Path
) -> None:
    with pytest.raises(UserError) as caught:
        say(project, folder, first, "b.wav,,,carl,,", second)
    error = caught.value
    assert (error.code, error.file, error.line) == ("bad_manifest", str(folder / "list.csv"), 4)
    assert error.message.startswith(key)
    assert "line 2" in error.message
    assert project.store.facts() == {}


def test_rows_that_add_to_each_other_are_one(project: Project, folder: Path) -> None:
    say(project, folder, "a.wav,0,2,anna,,", "a.wav,0,2,,,one", "a.wav,0,2,anna,,")
    (only,) = stretches(own(project, folder))
    assert (only.said["speaker"], only.said["transcript"]) == ("anna", "one")


# --- consent ------------------------------------------------------------------------------------------------


def test_a_withdrawal_outlives_the_manifest_it_came_with(project: Project, folder: Path) -> None:
    say(project, folder, *ROWS)
    say(project, folder, "a.wav,0,2,,withdrawn,")
    assert consents(project, folder) == [True, False, False]
    assert say(project, folder, *ROWS).notes == []
    assert consents(project, folder) == [True, False, False]
    (note,) = say(
        project, folder, "a.wav,0,2,,research,"
    ).notes  # as a manifest that is ingested by the clock
    assert "consent stays withdrawn; --renew-consent" in note
    assert consents(project, folder) == [True, False, False]
    (note,) = say(project, folder, "a.wav,0,2,,research,", renew_consent=True).notes
    assert 'consent was withdrawn and is now "research"' in note
    assert consents(project, folder) == [False, False, False]


def test_what_is_said_of_all_files_takes_no_withdrawal_back(project: Project, folder: Path) -> None:
    say(project, folder, *ROWS, "a.wav,,,,withdrawn,")
    assert consents(project, folder) == [True, True, True]
    again = ingest(project, [str(folder)], facts={"consent": "research"})
    assert consents(project, folder) == [True, True, True]
    assert own(project, folder, "b.wav")["consent"] == "research"
    assert again.notes == ["a.wav: consent stays withdrawn; --renew-consent gives it again"]
    assert ingest(project, [str(folder)]).notes == []
    say(project, folder, "a.wav,,,,research,", renew_consent=True)
    assert consents(project, folder) == [False, False, False]


def test_a_speaker_withdraws_once_for_all_recordings(project: Project, folder: Path) -> None:
    say(project, folder, *ROWS)
    report = say(project, folder, ",anna,withdrawn", header="path,speaker,consent")
    assert (report.speakers, report.notes, report.failed) == (["anna"], [], [])
    assert consents(project, folder) == [True, False, True]
    say(project, folder, *(row.replace(",,o", ",research,o") for row in ROWS))
    assert consents(project, folder) == [True, False, True]  # what is said of a stretch is not said of her
    say(project, folder, "anna,research", header="speaker,consent")
    assert consents(project, folder) == [True, False, True]
    say(project, folder, "anna,research", header="speaker,consent", renew_consent=True)
    assert consents(project, folder) == [False, False, False]


def test_a_speaker_of_whom_no_recording_is_known_is_told(project: Project, folder: Path) -> None:
    say(project, folder, *ROWS)
    report = say(project, folder, ",Anna,withdrawn", ",zoe,withdrawn", header="path,speaker,consent")
    assert report.notes == [
        'no recording names the speaker "Anna"; did you mean "anna"?',
        'no recording names the speaker "zoe"',
    ]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (",,,,withdrawn,", "no path"),
        (",0,2,anna,withdrawn,", "no path, which start needs"),
        (",,,anna,,hello", "no path, which transcript needs"),
        (",,,anna,,", "no path, and nothing is said of speaker anna"),
    ],
)
def test_a_row_without_a_path_must_speak_of_a_speaker(
    row: str, message: str, project: Project, folder: Path
) -> None:
    with pytest.raises(UserError) as caught:
        say(project, folder, row)
    assert (caught.value.message, caught.value.line) == (message, 2)


# --- trying again -------------------------------------------------------------------------------------------


def test_what_is_to_be_typed_again_says_all_that_was_said(project: Project, folder: Path) -> None:
    for name in ("no sound.wav", "none.wav"):
        (folder / name).touch()
    (by_itself,) = ingest(
        project, [str(folder / "no sound.wav")], facts={"license": "CC0-1.0", "speaker": "de Wit"}
    ).failed
    start = "mend the file, then: emotrace ingest"
    assert by_itself.retry == f"{start} '{folder}/no sound.wav' --license CC0-1.0 --speaker 'de Wit'"
    (of_a_manifest,) = say(project, folder, "none.wav,,,anna,,").failed
    assert of_a_manifest.retry == f"{start} {folder}/list.csv"
