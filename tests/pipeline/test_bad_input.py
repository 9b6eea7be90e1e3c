"""Bad input through the real command line: one clear line each, the other items go on, nothing is lost."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from schemas.records import Features
from tests.media_io.make import make_sound, make_video, remux_faststart, tone
from tests.pipeline.project import (
    EMOTRACE,
    LEXICON_ALONE,
    Done,
    done_well,
    emotrace,
    standing,
    stored,
    write_settings,
)
from tests.wire.server import FakeModels

SETTINGS = f"""\
{LEXICON_ALONE}[release]
split_policy = "single"
include_undecided = true
"""
MODEL = """
[[annotators]]
name = "model"
provider = "openai_compatible"
model = "m"
base_url = "{url}"
takes = ["text"]
concurrency = 1
attempts = 1
"""
NO_SPACE_SIZES_KIB = (24, 110, 260)  # the store, the sound of the decode pass, the clips: each is hit by one
ROOM_KIB = 20_000
MAY_READ_ALL = "dac_override,dac_read_search"  # what makes root blind to file modes


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write_settings(tmp_path / "project", SETTINGS)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one good recording."""
    folder = tmp_path / "recordings"
    folder.mkdir()
    sound(folder / "good.wav")
    return folder


def sound(path: Path, from_s: float = 0.2, words: str = "I am so happy") -> Path:
    """A short recording with words; another `from_s` gives other bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    make_sound(path, tone(1.0, from_s=from_s, to_s=0.8))
    path.with_suffix(".srt").write_text(f"1\n00:00:00,100 --> 00:00:00,900\n{words}\n", encoding="utf-8")
    return path


def error_of(done: Done) -> dict[str, Any]:
    assert (done.status, done.stderr) == (2, ""), done
    error: dict[str, Any] = done.json["error"]
    assert error["message"]
    assert error["remedy"]
    assert "\n" not in error["message"] + error["remedy"]
    return error


# --- files that are no recordings -------------------------------------------------------------------------


def nothing(path: Path) -> None:
    path.touch()


def text(path: Path) -> None:
    path.write_text("this is no film\n" * 50, encoding="utf-8")


def cut_off(path: Path) -> None:
    whole = make_video(path, frames=50).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


def listening(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


BAD_FILES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "empty.mp4": (nothing, "empty_file"),
    "text.mp4": (text, "not_media"),
    "cut.mp4": (cut_off, "truncated"),
    "socket.mp4": (listening, "not_a_file"),
    "pipe.mp4": (os.mkfifo, "not_a_file"),
    "dangling.mp4": (lambda path: path.symlink_to("nowhere.mp4"), "missing_file"),
    "circle.mp4": (lambda path: path.symlink_to(path.name), "unreadable"),
}


def test_files_that_are_no_recordings_are_told_and_the_others_go_on(
    project: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)  # the path of a socket may not be long
    for name, (make, _) in BAD_FILES.items():
        make(Path(name))
    done = emotrace("ingest", folder, "--project", project, "--json")
    assert (done.status, done.stderr) == (1, "")
    assert (done.json["new"], done.json["sources"]) == (1, 1)
    failed = {Path(item["path"]).name: item for item in done.json["failed_items"]}
    assert {name: item["code"] for name, item in failed.items()} == {n: c for n, (_, c) in BAD_FILES.items()}
    for name, item in failed.items():
        assert (item["stage"], item["path"]) == ("ingest", str(folder / name))
        assert item["retry"].endswith(f"emotrace ingest --project {project} {folder / name}")
    again = emotrace("ingest", folder, "--project", project)
    lines = again.stderr.splitlines()
    assert [line.split(": ")[1] for line in lines] == [f"ingest {folder / name}" for name in sorted(failed)]

    ran = emotrace("run", "--local", "--project", project, "--json")
    assert (ran.status, ran.json["samples"]) == (1, 1)
    assert {Path(item["path"]).name for item in ran.json["failed_items"]} == set(failed)


def test_a_file_that_was_mended_is_no_longer_told(project: Path, folder: Path) -> None:
    bad = folder / "bad.wav"
    bad.touch()
    assert emotrace("ingest", folder, "--project", project, "--json").status == 1
    sound(bad, 0.4)
    assert done_well(emotrace("ingest", folder, "--project", project, "--json"))["new"] == 1
    assert done_well(emotrace("run", "--local", "--project", project, "--json"))["samples"] == 2


def test_odd_files_that_are_recordings(project: Path, folder: Path) -> None:
    """Broken in the middle, one name in two folders, and the same bytes twice."""
    torn = make_video(folder / "torn.mp4", frames=100, tones=(tone(4.0),))
    data = bytearray(torn.read_bytes())
    third = len(data) // 3
    data[third : third + 600] = bytes(600)
    torn.write_bytes(data)
    sound(folder / "more" / "good.wav", 0.4)
    shutil.copy(folder / "good.wav", folder / "more" / "copy.wav")
    done = done_well(emotrace("ingest", folder, "--project", project, "--json"))
    assert (done["new"], done["duplicates"], done["sources"]) == (3, 1, 3)
    assert done_well(emotrace("run", "--local", "--project", project, "--json"))["samples"] == 3
    shown = done_well(emotrace("show", "torn.mp4", "--project", project, "--json"))
    assert shown["source"]["media"]["duration_s"] == pytest.approx(4.0, abs=0.1)
    with stored(project) as store:
        measured = store.by_parent(Features, [shown["source"]["id"]])[shown["source"]["id"]]
    notes = [note for features in measured for note in features.notes]
    assert any("Invalid data" in note for note in notes), notes


@pytest.mark.media
def test_a_recording_that_is_cut_off_is_used_and_said_so(
    project: Path, tmp_path: Path, media: Callable[[str], Path]
) -> None:
    whole = remux_faststart(media("video/wh_address_d.mp4"), tmp_path / "whole.mp4")
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[:300_000])
    note = "truncated: the container states 4.52 s, 2.17 s can be read"
    done = done_well(emotrace("ingest", whole, cut, "--project", project, "--json"))
    assert done["notes"] == [f"{cut}: {note}; that is used. To have all of it, copy the file again"]
    shown = done_well(emotrace("show", cut, "--project", project, "--json"))
    assert shown["source"]["media"]["notes"] == [note]
    assert f"note: {note}\n" in emotrace("show", cut, "--project", project).stdout


def test_what_may_not_be_read_is_told_and_the_others_go_on(project: Path, folder: Path) -> None:
    locked = {"unreadable": sound(folder / "locked.wav", 0.4), "unreadable_folder": folder / "locked"}
    sound(folder / "locked" / "inside.wav", 0.3)
    for path in locked.values():
        path.chmod(0)
    try:
        done = unprivileged("ingest", folder, "--project", project, "--json")
    finally:
        for path in locked.values():
            path.chmod(0o755)
    assert (done.status, done.json["new"]) == (1, 1)
    assert {item["code"]: item["path"] for item in done.json["failed_items"]} == {
        code: str(path) for code, path in locked.items()
    }
    assert all("Permission denied" in item["message"] for item in done.json["failed_items"])
    assert done_well(emotrace("ingest", folder, "--project", project, "--json"))["sources"] == 3
    assert emotrace("status", "--project", project).status == 0


def unprivileged(*arguments: str | Path) -> Done:
    """Run a command as one to whom file modes apply, which for root they do not."""
    command = [str(EMOTRACE), *map(str, arguments)]
    if os.geteuid() == 0:
        dropped = ",".join(f"-{name}" for name in MAY_READ_ALL.split(","))
        command = ["setpriv", f"--bounding-set={dropped}", *command]
        if shutil.which("setpriv") is None or subprocess.run([*command[:2], "true"], check=False).returncode:
            pytest.skip("tests run as root, and setpriv cannot give up root's rights here")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return Done(done.returncode, done.stdout, done.stderr)


# --- files that do not stay ---------------------------------------------------------------------------------


def test_files_that_vanish_or_change_after_ingest_fail_alone(project: Path, folder: Path) -> None:
    lost, changed = sound(folder / "lost.wav", 0.4), sound(folder / "changed one.wav", 0.3)
    done_well(emotrace("ingest", folder, "--project", project, "--json"))
    lost.rename(folder / "elsewhere")
    make_sound(changed, tone(1.3, from_s=0.3, to_s=0.9))
    done = emotrace("run", "--local", "--project", project, "--json")
    assert (done.status, done.json["samples"], done.stderr) == (1, 1, "")
    failed = {item["code"]: item for item in done.json["failed_items"]}
    assert set(failed) == {"missing_file", "changed_file"}
    assert "put it back" in failed["missing_file"]["retry"]
    again = f"--project {project} {shlex.quote(str(changed))} && emotrace run --project {project}"
    assert failed["changed_file"]["retry"] == f"emotrace ingest {again}"

    (folder / "elsewhere").rename(lost)
    done_well(emotrace("ingest", changed, "--project", project, "--json"))
    again = done_well(emotrace("run", "--local", "--project", project, "--json"))
    assert (again["sources"], again["samples"], again["failed_items"]) == (3, 3, [])


# --- what the user must change -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "line", "message"),
    [
        ("path,speeker\ngood.wav,x\n", 2, 'unknown column "speeker"'),
        ("path,start\ngood.wav,0\ngood.wav,soon\n", 3, "start is not seconds: 'soon'"),
        ("path,start,end\ngood.wav,2,1\n", 2, "end 1 is not after start 2"),
        ("path\ngood.wav,what\n", 2, "more fields than columns"),
        ("speaker\nx\n", 2, "no path, and nothing is said of speaker x"),
    ],
)
def test_a_wrong_manifest_is_refused_with_its_line(
    rows: str, line: int, message: str, project: Path, folder: Path
) -> None:
    manifest = folder / "list.csv"
    manifest.write_text(rows, encoding="utf-8")
    error = error_of(emotrace("ingest", manifest, "--project", project, "--json"))
    assert (error["code"], error["file"], error["line"]) == ("bad_manifest", str(manifest), line)
    assert error["message"] == message
    assert standing(project)["source"] == {}


def test_a_manifest_names_a_file_that_is_missing(project: Path, folder: Path) -> None:
    manifest = folder / "list.csv"
    manifest.write_text("path,speaker\nnone.wav,x\ngood.wav,x\n", encoding="utf-8")
    done = emotrace("ingest", manifest, "--project", project, "--json")
    assert (done.status, done.json["new"]) == (1, 1)
    assert [item["code"] for item in done.json["failed_items"]] == ["missing_file"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("ingest", "no-such-folder"), "missing_input"),
        (("ingest", "no-such-*.mp4"), "nothing_matches"),
        (("verify", "."), "not_a_release"),
        (("release", "--version", "0.1.0"), "nothing_to_release"),
    ],
)
def test_what_to_change_is_told(arguments: tuple[str, ...], code: str, project: Path) -> None:
    error = error_of(emotrace(*arguments, "--project", project, "--json"))
    assert error["code"] == code


def test_without_json_it_is_one_line(project: Path) -> None:
    plain = emotrace("ingest", "no-such-folder", "--project", project)
    assert (plain.status, plain.stdout) == (2, "")
    (line,) = plain.stderr.splitlines()
    assert line == "emotrace: no such file or folder: no-such-folder -> check the path"


@pytest.mark.parametrize("name", ["nowhere", "recordings"])
def test_a_folder_that_is_no_project(name: str, folder: Path) -> None:
    error = error_of(emotrace("run", "--local", "--project", folder.parent / name, "--json"))
    assert error["code"] == "no_project"
    assert "emotrace init" in error["remedy"]


def test_a_version_with_other_contents_is_never_overwritten(project: Path, folder: Path) -> None:
    done_well(emotrace("ingest", folder, "--project", project, "--json"))
    done_well(emotrace("run", "--local", "--project", project, "--json"))
    done_well(emotrace("release", "--version", "0.1.0", "--project", project, "--json"))
    card = project / "releases" / "0.1.0" / "README.md"
    before = card.read_bytes()
    write_settings(project, SETTINGS + 'title = "another title"\n')
    error = error_of(emotrace("release", "--version", "0.1.0", "--project", project, "--json"))
    assert (error["code"], card.read_bytes()) == ("release_differs", before)
    card.write_bytes(before + b"\n")
    verified = emotrace("verify", "0.1.0", "--project", project, "--json")
    assert (verified.status, verified.json["ok"]) == (1, False)


# --- models ------------------------------------------------------------------------------------------------


def test_a_key_that_is_not_set_is_named(project: Path, folder: Path) -> None:
    url = "https://models.example/v1"
    write_settings(project, SETTINGS + MODEL.format(url=url) + 'api_key_env = "MY_MODEL_KEY"\n')
    done_well(emotrace("ingest", folder, "--project", project, "--json"))
    error = error_of(emotrace("run", "--local", "--project", project, "--json"))
    assert error["code"] == "missing_key"
    assert "MY_MODEL_KEY" in error["message"]
    table = (project / "emotrace.toml").read_text().splitlines().index('name = "model"')
    assert (error["file"], error["line"]) == (str(project / "emotrace.toml"), table)
    assert "export MY_MODEL_KEY" in error["remedy"]


def test_a_server_that_is_not_running_costs_its_annotations_only(project: Path, folder: Path) -> None:
    with FakeModels() as server:
        port, url = server.port, server.openai_url
    write_settings(project, SETTINGS + MODEL.format(url=url))
    done_well(emotrace("ingest", folder, "--project", project, "--json"))
    done = emotrace("run", "--local", "--project", project, "--json")
    assert (done.status, done.stderr) == (1, "")
    assert (done.json["annotations"]["labelled"], done.json["annotations"]["failed"]) == (1, 1)
    (failed,) = done.json["failed_items"]
    assert (failed["stage"], failed["code"]) == ("annotate", "connection")
    assert failed["retry"] == f"emotrace run --project {project}"
    with FakeModels(port=port):
        again = done_well(emotrace("run", "--local", "--project", project, "--json"))
    assert (again["annotations"]["labelled"], again["annotations"]["failed"]) == (2, 0)


def test_the_budget_stops_the_run_and_raising_it_goes_on(project: Path, folder: Path) -> None:
    sound(folder / "second.wav", 0.4, words="I am sad")
    sound(folder / "third.wav", 0.3, words="I am afraid")
    with FakeModels() as server:
        settings = SETTINGS + MODEL.format(url=server.openai_url)
        write_settings(project, settings + "[budget]\ncalls = 2\n")
        done_well(emotrace("ingest", folder, "--project", project, "--json"))
        error = error_of(emotrace("run", "--local", "--project", project, "--json"))
        assert (error["code"], len(server.requests)) == ("budget_reached", 2)
        assert "budget.calls" in error["remedy"]
        so_far = emotrace("status", "--project", project, "--json").json
        assert (so_far["annotations"]["labelled"], so_far["judgements"]) == (5, 5)  # 3 of rules, 2 were paid
        assert (so_far["needs_review"], so_far["stopped"]) == (2, False)  # of the clips that are whole
        (waits,) = so_far["failed_items"]
        assert waits["message"].endswith("is used up; 1 question waits for it")
        assert "[budget]" in waits["retry"]
        refused = error_of(emotrace("release", "--version", "0.1.0", "--project", project, "--json"))
        assert refused["message"].endswith("has no decision yet: it waits for an answer")
        error_of(emotrace("run", "--local", "--project", project, "--json"))
        assert len(server.requests) == 2
        write_settings(project, settings + "[budget]\ncalls = 9\n")
        done = done_well(emotrace("run", "--local", "--project", project, "--json"))
        assert done["annotations"]["labelled"] == 6
        assert len({request.digest for request in server.requests}) == len(server.requests) == 3


def test_a_port_that_is_taken(project: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        error = error_of(emotrace("review", "--port", str(port), "--project", project, "--json"))
    assert (error["code"], f"127.0.0.1:{port}" in error["message"]) == ("port_taken", True)


# --- no space ----------------------------------------------------------------------------------------------


@contextlib.contextmanager
def small_disk(folder: Path, size_kib: int) -> Iterator[Path]:
    """A file system of its own that is soon full; only root can make one."""
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size_kib}k", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if made.returncode != 0:
        pytest.skip("a small file system cannot be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def make_room(disk: Path) -> None:
    subprocess.run(["mount", "-o", f"remount,size={ROOM_KIB}k", str(disk)], check=True)


@pytest.fixture(scope="module")
def long_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("long")
    sound(folder / "good.wav")
    make_video(folder / "long.mp4", frames=150, tones=(tone(6.0),))
    return folder


@pytest.fixture(scope="module")
def plenty(long_folder: Path) -> dict[str, dict[str, str]]:
    """What stands after a run with room enough."""
    project = write_settings(long_folder.parent / "plenty", SETTINGS)
    done_well(emotrace("ingest", long_folder, "--project", project, "--json"))
    done_well(emotrace("run", "--local", "--project", project, "--json"))
    return standing(project)


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))


@pytest.mark.slow
def test_no_space_for_the_store(tmp_path: Path, long_folder: Path, plenty: dict[str, dict[str, str]]) -> None:
    with small_disk(tmp_path / "disk", 400) as disk:
        project = write_settings(disk / "project", SETTINGS + "[project]\nartifacts = '../../cache'\n")
        done_well(emotrace("ingest", long_folder, "--project", project, "--json"))
        filler = disk / "filler"
        fill(filler)
        error = error_of(emotrace("run", "--local", "--project", project, "--json"))
        assert (error["code"], "free disk space" in error["remedy"]) == ("no_space", True)
        filler.unlink()
        make_room(disk)
        done_well(emotrace("run", "--local", "--project", project, "--json"))
        assert standing(project) == plenty


@pytest.mark.slow
@pytest.mark.parametrize("size_kib", NO_SPACE_SIZES_KIB)
def test_no_space_for_the_cache(
    size_kib: int, tmp_path: Path, long_folder: Path, plenty: dict[str, dict[str, str]]
) -> None:
    with small_disk(tmp_path / "disk", size_kib) as disk:
        project = write_settings(tmp_path / "project", SETTINGS + f"[project]\nartifacts = '{disk}'\n")
        done_well(emotrace("ingest", long_folder, "--project", project, "--json"))
        error = error_of(emotrace("run", "--local", "--project", project, "--json"))
        assert (error["code"], "free disk space" in error["remedy"]) == ("no_space", True)
        assert not list(disk.rglob("*.part"))
        make_room(disk)
        done_well(emotrace("run", "--local", "--project", project, "--json"))
        assert standing(project) == plenty


def test_no_space_for_a_release(project: Path, folder: Path) -> None:
    done_well(emotrace("ingest", folder, "--project", project, "--json"))
    done_well(emotrace("run", "--local", "--project", project, "--json"))
    with small_disk(project / "releases", 8) as disk:
        error = error_of(emotrace("release", "--version", "0.1.0", "--project", project, "--json"))
        assert "No space left" in error["message"] or "no space" in error["message"]
        assert list(disk.iterdir()) == []
        make_room(disk)
        done_well(emotrace("release", "--version", "0.1.0", "--project", project, "--json"))
        assert done_well(emotrace("verify", "0.1.0", "--project", project, "--json"))["ok"]
