"""Writes a pyannote diarization pipeline into a folder, without a download.

Usage: FOLDER; run in the worker's environment.

The segmentation model is the trained one in WhisperX's wheel, so turns begin and end where people do; the model
of voices is a random one, so who is who is chance.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

os.environ["PYANNOTE_METRICS_ENABLED"] = "0"

import numpy as np
import pyannote.audio
import torch
import whisperx
from pyannote.audio.core.task import Problem, Resolution, Specifications
from pyannote.audio.models.embedding import WeSpeakerResNet34

CONFIG = """\
pipeline:
  name: pyannote.audio.pipelines.SpeakerDiarization
  params:
    clustering: AgglomerativeClustering
    segmentation: $model/segmentation
    segmentation_step: 0.5
    segmentation_batch_size: 8
    embedding: $model/embedding
    embedding_batch_size: 8
    embedding_exclude_overlap: true
    plda: $model/plda
params:
  clustering: {method: centroid, min_cluster_size: 1, threshold: 0.7}
  segmentation: {min_duration_off: 0.0, threshold: 0.5}
"""


def main(folder: Path) -> None:
    for name in ("segmentation", "embedding", "plda"):
        (folder / name).mkdir(parents=True)
    (folder / "config.yaml").write_text(CONFIG, encoding="utf-8")
    trained = Path(whisperx.__file__).parent / "assets" / "pytorch_model.bin"
    shutil.copy(trained, folder / "segmentation" / "pytorch_model.bin")
    torch.manual_seed(0)
    save(WeSpeakerResNet34(), folder / "embedding" / "pytorch_model.bin")
    rng = np.random.default_rng(0)
    transform = {"mean1": np.zeros(256), "mean2": np.zeros(128), "lda": rng.standard_normal((256, 128))}
    np.savez(folder / "plda" / "xvec_transform.npz", **transform)
    np.savez(folder / "plda" / "plda.npz", mu=np.zeros(128), tr=np.eye(128), psi=np.linspace(2, 0.1, 128))


def save(model: WeSpeakerResNet34, path: Path) -> None:
    """As a checkpoint that `Model.from_pretrained` takes."""
    kind = type(model)
    task = Specifications(
        problem=Problem.REPRESENTATION, resolution=Resolution.CHUNK, duration=5.0, min_duration=2.0
    )
    about = {
        "versions": {"torch": torch.__version__, "pyannote.audio": pyannote.audio.__version__},
        "architecture": {"module": kind.__module__, "class": kind.__name__},
        "specifications": task,
    }
    torch.save(
        {
            "state_dict": model.state_dict(),
            "hyper_parameters": dict(model.hparams),
            "pytorch-lightning_version": "2.0.0",
            "pyannote.audio": about,
        },
        path,
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
