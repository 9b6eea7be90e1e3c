"""Where recordings lie: by the path that people gave, and by the file that it leads to."""

from __future__ import annotations

import os
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path

from schemas.store import StoredPath


def as_given(path: Path) -> Path:
    """The absolute path of what may be a link, which keeps its name: transcripts stand beside it by that name."""
    parts = path.absolute().parts
    if ".." not in parts:
        return Path(*parts)
    # What stands before ".." may be a link to a folder elsewhere, of which it is the folder above.
    after = len(parts) - parts[::-1].index("..")
    return Path(os.path.realpath(Path(*parts[:after])), *parts[after:])


class Places:
    """The paths at which recordings were ingested, also found by another path to the same file."""

    def __init__(self, stored: Iterable[StoredPath]) -> None:
        self._by_path: dict[str, StoredPath] = {}
        self._by_inode: dict[int, list[str]] = defaultdict(list)
        for one in stored:
            self.put(one)

    def put(self, stored: StoredPath) -> None:
        if stored.path not in self._by_path and stored.inode:  # 0: a file system without such numbers
            self._by_inode[stored.inode].append(stored.path)
        self._by_path[stored.path] = stored

    def at(self, path: str | Path) -> StoredPath | None:
        """What is stored of this very path."""
        return self._by_path.get(str(path))

    def find(self, path: Path) -> StoredPath | None:
        """What is stored of a path, or else of another that leads to the same file."""
        if (found := self.at(path)) is not None:
            return found
        try:
            others = self._by_inode.get(path.stat().st_ino, [])
        except (OSError, ValueError):  # no file, or no name that a file may have
            return None
        file = os.path.realpath(path)
        same = next((other for other in others if os.path.realpath(other) == file), file)
        return self.at(same)

    def leading_to(self, file: str, inodes: Iterable[int]) -> set[str]:
        """All stored paths that lead to a file, which has or had one of these inodes."""
        near = {path for inode in inodes for path in self._by_inode.get(inode, ())}
        return {path for path in near if os.path.realpath(path) == file}


def files_below(
    folder: Path,
    *,
    leave_out: Collection[Path],
    on_error: Callable[[OSError], None],
    on_loop: Callable[[Path], None],
) -> Iterator[Path]:
    """Every file below a folder, also through links to folders; each folder is gone through once.

    Hidden folders and those of `leave_out` are passed over. A link back to a folder above `folder` is not
    followed and told to `on_loop`: nobody means all of that.
    """
    top = Path(os.path.realpath(folder))
    waiting, seen = deque([folder]), set()
    while waiting:
        for parent, folders, names in os.walk(waiting.popleft(), onerror=on_error):
            here = os.path.realpath(parent)
            if here in seen:
                folders.clear()
                continue
            seen.add(here)
            folders[:] = sorted(name for name in folders if _is_wanted(Path(parent, name), leave_out))
            for link in (Path(parent, name) for name in folders if Path(parent, name).is_symlink()):
                to = Path(os.path.realpath(link))
                if to in top.parents:
                    on_loop(link)
                else:
                    waiting.append(link)
            yield from (Path(parent, name) for name in names)


def _is_wanted(folder: Path, leave_out: Collection[Path]) -> bool:
    if folder.name[0] == ".":
        return False
    real = Path(os.path.realpath(folder))
    inside = {real, *real.parents} if folder.is_symlink() else {real}
    return inside.isdisjoint(leave_out)
