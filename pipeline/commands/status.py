"""How a project stands, for people and machines."""

from __future__ import annotations

from pipeline.commands.show import decision_rows
from pipeline.live import live_items
from pipeline.outputs import StatusOutput
from pipeline.project import Project
from pipeline.sentinel import drifts
from pipeline.stages.decide import bring_decisions_up_to_date
from pipeline.status import hallucination, totals, was_stopped


def status_of(project: Project, *, clips: bool = False) -> StatusOutput:
    """Counts, rates and drift; with `clips` one row a clip. Reviews since the last run are taken in first."""
    bring_decisions_up_to_date(project)
    store = project.store
    return StatusOutput(
        **dict(totals(store)),
        project=project.settings.project.name,
        stopped=was_stopped(store),
        hallucination=hallucination(store),
        drift=drifts(store),
        clips=decision_rows(live_items(store)) if clips else None,
    )
