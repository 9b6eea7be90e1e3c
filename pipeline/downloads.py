"""Copies of remote files on this machine, as many as a number of bytes allows. Safe for threads."""

from __future__ import annotations

import tempfile
import threading
import uuid
from collections.abc import Callable
from pathlib import Path


class Downloads:
    """What was not asked for longest goes first; the file that was asked for last always stays."""

    def __init__(self, limit_bytes: int) -> None:
        """Nothing is made before the first file is got."""
        self._limit_bytes = limit_bytes
        self._lock = threading.Lock()
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._sizes_bytes: dict[Path, int] = {}  # in the order in which they were last asked for

    def get(self, name: str, fetch: Callable[[Path], None]) -> Path:
        """The copy of a file, made by `fetch` if there is none; `name` may hold folders."""
        with self._lock:
            copy = self._place() / name
            if copy in self._sizes_bytes:
                self._sizes_bytes[copy] = self._sizes_bytes.pop(copy)
                return copy
        copy.parent.mkdir(parents=True, exist_ok=True)
        part = copy.with_name(f"{copy.name}.{uuid.uuid4().hex[:8]}.part")  # another thread may want it too
        fetch(part)
        with self._lock:
            part.rename(copy)
            self._sizes_bytes.pop(copy, None)
            self._sizes_bytes[copy] = copy.stat().st_size
            self._make_room()
        return copy

    def close(self) -> None:
        """Remove all copies."""
        with self._lock:
            self._sizes_bytes.clear()
            if self._folder is not None:
                self._folder.cleanup()
                self._folder = None

    def _place(self) -> Path:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="emotrace-")
        return Path(self._folder.name)

    def _make_room(self) -> None:
        over_bytes = sum(self._sizes_bytes.values()) - self._limit_bytes
        for copy in list(self._sizes_bytes)[:-1]:
            if over_bytes <= 0:
                break
            over_bytes -= self._sizes_bytes.pop(copy)
            copy.unlink(missing_ok=True)
