"""Segments of given times, through the real command line: labels outlive new rows, wrong rows are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from schemas.parts import LabelScore, Target
from schemas.records import Review, Segment
from schemas.store import utc_now
from tests.media_io.make import make_sound
from tests.pipeline.project import copy_project, done_well, emotrace, stored, voice, write_settings

LENGTH_S = 12
SETTINGS = '[segment]\nrule = "given"\n[features.au]\nenabled = false\n[select]\nrequire = "any"\n'
ROWS = ("talk.wav,0,4,anna,I am so angry", "talk.wav,4,8,ben,that is wonderful news")
BEYOND = ("talk.wav,8,11.9,anna,tell nobody", "talk.wav,11,15,ben,well", "talk.wav,20,30,ben,who")


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with two given stretches, of which a person labelled the first."""
    root = tmp_path_factory.mktemp("given")
    make_sound(root / "talk.wav", voice(LENGTH_S, 120, 1))
    project = write_settings(root / "project", SETTINGS)
    take(project, root, *ROWS)
    run(project)
    label = Review(
        segment_id=segments(project)[0.0], target=Target(speaker="anna"), taxonomy="ekman7", reviewer="kim",
        phase="blind", at=utc_now(), labels=(LabelScore(label="anger"),),
    )  # fmt: skip
    with stored(project) as store:
        store.add([label])
    assert run(project)["reviewed"] == 1
    return project


def take(project: Path, folder: Path, *rows: str) -> dict[str, Any]:
    manifest = folder / "list.csv"
    text = "\n".join(["path,start,end,speaker,transcript", *rows]) + "\n"
    manifest.write_text(text, encoding="utf-8")
    found: dict[str, Any] = done_well(emotrace("ingest", manifest, "--project", project, "--json"))
    return found


def run(project: Path, *, status: int = 0) -> dict[str, Any]:
    done = emotrace("run", "--local", "--project", project, "--json")
    assert done.status == status, done.stderr
    found: dict[str, Any] = done.json
    return found


def segments(project: Path) -> dict[float, str]:
    """Start in seconds -> id, of the segments that stand."""
    with stored(project) as store:
        return {segment.source_start_s: segment.id for segment in store.live(Segment)}


@pytest.fixture
def project(labelled: Path, tmp_path: Path) -> Path:
    return copy_project(labelled, tmp_path / "project")


def test_a_label_outlives_new_rows_and_what_the_rule_does_not_read(project: Path, labelled: Path) -> None:
    before = segments(project)
    take(project, labelled.parent, *ROWS, BEYOND[0])
    found = run(project)
    after = segments(project)
    assert {start_s: after[start_s] for start_s in before} == before
    assert (sorted(after), found["reviewed"]) == ([0.0, 4.0, 8.0], 1)

    write_settings(project, SETTINGS.replace('"given"', '"given"\npad_s = 0.3\nshot_detector = "fade"'))
    assert run(project)["reviewed"] == 1
    assert segments(project) == after


def test_a_row_that_is_left_out_takes_nothing_away(project: Path, labelled: Path) -> None:
    before = segments(project)
    take(project, labelled.parent, ROWS[1])
    assert run(project)["reviewed"] == 1
    assert segments(project) == before


def test_given_times_outside_the_recording_fail_alone_and_with_their_row(
    project: Path, labelled: Path
) -> None:
    folder = labelled.parent
    take(project, folder, *ROWS, *BEYOND)
    found = run(project, status=1)
    assert sorted(segments(project)) == [0.0, 4.0, 8.0]
    failed = {item["message"]: item for item in found["failed_items"]}
    assert list(failed) == [
        f"{folder}/list.csv:5: 11 s to 15 s is outside the recording, which is 12 s long",
        f"{folder}/list.csv:6: 20 s to 30 s is outside the recording, which is 12 s long",
    ]
    assert {(item["stage"], item["code"], item["path"]) for item in failed.values()} == {
        ("segment", "given_outside", "talk.wav")
    }
    again = run(project, status=1)  # told as long as it stands, also by a run that has nothing to do
    assert again["failed_items"] == found["failed_items"]

    rows = [row.rsplit(",", 1)[0] + ",withdrawn" for row in BEYOND[1:]]
    (folder / "drop.csv").write_text("path,start,end,speaker,consent\n" + "\n".join(rows) + "\n")
    done_well(emotrace("ingest", folder / "drop.csv", "--project", project, "--json"))
    assert run(project)["failed_items"] == []


def test_given_times_without_a_row_say_what_to_do(labelled: Path, tmp_path: Path) -> None:
    project = write_settings(tmp_path / "project", SETTINGS)
    done_well(emotrace("ingest", labelled.parent / "talk.wav", "--project", project, "--json"))
    (failed,) = run(project, status=1)["failed_items"]
    assert (failed["code"], failed["path"]) == ("no_given_times", "talk.wav")
    assert failed["retry"].startswith("ingest a manifest with its start and end")


def test_an_ingest_names_what_it_left_alone_and_whom_it_speaks_of(project: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for n in range(7):
        (folder / f"{n}.txt").touch()
    (folder / "out.csv").write_text("speaker,consent\nanna,withdrawn\nbenn,withdrawn\n", encoding="utf-8")
    given = ("ingest", folder, folder / "out.csv", "--project", project)
    told = done_well(emotrace(*given, "--json"))
    assert (told["ignored"], told["ignored_files"][0]) == (8, str(folder / "0.txt"))
    assert (told["speakers"], len(told["notes"])) == (["anna", "benn"], 1)
    lines = emotrace(*given).stdout.splitlines()
    assert lines[1].startswith("8 files are no recordings: ")
    assert lines[1].endswith(f"{folder}/4.txt and 3 more")
    assert lines[3] == "said of speakers, in all their recordings: anna, benn"
    assert lines[4] == 'note: no recording names the speaker "benn"; did you mean "ben"?'
    assert run(project)["dropped"] == {"consent_withdrawn": 1}
