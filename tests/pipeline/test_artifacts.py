"""The artifact cache: a name stands only for a whole file, wherever the cache is; all of it may be deleted."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

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


def test_threads_that_download_first_share_one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two places made at once: one would be removed while its files are read."""
    both, make, places = threading.Barrier(2), tempfile.TemporaryDirectory, list[Any]()

    def slow(*given: Any, **options: Any) -> Any:
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(0.3)
        places.append(make(*given, **options))
        return places[-1]

    cache = Artifacts(f"memory://{uuid.uuid4().hex}")
    for key in ("dec_aa1", "dec_bb1"):
        made(cache, key.encode(), key)
    monkeypatch.setattr(tempfile, "TemporaryDirectory", slow)
    with closing(cache), ThreadPoolExecutor(2) as pool:
        copies = list(pool.map(lambda key: cache.local(key, NAME), ("dec_aa1", "dec_bb1")))
        assert [copy.read_bytes() for copy in copies] == [b"dec_aa1", b"dec_bb1"]
        assert len(places) == 1


def test_no_more_is_held_of_a_remote_cache_than_was_said() -> None:
    cache = Artifacts(f"memory://{uuid.uuid4().hex}", keep_bytes=250)
    keys = [f"dec_{n:04d}" for n in range(6)]
    for key in keys:
        made(cache, key.encode() * 12 + b"1234", key)  # 100 bytes
    with closing(cache):
        first = cache.local(keys[0], NAME)
        copies = {}
        for key in keys[1:]:
            copies[key] = cache.local(key, NAME)
            assert cache.local(keys[0], NAME) == first  # asked for again and again: it stays
            assert first.exists()
        held = [path for path in first.parents[1].rglob("*") if path.is_file()]
        assert set(held) == {first, copies[keys[-1]]}
        assert len(cache.local(keys[1], NAME).read_bytes()) == 100  # it is downloaded once more


def test_a_file_that_is_larger_than_what_is_held_can_be_read() -> None:
    cache = Artifacts(f"memory://{uuid.uuid4().hex}", keep_bytes=10)
    made(cache, b"x" * 100)
    with closing(cache):
        assert len(cache.local(KEY, NAME).read_bytes()) == 100


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
