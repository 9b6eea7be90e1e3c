"""Who is heard in the segments of a run: the turns of each recording, read once, with what people declare."""

from __future__ import annotations

from pipeline.stages.base import Run
from pipeline.stages.targets import DIARIZE, Cast, Scene, scene_of
from schemas.records import Features, Segment


def scene(run: Run, segment: Segment) -> Scene:
    """Who is heard in a segment; without turns of its recording whoever was declared."""
    if not run.casts:
        run.casts.update(_casts(run))
    cast = run.casts.get(segment.source_id) or Cast(
        segment.source_id, (), run.facts.get(segment.source_id, {})
    )
    return scene_of(segment, cast, run.project.settings.select)


def _casts(run: Run) -> dict[str, Cast]:
    stubs = run.project.store.stubs(Features, run.source_feature_ids).values()
    found = run.project.store.by_id(Features, [s.id for s in stubs if s.brief["stage"] == DIARIZE])
    turns = {feature.subject_id: feature.turns for feature in found}
    return {source: Cast(source, turns.get(source, ()), run.facts.get(source, {})) for source in run.sources}
