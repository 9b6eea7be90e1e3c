"""Where a pyannote diarization pipeline is, and which: a folder, a config.yaml, or a name in the hub cache."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from pipeline.features.weights import download_repository, files_digest, hub_folder, is_hub_name
from schemas.errors import UserError

CONFIG = "config.yaml"
INSIDE = "$model/"  # how a config names a folder beside itself
COMMUNITY = "pyannote/speaker-diarization-community-1"
# What a user has to accept before a download, and how much it is; sizes as the hub tells them.
GATED: dict[str, str] = {
    COMMUNITY: "CC-BY-4.0, about 35 MB",
    "pyannote/speaker-diarization-3.1": "MIT, with the two models that it names about 33 MB",
}
PUBLISHED_FILES = ("*.yaml", "*.bin", "*.npz")


def pipeline_config(weights: str | None, *, download: bool = False) -> Path:
    """The config.yaml of a pipeline: `weights` is a folder, the file itself or a hub name; None: `COMMUNITY`.

    Raises:
        UserError: "weights_missing", with what to accept, to download or to set; "weights_download".
    """
    name = COMMUNITY if weights is None else weights
    place = Path(name).expanduser()
    if weights is None or is_hub_name(name):
        folder = hub_folder(name)
        if (folder is None or not (folder / CONFIG).is_file()) and download:
            folder = download_repository(name, PUBLISHED_FILES)
        if folder is None or not (folder / CONFIG).is_file():
            raise _not_here(name)
        return folder / CONFIG
    config = place / CONFIG if place.is_dir() else place
    if not config.is_file():
        raise UserError(
            "weights_missing",
            f"no pyannote pipeline in {place}: {CONFIG} missing",
            f"give a folder with {CONFIG} and its models, such as a copy of {COMMUNITY}",
        )
    return config


def is_reachable(weights: str | None) -> bool:
    """Whether the pipeline can be loaded without asking anybody.

    Raises:
        UserError: a folder or file that the user named is not there or not complete.
    """
    try:
        pipeline_files(pipeline_config(weights))
    except UserError:
        if weights is not None:
            raise
        return False
    return True


def pipeline_digest(config: Path) -> str:
    """SHA-256 over the config and every file that it names.

    Raises:
        UserError: "weights_missing"; "weights_unreadable".
    """
    return files_digest(pipeline_files(config))


def pipeline_files(config: Path) -> dict[str, Path]:
    """Name -> path of the files that make up a pipeline: its config and the models that this names.

    Raises:
        UserError: "weights_missing", a model that it names; "weights_unreadable", no config of a pipeline.
    """
    found = {CONFIG: config}
    for said in _named_models(config):
        place, name = _place_of(said, config), said.removeprefix(INSIDE)
        inside = sorted(place.rglob("*")) if place.is_dir() else [place]
        files = [path for path in inside if path.is_file()]
        if not files:
            raise UserError(
                "weights_missing",
                f"{config} names {said}, which is not on this machine",
                f"copy it to {place}, or download all of the pipeline: {_how_to_get(said)}",
            )
        found |= {f"{name}/{path.relative_to(place).as_posix()}": path for path in files}
    return found


def _named_models(config: Path) -> Iterator[str]:
    """What the parameters of a pipeline name: folders inside, paths, and names on the hub."""
    try:
        told = yaml.safe_load(config.read_text(encoding="utf-8"))
        params = told["pipeline"].get("params", {})
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            "weights_unreadable",
            f"{config} is no config of a pyannote pipeline: {type(error).__name__}",
            "copy or download it again",
        ) from error
    yield from (text for text in _texts(params) if "/" in text)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        folder = value.get("checkpoint")
        if isinstance(folder, str) and isinstance(value.get("subfolder"), str):
            yield f"{folder}/{value['subfolder']}"
            return
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from _texts(part)
    elif isinstance(value, str):
        yield value


def _place_of(said: str, config: Path) -> Path:
    """Where a named model should be; a hub name whose repository is not here leads to no file."""
    if said.startswith(INSIDE):
        return config.parent / said.removeprefix(INSIDE)
    if Path(said).exists():
        return Path(said)
    parts = said.partition("@")[0].split("/")
    if len(parts) >= 2 and not said.startswith(("/", ".", "~")):
        folder = hub_folder("/".join(parts[:2]))
        if folder is not None:
            return folder.joinpath(*parts[2:])
    return Path(said)


def _not_here(name: str) -> UserError:
    return UserError(
        "weights_missing",
        f"the pyannote pipeline {name} is not on this machine",
        f"{_how_to_get(name)}; or set weights to a folder with its {CONFIG}",
    )


def _how_to_get(name: str) -> str:
    conditions = GATED.get(name)
    if conditions is None:
        return f"hf download {name}"
    return (
        f"accept its conditions at https://huggingface.co/{name} ({conditions}), set HF_TOKEN to a token of that "
        f"account, then: hf download {name}, or set download = true"
    )
