"""Weights: what they are is remembered, where they lie is looked up, and none is downloaded unasked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub.constants
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.features import asr_aligners
from pipeline.features.asr_aligners import HUB_MODELS, TORCH_MODELS, aligners_here, how_to_get
from pipeline.features.asr_weights import WHISPER_REPOSITORIES, whisper_folder
from pipeline.features.host import Host, hosted
from pipeline.features.weights import (
    digests_file,
    download_repository,
    files_digest,
    folder_digest,
    is_hub_name,
)
from schemas.errors import UserError
from schemas.ids import file_digest
from tests.features.local_hub import local_hub
from tests.features.tiny_whisper import make_tiny_whisper


@pytest.fixture(autouse=True)
def _own_caches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("TORCH_HOME", raising=False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[str]]:
    """A hub with a Whisper, two aligners, and one model behind terms; what it was asked for."""
    whisper = make_tiny_whisper(tmp_path / "made")
    files = {path.name: path.read_bytes() for path in whisper.iterdir()}
    aligner = {"config.json": b"{}", "vocab.json": b"{}", "pytorch_model.bin": b"weights"}
    repositories = {
        WHISPER_REPOSITORIES["small"]: files | {"README.md": b"not needed"},
        HUB_MODELS["nl"]: aligner,
        "someone/both": aligner | {"model.safetensors": b"weights"},
        "someone/nothing": {"config.json": b"{}"},
        "someone/terms": 403,
        "someone/broken": 400,
    }
    with local_hub(repositories) as (address, asked):
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", address)
        monkeypatch.setattr(
            huggingface_hub.constants,
            "HUGGINGFACE_CO_URL_TEMPLATE",
            address + "/{repo_id}/resolve/{revision}/{filename}",
        )
        monkeypatch.setattr(asr_aligners, "TORCH_SERVER", f"{address}/someone/both/resolve/{'c' * 40}/")
        yield asked


def test_a_digest_is_remembered_until_the_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = tmp_path / "weights"
    weights.mkdir()
    (weights / "model.bin").write_bytes(b"one")
    first = folder_digest(weights)
    remembered = json.loads(digests_file().read_text())
    assert remembered[str(weights / "model.bin")][2] == file_digest(weights / "model.bin")
    (weights / "model.bin").write_bytes(b"other")
    assert folder_digest(weights) != first
    (weights / "model.bin").write_bytes(b"one")
    assert folder_digest(weights) == first
    assert list(json.loads(digests_file().read_text())) == [str(weights / "model.bin")]


def test_a_file_that_is_gone_is_forgotten(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
        files_digest({name: tmp_path / name})
        (tmp_path / "a").unlink(missing_ok=True)
    assert list(json.loads(digests_file().read_text())) == [str(tmp_path / "b")]


@pytest.mark.parametrize("text", ["", "no json", "[1, 2]", '{"a": 3}'])
def test_a_memory_that_cannot_be_read_costs_time_only(tmp_path: Path, text: str) -> None:
    (tmp_path / "model.bin").write_bytes(text.encode())
    digests_file().parent.mkdir(parents=True)
    digests_file().write_text(text)
    assert len(files_digest({"model.bin": tmp_path / "model.bin"})) == 64


def test_names_count_and_places_do_not(tmp_path: Path) -> None:
    for folder in ("here", "there"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "model.bin").write_bytes(b"same")
    assert folder_digest(tmp_path / "here") == folder_digest(tmp_path / "there")
    file = tmp_path / "here" / "model.bin"
    assert files_digest({"a": file}) != files_digest({"b": file})


@given(st.from_regex(r"[A-Za-z0-9][\w-]{0,8}/[A-Za-z0-9][\w.-]{0,8}", fullmatch=True))
def test_owner_and_name_are_a_hub_name(name: str) -> None:
    assert is_hub_name(name)


@pytest.mark.parametrize(
    "weights", ["model", "./model", "../model", "~/model", "/a/model", "a/b/c", "a/", "tests/docs"]
)
def test_a_path_is_no_hub_name(weights: str) -> None:
    assert not is_hub_name(weights)


def test_whisper_is_downloaded_when_asked_for_and_only_once(hub: list[str]) -> None:
    with pytest.raises(UserError) as caught:
        whisper_folder(None, download=False)
    assert (
        "hf download Systran/faster-whisper-small (0.5 GB, MIT); or set download = true"
        in caught.value.remedy
    )
    assert hub == []
    told: list[str] = []
    with hosted(Host(note=told.append)):
        folder = whisper_folder(None, download=True)
    assert told == ["downloading Systran/faster-whisper-small"]
    assert (folder / "model.bin").is_file()
    assert not (folder / "README.md").exists()
    asked = len(hub)
    assert asked
    with hosted(Host(note=told.append)):
        assert whisper_folder(None, download=True) == whisper_folder(WHISPER_REPOSITORIES["small"]) == folder
    assert len(hub) == asked
    assert len(told) == 1


@pytest.mark.parametrize(
    ("repository", "part"),
    [
        ("someone/terms", "set HF_TOKEN"),
        ("nobody/knows", "check the name"),
        ("someone/broken", "check the network"),
    ],
)
@pytest.mark.usefixtures("hub")
def test_a_download_that_fails_is_one_line_with_a_remedy(repository: str, part: str) -> None:
    with pytest.raises(UserError) as caught:
        download_repository(repository, ["*"])
    assert caught.value.code == "weights_download"
    assert part in caught.value.remedy
    assert repository in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("hub")
def test_a_repository_without_a_whisper_model_is_said() -> None:
    with pytest.raises(UserError, match="no CTranslate2 Whisper model"):
        whisper_folder("someone/nothing", download=True)


def test_no_aligner_is_downloaded_for_a_language_that_may_turn_up(hub: list[str]) -> None:
    assert aligners_here({}, None, download=True) == {}
    assert aligners_here({}, "cy", download=True) == {}
    assert aligners_here({}, "nl") == {}
    assert hub == []


def test_the_aligner_of_a_language_is_downloaded_in_one_form(hub: list[str]) -> None:
    dutch = aligners_here({}, "nl", download=True)["nl"]
    assert (dutch.path / "pytorch_model.bin").is_file()
    assert aligners_here({})["nl"] == dutch
    both = aligners_here({"nl": "someone/both"}, "nl", download=True)["nl"]
    assert (both.path / "model.safetensors").is_file()
    assert not (both.path / "pytorch_model.bin").exists()
    assert dutch.digest != both.digest


def test_the_english_aligner_lies_where_torch_keeps_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = b"weights of torchaudio"
    with local_hub({"models": {TORCH_MODELS["en"][1]: body}}) as (address, _):
        monkeypatch.setattr(asr_aligners, "TORCH_SERVER", f"{address}/models/resolve/{'c' * 40}/")
        english = aligners_here({}, "en", download=True)["en"]
        with pytest.raises(UserError, match="cannot be downloaded"):
            aligners_here({}, "de", download=True)
    assert english.path == tmp_path / "cache" / "torch" / "hub" / "checkpoints" / TORCH_MODELS["en"][1]
    assert english.path.read_bytes() == body
    assert english.bundle == "WAV2VEC2_ASR_BASE_960H"
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "other"))
    assert aligners_here({}, "en") == {}


def test_a_given_aligner_that_is_not_there_is_said(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match='no alignment model for "en"') as caught:
        aligners_here({"en": str(tmp_path)}, "en")
    assert "model.safetensors" in caught.value.remedy
    with pytest.raises(UserError, match="is not on this machine") as caught:
        aligners_here({"en": "someone/aligner"}, None)
    assert "download = true" in caught.value.remedy


@pytest.mark.parametrize(
    ("language", "part"),
    [("en", "MIT"), ("fr", "CC BY-NC 4.0"), ("nl", "hf download"), ("cy", "align_weights")],
)
def test_it_is_said_how_to_get_an_aligner(language: str, part: str) -> None:
    assert part in how_to_get(language)
