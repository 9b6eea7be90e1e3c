"""Versions that hold clips whose consent was withdrawn since say so, where the project is known."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pipeline.cli import app
from pipeline.release.build import release
from pipeline.release.recorded import count_withdrawn, recorded, versions_with_withdrawn
from pipeline.release.telling import LEFT_OUT
from pipeline.release.verify import verify
from tests.docs.pages import text
from tests.release.builder import TAXONOMY, Project, small_project


def made(project: Project, version: str) -> Path:
    out = project.folder / "releases"
    return release(project.store, project.settings, TAXONOMY, version=version, out_dir=out).path


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Version 0.1.0 is out; then one recording and one speaker are withdrawn."""
    project = small_project(tmp_path)
    (tmp_path / "emotrace.toml").write_text("")
    made(project, "0.1.0")
    subjects = (project.source_of(2), "speaker:S4")
    project.store.add_facts((subject, "consent", "withdrawn") for subject in subjects)
    return project


def test_older_versions_that_hold_them_are_named(project: Project) -> None:
    made(project, "0.2.0")
    releases = project.folder / "releases"
    assert versions_with_withdrawn(project.store, releases, beside="0.2.0") == {"0.1.0": 2}
    assert count_withdrawn(project.store, project.segments) == 2
    (releases / "0.1.0" / "data" / "train-00000-of-00001.parquet").write_bytes(b"broken")
    assert versions_with_withdrawn(project.store, releases, beside="0.2.0") == {}


def test_verify_warns_in_the_project_alone(project: Project, tmp_path: Path) -> None:
    folder = made(project, "0.2.0").with_name("0.1.0")
    found = {}
    away = Path(shutil.copytree(folder, tmp_path / "away" / "0.1.0"))
    for place in (folder, folder.with_name("0.2.0"), away):
        with recorded(tmp_path / "elsewhere", place) as known:
            report = verify(place, load_with_datasets=False, count_withdrawn=known.count_withdrawn)
        assert report.ok
        found[place] = {f.check: (f.status, f.detail) for f in report.findings}.get("consent")
    told = "withdrawn since for 2 clips in it: take it down and publish a version without them"
    assert list(found.values()) == [("warning", told), ("ok", "not withdrawn for any clip in it"), None]


def test_release_tells_what_is_in_it_and_what_is_not(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ", ".join(
        f'{{name="{s.name}", provider="scripted", model="{s.model}", '
        'options={answers=[{answer="nothing is asked"}]}}'
        for s in project.settings.annotators
    )
    settings = f"annotators = [{names}]\n[policy]\nrandom_review_share = 0.0\n"
    (project.folder / "emotrace.toml").write_text(settings)
    monkeypatch.setattr("sys.argv", ["emotrace"])
    arguments = ["release", "--project", str(project.folder), "--version", "0.2.0"]
    assert app(args=arguments, standalone_mode=False) == 0
    first, *rest, last = capsys.readouterr().out.splitlines()
    assert first.startswith("created: ")
    assert first.endswith("releases/0.2.0 (4 clips: 4 train)")
    assert rest == [
        "left out: 2 clips (consent withdrawn), 1 clip (waiting for a person)",
        "warning: no licence for the dataset: set release.license and release a new version",
        "warning: version 0.1.0 holds 2 clips whose consent was withdrawn since: "
        "take it down and publish a version without them",
    ]
    assert last.startswith("Next: emotrace verify ")


def test_every_reason_is_documented() -> None:
    page = text("docs/release-format.md")
    assert all(f"`{code}`" in page for code in LEFT_OUT)
