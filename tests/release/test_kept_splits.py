"""A row never moves between the splits of two versions, unless it is asked for."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipeline.release.build import release, release_record
from pipeline.release.files import file_names
from pipeline.release.verify import verify
from schemas.errors import UserError
from tests.release.builder import TAXONOMY, Project, blind, settings


def made(project: Project, version: str) -> Path:
    out = project.folder / "releases"
    return release(project.store, project.settings, TAXONOMY, version=version, out_dir=out).path


def add(project: Project, numbers: range, *reviewers: str, **fields: Any) -> None:
    """Clips, each of a speaker of its own unless `fields` say otherwise, labelled blind by the reviewers."""
    for n in numbers:
        segment = project.clip(n, **{"speaker": f"S{n}", **fields})
        project.store.add(blind(segment.id, "joy", *reviewers))
    project.finish().decide()


def splits(path: Path) -> dict[str, str]:
    tables = [pq.read_table(file, columns=["id", "split"]) for file in sorted((path / "data").iterdir())]
    return {row["id"]: row["split"] for table in tables for row in table.to_pylist()}


def contents(path: Path) -> dict[str, bytes]:
    return {name: (path / name).read_bytes() for name in file_names(path)}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Thirty speakers, labelled by two people."""
    project = Project(tmp_path)
    add(project, range(30), "anna", "ben")
    return project


def test_more_speakers_move_no_row(project: Project) -> None:
    first = splits(made(project, "0.1.0"))
    add(project, range(30, 40), "anna", "ben")
    folder = made(project, "0.2.0")
    second = splits(folder)
    assert {row: second[row] for row in first} == first
    new = [second[row] for row in second if row not in first]
    assert (new.count("validation"), new.count("test")) == (1, 1), "new speakers are placed around the old"
    assert "keeps the split that version 0.1.0 gave it" in (folder / "README.md").read_text()


def test_a_version_made_again_follows_what_was_released_before_it(project: Project) -> None:
    made(project, "0.1.0")
    add(project, range(30, 60), "anna", "ben")
    before = contents(made(project, "0.2.0"))
    kept = project.settings
    project.settings = settings(keep_splits=False)
    anew = made(project, "0.3.0")
    assert splits(anew) != splits(project.folder / "releases" / "0.2.0")
    assert "drawn anew" in (anew / "README.md").read_text()
    project.settings = kept
    shutil.rmtree(project.folder / "releases" / "0.2.0")
    assert contents(made(project, "0.2.0")) == before
    assert splits(made(project, "0.4.0")) == splits(anew), "what was drawn anew is kept from then on"


def test_killed_before_the_record_it_still_follows_the_same_version(project: Project) -> None:
    made(project, "0.1.0")
    add(project, range(30, 60), "anna", "ben")
    folder = made(project, "0.2.0")
    spare = Project(project.folder / "..", url=f"sqlite:///{project.folder}/other.db")
    add(spare, range(60), "anna", "ben")  # the same records, but nothing of 0.2.0
    first = release_record(project.store, "0.1.0")
    assert first is not None
    later = first.model_copy(update={"version": "0.3.0", "placement": {}})
    spare.store.add([first, later])
    common: dict[str, Any] = {"version": "0.2.0", "out_dir": folder.parent}
    assert release(spare.store, spare.settings, TAXONOMY, **common).outcome == "unchanged"
    assert release_record(spare.store, "0.2.0") == release_record(project.store, "0.2.0")


def in_split(project: Project, path: Path, split: str) -> int:
    """The number of a clip that stands in a split."""
    table = pq.read_table(path / "data" / f"{split}-00000-of-00001.parquet", columns=["speaker"])
    return int(table.to_pylist()[0]["speaker"][1:])


def test_a_test_speakers_new_clip_waits_for_people(project: Project) -> None:
    folder = made(project, "0.1.0")
    speaker = f"S{in_split(project, folder, 'test')}"
    add(project, range(40, 41), speaker=speaker)
    folder = made(project, "0.2.0")
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["left_out"] == {"split_needs_people": 1}
    assert len(splits(folder)) == manifest["rows"] == 30
    assert sum(model["records"] for model in manifest["models"]) == 30 * 6, "of the clips that are in it"
    project.store.add(blind(project.segments[-1], "joy", "anna", "ben"))
    project.decide()
    folder = made(project, "0.3.0")
    tests = pq.read_table(folder / "data" / "test-00000-of-00001.parquet").column("speaker").to_pylist()
    assert tests.count(speaker) == 2
    assert verify(folder, load_with_datasets=False).ok


def test_a_link_between_two_splits_is_refused(project: Project) -> None:
    folder = made(project, "0.1.0")
    one, other = (in_split(project, folder, split) for split in ("train", "test"))
    project.store.add_facts(
        (project.source_of(n), "group", "family") for n in (one, other)
    )  # they turn out to be sisters
    with pytest.raises(UserError) as raised:
        made(project, "0.2.0")
    assert raised.value.code == "split_conflict"
    assert "train" in raised.value.message
    assert "test" in raised.value.message
    assert "release.keep_splits = false" in raised.value.remedy
    project.settings = settings(keep_splits=False)
    assert made(project, "0.2.0").is_dir()


def test_all_in_train_after_a_division_is_refused(project: Project) -> None:
    made(project, "0.1.0")
    project.settings = settings(split_policy="single")
    with pytest.raises(UserError, match="keep_splits"):
        made(project, "0.2.0")


def test_what_was_published_as_train_stays_there_and_the_card_says_why(tmp_path: Path) -> None:
    project = Project(tmp_path)
    add(project, range(10))
    made(project, "0.1.0")
    for segment in project.segments:
        project.store.add(blind(segment, "joy", "anna", "ben"))
    project.decide()
    folder = made(project, "0.2.0")
    assert set(splits(folder).values()) == {"train"}
    assert "`release.keep_splits = false`" in (folder / "README.md").read_text()


@pytest.mark.parametrize("policy", ["speaker", "single"])
def test_a_new_recording_follows_its_speaker(tmp_path: Path, policy: str) -> None:
    project = Project(tmp_path)
    project.settings = settings(split_policy=policy)
    add(project, range(10), "anna", "ben")
    made(project, "0.1.0")
    record = release_record(project.store, "0.1.0")
    assert record is not None
    assert set(record.placement) >= {f"speaker:S{n}" for n in range(10)}
