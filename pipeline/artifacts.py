"""Files that can be made again (decoded audio, frames, clips), kept under the key of their recipe over fsspec.

The whole cache may be deleted at any time. A file appears under its name only when it is complete: it is
written elsewhere in the cache, synced, then renamed.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import fsspec
from fsspec.implementations.local import LocalFileSystem

from pipeline.downloads import Downloads
from pipeline.leftovers import sweep
from schemas.errors import UserError

MEDIA_NAMES = {"clip": "clip.mp4", "audio": "audio.wav", "image": "image.jpg"}  # file by kind of media
WORKPLACE = "tmp"
KEEP_BYTES = 4 << 30  # far more than the shards in hand read at once
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_REFUSED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.EISDIR})


class Artifacts:
    """Folders of files by key: `<url>/<first two characters after the prefix>/<key>/<name>`."""

    def __init__(self, url: str, *, keep_bytes: int = KEEP_BYTES) -> None:
        """Nothing is made before the first file is put; of a remote cache `keep_bytes` are held on this machine.

        Raises:
            UserError: the URL names a file system that is unknown, or that needs a package which is missing.
        """
        try:
            self._fs, self._root = fsspec.core.url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise _unusable_url(url, error) from error
        self._local = isinstance(self._fs, LocalFileSystem)
        self._downloads = Downloads(keep_bytes)

    @property
    def folder(self) -> Path | None:
        """Where the cache is on this machine, None when it is elsewhere."""
        return Path(self._root).resolve() if self._local else None

    def has(self, key: str, name: str) -> bool:
        return bool(self._fs.exists(self._path(key, name)))

    def put(self, key: str, name: str, file: Path) -> None:
        """Move a finished local file into the cache.

        Raises:
            UserError: no space left, or the cache cannot be written; nothing half-written stays under the name.
        """
        with _one_line(self._root, _FULL | _REFUSED):
            target = self._path(key, name)
            self._fs.makedirs(target.rsplit("/", 1)[0], exist_ok=True)
            if not self._local:
                self._fs.put_file(str(file), target)
                return
            whole = self._workplace() / f"{uuid.uuid4().hex}.part"  # `file` may come from another disk
            try:
                shutil.move(file, whole)
                with whole.open("rb") as handle:
                    os.fsync(handle.fileno())
                whole.rename(target)
            finally:
                whole.unlink(missing_ok=True)

    def put_bytes(self, key: str, name: str, data: bytes) -> None:
        with self.workdir() as folder:
            (folder / name).write_bytes(data)
            self.put(key, name, folder / name)

    def local(self, key: str, name: str) -> Path:
        """A local path to read the file from (downloaded when the cache is remote, and held for a while).

        Raises:
            FileNotFoundError: the cache does not hold it; make it again.
        """
        path = self._path(key, name)
        if self._local:
            if not Path(path).exists():
                raise FileNotFoundError(path)
            return Path(path)
        return self._downloads.get(f"{key}/{name}", lambda part: self._fs.get_file(path, str(part)))

    def close(self) -> None:
        """Remove what was downloaded from a remote cache."""
        self._downloads.close()

    @contextmanager
    def workdir(self) -> Iterator[Path]:
        """A folder to make files in, on the cache's own disk when that is local; gone afterwards."""
        with _one_line(self._root, _FULL | _REFUSED):
            folder = tempfile.TemporaryDirectory(dir=self._workplace() if self._local else None)
        # What is done with the folder may fail for reasons of its own; that the disk is full is never one.
        with _one_line(self._root, _FULL), folder as name:
            yield Path(name)

    @contextmanager
    def full_is_told(self) -> Iterator[None]:
        """For writes in a `workdir` that is held longer; raises UserError where the disk is full."""
        with _one_line(self._root, _FULL):
            yield

    def sweep(self) -> None:
        """Remove what killed processes left half-made in a cache on this machine."""
        if self._local:
            sweep(Path(self._root) / WORKPLACE, "*")

    def _workplace(self) -> Path:
        """Where files of a local cache are made, on its own disk."""
        folder = Path(self._root) / WORKPLACE
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _path(self, key: str, name: str) -> str:
        return f"{self._root}/{key.partition('_')[2][:2]}/{key}/{name}"


@contextmanager
def _one_line(where: str, codes: frozenset[int]) -> Iterator[None]:
    """Turn the errors of the disk that have these codes into one that the user can act on."""
    try:
        yield
    except OSError as error:
        if error.errno not in codes:
            raise
        if error.errno in _FULL:
            raise UserError(
                "no_space", "no space left for the artifact cache", "free disk space, then run again", where
            ) from error
        message = f"the artifact cache cannot be written: {error.strerror}"
        raise UserError(
            "bad_cache", message, "make it a folder that may be written, or change project.artifacts", where
        ) from error


def _unusable_url(url: str, error: Exception) -> UserError:
    protocol = url.partition("://")[0]
    if isinstance(error, ImportError):
        needed = re.search(r"nstall (\w+)", str(error))  # fsspec names the package in a sentence
        package = needed[1] if needed else f"the fsspec package for {protocol}"
        message, remedy = f"{protocol}:// needs a package that is not installed", f"pip install {package}"
    else:
        message, remedy = str(error), "set project.artifacts to a folder or to a URL that fsspec knows"
    return UserError("bad_cache", f"the artifact cache cannot be used: {message}", remedy)
