"""Manifests and what is offered: every row is kept where it belongs, nothing else is taken in."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.facts import ROW, source_facts
from pipeline.importers.manifest import FACT_COLUMNS, ManifestRow, read_csv, read_jsonl
from pipeline.ingest import ingest
from pipeline.project import Project, open_project
from pipeline.status import ingest_failures
from schemas.errors import UserError
from tests.media_io.make import make_sound, tone
from tests.pipeline.project import take, write_settings


def facts_of(project: Project, path: Path) -> dict[str, Any]:
    """What holds for the recording of a file, as people said it: without the rows that said it."""
    found = source_facts(project.store.facts(), project.store.paths()[str(path.resolve())].source_id)
    for *_, said in found.get("spans", []):
        said.pop(ROW)
    return found


def jsonl(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


# --- rows of one recording -----------------------------------------------------------------------------------


def test_two_stretches_of_one_recording_keep_their_own_facts(project: Project, folder: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"path": "a.wav", "start": 0, "end": 0.4, "speaker": "anna", "gold": "joy"},
        {"path": "a.wav", "language": "en"},
        {"path": "b.wav", "speaker": "carl"},
        {"path": "a.wav", "start": 0.5, "speaker": "bob"},
    ]
    report = take(project, jsonl(folder / "list.jsonl", *rows), facts={"license": "CC0-1.0"})
    assert (report.new, report.known, report.duplicates) == (2, 0, 0)
    assert facts_of(project, folder / "a.wav") == {
        "name": "a.wav",
        "license": "CC0-1.0",
        "language": "en",
        "spans": [[0.0, 0.4, {"speaker": "anna", "gold": "joy"}], [0.5, None, {"speaker": "bob"}]],
    }
    assert facts_of(project, folder / "b.wav") == {
        "name": "b.wav",
        "license": "CC0-1.0",
        "speaker": "carl",
    }


def test_the_stretches_of_copies_add_up(
    project: Project, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However far apart the rows are, also beyond what is stored in one transaction."""
    monkeypatch.setattr("pipeline.ingest.COMMIT_EVERY", 2)
    shutil.copy(folder / "a.wav", folder / "copy.wav")
    rows: list[dict[str, Any]] = [{"path": "a.wav", "start": 0, "end": 0.5}]
    for n in range(4):
        (folder / f"{n}.wav").write_bytes((folder / "b.wav").read_bytes() + bytes([n]))  # the same sound
        rows.append({"path": f"{n}.wav"})
    rows.append({"path": "copy.wav", "start": 0.5, "end": 1})
    take(project, jsonl(folder / "list.jsonl", *rows))
    assert facts_of(project, folder / "copy.wav")["spans"] == [[0.0, 0.5, {}], [0.5, 1.0, {}]]


@pytest.mark.parametrize("rows", [3, 250])
def test_all_stretches_of_a_recording_are_kept(rows: int, project: Project, folder: Path) -> None:
    stretches = [{"path": "a.wav", "start": n / 1000, "end": 1.0} for n in range(rows)]
    take(project, jsonl(folder / "list.jsonl", *stretches))
    assert len(facts_of(project, folder / "a.wav")["spans"]) == rows


def test_a_folder_and_a_file_in_it_are_taken_once(project: Project, folder: Path) -> None:
    report = take(project, folder, folder / "a.wav", folder / ".." / folder.name / "a.wav")
    assert (report.new, report.known, len(project.store.paths())) == (2, 1, 2)
    assert len(project.store.facts()) == 2


def test_a_file_is_read_and_told_once_however_many_its_rows(project: Project, folder: Path) -> None:
    (folder / "bad.wav").touch()
    rows: list[dict[str, Any]] = [{"path": "bad.wav", "start": n, "end": n + 1} for n in range(3)]
    told: list[tuple[int, int]] = []
    report = take(
        project,
        jsonl(folder / "list.jsonl", *rows, {"path": "a.wav"}),
        on_progress=lambda done, total: told.append((done, total)),
    )
    assert [end.code for end in report.failed] == ["empty_file"]
    assert told == [(1, 2), (2, 2)]


@pytest.mark.parametrize(("rule", "stretches"), [("both", 3), ("both", 1), ("both", 0), ("given", 3)])
def test_given_times_that_the_rule_does_not_read_are_told(
    rule: str, stretches: int, folder: Path, tmp_path: Path
) -> None:
    rows: list[dict[str, Any]] = [{"path": "a.wav", "start": n / 10, "end": 1} for n in range(stretches)]
    rows += [{"path": "b.wav"}, {"path": "b.wav", "end": 0.5, "consent": "withdrawn"}, *rows[:1]]
    settings = write_settings(tmp_path / "cut", f'[segment]\nrule = "{rule}"\n')
    with open_project(settings) as project:
        notes = take(project, jsonl(folder / "list.jsonl", *rows)).notes
    count = "1 stretch is" if stretches == 1 else f"{stretches} stretches are"
    told = f'{count} given; segment.rule is "both": set segment.rule = "given" to use their times'
    assert notes == ([told] if rule == "both" and stretches else [])


# --- what a manifest says -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"), [(1001, "1001"), (1001.0, "1001"), (0.5, "0.5"), (True, "true"), ("007", "007")]
)
def test_what_a_spreadsheet_made_a_number_is_text_again(value: Any, text: str, folder: Path) -> None:
    manifest = jsonl(folder / "list.jsonl", {"path": "a.wav", "speaker": value, "gold": value})
    said = {"speaker": text, "gold": text}
    assert list(read_jsonl(manifest)) == [ManifestRow(folder / "a.wav", None, None, said, manifest, 1)]


@pytest.mark.parametrize("key", ["path", *FACT_COLUMNS])
@pytest.mark.parametrize("value", [["a", "b"], {"a": 1}, float("nan"), "a\0b", "\ud83d"])
def test_what_is_no_text_is_refused_with_its_line(key: str, value: Any, folder: Path) -> None:
    rows = [{"path": "a.wav"}, {"path": "a.wav", key: value}]
    with pytest.raises(UserError) as caught:
        list(read_jsonl(jsonl(folder / "list.jsonl", *rows)))
    error = caught.value
    assert (error.code, error.file, error.line) == ("bad_manifest", str(folder / "list.jsonl"), 2)
    assert error.message.startswith(key)
    str(error).encode()


@pytest.mark.parametrize(
    ("name", "data", "line"),
    [
        ("latin.csv", "path,speaker\na.wav,x\nb.wav,J\xf6rg\n".encode("latin-1"), 3),
        ("latin.jsonl", '{"path": "a.wav"}\n{"path": "b.wav", "speaker": "J\xf6rg"}'.encode("latin-1"), 2),
        ("utf16.csv", "path\na.wav\n".encode("utf-16"), 1),
        ("nul.csv", b"path,speaker\na.wav,x\na\0.wav,x\n", 3),
        ("long.csv", b"path,transcript\na.wav," + b"x" * 200_000 + b"\n", 2),
        ("text.parquet", b"path\na.wav\n", None),
        ("empty.parquet", b"", None),
        ("cut.parquet", b"PAR1" + b"\0" * 40 + b"PAR1", None),
    ],
)
def test_a_manifest_that_cannot_be_read_is_one_line(
    name: str, data: bytes, line: int | None, project: Project, folder: Path
) -> None:
    manifest = folder / name
    manifest.write_bytes(data)
    with pytest.raises(UserError) as caught:
        take(project, folder / "b.wav", manifest)
    error = caught.value
    assert (error.code, error.file, error.line) == ("bad_manifest", str(manifest), line)
    assert "\n" not in str(error)
    assert project.store.paths() == {}


@pytest.mark.parametrize("name", ["list.csv", "list.jsonl", "list.parquet"])
def test_a_folder_that_is_named_like_a_manifest(name: str, project: Project, folder: Path) -> None:
    (folder / name).mkdir()
    with pytest.raises(UserError) as caught:
        take(project, folder / name)
    assert (caught.value.code, caught.value.file) == ("bad_manifest", str(folder / name))


def test_a_parquet_row_that_is_wrong_is_told_by_its_number(project: Project, folder: Path) -> None:
    table = pa.Table.from_pylist([{"path": "a.wav", "speaker": [1]}, {"path": "b.wav", "speaker": None}])
    pq.write_table(table, folder / "list.parquet")
    with pytest.raises(UserError) as caught:
        take(project, folder / "list.parquet")
    assert (caught.value.code, caught.value.line) == ("bad_manifest", 1)


def test_text_as_spreadsheets_write_it(folder: Path) -> None:
    manifest = folder / "list.csv"
    manifest.write_bytes('\ufeffpath,transcript\r\na.wav,"one,\r\ntwo"\r\n\r\nb.wav,Gr\xfc\xdfe\r\n'.encode())
    assert [(row.path.name, row.facts) for row in read_csv(manifest)] == [
        ("a.wav", {"transcript": "one,\r\ntwo"}),
        ("b.wav", {"transcript": "Gr\xfc\xdfe"}),
    ]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(
    data=st.one_of(st.binary(max_size=200), st.text(max_size=100).map(lambda t: f"path,gold\n{t}".encode()))
)
def test_any_bytes_are_rows_or_one_clear_line(data: bytes, folder: Path) -> None:
    for name, read in (("list.csv", read_csv), ("list.jsonl", read_jsonl)):
        (folder / name).write_bytes(data)
        rows, error = rows_or_error(read, folder / name)
        assert error is None or (error.code, error.line is None) == ("bad_manifest", False)
        assert all(isinstance(fact, str) for row in rows for fact in row.facts.values())


def rows_or_error(
    read: Callable[[Path], Iterator[ManifestRow]], manifest: Path
) -> tuple[list[ManifestRow], UserError | None]:
    try:
        return list(read(manifest)), None
    except UserError as error:
        return [], error


# --- what is offered ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["take [1].wav", "take *.wav", "take ?.wav"])
def test_a_file_that_is_named_like_a_pattern_is_that_file(name: str, project: Project, folder: Path) -> None:
    (folder / "a.wav").rename(folder / name)
    make_sound(folder / "take 1.wav", tone(0.8))
    assert take(project, folder / name).new == 1
    assert set(project.store.paths()) == {str(folder / name)}


@pytest.mark.parametrize(
    ("given", "code"),
    [("**a.wav", "nothing_matches"), ("x" * 5000, "unreadable_input"), ("", "missing_input")],
)
def test_an_input_that_cannot_be(given: str, code: str, project: Project, folder: Path) -> None:
    with pytest.raises(UserError) as caught:
        ingest(project, [f"{folder}/{given}" if given else f"{folder}/none"])
    assert caught.value.code == code


def test_the_project_is_not_taken_into_itself(project: Project, folder: Path) -> None:
    root = project.root
    for inside in (
        "cache/ab/med_ab/clip.wav",
        "releases/0.1.0/media/clip.wav",
        ".git/x.wav",
        ".trash/deep/y.wav",
        "own/cache/kept.wav",
        "own/releases/also.wav",
    ):
        (root / inside).parent.mkdir(parents=True, exist_ok=True)
        make_sound(root / inside, tone(0.5 + len(inside) / 100))
    report = take(project, root)
    names = {str(Path(path).relative_to(root)) for path in project.store.paths()}
    assert names == {"own/cache/kept.wav", "own/releases/also.wav"}
    assert (report.new, report.failed) == (2, [])


def test_a_hidden_folder_that_is_named_is_taken(project: Project, folder: Path) -> None:
    hidden = folder / ".hidden"
    hidden.mkdir()
    (folder / "a.wav").rename(hidden / "a.wav")
    assert take(project, hidden).new == 1


def test_a_bad_file_that_is_gone_is_no_longer_told(project: Project, folder: Path) -> None:
    for name in ("bad.wav", "worse.wav"):
        (folder / name).touch()
    (folder / "dangling.wav").symlink_to(folder / "nowhere.wav")
    take(project, folder)
    assert told(project) == {"bad.wav", "worse.wav", "dangling.wav"}
    (folder / "bad.wav").unlink()
    assert told(project) == {"worse.wav", "dangling.wav"}
    (folder / "bad.wav").touch()
    assert told(project) == {"bad.wav", "worse.wav", "dangling.wav"}
    shutil.rmtree(folder)
    assert told(project) == set()


def told(project: Project) -> set[str]:
    return {Path(item.path or "").name for item in ingest_failures(project.store)}
