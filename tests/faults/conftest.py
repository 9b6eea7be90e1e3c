"""The recordings, and what a project over them holds when nothing interrupted it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.material import Driven, StampedModels, ingest_command, make_project, make_recordings


@pytest.fixture(scope="session")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_recordings(tmp_path_factory.mktemp("faults") / "recordings")


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory, recordings: Path) -> Driven:
    """A released project that nothing interrupted."""
    with StampedModels() as server:
        driven = Driven(make_project(tmp_path_factory.mktemp("whole") / "project", server), server)
        for command in (ingest_command(recordings), ("run", "--local"), ("release", "--version", "0.1.0")):
            status, text = driven.run(*command)
            assert status == 0, text
    return driven


@pytest.fixture
def models() -> Iterator[StampedModels]:
    with StampedModels(delay_s=0.05) as server:
        yield server


@pytest.fixture
def driven(tmp_path: Path, recordings: Path, models: StampedModels) -> Driven:
    """A new project, not yet ingested."""
    return Driven(make_project(tmp_path / "project", models), models)
