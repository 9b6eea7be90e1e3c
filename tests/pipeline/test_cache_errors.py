"""What makes the artifact cache unusable is told in one line with the remedy."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from pipeline.artifacts import Artifacts
from schemas.errors import UserError


def refusal(url: str) -> UserError:
    with pytest.raises(UserError) as caught:
        Artifacts(url).put_bytes("dec_ab12", "a.json", b"{}")
    assert caught.value.code == "bad_cache"
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(("url", "package"), [("s3://bucket/cache", "s3fs"), ("gs://bucket/cache", "gcsfs")])
def test_a_missing_package_is_named(url: str, package: str) -> None:
    if importlib.util.find_spec(package) is not None:
        pytest.skip(f"{package} is installed")
    assert refusal(url).remedy == f"pip install {package}"


def test_a_protocol_that_nobody_knows() -> None:
    error = refusal("nosuch://bucket/cache")
    assert "nosuch" in error.message
    assert "project.artifacts" in error.remedy


@pytest.mark.parametrize("name", ["cache", "cache/below"])
def test_a_cache_that_is_a_plain_file(name: str, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("not a folder")
    error = refusal(str(tmp_path / name))
    assert error.file == str(tmp_path / name)
    assert "project.artifacts" in error.remedy
    assert not Artifacts(str(tmp_path / name)).has("dec_ab12", "a.json")


def test_a_cache_that_may_not_be_written() -> None:
    if not Path("/sys").is_dir():
        pytest.skip("no /sys here: nowhere that nobody may write")
    refusal("/sys/emotrace-cache")


def test_what_fails_for_another_reason_keeps_its_error(tmp_path: Path) -> None:
    cache = Artifacts(str(tmp_path / "cache"))
    with pytest.raises(PermissionError), cache.workdir():
        raise PermissionError(13, "a recording that may not be read")
    assert list((tmp_path / "cache" / "tmp").iterdir()) == []


def test_where_the_cache_is(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    assert Artifacts(str(tmp_path / "link" / "cache")).folder == (tmp_path / "cache").resolve()
    assert Artifacts("memory://cache").folder is None
