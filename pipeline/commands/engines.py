"""Which engine carries a run: Prefect, or this process alone."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.run import Engine, Execute, local_engine
from pipeline.stages.base import Progress


def choose_engine(name: str, progress: Progress, *, local: bool) -> Engine:
    """Prefect is imported only when a run has something to do; its start takes seconds, so it is told."""
    if local:
        return local_engine()

    def engine(body: Callable[[Execute], None]) -> None:
        progress.start("prefect", 0)
        from pipeline.flows import prefect_engine

        prefect_engine(name)(body)

    return engine
