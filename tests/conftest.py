"""Shared fixtures: the test media with known truth, found through EMOTRACE_TEST_DATA."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("emotrace", deadline=None)  # how long an example takes says nothing of the code
settings.load_profile("emotrace")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell ignores Ctrl-C for what it runs in the background, and every process below inherits that.
    signal.signal(signal.SIGINT, signal.default_int_handler)

REPO = Path(__file__).resolve().parents[1]


def data_dir() -> Path:
    return Path(os.environ.get("EMOTRACE_TEST_DATA") or REPO.parent / "shared" / "data")


@pytest.fixture(scope="session")
def media() -> Callable[[str], Path]:
    """`media("video/x.mp4")`: a file of the shared test media; skips the test when the data is absent."""

    def find(name: str) -> Path:
        path = data_dir() / "media" / name
        if not path.exists():
            pytest.skip(f"test media not found: set EMOTRACE_TEST_DATA (wanted media/{name})")
        return path

    return find


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tell the report which tests need the media: `.ci/skips.py` lets none of them be skipped."""
    for item in items:
        if "media" in getattr(item, "fixturenames", ()):
            item.add_marker("media")
        if item.get_closest_marker("media"):
            item.user_properties.append(("media", "needed"))


@pytest.fixture(autouse=True)
def _no_user_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own keys and settings never reach a test."""
    for name in list(os.environ):
        if name.startswith(("EMOTRACE__", "OPENAI_", "GEMINI_", "GOOGLE_", "PREFECT_")):
            monkeypatch.delenv(name)
