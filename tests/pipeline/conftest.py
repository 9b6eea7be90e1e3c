"""An empty project and two recordings to take into it; a test file with other needs has its own of that name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.project import Project, open_project
from tests.media_io.make import make_sound, tone
from tests.pipeline.project import write_settings


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with open_project(write_settings(tmp_path / "project", "")) as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "recordings"
    folder.mkdir()
    make_sound(folder / "a.wav", tone(1.0))
    make_sound(folder / "b.wav", tone(1.5))
    return folder
