"""Which models WhisperX aligns words with, language by language, and where they lie on this machine.

WhisperX names a published model for most languages: five come from torchaudio's server, the others from the
model hub. A user may name others. Reference: Bain et al. 2023, https://doi.org/10.21437/Interspeech.2023-78.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.features.weights import (
    download_file,
    download_repository,
    files_digest,
    folder_digest,
    hub_folder,
    is_hub_name,
)
from schemas.errors import UserError

TORCH_SERVER = "https://download.pytorch.org/torchaudio/models/"
# The English one is MIT; those learned from VoxPopuli are CC BY-NC 4.0. 360 MB each.
TORCH_MODELS: dict[str, tuple[str, str]] = {  # language -> name in torchaudio, file
    "en": ("WAV2VEC2_ASR_BASE_960H", "wav2vec2_fairseq_base_ls960_asr_ls960.pth"),
    "fr": ("VOXPOPULI_ASR_BASE_10K_FR", "wav2vec2_voxpopuli_base_10k_asr_fr.pt"),
    "de": ("VOXPOPULI_ASR_BASE_10K_DE", "wav2vec2_voxpopuli_base_10k_asr_de.pt"),
    "es": ("VOXPOPULI_ASR_BASE_10K_ES", "wav2vec2_voxpopuli_base_10k_asr_es.pt"),
    "it": ("VOXPOPULI_ASR_BASE_10K_IT", "wav2vec2_voxpopuli_base_10k_asr_it.pt"),
}
# Each under the licence on its page of the hub; 0.4 to 3.9 GB.
HUB_MODELS: dict[str, str] = {
    "ja": "jonatasgrosman/wav2vec2-large-xlsr-53-japanese",
    "zh": "jonatasgrosman/wav2vec2-large-xlsr-53-chinese-zh-cn",
    "nl": "jonatasgrosman/wav2vec2-large-xlsr-53-dutch",
    "uk": "Yehor/wav2vec2-xls-r-300m-uk-with-small-lm",
    "pt": "jonatasgrosman/wav2vec2-large-xlsr-53-portuguese",
    "ar": "jonatasgrosman/wav2vec2-large-xlsr-53-arabic",
    "cs": "comodoro/wav2vec2-xls-r-300m-cs-250",
    "ru": "jonatasgrosman/wav2vec2-large-xlsr-53-russian",
    "pl": "jonatasgrosman/wav2vec2-large-xlsr-53-polish",
    "hu": "jonatasgrosman/wav2vec2-large-xlsr-53-hungarian",
    "fi": "jonatasgrosman/wav2vec2-large-xlsr-53-finnish",
    "fa": "jonatasgrosman/wav2vec2-large-xlsr-53-persian",
    "el": "jonatasgrosman/wav2vec2-large-xlsr-53-greek",
    "tr": "mpoyraz/wav2vec2-xls-r-300m-cv7-turkish",
    "da": "saattrupdan/wav2vec2-xls-r-300m-ftspeech",
    "he": "imvladikon/wav2vec2-xls-r-300m-hebrew",
    "vi": "nguyenvulebinh/wav2vec2-base-vi-vlsp2020",
    "ko": "kresnik/wav2vec2-large-xlsr-korean",
    "ur": "kingabzpro/wav2vec2-large-xls-r-300m-Urdu",
    "te": "anuragshas/wav2vec2-large-xlsr-53-telugu",
    "hi": "theainerd/Wav2Vec2-large-xlsr-hindi",
    "ca": "softcatala/wav2vec2-large-xlsr-catala",
    "ml": "gvs/wav2vec2-large-xlsr-malayalam",
    "no": "NbAiLab/nb-wav2vec2-1b-bokmaal-v2",
    "nn": "NbAiLab/nb-wav2vec2-1b-nynorsk",
    "sk": "comodoro/wav2vec2-xls-r-300m-sk-cv8",
    "sl": "anton-l/wav2vec2-large-xlsr-53-slovenian",
    "hr": "classla/wav2vec2-xls-r-parlaspeech-hr",
    "ro": "gigant/romanian-wav2vec2",
    "eu": "stefan-it/wav2vec2-large-xlsr-53-basque",
    "gl": "ifrz/wav2vec2-large-xlsr-galician",
    "ka": "xsway/wav2vec2-large-xlsr-georgian",
    "lv": "jimregan/wav2vec2-large-xlsr-latvian-cv",
    "tl": "Khalsuu/filipino-wav2vec2-l-xls-r-300m-official",
    "sv": "KBLab/wav2vec2-large-voxrex-swedish",
    "id": "cahya/wav2vec2-large-xlsr-indonesian",
}
WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")
PUBLISHED_FILES = ("*.json", "*.txt")


@dataclass(frozen=True)
class Aligner:
    """An alignment model on this machine: a folder as transformers reads it, or a file of torchaudio's."""

    language: str
    path: Path
    bundle: str | None = None  # its name in torchaudio

    @property
    def digest(self) -> str:
        return files_digest({self.path.name: self.path}) if self.bundle else folder_digest(self.path)

    def told(self) -> dict[str, Any]:
        """As the worker is told of it."""
        return {"path": str(self.path), "bundle": self.bundle}


def aligners_here(
    given: Mapping[str, str], language: str | None = None, *, download: bool = False
) -> dict[str, Aligner]:
    """Language -> alignment model on this machine: of one language, or of all (None).

    `given` are folders or hub names that the user names; elsewhere the published ones stand. `download` fetches
    the model of `language`, and given ones, when they are not here.

    Raises:
        UserError: "weights_missing", a given model is not here; "weights_download".
    """
    languages = [language] if language is not None else [*TORCH_MODELS, *HUB_MODELS, *given]
    found = {}
    for code in dict.fromkeys(languages):
        if code in given:
            aligner: Aligner | None = _given(code, given[code], download)
        else:
            aligner = _published(code, download=download and language is not None)
        if aligner is not None:
            found[code] = aligner
    return found


def _given(language: str, weights: str, download: bool) -> Aligner:
    folder = hub_folder(weights) if is_hub_name(weights) else Path(weights).expanduser()
    if (whole := _whole(folder)) is None and is_hub_name(weights) and download:
        whole = _fetch(weights)
    if whole is not None:
        return Aligner(language, whole)
    if is_hub_name(weights):
        remedy = f"download it: hf download {weights}; or set download = true"
        raise UserError("weights_missing", f"the alignment model {weights} is not on this machine", remedy)
    raise UserError(
        "weights_missing",
        f'no alignment model for "{language}" in {folder}',
        f"give a folder with config.json and {' or '.join(WEIGHT_FILES)}",
    )


def _published(language: str, *, download: bool) -> Aligner | None:
    if language in TORCH_MODELS:
        bundle, name = TORCH_MODELS[language]
        path = torch_folder() / name
        if not path.is_file() and download:
            download_file(TORCH_SERVER + name, path)
        return Aligner(language, path, bundle) if path.is_file() else None
    if language not in HUB_MODELS:
        return None
    folder = _whole(hub_folder(HUB_MODELS[language]))
    if folder is None and download:
        folder = _fetch(HUB_MODELS[language])
    return None if folder is None else Aligner(language, folder)


def _fetch(repository: str) -> Path | None:
    """Download a model; its weights in one form only, where it is published in two."""
    for weights in WEIGHT_FILES:
        if (whole := _whole(download_repository(repository, [*PUBLISHED_FILES, weights]))) is not None:
            return whole
    return None


def _whole(folder: Path | None) -> Path | None:
    if folder is None or not (folder / "config.json").is_file():
        return None
    return folder if any((folder / name).is_file() for name in WEIGHT_FILES) else None


def torch_folder() -> Path:
    """Where torch keeps what it downloads (https://docs.pytorch.org/docs/stable/hub.html)."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    home = os.environ.get("TORCH_HOME")
    return (Path(home).expanduser() if home else cache / "torch") / "hub" / "checkpoints"


def how_to_get(language: str) -> str:
    """What a person does to have words of a language aligned."""
    if language in TORCH_MODELS:
        licence = "MIT" if language == "en" else "CC BY-NC 4.0"
        return f"set download = true to fetch {TORCH_MODELS[language][0]} (0.36 GB, {licence})"
    if language in HUB_MODELS:
        return f"set download = true, or: hf download {HUB_MODELS[language]}"
    return f'name a Wav2Vec2 model: align_weights = {{{language} = "folder or hub name"}}'
