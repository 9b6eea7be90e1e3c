"""Files that can be made again (decoded audio, frames, clips), kept under the key of their recipe over fsspec.

The whole cache may be deleted at any time. A file appears under its name only when it is complete: it is
written beside, synced, then renamed.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import fsspec
from fsspec.implementations.local import LocalFileSystem

from schemas.errors import UserError


class Artifacts:
    """Folders of files by key: `<url>/<first two characters after the prefix>/<key>/<name>`."""

    def __init__(self, url: str) -> None:
        self._fs, self._root = fsspec.core.url_to_fs(url)
        self._local = isinstance(self._fs, LocalFileSystem)
        self._downloads: tempfile.TemporaryDirectory[str] | None = None

    def has(self, key: str, name: str) -> bool:
        return bool(self._fs.exists(self._path(key, name)))

    def put(self, key: str, name: str, file: Path) -> None:
        """Move a finished local file into the cache.

        Raises:
            UserError: no space left; nothing half-written stays under the name.
        """
        with _no_space_is_one_line(self._root):
            target = self._path(key, name)
            self._fs.makedirs(target.rsplit("/", 1)[0], exist_ok=True)
            if not self._local:
                self._fs.put_file(str(file), target)
                return
            beside = Path(f"{target}.{uuid.uuid4().hex[:8]}.part")
            try:
                shutil.move(file, beside)
                with beside.open("rb") as handle:
                    os.fsync(handle.fileno())
                beside.rename(target)
            finally:
                beside.unlink(missing_ok=True)

    def put_bytes(self, key: str, name: str, data: bytes) -> None:
        with self.workdir() as folder:
            (folder / name).write_bytes(data)
            self.put(key, name, folder / name)

    def local(self, key: str, name: str) -> Path:
        """A local path to read the file from (downloaded once when the cache is remote).

        Raises:
            FileNotFoundError: the cache does not hold it; make it again.
        """
        path = self._path(key, name)
        if self._local:
            if not Path(path).exists():
                raise FileNotFoundError(path)
            return Path(path)
        if self._downloads is None:
            self._downloads = tempfile.TemporaryDirectory(prefix="emotrace-")
        copy = Path(self._downloads.name) / key / name
        if not copy.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            self._fs.get_file(path, str(copy))
        return copy

    @contextmanager
    def workdir(self) -> Iterator[Path]:
        """A folder to make files in, on the cache's own disk when that is local; gone afterwards."""
        parent = None
        if self._local:
            parent = f"{self._root}/tmp"
            Path(parent).mkdir(parents=True, exist_ok=True)
        with _no_space_is_one_line(self._root), tempfile.TemporaryDirectory(dir=parent) as folder:
            yield Path(folder)

    def _path(self, key: str, name: str) -> str:
        return f"{self._root}/{key.partition('_')[2][:2]}/{key}/{name}"


@contextmanager
def _no_space_is_one_line(where: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(
                "no_space", "no space left for the artifact cache", "free disk space, then run again", where
            ) from error
        raise
