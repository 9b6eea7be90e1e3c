"""Where the weights of Py-Feat are: a folder or the local hub cache, and a download only when it is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from pipeline.features.weights import download_repository, files_digest, hub_folder, is_hub_name
from schemas.errors import UserError

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
        """SHA-256 over both, under names that do not depend on those of the files."""
        return files_digest(self._asdict())


def find_pyfeat_weights(weights: str | None) -> PyfeatWeights | None:
    """The weights in a folder, or of a hub model (None: Py-Feat's own) in the local hub cache; None without."""
    folder = hub_folder(weights or MULTITASK) if weights is None or is_hub_name(weights) else Path(weights)
    multitask = _first(folder, MULTITASK_FILES)
    beside = _first(folder, FACE_FINDER_FILES) if weights is not None else None
    face_finder = beside or _first(hub_folder(FACE_FINDER), FACE_FINDER_FILES)
    return PyfeatWeights(multitask, face_finder) if multitask and face_finder else None


def pyfeat_weights(weights: str | None, *, download: bool = False) -> PyfeatWeights:
    """As `find_pyfeat_weights`; `download` fetches what is not here.

    Raises:
        UserError: "weights_missing", what to download, how large it is and which licence it has;
            "weights_download".
    """
    if (found := find_pyfeat_weights(weights)) is not None:
        return found
    own_folder = weights is not None and not is_hub_name(weights)
    if download and not own_folder:
        download_repository(weights or MULTITASK, MULTITASK_FILES)
        download_repository(FACE_FINDER, FACE_FINDER_FILES)
        if (found := find_pyfeat_weights(weights)) is not None:
            return found
    if own_folder or download:
        message = (
            f"{weights or MULTITASK} holds no {MULTITASK_FILES[0]}, or no {' or '.join(FACE_FINDER_FILES)}"
        )
        raise UserError("weights_missing", message, f"set weights to a folder with both files: {DOWNLOAD}")
    wanted = f'the Py-Feat model "{weights}" is' if weights else "Py-Feat's weights are"
    remedy = f"{DOWNLOAD}; or set download = true; or set weights to a folder that holds both files"
    raise UserError("weights_missing", f"{wanted} not on this machine", remedy)


def _first(folder: Path | None, names: tuple[str, ...]) -> Path | None:
    if folder is None:
        return None
    here = folder.expanduser()
    return next((here / name for name in names if (here / name).is_file()), None)
