"""The end of the demo: a release is made once, and kept as it is when people have labelled since."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer.main

from pipeline.artifacts import Artifacts
from pipeline.cli import app
from pipeline.commands.demo import make_demo_project, project_file
from pipeline.commands.demo_run import VERSION, next_release, release_or_keep
from pipeline.project import Project
from pipeline.release.build import release_record
from pipeline.release.files import file_names
from pipeline.release.verify import verify
from schemas.errors import UserError
from tests.release.builder import TAXONOMY, review, small_project


def test_it_is_released_once_and_kept_when_people_have_labelled_since(tmp_path: Path) -> None:
    made = small_project(tmp_path)
    project = Project(tmp_path, made.settings, TAXONOMY, made.store, Artifacts(str(tmp_path / "cache")))
    folder = project.releases_dir / VERSION
    assert release_or_keep(project)
    assert release_or_keep(project), "nothing has changed"
    before = {name: (folder / name).read_bytes() for name in file_names(folder)}
    made.store.add([review(made.decisions()[0].segment_id, "sadness")])
    made.decide()
    assert not release_or_keep(project)
    assert {name: (folder / name).read_bytes() for name in file_names(folder)} == before
    record = release_record(made.store, VERSION)
    assert record is not None
    assert verify(folder, load_with_datasets=False, expected_manifest_sha256=record.manifest_sha256).ok
    assert next_release(tmp_path, project.releases_dir).endswith("--version 0.2.0")
    (project.releases_dir / "0.2.0").mkdir()
    assert next_release(tmp_path, project.releases_dir).endswith("--version 0.3.0")


def test_what_was_deleted_and_has_changed_is_not_made_anew(tmp_path: Path) -> None:
    made = small_project(tmp_path)
    project = Project(tmp_path, made.settings, TAXONOMY, made.store, Artifacts(str(tmp_path / "cache")))
    assert release_or_keep(project)
    project.releases_dir.rename(tmp_path / "away")
    made.store.add([review(made.decisions()[0].segment_id, "sadness")])
    made.decide()
    with pytest.raises(UserError) as error:
        release_or_keep(project)
    assert error.value.code == "release_differs"


def test_the_project_file_names_commands_that_exist() -> None:
    named = re.findall(r"`emotrace (\w+)", project_file())
    assert named
    assert set(named) <= set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


def test_a_folder_that_no_demo_made_is_refused_and_stays_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    folder.mkdir()
    (folder / "manifest.csv").write_text("path\nmine.mp4\n")
    with pytest.raises(UserError) as refused:
        make_demo_project(folder)
    assert refused.value.code == "not_a_demo"
    assert [path.name for path in folder.iterdir()] == ["manifest.csv"]
    assert (folder / "manifest.csv").read_text() == "path\nmine.mp4\n"
    with pytest.raises(UserError, match="no demo made"):
        make_demo_project(folder / "manifest.csv")
