"""The local model server as a fixture."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.wire.server import FakeModels


@pytest.fixture
def models() -> Iterator[FakeModels]:
    with FakeModels() as server:
        yield server
