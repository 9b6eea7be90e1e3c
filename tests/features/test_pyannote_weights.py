"""Where a pyannote pipeline is looked for, what counts as part of it, and what the user is told without one."""

from __future__ import annotations

from pathlib import Path

import huggingface_hub.constants
import pytest

from pipeline.features.pyannote_weights import (
    COMMUNITY,
    is_reachable,
    pipeline_config,
    pipeline_digest,
    pipeline_files,
)
from schemas.errors import UserError

PARAMS = """\
pipeline:
  name: pyannote.audio.pipelines.SpeakerDiarization
  params:
    clustering: VBxClustering
    segmentation: $model/segmentation
    embedding: {embedding}
params:
  clustering: {{threshold: 0.6, Fa: 0.07}}
"""


@pytest.fixture(autouse=True)
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub cache of the test's own, which is empty."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def make(folder: Path, embedding: str = "$model/embedding") -> Path:
    for name in ("segmentation", "embedding"):
        (folder / name).mkdir(parents=True)
        (folder / name / "pytorch_model.bin").write_bytes(name.encode())
    (folder / "config.yaml").write_text(PARAMS.format(embedding=embedding), encoding="utf-8")
    return folder


def in_hub(hub: Path, name: str) -> Path:
    """The folder of the newest download of a repository."""
    repository = hub / f"models--{name.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("abc")
    (repository / "snapshots" / "abc").mkdir(parents=True)
    return repository / "snapshots" / "abc"


def test_a_folder_its_config_and_a_hub_name_lead_to_a_pipeline(tmp_path: Path, hub: Path) -> None:
    folder = make(tmp_path / "own")
    assert (
        pipeline_config(str(folder)) == pipeline_config(str(folder / "config.yaml")) == folder / "config.yaml"
    )
    assert not is_reachable(None)
    snapshot = in_hub(hub, COMMUNITY)
    assert not is_reachable(None)  # a download that was cut off
    make(snapshot)
    assert is_reachable(None)
    assert pipeline_config(COMMUNITY) == pipeline_config(None) == snapshot / "config.yaml"


def test_without_weights_it_is_told_what_to_accept_and_to_do() -> None:
    with pytest.raises(UserError) as caught:
        pipeline_config(None)
    for part in (
        COMMUNITY,
        "accept its conditions",
        "CC-BY-4.0",
        "about 35 MB",
        "HF_TOKEN",
        "hf download",
        "weights",
    ):
        assert part in str(caught.value)
    with pytest.raises(UserError, match="hf download own/pipeline") as caught:
        is_reachable("own/pipeline")
    assert caught.value.code == "weights_missing"


def test_a_folder_that_is_not_one_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"config\.yaml missing"):
        is_reachable(str(tmp_path))
    (tmp_path / "config.yaml").write_text("- no pipeline\n")
    with pytest.raises(UserError, match="no config of a pyannote pipeline") as caught:
        pipeline_digest(tmp_path / "config.yaml")
    assert caught.value.code == "weights_unreadable"


def test_everything_that_the_config_names_counts(tmp_path: Path, hub: Path) -> None:
    own = make(tmp_path / "own")
    first = pipeline_digest(own / "config.yaml")
    assert pipeline_digest(make(tmp_path / "copy") / "config.yaml") == first
    (own / "README.md").write_text("not named")
    assert pipeline_digest(own / "config.yaml") == first
    (own / "embedding" / "pytorch_model.bin").write_bytes(b"others")
    assert pipeline_digest(own / "config.yaml") != first

    elsewhere = make(tmp_path / "elsewhere", "pyannote/voices")
    with pytest.raises(UserError, match="names pyannote/voices, which is not on this machine"):
        pipeline_files(elsewhere / "config.yaml")
    model = in_hub(hub, "pyannote/voices") / "pytorch_model.bin"
    model.write_bytes(b"voices")
    assert model in pipeline_files(elsewhere / "config.yaml").values()
    second = pipeline_digest(elsewhere / "config.yaml")
    model.write_bytes(b"other voices")
    assert pipeline_digest(elsewhere / "config.yaml") != second

    nested = make(tmp_path / "nested", "{checkpoint: pyannote/voices, subfolder: small}")
    with pytest.raises(UserError, match="pyannote/voices/small"):
        pipeline_files(nested / "config.yaml")
