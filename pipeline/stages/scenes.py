"""Who is heard in the segments of a run: the turns of each recording, read once, with what people declare."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.stages.base import Run
from pipeline.stages.targets import DIARIZE, FACE, Aim, Cast, Scene, faces_in, scene_of, targets_of
from schemas.records import Features, Segment
from schemas.store import Stub


def scene(run: Run, segment: Segment) -> Scene:
    """Who is heard in a segment; without turns of its recording whoever was declared."""
    if not run.casts:
        run.casts.update(_casts(run))
    cast = run.casts.get(segment.source_id) or Cast(
        segment.source_id, (), run.facts.get(segment.source_id, {})
    )
    return scene_of(segment, cast, run.project.settings.select)


def aims(run: Run, segment: Segment, measured: Mapping[str, Stub]) -> tuple[Aim, ...]:
    """The targets of a segment; `measured` holds its features by id."""
    stages = run.feature_ids.get(segment.id, {})
    found = (measured.get(stages.get(stage, "")) for stage in ("speakers", FACE))
    faces = faces_in([stub.brief for stub in found if stub is not None])
    return targets_of(scene(run, segment).voices, faces, run.project.settings.select)


def _casts(run: Run) -> dict[str, Cast]:
    stubs = run.project.store.stubs(Features, run.source_feature_ids).values()
    found = run.project.store.by_id(Features, [s.id for s in stubs if s.brief["stage"] == DIARIZE])
    turns = {feature.subject_id: feature.turns for feature in found}
    return {source: Cast(source, turns.get(source, ()), run.facts.get(source, {})) for source in run.sources}
