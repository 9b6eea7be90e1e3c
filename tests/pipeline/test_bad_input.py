"""Bad input through the real command line: one clear line each, the other items go on, nothing is lost."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from schemas.records import Features
from tests.media_io.make import make_sound, make_video, tone
from tests.pipeline.project import EMOTRACE, Done, done_well, emotrace, standing, stored, write_settings
from tests.wire.server import FakeModels

SETTINGS = """\
[segment]
rule = "whole"
[select]
require = "any"
[features.au]
enabled = false
[[annotators]]
name = "lexicon"
provider = "cues"
model = "lexicon"
[release]
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


def sound(path: Path, from_s: float = 0.2) -> Path:
    """A short recording with words; another `from_s` gives other bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    make_sound(path, tone(1.0, from_s=from_s, to_s=0.8))
    path.with_suffix(".srt").write_text("1\n00:00:00,100 --> 00:00:00,900\nI am so happy\n", encoding="utf-8")
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


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (nothing, "empty_file"),
        (text, "not_media"),
        (cut_off, "truncated"),
        (listening, "not_a_file"),
        (os.mkfifo, "not_a_file"),
        (lambda path: path.symlink_to("nowhere.mp4"), "missing_file"),
        (lambda path: path.symlink_to(path.name), "unreadable"),
    ],
    ids=["zero bytes", "text", "truncated", "socket", "pipe", "dangling link", "circle"],
)
def test_a_file_that_is_no_recording_is_told_and_the_others_go_on(
    make: Callable[[Path], Any], code: str, project: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)  # the path of a socket may not be long
    make(Path("bad.mp4"))
    done = emotrace("ingest", folder, "--project", project, "--json")
    assert (done.status, done.stderr) == (1, "")
    assert (done.json["new"], done.json["sources"]) == (1, 1)
    (failed,) = done.json["failed_items"]
    assert (failed["stage"], failed["code"]) == ("ingest", code)
    assert failed["path"] == str(folder / "bad.mp4")
    assert failed["retry"].endswith(f"emotrace ingest {folder / 'bad.mp4'}")
    again = emotrace("ingest", folder, "--project", project)
    (line,) = again.stderr.splitlines()
    assert line.startswith(f"failed: ingest {folder / 'bad.mp4'}: ")

    ran = emotrace("run", "--local", "--project", project, "--json")
    assert (ran.status, ran.json["samples"]) == (1, 1)
    assert ran.json["failed_items"] == [failed]
    Path("bad.mp4").unlink()
    sound(Path("other.wav"), 0.4).rename("bad.mp4")
    assert done_well(emotrace("ingest", folder, "--project", project, "--json"))["new"] == 1
    assert done_well(emotrace("run", "--local", "--project", project, "--json"))["samples"] == 2


def test_a_recording_that_is_broken_in_the_middle_keeps_what_can_be_decoded(
    project: Path, folder: Path
) -> None:
    path = make_video(folder / "torn.mp4", frames=100, tones=(tone(4.0),))
    data = bytearray(path.read_bytes())
    third = len(data) // 3
    data[third : third + 600] = bytes(600)
    path.write_bytes(data)
    done_well(emotrace("ingest", folder, "--project", project, "--json"))
    assert done_well(emotrace("run", "--local", "--project", project, "--json"))["samples"] == 2
    shown = done_well(emotrace("show", "torn.mp4", "--project", project, "--json"))
    assert shown["source"]["media"]["duration_s"] == pytest.approx(4.0, abs=0.1)
    with stored(project) as store:
        measured = store.by_parent(Features, [shown["source"]["id"]])[shown["source"]["id"]]
        notes = [note for features in measured for note in features.notes]
    assert any("damaged" in note or "decod" in note for note in notes), notes


@pytest.mark.parametrize("what", ["file", "folder"])
def test_what_may_not_be_read_is_told_and_the_others_go_on(what: str, project: Path, folder: Path) -> None:
    locked = folder / "locked" if what == "folder" else folder / "locked.wav"
    sound(locked / "inside.wav" if what == "folder" else locked, 0.4)
    locked.chmod(0)
    try:
        done = unprivileged("ingest", folder, "--project", project, "--json")
    finally:
        locked.chmod(0o755)
    assert (done.status, done.json["new"]) == (1, 1)
    (failed,) = done.json["failed_items"]
    assert failed["code"] == {"file": "unreadable", "folder": "unreadable_folder"}[what]
    assert (failed["path"], "Permission denied" in failed["message"]) == (str(locked), True)
    assert done_well(emotrace("ingest", folder, "--project", project, "--json"))["sources"] == 2
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


# --- the same and other bytes ------------------------------------------------------------------------------


def test_one_name_in_two_folders_is_two_recordings(project: Path, tmp_path: Path) -> None:
    first, second = sound(tmp_path / "a" / "talk.wav", 0.2), sound(tmp_path / "b" / "talk.wav", 0.4)
    done = done_well(emotrace("ingest", first.parent, second.parent, "--project", project, "--json"))
    assert (done["new"], done["sources"]) == (2, 2)
    assert done_well(emotrace("run", "--local", "--project", project, "--json"))["samples"] == 2


def test_the_same_bytes_twice_are_one_recording(project: Path, tmp_path: Path) -> None:
    first = sound(tmp_path / "a" / "talk.wav")
    shutil.copy(first, tmp_path / "copy.wav")
    done = done_well(emotrace("ingest", first, tmp_path / "copy.wav", "--project", project, "--json"))
    assert (done["new"], done["duplicates"], done["sources"]) == (1, 1, 1)
    assert done_well(emotrace("run", "--local", "--project", project, "--json"))["samples"] == 1


def test_a_file_that_vanishes_after_ingest_fails_alone_and_comes_back(project: Path, folder: Path) -> None:
    lost = sound(folder / "lost.wav", 0.4)
    done_well(emotrace("ingest", folder, "--project", project, "--json"))
    lost.rename(folder / "elsewhere")
    done = emotrace("run", "--local", "--project", project, "--json")
    assert (done.status, done.json["samples"], done.stderr) == (1, 1, "")
    (failed,) = done.json["failed_items"]
    assert (failed["stage"], failed["code"]) == ("segment", "missing_file")
    assert "--retry-failed" in failed["retry"]
    (folder / "elsewhere").rename(lost)
    again = done_well(emotrace("run", "--local", "--retry-failed", "--project", project, "--json"))
    assert (again["samples"], again["failed_items"]) == (2, [])


def test_a_file_that_changes_after_ingest_is_taken_in_anew(project: Path, folder: Path) -> None:
    changed = sound(folder / "changed.wav", 0.4)
    done_well(emotrace("ingest", folder, "--project", project, "--json"))
    make_sound(changed, tone(1.3, from_s=0.3, to_s=0.9))
    done = emotrace("run", "--local", "--project", project, "--json")
    assert (done.status, done.json["samples"]) == (1, 1)
    (failed,) = done.json["failed_items"]
    assert (failed["code"], failed["retry"]) == ("changed_file", f"emotrace ingest {changed}")
    done_well(emotrace("ingest", changed, "--project", project, "--json"))
    again = done_well(emotrace("run", "--local", "--project", project, "--json"))
    assert (again["sources"], again["samples"], again["failed_items"]) == (2, 2, [])


# --- what the user must change -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "line", "message"),
    [
        ("path,speeker\ngood.wav,x\n", 2, 'unknown column "speeker"'),
        ("path,start\ngood.wav,0\ngood.wav,soon\n", 3, "start is not seconds: 'soon'"),
        ("path,start,end\ngood.wav,2,1\n", 2, "end 1 is not after start 2"),
        ("path\ngood.wav,what\n", 2, "more fields than columns"),
        ("speaker\nx\n", 2, "no path"),
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
        (("run", "--quickly"), "usage"),
        (("verify", "."), "not_a_release"),
        (("release", "--version", "0.1.0"), "nothing_to_release"),
    ],
)
def test_one_line_says_what_to_change(arguments: tuple[str, ...], code: str, project: Path) -> None:
    assert error_of(emotrace(*arguments, "--project", project, "--json"))["code"] == code
    plain = emotrace(*arguments, "--project", project)
    assert (plain.status, plain.stdout) == (2, "")
    (line,) = plain.stderr.splitlines()
    assert line.startswith("emotrace: ")
    assert " -> " in line


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
    assert (failed["stage"], failed["code"], failed["retry"]) == ("annotate", "connection", "emotrace run")
    with FakeModels(port=port):
        again = done_well(emotrace("run", "--local", "--project", project, "--json"))
    assert (again["annotations"]["labelled"], again["annotations"]["failed"]) == (2, 0)


def test_the_budget_stops_the_run_and_raising_it_goes_on(project: Path, folder: Path) -> None:
    sound(folder / "second.wav", 0.4)
    sound(folder / "third.wav", 0.3)
    with FakeModels() as server:
        settings = SETTINGS + MODEL.format(url=server.openai_url)
        write_settings(project, settings + "[budget]\ncalls = 2\n")
        done_well(emotrace("ingest", folder, "--project", project, "--json"))
        error = error_of(emotrace("run", "--local", "--project", project, "--json"))
        assert (error["code"], len(server.requests)) == ("budget_reached", 2)
        assert "budget.calls" in error["remedy"]
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


@contextmanager
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


@pytest.fixture
def plenty(tmp_path: Path, folder: Path) -> dict[str, dict[str, str]]:
    """What stands after a run with room enough."""
    make_video(folder / "long.mp4", frames=150, tones=(tone(6.0),))
    project = write_settings(tmp_path / "plenty", SETTINGS)
    done_well(emotrace("ingest", folder, "--project", project, "--json"))
    done_well(emotrace("run", "--local", "--project", project, "--json"))
    return standing(project)


def test_no_space_for_the_store(tmp_path: Path, folder: Path, plenty: dict[str, dict[str, str]]) -> None:
    with small_disk(tmp_path / "disk", 400) as disk:
        project = write_settings(disk / "project", SETTINGS + "[project]\nartifacts = '../../cache'\n")
        done_well(emotrace("ingest", folder, "--project", project, "--json"))
        filler = disk / "filler"
        with pytest.raises(OSError, match="No space"), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        error = error_of(emotrace("run", "--local", "--project", project, "--json"))
        assert (error["code"], "free disk space" in error["remedy"]) == ("no_space", True)
        filler.unlink()
        make_room(disk)
        done_well(emotrace("run", "--local", "--project", project, "--json"))
        assert standing(project) == plenty


@pytest.mark.parametrize("size_kib", NO_SPACE_SIZES_KIB)
def test_no_space_for_the_cache(
    size_kib: int, tmp_path: Path, folder: Path, plenty: dict[str, dict[str, str]]
) -> None:
    with small_disk(tmp_path / "disk", size_kib) as disk:
        project = write_settings(tmp_path / "project", SETTINGS + f"[project]\nartifacts = '{disk}'\n")
        done_well(emotrace("ingest", folder, "--project", project, "--json"))
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
