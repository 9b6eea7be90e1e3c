"""Where Py-Feat's weights are looked for, and what the user is told when they are not there."""

from __future__ import annotations

from pathlib import Path

import huggingface_hub.constants
import pytest

from pipeline.features.au_weights import (
    FACE_FINDER,
    FACE_FINDER_FILES,
    MULTITASK,
    MULTITASK_FILES,
    find_pyfeat_weights,
    pyfeat_weights,
)
from pipeline.features.select import pick_extractor
from schemas.errors import UserError
from tests.features.local_hub import local_hub


@pytest.fixture(autouse=True)
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "hub"


def put(hub: Path, repository: str, name: str, data: bytes = b"weights") -> Path:
    """A file as the hub's own client leaves it in its cache."""
    folder = hub / f"models--{repository.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True, exist_ok=True)
    (folder / "refs" / "main").write_text("abc", encoding="utf-8")
    file = folder / "snapshots" / "abc" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    return file


def test_the_local_hub_cache_is_enough(hub: Path) -> None:
    assert find_pyfeat_weights(None) is None
    multitask = put(hub, MULTITASK, MULTITASK_FILES[0])
    assert find_pyfeat_weights(None) is None, "the face finder is missing"
    finder = put(hub, FACE_FINDER, FACE_FINDER_FILES[1])
    assert find_pyfeat_weights(None) == (multitask, finder)
    own = put(hub, "someone/faces", MULTITASK_FILES[0])
    assert find_pyfeat_weights("someone/faces") == (own, finder)


def test_a_folder_holds_both_or_the_face_finder_is_in_the_hub_cache(hub: Path, tmp_path: Path) -> None:
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / MULTITASK_FILES[0]).write_bytes(b"a")
    assert find_pyfeat_weights(str(folder)) is None
    finder = put(hub, FACE_FINDER, FACE_FINDER_FILES[1])
    found = find_pyfeat_weights(str(folder))
    assert found == (folder / MULTITASK_FILES[0], finder)
    (folder / FACE_FINDER_FILES[0]).write_bytes(b"b")
    assert pyfeat_weights(str(folder)).face_finder == folder / FACE_FINDER_FILES[0]


def test_the_digest_follows_the_bytes(tmp_path: Path) -> None:
    for name in (MULTITASK_FILES[0], FACE_FINDER_FILES[0]):
        (tmp_path / name).write_bytes(b"one")
    first = pyfeat_weights(str(tmp_path)).digest
    assert pyfeat_weights(str(tmp_path)).digest == first
    (tmp_path / FACE_FINDER_FILES[0]).write_bytes(b"other")
    assert pyfeat_weights(str(tmp_path)).digest != first


@pytest.mark.parametrize("weights", [None, "someone/faces"])
def test_missing_weights_are_one_line_with_size_licence_and_setting(weights: str | None) -> None:
    with pytest.raises(UserError) as caught:
        pyfeat_weights(weights)
    text = str(caught.value)
    assert caught.value.code == "weights_missing"
    assert all(part in text for part in ("hf download", "GB", "non-commercial", "set weights"))
    assert "\n" not in text


def test_they_are_fetched_when_the_project_says_so(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {MULTITASK: {MULTITASK_FILES[0]: b"a"}, FACE_FINDER: {FACE_FINDER_FILES[1]: b"b"}}
    with local_hub(files) as (address, _):
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", address)
        template = address + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        found = pyfeat_weights(None, download=True)
    assert (found.multitask.read_bytes(), found.face_finder.read_bytes()) == (b"a", b"b")
    assert find_pyfeat_weights(None) == found


def test_a_folder_without_them_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=str(tmp_path)):
        pyfeat_weights(str(tmp_path))


def test_auto_never_asks_for_them_unless_they_are_named(tmp_path: Path) -> None:
    assert pick_extractor("au", "auto", {}, tmp_path / "talk.mp4").name == "mediapipe"
    with pytest.raises(UserError, match="hf download"):
        pick_extractor("au", "auto", {"weights": "someone/faces"}, tmp_path / "talk.mp4")
    with pytest.raises(UserError, match="hf download"):
        pick_extractor("au", "pyfeat", {}, tmp_path / "talk.mp4")
