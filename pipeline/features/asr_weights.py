"""Where Whisper weights are: a local folder or the local hub cache, and a download only when it is asked for."""

from __future__ import annotations

from pathlib import Path

from pipeline.features.weights import download_repository, hub_folder, is_hub_name
from schemas.errors import UserError

NEEDED_FILES = ("model.bin", "config.json", "tokenizer.json")
PUBLISHED_FILES = ("config.json", "preprocessor_config.json", "model.bin", "tokenizer.json", "vocabulary.*")
DEFAULT_MODEL = "small"  # what is downloaded when no model is named

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
DOWNLOAD_GB = {
    "large-v3": 3.1,
    "large-v3-turbo": 1.6,
    "large-v2": 3.1,
    "medium": 1.5,
    "small": 0.5,
    "base": 0.15,
    "tiny": 0.08,
}


def cached_whisper(model: str | None = None, cache_dir: Path | None = None) -> Path | None:
    """The folder of a Whisper model in the local hub cache: the best one, or the named one; None without.

    Raises:
        UserError: an unknown model name.
    """
    if model is not None and model not in WHISPER_REPOSITORIES:
        known = ", ".join(WHISPER_REPOSITORIES)
        raise UserError("unknown_model", f'unknown Whisper model "{model}"', f"known: {known}")
    for name in [model] if model else list(WHISPER_REPOSITORIES):
        if (found := _complete(hub_folder(WHISPER_REPOSITORIES[name], cache_dir))) is not None:
            return found
    return None


def _complete(folder: Path | None) -> Path | None:
    """The folder if a CTranslate2 model is whole in it."""
    if folder is None or not all((folder / name).is_file() for name in NEEDED_FILES):
        return None
    return folder


def whisper_here(weights: str | None, model: str | None = None, cache_dir: Path | None = None) -> Path | None:
    """The folder of weights on this machine: the given folder or hub name, else the hub cache; None without.

    Raises:
        UserError: "weights_missing", a given folder that holds no whole model; an unknown model name.
    """
    if weights is None:
        return cached_whisper(model, cache_dir)
    if is_hub_name(weights):
        return _complete(hub_folder(weights, cache_dir))
    folder = Path(weights).expanduser()
    absent = [name for name in NEEDED_FILES if not (folder / name).is_file()]
    if absent:
        raise UserError(
            "weights_missing",
            f"no complete CTranslate2 Whisper model in {folder}: {', '.join(absent)} missing",
            "give the folder of a converted model",
        )
    return folder


def whisper_folder(
    weights: str | None,
    model: str | None = None,
    cache_dir: Path | None = None,
    *,
    download: bool | None = None,
) -> Path:
    """The folder of weights to load; `download` fetches them when they are not here (None: the backend cannot).

    Raises:
        UserError: "weights_missing" or "weights_download", with what to fetch, how large it is and its licence.
    """
    if (here := whisper_here(weights, model, cache_dir)) is not None:
        return here
    repository = weights or WHISPER_REPOSITORIES[model or DEFAULT_MODEL]
    if download:
        download_repository(repository, PUBLISHED_FILES)
        if (here := whisper_here(weights, model or DEFAULT_MODEL)) is not None:
            return here
        raise UserError(
            "weights_missing",
            f"{repository} holds no CTranslate2 Whisper model",
            f"take one such as {WHISPER_REPOSITORIES[DEFAULT_MODEL]}, or convert it and give its folder",
        )
    wanted = weights or (f'the Whisper model "{model}"' if model else "a Whisper model")
    size = "" if weights else f" ({DOWNLOAD_GB[model or DEFAULT_MODEL]:g} GB, MIT)"
    setting = "" if download is None else "; or set download = true"
    raise UserError(
        "weights_missing",
        f"{wanted} is not on this machine",
        f"download one: hf download {repository}{size}{setting}; or set weights to a model folder",
    )
