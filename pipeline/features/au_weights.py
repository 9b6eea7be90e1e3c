"""Where the weights of Py-Feat are: a folder, or the local cache of the model hub; never a download."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from schemas.errors import UserError
from schemas.ids import file_digest

MULTITASK = "py-feat/face_multitask_v2"
FACE_FINDER = "py-feat/retinaface_r34"
MULTITASK_FILES = ("face_multitask_v28.safetensors",)
FACE_FINDER_FILES = ("retinaface_r34.safetensors", "model.safetensors")
DOWNLOAD = (
    f"hf download {MULTITASK} {MULTITASK_FILES[0]} (0.15 GB, non-commercial research only) "
    f"and hf download {FACE_FINDER} {FACE_FINDER_FILES[1]} (0.09 GB, MIT)"
)


class PyfeatWeights(NamedTuple):
    """Two files: the model that measures faces, and the one that finds them."""

    multitask: Path
    face_finder: Path

    @property
    def digest(self) -> str:
        """SHA-256 over the bytes of both; kept as long as names, sizes and times of change stay the same."""
        stats = [path.stat() for path in self]
        return _digest(tuple(self), tuple((stat.st_size, stat.st_mtime_ns) for stat in stats))


@lru_cache(maxsize=16)
def _digest(files: tuple[Path, ...], _stats: tuple[tuple[int, int], ...]) -> str:
    return hashlib.sha256(" ".join(file_digest(path) for path in files).encode()).hexdigest()


def find_pyfeat_weights(weights: str | None) -> PyfeatWeights | None:
    """The weights in a folder, or of a hub model (None: Py-Feat's own) in the local hub cache; None without."""
    if weights is not None and (folder := Path(weights).expanduser()).is_dir():
        multitask = _first(folder, MULTITASK_FILES)
        face_finder = _first(folder, FACE_FINDER_FILES) or _in_hub(FACE_FINDER, FACE_FINDER_FILES)
    else:
        multitask = _in_hub(weights or MULTITASK, MULTITASK_FILES)
        face_finder = _in_hub(FACE_FINDER, FACE_FINDER_FILES)
    if multitask is None or face_finder is None:
        return None
    return PyfeatWeights(multitask, face_finder)


def pyfeat_weights(weights: str | None) -> PyfeatWeights:
    """As `find_pyfeat_weights`.

    Raises:
        UserError: "weights_missing", what to download and which licence it has.
    """
    if (found := find_pyfeat_weights(weights)) is not None:
        return found
    if weights is not None and Path(weights).expanduser().is_dir():
        message = f"{weights} holds no {MULTITASK_FILES[0]}, or no {' or '.join(FACE_FINDER_FILES)}"
        raise UserError("weights_missing", message, f"put both files there: {DOWNLOAD}")
    wanted = f'the Py-Feat model "{weights}" is' if weights else "Py-Feat's weights are"
    remedy = f"{DOWNLOAD}; or set weights to a folder that holds both files"
    raise UserError("weights_missing", f"{wanted} not on this machine", remedy)


def _first(folder: Path, names: tuple[str, ...]) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _in_hub(repository: str, names: tuple[str, ...]) -> Path | None:
    """A file of the local hub cache, without asking the hub."""
    from huggingface_hub import constants, try_to_load_from_cache  # only when asked: others do not need it
    from huggingface_hub.errors import HFValidationError

    for name in names:
        try:
            found = try_to_load_from_cache(repository, name, cache_dir=constants.HF_HUB_CACHE)
        except HFValidationError:  # a path that is no folder is no name of a model either
            return None
        if isinstance(found, str):
            return Path(found)
    return None
