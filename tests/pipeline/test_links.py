"""Links: a recording keeps the name that people gave it, is one recording by all its names, and folders end."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import pytest
from rich.console import Console

from pipeline.commands.show import print_show, show
from pipeline.facts import source_facts
from pipeline.features.select import pick_extractor
from pipeline.importers.edl import read_edl
from pipeline.ingest import IngestReport
from pipeline.places import as_given
from pipeline.project import Project
from schemas.errors import UserError
from schemas.records import Source
from tests.media_io.make import make_sound, make_video, tone
from tests.pipeline.project import take


def counts(report: IngestReport) -> tuple[int, int, int, int]:
    return report.new, report.known, report.duplicates, len(report.failed)


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    """A folder as caches lay it out: names that lead to contents elsewhere."""
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshot"
    blobs.mkdir()
    snapshot.mkdir()
    make_sound(blobs / "sound.wav", tone(1.0)).rename(blobs / "0a1b2c")
    (blobs / "3d4e5f").write_text("1\n00:00:00,000 --> 00:00:01,000\nHello there\n")
    (snapshot / "talk.wav").symlink_to("../blobs/0a1b2c")
    (snapshot / "talk.srt").symlink_to("../blobs/3d4e5f")
    return snapshot


def test_a_linked_recording_keeps_its_name_and_what_stands_beside_it(
    project: Project, snapshot: Path
) -> None:
    assert counts(take(project, snapshot)) == (1, 0, 0, 0)
    ((path, stored),) = project.store.paths().items()
    assert path == str(snapshot / "talk.wav")
    assert source_facts(project.store.facts(), stored.source_id)["name"] == "talk.wav"
    assert pick_extractor("asr", "auto", {}, Path(path)).name == "sidecar"
    assert counts(take(project, snapshot)) == (0, 1, 0, 0)


def test_a_recording_is_shown_by_its_link_and_by_the_file_itself(project: Project, snapshot: Path) -> None:
    take(project, snapshot)
    (source,) = project.store.all(Source)
    link = snapshot / "talk.wav"
    for what in (link, snapshot / ".." / snapshot.name / "talk.wav", link.resolve()):
        assert show(project, str(what)).source["id"] == source.id
    with pytest.raises(UserError):
        show(project, str(snapshot / "talk.srt"))


def test_an_index_of_resolved_paths_learns_the_names(project: Project, snapshot: Path) -> None:
    link = snapshot / "talk.wav"
    take(project, link.resolve())
    assert list(project.store.paths()) == [str(link.resolve())]
    assert counts(take(project, snapshot)) == (0, 1, 0, 0)
    assert set(project.store.paths()) == {str(link), str(link.resolve())}
    assert counts(take(project, snapshot)) == (0, 1, 0, 0)
    assert len(project.store.all(Source)) == 1
    text = Console(record=True, file=io.StringIO(), width=300)
    print_show(text, show(project, str(link)))
    assert "copy" not in text.export_text()

    make_sound(snapshot / "other.wav", tone(2.0)).replace(link.resolve())  # another content, by all names
    assert counts(take(project, snapshot)) == (1, 0, 0, 0)
    assert len({stored.source_id for stored in project.store.paths().values()}) == 1


@pytest.mark.parametrize("link", ["0.wav", "z.wav"])
@pytest.mark.parametrize("at_once", [True, False])
def test_a_link_is_no_copy_of_what_it_leads_to(
    link: str, at_once: bool, project: Project, folder: Path
) -> None:
    (folder / link).symlink_to("a.wav")
    if not at_once:
        take(project, folder / link)
    report = take(project, folder)
    assert (report.new + report.known, report.duplicates) == (3, 0)
    assert len(project.store.all(Source)) == 2
    shutil.copy(folder / "a.wav", folder / "copy.wav")
    assert counts(take(project, folder)) == (0, 3, 1, 0)


def test_a_link_that_was_told_as_failed_is_mended_by_its_file(project: Project, snapshot: Path) -> None:
    file = (snapshot / "talk.wav").resolve()
    good = file.read_bytes()
    file.write_bytes(b"")
    assert counts(take(project, snapshot)) == (0, 0, 0, 1)
    file.write_bytes(good)
    assert counts(take(project, snapshot)) == (1, 0, 0, 0)
    assert project.store.outcomes("ingest", status="failed") == {}


def test_a_list_beside_links_finds_them(tmp_path: Path) -> None:
    (tmp_path / "blobs").mkdir()
    make_video(tmp_path / "film.mp4", frames=50).rename(tmp_path / "blobs" / "77aa")
    (tmp_path / "talk.mp4").symlink_to("blobs/77aa")
    cut = tmp_path / "cut.edl"
    cut.write_text("001  talk     V     C        00:00:00:05 00:00:01:00 00:00:00:00 00:00:01:00\n")
    (row,) = read_edl(cut)
    assert (row.path, row.start_s, row.end_s) == (tmp_path / "talk.mp4", 0.2, 1.0)


# --- linked folders ---------------------------------------------------------------------------------------


def test_a_file_that_is_changed_is_another_recording_by_all_its_links(
    project: Project, tmp_path: Path
) -> None:
    """Also by those that are not ingested again: nothing of the old contents is left to be run."""
    blob = make_sound(tmp_path / "KEY1.wav", tone(1.0))
    links = [tmp_path / name / "talk.wav" for name in ("one", "two")]
    for link in links:
        link.parent.mkdir()
        link.symlink_to(blob)
    take(project, blob)
    take(project, *(link.parent for link in links))
    make_sound(blob, tone(2.0))
    assert counts(take(project, links[0].parent)) == (1, 0, 0, 0)
    stored = project.store.paths()
    assert set(stored) == {str(blob), *map(str, links)}
    assert len({one.source_id for one in stored.values()}) == 1


def test_linked_folders_are_searched_and_each_once(project: Project, folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "deep").mkdir(parents=True)
    make_sound(elsewhere / "c.wav", tone(0.7))
    make_sound(elsewhere / "deep" / "d.wav", tone(0.8))
    (folder / "more").symlink_to(elsewhere)
    (folder / "again").symlink_to(elsewhere / "deep")
    (elsewhere / "deep" / "round").symlink_to(elsewhere)
    (elsewhere / "back").symlink_to(folder)
    report = take(project, folder)
    assert (counts(report), report.notes) == ((4, 0, 0, 0), [])
    names = {Path(path).relative_to(folder).name for path in project.store.paths()}
    assert names == {"a.wav", "b.wav", "c.wav", "d.wav"}
    assert counts(take(project, folder)) == (0, 4, 0, 0)


def test_a_link_back_above_the_folder_is_told_and_not_followed(
    project: Project, folder: Path, tmp_path: Path
) -> None:
    make_sound(tmp_path / "private.wav", tone(0.7))
    (folder / "up").symlink_to(tmp_path)
    (folder / "here").symlink_to(folder)
    report = take(project, folder)
    assert counts(report) == (2, 0, 0, 0)
    assert report.notes == [f"{folder}/up leads back above {folder} and is not followed"]


def test_the_cache_is_not_taken_in_through_a_link(project: Project, folder: Path) -> None:
    for inside in ("cache/ab/clip.wav", "releases/0.1.0/media/clip.wav", "kept/c.wav"):
        (project.root / inside).parent.mkdir(parents=True, exist_ok=True)
        make_sound(project.root / inside, tone(0.5 + len(inside) / 100))
    (folder / "clips").symlink_to(project.root / "cache" / "ab")
    (folder / "all").symlink_to(project.root)
    assert take(project, folder).new == 3
    assert str(folder / "all" / "kept" / "c.wav") in project.store.paths()


def test_a_step_back_out_of_a_linked_folder_leads_to_the_folder_above_it(tmp_path: Path) -> None:
    (tmp_path / "far" / "inner").mkdir(parents=True)
    (tmp_path / "link").symlink_to("far/inner")
    (tmp_path / "far" / "x.wav").symlink_to("nowhere")
    assert as_given(tmp_path / "link" / ".." / "x.wav") == tmp_path / "far" / "x.wav"
    assert as_given(tmp_path / "link" / "x.wav") == tmp_path / "link" / "x.wav"
    assert as_given(Path("x.wav")) == Path.cwd() / "x.wav"
