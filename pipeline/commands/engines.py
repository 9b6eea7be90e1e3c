"""Which engine carries a run: Prefect, or this process alone."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.run import Engine, Execute, local_engine, workers_of
from pipeline.stages.base import Progress
from schemas.settings import Settings


def choose_engine(settings: Settings, progress: Progress, *, local: bool) -> Engine:
    """Prefect is imported only when a run has something to do; its start takes seconds, so it is told."""
    if local:
        return local_engine(workers=workers_of(settings))

    def engine(body: Callable[[Execute], None]) -> None:
        progress.start("prefect", 0)
        from pipeline.flows import prefect_engine

        prefect_engine(settings.project.name, workers=workers_of(settings))(body)

    return engine
