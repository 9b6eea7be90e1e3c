"""Which engine carries a run: Prefect, or this process alone; and none where there is nothing to do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from pipeline.outputs import RunOutput
from pipeline.project import Project
from pipeline.unchanged import nothing_to_do
from schemas.ports import Clock
from schemas.settings import Settings

if TYPE_CHECKING:
    from pipeline.run import Engine, Execute
    from pipeline.stages.base import Progress


def run_project(project: Project, progress: Progress, *, local: bool, **renewed: bool) -> RunOutput:
    """`pipeline.run.run`, which is loaded, decoders and all, only when there may be something to do.

    `renewed` are its flags for what is to be done again.
    """
    known = None if any(renewed.values()) else nothing_to_do(project)
    if known is not None:
        return known
    from pipeline.run import run

    engine = choose_engine(project.settings, progress, local=local)
    return run(project, engine, progress=progress, **renewed)


def run_to_the_end(
    project: Project, progress: Progress, *, local: bool, clock: Clock, **renewed: bool
) -> RunOutput:
    """Run, wait for the batch jobs under way, and run again until there are none, or something failed."""
    report = run_project(project, progress, local=local, **renewed)
    while report.batches and not report.failed_items:
        from pipeline.batches import one_over

        progress.note("batches", f"{len(report.batches)} under way, waited for")
        asyncio.run(one_over(project.store, project.settings, clock))
        report = run_project(project, progress, local=local)
    return report


def choose_engine(settings: Settings, progress: Progress, *, local: bool) -> Engine:
    """Prefect is imported only when a run has something to do; its start takes seconds, so it is told."""
    from pipeline.run import local_engine, workers_of

    workers = workers_of(settings)
    if local:
        return local_engine(workers=workers)

    def engine(body: Callable[[Execute], None]) -> None:
        progress.start("prefect", 0)
        from pipeline.flows import prefect_engine

        prefect_engine(settings.project.name, workers=workers)(body)

    return engine
