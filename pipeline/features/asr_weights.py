"""Where speech recognition weights are, and which: local folders and the local hub cache, never a download."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from schemas.errors import UserError
from schemas.ids import file_digest

NEEDED_FILES = ("model.bin", "config.json", "tokenizer.json")

# Best first; the licence of all of them is MIT. `auto` takes the first one that lies in the cache.
WHISPER_REPOSITORIES: dict[str, str] = {
    "large-v3": "Systran/faster-whisper-large-v3",
    "large-v3-turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
    "large-v2": "Systran/faster-whisper-large-v2",
    "medium": "Systran/faster-whisper-medium",
    "small": "Systran/faster-whisper-small",
    "base": "Systran/faster-whisper-base",
    "tiny": "Systran/faster-whisper-tiny",
}


def folder_digest(folder: Path) -> str:
    """SHA-256 over the names and bytes of all files under a folder of weights.

    Kept for as long as names, sizes and times of change stay the same, because weights are gigabytes.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc")
    stats = [(path.relative_to(folder).as_posix(), path.stat()) for path in files]
    return _digest_of(folder, tuple((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats))


@lru_cache(maxsize=16)
def _digest_of(folder: Path, files: tuple[tuple[str, int, int], ...]) -> str:
    digest = hashlib.sha256()
    for name, _, _ in files:
        digest.update(f"{name}\n{file_digest(folder / name)}\n".encode())
    return digest.hexdigest()


def cached_whisper(model: str | None = None, cache_dir: Path | None = None) -> Path | None:
    """The folder of a Whisper model in the local hub cache: the best one, or the named one; None without.

    Raises:
        UserError: an unknown model name.
    """
    from huggingface_hub import constants  # only when asked: it is not needed for other backends

    if model is not None and model not in WHISPER_REPOSITORIES:
        known = ", ".join(WHISPER_REPOSITORIES)
        raise UserError("unknown_model", f'unknown Whisper model "{model}"', f"known: {known}")
    root = Path(cache_dir or constants.HF_HUB_CACHE)
    for name in [model] if model else list(WHISPER_REPOSITORIES):
        snapshot = _snapshot(root / f"models--{WHISPER_REPOSITORIES[name].replace('/', '--')}")
        if snapshot is not None and all((snapshot / file).is_file() for file in NEEDED_FILES):
            return snapshot
    return None


def _snapshot(repository: Path) -> Path | None:
    """The newest download of a repository of the hub cache, which may be incomplete.

    Read here, since it is asked once per recording and the hub's own look-up takes many times as long.
    Reference: https://huggingface.co/docs/huggingface_hub/guides/manage-cache
    """
    try:
        revision = (repository / "refs" / "main").read_text(encoding="utf-8").strip()
    except OSError:
        return None
    return repository / "snapshots" / revision


def whisper_folder(weights: str | None, model: str | None = None, cache_dir: Path | None = None) -> Path:
    """The folder of weights to load: the given one, else one of the local hub cache.

    Raises:
        UserError: "weights_missing", nothing found or an incomplete folder.
    """
    if weights is not None:
        folder = Path(weights).expanduser()
        absent = [name for name in NEEDED_FILES if not (folder / name).is_file()]
        if absent:
            raise UserError(
                "weights_missing",
                f"no complete CTranslate2 Whisper model in {folder}: {', '.join(absent)} missing",
                "give the folder of a converted model",
            )
        return folder
    if (cached := cached_whisper(model, cache_dir)) is not None:
        return cached
    wanted = f'the Whisper model "{model}"' if model else "a Whisper model"
    raise UserError(
        "weights_missing",
        f"{wanted} is not on this machine",
        f"download one: hf download {WHISPER_REPOSITORIES[model or 'small']}; or set weights to a model folder",
    )
