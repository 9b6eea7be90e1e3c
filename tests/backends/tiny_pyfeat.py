"""Weights for Py-Feat made on the spot, and what Py-Feat itself says of a picture with them.

Usage: python tiny_pyfeat.py FOLDER PICTURE.jpg, in the environment of the worker `pyfeat_faces`.

The face finder's heads look at nothing: in every picture they claim the same boxes, so large that one is left.
The multitask model is Py-Feat's own architecture with random weights and the smallest backbone: its numbers mean
nothing, and are the same for the same picture.
"""

from __future__ import annotations

import json
import math
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import feat
import feat.utils
import torch
from feat.face_detectors.Retinaface.Retinaface_model import RETINAFACE_R34_CFG, RetinaFace
from feat.multitask.model_v2 import MEGraphAUv2, ModelV2Config
from safetensors.torch import save_file

BOX_SCALE = 6.0  # of the anchors: boxes that differ by a shift within the picture overlap nearly whole
WIDTH_VARIANCE = 0.2  # of RetinaFace's box code


def save(model: Any, path: Path, metadata: dict[str, str] | None = None) -> None:
    save_file({k: v.clone().contiguous() for k, v in model.state_dict().items()}, path, metadata=metadata)


def multitask(path: Path) -> None:
    outputs = {"n_au": 20, "n_emotion": 7, "n_blendshape": 52}  # those of the published weights
    heads = {"mesh_normalized": True, "use_head_v3": True, "drop_mefl": True}
    config = ModelV2Config(backbone="convnextv2_atto", pretrained=False, **outputs, **heads)
    save(MEGraphAUv2(config), path, {"config": json.dumps(asdict(config))})


def face_finder(path: Path) -> None:
    net = RetinaFace(RETINAFACE_R34_CFG)
    with torch.no_grad():
        for level, (face, box) in enumerate(zip(net.ClassHead._convs, net.BboxHead._convs, strict=True)):
            for layer in (face, box):
                layer.weight.zero_()
                layer.bias.zero_()
            yes = level == 2  # the largest anchors alone say "a face"
            face.bias.copy_(torch.tensor([5.0, -5.0, -5.0 if yes else 5.0, 5.0 if yes else -5.0]))
            box.bias.copy_(torch.tensor([0.0, 0.0, *[math.log(BOX_SCALE) / WIDTH_VARIANCE] * 2] * 2))
    save(net, path)


def reference(folder: Path, picture: str) -> dict[str, float]:
    feat.utils.hf_hub_download_with_fallback = lambda **_: str(folder / "retinaface_r34.safetensors")
    weights = str(folder / "face_multitask_v28.safetensors")
    detector = feat.Detectorv2(device="cpu", identity_model=None, multitask_weights=weights)
    found = detector.detect(picture, data_type="image", progress_bar=False)
    assert len(found) == 1, f"{len(found)} faces"
    names = [*detector.multitask.au_names, *detector.multitask.emotion_names]
    return {
        name: float(found[name].iloc[0]) for name in [*names, "valence", "arousal", "Pitch", "Yaw", "Roll"]
    }


def main() -> None:
    folder, picture = Path(sys.argv[1]), sys.argv[2]
    torch.manual_seed(0)
    multitask(folder / "face_multitask_v28.safetensors")
    face_finder(folder / "retinaface_r34.safetensors")
    (folder / "reference.json").write_text(json.dumps(reference(folder, picture)), encoding="utf-8")


if __name__ == "__main__":
    main()
