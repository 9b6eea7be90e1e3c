"""Ingest: recordings by their bytes, what people say about them, and files that were offered before."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.facts import ROW, source_facts
from pipeline.ingest import COMMIT_EVERY, IngestReport, ingest
from pipeline.project import Project
from schemas.errors import UserError
from schemas.ids import file_digest
from schemas.records import Source
from tests.media_io.make import make_sound, make_video, tone
from tests.pipeline.project import take


def source_of(project: Project, path: Path) -> Source:
    stored = project.store.paths()[str(path.resolve())]
    source = project.store.get(Source, stored.source_id)
    assert source is not None
    return source


def facts_of(project: Project, path: Path) -> dict[str, Any]:
    """What holds for the recording of a file, as people said it: without the rows that said it."""
    found = source_facts(project.store.facts(), source_of(project, path).id)
    for *_, said in found.get("spans", []):
        said.pop(ROW)
    return found


def counts(report: IngestReport) -> tuple[int, int, int, int]:
    return report.new, report.known, report.duplicates, len(report.failed)


# --- what is recorded --------------------------------------------------------------------------------------


def test_a_recording_is_known_by_its_bytes_and_its_streams(project: Project, tmp_path: Path) -> None:
    path = make_video(tmp_path / "film.mp4", frames=50, fps=25, tones=(tone(2.0),))
    assert counts(take(project, path)) == (1, 0, 0, 0)
    source = source_of(project, path)
    assert (source.sha256, source.size_bytes) == (file_digest(path), path.stat().st_size)
    assert source.media.kind == "video"
    assert source.media.video is not None
    assert source.media.video.frames == 50
    assert len(source.media.audio) == 1
    assert facts_of(project, path) == {"name": "film.mp4"}


def test_a_folder_is_searched_to_its_bottom_and_other_files_are_counted(
    project: Project, folder: Path
) -> None:
    deep = folder / "one" / "two"
    deep.mkdir(parents=True)
    (folder / "a.wav").rename(deep / "A.WAV")
    (folder / "notes.txt").write_text("not a recording")
    report = take(project, folder)
    assert (counts(report), report.ignored) == ((2, 0, 0, 0), [str(folder / "notes.txt")])
    assert set(project.store.paths()) == {str(folder / "b.wav"), str(deep / "A.WAV")}


def test_a_pattern_takes_what_it_matches(project: Project, folder: Path) -> None:
    assert counts(ingest(project, [str(folder / "a*.wav")])) == (1, 0, 0, 0)
    with pytest.raises(UserError, match="nothing matches"):
        ingest(project, [str(folder / "z*.wav")])


def test_what_of_a_recording_is_not_used_is_told_once(project: Project, folder: Path) -> None:
    for name, frames in (("one.mkv", 50), ("two.mkv", 75)):  # what is told of both is told in one line
        make_video(
            folder / name, frames=frames, start_s=0.8, tones=(tone(2.0), tone(2.0)), audio_start_s=-0.8
        )
    notes = [
        "sound begins 0.80 s before the first picture; that part is not used",
        "2 audio streams; the first is used",
    ]
    report = take(project, folder)
    assert report.notes == [f"{folder / 'one.mkv'} and 1 more: {note}" for note in notes]
    assert take(project, folder).notes == []
    assert take(project, folder / "one.mkv", rehash=True).notes[0].startswith(f"{folder / 'one.mkv'}: sound")


# --- what people say ---------------------------------------------------------------------------------------


def test_facts_of_the_call_are_said_of_every_file_and_later_ones_win(project: Project, folder: Path) -> None:
    take(project, folder, facts={"speaker": "ann", "license": "CC0-1.0"})
    take(project, folder / "a.wav", facts={"speaker": "bob"})
    assert facts_of(project, folder / "a.wav") == {"name": "a.wav", "speaker": "bob", "license": "CC0-1.0"}
    assert facts_of(project, folder / "b.wav")["speaker"] == "ann"


ROWS: list[dict[str, Any]] = [
    {"path": "a.wav", "start": 0.2, "end": 0.6, "speaker": "ann", "transcript": "Grüße"},
    {"path": "a.wav", "start": 0.6, "end": None, "speaker": "ann", "transcript": "Grüße"},
    {"path": "b.wav", "start": None, "end": None, "speaker": None, "transcript": None},
]


def csv_manifest(path: Path) -> None:
    lines = [",".join("" if value is None else str(value) for value in row.values()) for row in ROWS]
    text = "\n".join([",".join(ROWS[0]), *lines])
    path.write_text(f"\ufeff{text}\n", encoding="utf-8")


def jsonl_manifest(path: Path) -> None:
    path.write_text("\n\n".join(json.dumps(row) for row in ROWS), encoding="utf-8")


def parquet_manifest(path: Path) -> None:
    pq.write_table(pa.Table.from_pylist(ROWS), path)


@pytest.mark.parametrize("write", [csv_manifest, jsonl_manifest, parquet_manifest])
def test_a_manifest_gives_facts_and_times_and_wins_over_the_call(
    write: Any, project: Project, folder: Path
) -> None:
    manifest = folder / f"list.{write.__name__.removesuffix('_manifest')}"
    write(manifest)
    assert counts(take(project, manifest, facts={"speaker": "default"}))[0] == 2
    assert facts_of(project, folder / "a.wav") == {
        "name": "a.wav",
        "speaker": "default",
        "spans": [
            [0.2, 0.6, {"speaker": "ann", "transcript": "Grüße"}],
            [0.6, None, {"speaker": "ann", "transcript": "Grüße"}],
        ],
    }
    assert facts_of(project, folder / "b.wav") == {"name": "b.wav", "speaker": "default"}


def test_the_times_of_a_recording_are_kept_however_many_they_are(project: Project, folder: Path) -> None:
    rows = [{"path": "a.wav", "start": n / 1000, "end": 1.0} for n in range(COMMIT_EVERY + 5)]
    manifest = folder / "many.jsonl"
    manifest.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    take(project, manifest)
    spans = facts_of(project, folder / "a.wav")["spans"]
    assert spans == [[row["start"], row["end"], {}] for row in rows]
    take(project, manifest)
    assert facts_of(project, folder / "a.wav")["spans"] == spans


# --- again -------------------------------------------------------------------------------------------------


def test_an_unchanged_file_is_known_and_not_read_again(project: Project, folder: Path) -> None:
    take(project, folder)
    path = folder / "a.wav"
    before, state = source_of(project, path), path.stat()
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    with path.open("r+b") as file:
        file.write(data)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))  # looks unchanged
    assert counts(take(project, folder)) == (0, 2, 0, 0)
    assert source_of(project, path) == before
    assert counts(take(project, folder, rehash=True)) == (1, 1, 0, 0)
    assert source_of(project, path).sha256 == file_digest(path) != before.sha256


def test_a_changed_file_is_another_recording_and_the_old_one_stays_in_the_store(
    project: Project, folder: Path
) -> None:
    take(project, folder)
    path = folder / "a.wav"
    before = source_of(project, path)
    make_sound(path, tone(2.0))
    assert counts(take(project, folder)) == (1, 1, 0, 0)
    assert source_of(project, path).id != before.id
    assert project.store.get(Source, before.id) == before


def test_a_moved_file_is_the_same_recording_with_its_facts(project: Project, folder: Path) -> None:
    take(project, folder, facts={"speaker": "ann"})
    before, moved = source_of(project, folder / "a.wav"), folder / "moved.wav"
    (folder / "a.wav").rename(moved)
    assert counts(take(project, moved)) == (0, 0, 1, 0)
    assert source_of(project, moved) == before
    assert facts_of(project, moved) == {"name": "moved.wav", "speaker": "ann"}
    assert len(project.store.all(Source)) == 2


def test_the_same_bytes_in_one_call_are_one_recording(project: Project, folder: Path) -> None:
    shutil.copy(folder / "a.wav", folder / "copy.wav")
    assert counts(take(project, folder)) == (2, 0, 1, 0)
    assert len(project.store.all(Source)) == 2


def test_a_file_that_failed_is_told_until_it_is_mended(project: Project, folder: Path) -> None:
    bad = folder / "bad.wav"
    bad.touch()
    report = take(project, folder)
    assert (counts(report), report.failed[0].code) == ((2, 0, 0, 1), "empty_file")
    assert project.store.outcomes("ingest")["ingest", str(bad)].status == "failed"
    make_sound(bad, tone(0.7))
    assert counts(take(project, folder)) == (1, 2, 0, 0)
    assert project.store.outcomes("ingest")["ingest", str(bad)].status == "done"


def test_a_wrong_manifest_leaves_the_project_as_it_was(project: Project, folder: Path) -> None:
    (folder / "list.csv").write_text("path,colour\na.wav,red\n")
    with pytest.raises(UserError, match='unknown column "colour"'):
        take(project, folder / "b.wav", folder / "list.csv")
    assert project.store.all(Source) == []
    assert project.store.paths() == {}
