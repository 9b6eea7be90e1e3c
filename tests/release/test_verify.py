"""Verify: a good release passes every check, and each seeded fault is caught by the check that is meant to."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.release.build import release
from pipeline.release.files import file_names
from pipeline.release.rows import SCHEMA
from pipeline.release.verify import VerifyReport, verify
from schemas.errors import UserError
from tests.release.builder import TAXONOMY, Project, blind, settings

Row = dict[str, Any]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release with all three splits, machine labels in train, and one label of three annotators each."""
    folder = tmp_path_factory.mktemp("project")
    project = Project(folder)
    for n in range(30):
        segment = project.clip(n, ("joy", "joy", "joy"), speaker=f"S{n}")
        if n < 12:
            project.store.add(blind(segment.id, "joy", "anna", "ben"))
    project.finish().decide()
    return release(project.store, project.settings, TAXONOMY, version="1.0.0", out_dir=folder).path


@pytest.fixture
def copy(good: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(good, tmp_path / "1.0.0"))


def failed(report: VerifyReport) -> set[str]:
    return {finding.check for finding in report.findings if finding.status == "failed"}


def quick(path: Path) -> VerifyReport:
    return verify(path, load_with_datasets=False)


def rehash(path: Path) -> None:
    """What a careful forger does: manifest hashes and sums that fit the files again."""
    manifest = json.loads((path / "manifest.json").read_text())
    for name in manifest["files"]:
        data = (path / name).read_bytes()
        manifest["files"][name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (path / "manifest.json").write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n")
    names = [name for name in file_names(path) if name != "SHA256SUMS"]
    sums = [f"{hashlib.sha256((path / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    (path / "SHA256SUMS").write_text("".join(sums))


def data_file(path: Path, split: str) -> Path:
    return path / "data" / f"{split}-00000-of-00001.parquet"


def edit(path: Path, split: str, change: Callable[[list[Row]], list[Row]]) -> None:
    file = data_file(path, split)
    edited = change(pq.read_table(file).to_pylist())
    pq.write_table(pa.Table.from_pylist(edited, schema=SCHEMA), file, compression="zstd")
    rehash(path)


def test_a_good_release_passes_everything(good: Path) -> None:
    report = verify(good)
    assert report.ok
    assert {finding.status for finding in report.findings} == {"ok"}
    assert all(finding.detail for finding in report.findings), "every line says something"
    assert {"files", "checksums", "content hash", "splits", "loads with datasets"} <= {
        finding.check for finding in report.findings
    }


def test_a_release_of_an_older_format_is_told_in_one_line(copy: Path) -> None:
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps(manifest | {"format": "emotrace-release/1"}))
    with pytest.raises(UserError, match="released in the format emotrace-release/1") as refused:
        quick(copy)
    assert refused.value.code == "other_format"
    assert "version of emotrace that released it" in refused.value.remedy


@pytest.mark.parametrize(
    "name", ["README.md", "data/train-00000-of-00001.parquet", "manifest.json", "SHA256SUMS"]
)
def test_an_altered_byte(copy: Path, name: str) -> None:
    data = bytearray((copy / name).read_bytes())
    place = data.index(b"1.0.0") if name == "manifest.json" else len(data) // 2
    data[place] ^= 1
    (copy / name).write_bytes(data)
    assert "checksums" in failed(quick(copy))


@pytest.mark.parametrize("name", ["README.md", "data/test-00000-of-00001.parquet", "SHA256SUMS", "LICENSE"])
def test_a_deleted_file(copy: Path, name: str) -> None:
    (copy / name).unlink()
    assert "files" in failed(quick(copy))


@pytest.mark.parametrize("name", ["notes.txt", "data/train-00001-of-00002.parquet", ".hidden"])
def test_an_extra_file(copy: Path, name: str) -> None:
    (copy / name).write_bytes(b"x")
    assert "files" in failed(quick(copy))


def test_an_edited_label_with_new_sums(copy: Path) -> None:
    def change(rows: list[Row]) -> list[Row]:
        rows[0]["label"] = rows[0]["labels"][0]["label"] = "anger"
        return rows

    edit(copy, "train", change)
    assert failed(quick(copy)) >= {"content hash", "counts"}


def test_a_moved_row_with_new_sums(copy: Path) -> None:
    moved = pq.read_table(data_file(copy, "test")).to_pylist()[0]
    edit(copy, "test", lambda rows: rows[1:])
    edit(copy, "train", lambda rows: sorted([*rows, moved], key=lambda row: row["id"]))
    assert failed(quick(copy)) >= {"content hash", "splits"}


def test_a_shared_group_between_splits(copy: Path) -> None:
    leaked = pq.read_table(data_file(copy, "train")).to_pylist()[0]
    for column in ("group", "source_id", "speaker"):

        def change(rows: list[Row], column: str = column) -> list[Row]:
            return [{**rows[0], column: leaked[column]}, *rows[1:]]

        edit(copy, "test", change)
        (finding,) = [f for f in quick(copy).findings if f.check == "splits"]
        assert column in finding.detail


ROW_FAULTS: list[tuple[str, str, dict[str, Any]]] = [
    ("labels", "not a label", {"label": "bliss", "labels": [{"label": "bliss", "intensity": None}]}),
    ("labels", "sum to 1", {"soft_labels": [{"label": "joy", "p": 0.7}]}),
    ("labels", "with status needs_review", {"status": "needs_review"}),
    ("labels", "not the first", {"labels": []}),
    ("labels", "most probable", {"soft_labels": [{"label": "joy", "p": 0.4}, {"label": "fear", "p": 0.6}]}),
    ("evidence", "contradicted claim e2", {"rationale": [{"n": 1, "text": "x", "evidence_ids": ["e2"]}]}),
    ("evidence", "not there", {"rationale": [{"n": 1, "text": "x", "evidence_ids": ["e9"]}]}),
    ("splits", "out of order", {"id": "row_zzz"}),
]


@pytest.mark.parametrize(("check", "words", "change"), ROW_FAULTS, ids=[fault[1] for fault in ROW_FAULTS])
def test_a_row_that_contradicts_itself(copy: Path, check: str, words: str, change: dict[str, Any]) -> None:
    def machine_row(rows: list[Row]) -> list[Row]:
        n = next(n for n, row in enumerate(rows) if row["status"] == "auto_accepted")
        return [*rows[:n], {**rows[n], **change}, *rows[n + 1 :]]

    edit(copy, "train", machine_row)
    (finding,) = [f for f in quick(copy).findings if f.check == check]
    assert finding.status == "failed"
    assert words in finding.detail


def test_a_missing_verdict_and_a_failure_as_label(copy: Path) -> None:
    def change(rows: list[Row]) -> list[Row]:
        rows[0]["evidence"][0]["verdict"] = None
        rows[1]["annotations"][0]["outcome"] = "refused"
        return rows

    edit(copy, "train", change)
    assert failed(quick(copy)) >= {"evidence", "labels"}


def test_a_machine_label_in_test(copy: Path) -> None:
    edit(copy, "test", lambda rows: [{**rows[0], "status": "auto_accepted"}, *rows[1:]])
    assert "splits" in failed(quick(copy))


def test_another_schema(copy: Path) -> None:
    file = data_file(copy, "train")
    pq.write_table(pq.read_table(file).drop_columns(["words_source"]), file)
    rehash(copy)
    assert "schema" in failed(quick(copy))


def test_a_card_that_counts_otherwise(copy: Path) -> None:
    card = (copy / "README.md").read_text()
    (copy / "README.md").write_text(card.replace("num_examples: ", "num_examples: 1"))
    rehash(copy)
    assert failed(quick(copy)) == {"counts"}


def test_a_card_that_datasets_does_not_take(copy: Path) -> None:
    card = (copy / "README.md").read_text()
    (copy / "README.md").write_text(re.sub(r"\n +num_bytes: \d+", "", card))
    rehash(copy)
    assert "loads with datasets" in failed(verify(copy))


def test_everything_rewritten_is_caught_by_the_release_record(copy: Path, good: Path) -> None:
    record = hashlib.sha256((good / "manifest.json").read_bytes()).hexdigest()
    assert verify(copy, load_with_datasets=False, expected_manifest_sha256=record).ok
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps({**manifest, "title": "other"}))
    rehash(copy)
    report = verify(copy, load_with_datasets=False, expected_manifest_sha256=record)
    assert failed(report) == {"release record"}


def test_no_licence_is_a_warning(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.clip(1)
    project.settings = settings(license=None)
    path = release(project.finish().store, project.settings, TAXONOMY, version="1.0.0", out_dir=tmp_path).path
    report = quick(path)
    assert report.ok
    assert [f.status for f in report.findings if f.check == "licence"] == ["warning"]


@pytest.mark.parametrize("text", [None, "{", "[]", "{}"])
def test_what_is_no_release(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(UserError) as raised:
        verify(tmp_path)
    assert raised.value.code == "not_a_release"
