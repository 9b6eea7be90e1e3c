"""The artifact cache: a name stands only for a whole file, wherever the cache is; all of it may be deleted."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import fsspec
import pytest

from pipeline.artifacts import Artifacts
from tests.conftest import REPO

KEY, NAME = "dec_ab12", "audio.wav"
# Ends itself in the middle of put(): where a file is complete, but has not yet got its name.
KILLED_BEFORE_THE_NAME = """
import os, pathlib, signal, sys
from pipeline.artifacts import Artifacts
os.rename = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
cache = Artifacts(sys.argv[1])
with cache.workdir() as folder:
    (folder / "new").write_bytes(b"n" * 100_000)
    cache.put("dec_ab12", "audio.wav", folder / "new")
"""


def made(cache: Artifacts, data: bytes, key: str = KEY, name: str = NAME) -> None:
    with cache.workdir() as folder:
        (folder / "made").write_bytes(data)
        cache.put(key, name, folder / "made")


@pytest.fixture(params=["path", "file://", "memory://"])
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Artifacts]:
    url = {
        "path": str(tmp_path / "cache"),
        "file://": f"file://{tmp_path / 'cache'}",
        "memory://": f"memory://{uuid.uuid4().hex}",  # shared by the whole process: a folder of its own for each
    }[request.param]
    with closing(Artifacts(url)) as opened:
        yield opened


def test_what_was_put_is_there_and_nothing_else(cache: Artifacts) -> None:
    assert not cache.has(KEY, NAME)
    made(cache, b"sound")
    assert cache.has(KEY, NAME)
    assert not cache.has(KEY, "other.wav")
    assert not cache.has("dec_ab13", NAME)
    assert cache.local(KEY, NAME).read_bytes() == b"sound"


def test_put_again_replaces_and_bytes_are_put_as_files(cache: Artifacts) -> None:
    cache.put_bytes(KEY, "report.json", b"{}")
    cache.put_bytes(KEY, "report.json", b'{"n": 1}')
    assert cache.local(KEY, "report.json").read_bytes() == b'{"n": 1}'


def test_what_is_not_there_raises(cache: Artifacts) -> None:
    with pytest.raises(FileNotFoundError):
        cache.local(KEY, NAME)


def test_a_deleted_cache_is_told_and_can_be_filled_again(tmp_path: Path) -> None:
    cache = Artifacts(str(tmp_path / "cache"))
    made(cache, b"sound")
    shutil.rmtree(tmp_path / "cache")
    assert not cache.has(KEY, NAME)
    with pytest.raises(FileNotFoundError):
        cache.local(KEY, NAME)
    made(cache, b"again")
    assert cache.local(KEY, NAME).read_bytes() == b"again"


def test_a_deleted_remote_file_is_told() -> None:
    root = uuid.uuid4().hex
    made(Artifacts(f"memory://{root}"), b"sound")
    fsspec.filesystem("memory").rm(f"/{root}", recursive=True)
    with closing(Artifacts(f"memory://{root}")) as cache, pytest.raises(FileNotFoundError):
        cache.local(KEY, NAME)


def test_what_was_downloaded_goes_away_when_the_cache_is_closed() -> None:
    cache = Artifacts(f"memory://{uuid.uuid4().hex}")
    made(cache, b"sound")
    copy = cache.local(KEY, NAME)
    assert copy.read_bytes() == b"sound"
    cache.close()
    assert not copy.exists()
    with closing(cache):
        assert cache.local(KEY, NAME).read_bytes() == b"sound"


def test_a_workdir_is_on_the_disk_of_the_cache_and_goes_away(tmp_path: Path) -> None:
    with Artifacts(str(tmp_path / "cache")).workdir() as folder:
        assert (tmp_path / "cache") in folder.parents
    assert not folder.exists()


@pytest.mark.faults
@pytest.mark.parametrize("before", [None, b"old"])
def test_a_kill_leaves_no_name_or_the_old_file(before: bytes | None, tmp_path: Path) -> None:
    url = str(tmp_path / "cache")
    if before is not None:
        made(Artifacts(url), before)
    done = subprocess.run([sys.executable, "-c", KILLED_BEFORE_THE_NAME, url], cwd=REPO, check=False)
    assert done.returncode == -signal.SIGKILL
    cache = Artifacts(url)
    assert cache.has(KEY, NAME) == (before is not None)
    if before is not None:
        assert cache.local(KEY, NAME).read_bytes() == before
    made(cache, b"whole")
    assert cache.local(KEY, NAME).read_bytes() == b"whole"
