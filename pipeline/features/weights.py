"""Where weights lie and which they are: folders, the local hub cache, and a download only when it is asked."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from pipeline.features.host import host
from schemas.errors import UserError
from schemas.ids import file_digest


def hub_folder(repository: str, cache_dir: Path | None = None) -> Path | None:
    """The newest download of a repository ("owner/name") in the local hub cache, which may be incomplete.

    Read here, since it is asked once per recording and the hub's own look-up takes many times as long.
    Reference: https://huggingface.co/docs/huggingface_hub/guides/manage-cache
    """
    from huggingface_hub import constants  # only when asked: it is not needed for other backends

    kept = Path(cache_dir or constants.HF_HUB_CACHE) / f"models--{repository.replace('/', '--')}"
    try:
        revision = (kept / "refs" / "main").read_text(encoding="utf-8").strip()
    except OSError:
        return None
    return kept / "snapshots" / revision


def is_hub_name(weights: str) -> bool:
    """Whether weights are named as on the hub ("owner/name"), and no folder of this name is here."""
    parts = weights.split("/")
    return (
        len(parts) == 2 and all(part and part[0] not in ".~" for part in parts) and not Path(weights).exists()
    )


def download_repository(repository: str, patterns: Sequence[str]) -> Path:
    """Fetch the files of a hub repository that match into the hub cache; its folder. Progress goes to stderr.

    Only for what the user asked for (`download = true`).

    Raises:
        UserError: "weights_download": no network, no such repository, or terms that were not accepted.
    """
    from huggingface_hub import errors, snapshot_download

    host().note(f"downloading {repository}")
    try:
        return Path(snapshot_download(repository, allow_patterns=list(patterns)))
    except errors.GatedRepoError as error:
        remedy = f"accept them on the page of {repository} and set HF_TOKEN to a token of that account"
        raise UserError("weights_download", f"{repository} has terms to be accepted first", remedy) from error
    except errors.RepositoryNotFoundError as error:
        remedy = "check the name; a private repository needs HF_TOKEN"
        raise UserError("weights_download", f"there is no {repository} on the hub", remedy) from error
    except Exception as error:  # whatever a network may do
        why = " ".join(str(error).split())[:200] or type(error).__name__
        remedy = "check the network, or copy the weights here by hand and set their folder"
        raise UserError("weights_download", f"{repository} cannot be downloaded: {why}", remedy) from error


def download_file(url: str, path: Path) -> Path:
    """Fetch one file that the user asked for; a reader never sees half of it. Progress goes to stderr.

    Raises:
        UserError: "weights_download".
    """
    from huggingface_hub.file_download import http_get

    host().note(f"downloading {path.name}")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".part")
    try:
        with partial.open("wb") as file:
            http_get(url, file, displayed_filename=path.name)
        partial.replace(path)
    except Exception as error:
        partial.unlink(missing_ok=True)
        why = " ".join(str(error).split())[:200] or type(error).__name__
        remedy = f"check the network, or put the file here by hand: {path}"
        raise UserError("weights_download", f"{url} cannot be downloaded: {why}", remedy) from error
    return path


# --- which they are ---------------------------------------------------------------------------------


def folder_digest(folder: Path) -> str:
    """SHA-256 over the names and bytes of all files under a folder of weights."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc")
    return files_digest({path.relative_to(folder).as_posix(): path for path in files})


def files_digest(files: Mapping[str, Path]) -> str:
    """SHA-256 over names and bytes of files.

    Weights are gigabytes, so what was read once is remembered on this machine for as long as a file keeps its
    path, size and time of change.
    """
    stats = [(name, path, path.stat()) for name, path in files.items()]
    return _digest_of(tuple((name, path, stat.st_size, stat.st_mtime_ns) for name, path, stat in stats))


@lru_cache(maxsize=64)
def _digest_of(files: tuple[tuple[str, Path, int, int], ...]) -> str:
    digest = hashlib.sha256()
    with _remembered() as known:
        for name, path, size, mtime_ns in files:
            place, state = str(path.resolve()), [size, mtime_ns]
            if known.get(place, [])[:2] != state:
                known[place] = [*state, file_digest(path)]
            digest.update(f"{name}\n{known[place][2]}\n".encode())
    return digest.hexdigest()


def digests_file() -> Path:
    """Where digests of weights are remembered; it may be deleted at any time."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "emotrace" / "weights.json"


@contextlib.contextmanager
def _remembered() -> Iterator[dict[str, Any]]:
    """Path -> size, time of change and digest; changes are kept, and files that are gone forgotten.

    A memory that cannot be read or written costs time only.
    """
    path = digests_file()
    try:
        told = dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        told = {}
    before = {place: entry for place, entry in told.items() if isinstance(entry, list) and len(entry) == 3}
    known = dict(before)
    yield known
    if known == before:
        return
    there = {place: entry for place, entry in known.items() if Path(place).exists()}
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
            json.dump(there, file)
        Path(file.name).replace(path)
