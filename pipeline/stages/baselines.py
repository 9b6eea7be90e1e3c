"""New baselines: how people usually sound and look, from all that is known of them now."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

from pipeline.features.base import method_of
from pipeline.features.baseline import make_baseline
from pipeline.features.face_baseline import make_face_baseline, seen_face
from pipeline.stages.base import Run, shards
from pipeline.stages.samples import PAGE
from pipeline.stages.scenes import aims, scene
from pipeline.stages.targets import FACE, VOICE
from schemas.records import Baseline, Features

READ_AT_ONCE = 50  # features with their curves


class Measured(NamedTuple):
    """What was measured of one person in one segment; of a face, which track is theirs."""

    feature_id: str
    track: str | None = None


def new_baselines(run: Run, wanted: Collection[tuple[str, str]]) -> dict[Measured, str]:
    """Of each wanted (stage, subject): everything that was measured of them -> the id of its baseline.

    One person at a time. What was measured in another way (an older version, other parameters) is not mixed in.
    """
    measured: dict[tuple[str, str], list[Measured]] = defaultdict(list)
    for stage, subject, one in _everything(run) if wanted else ():
        if (stage, subject) in wanted:
            measured[stage, subject].append(one)
    found: dict[Measured, str] = {}
    for (stage, subject), of_one in measured.items():
        for group in _by_method(run, stage, of_one):
            if (baseline := _baseline(stage, subject, [part for _, part in group])) is not None:
                run.project.store.add([baseline])
                found |= dict.fromkeys((one for one, _ in group), baseline.id)
    return found


def _everything(run: Run) -> Iterator[tuple[str, str, Measured]]:
    """(stage, subject, what was measured) of all people in all segments."""
    for page in shards(run.segments, PAGE):
        ids = [i for segment in page for i in run.feature_ids.get(segment.id, {}).values()]
        there = run.project.store.stubs(Features, ids)
        for segment in page:
            stages = run.feature_ids.get(segment.id, {})
            for voice in scene(run, segment).voices:
                if (heard := stages.get(voice.key(VOICE))) in there:
                    yield VOICE, voice.subject, Measured(heard)
            for aim in aims(run, segment, there):
                if (subject := aim.subject(FACE)) and (seen := stages.get(FACE)) in there:
                    yield FACE, subject, Measured(seen, aim.target.face_track)


def _by_method(run: Run, stage: str, measured: Sequence[Measured]) -> list[list[tuple[Measured, Any]]]:
    """What a baseline is made of, those that were measured in the same way together."""
    groups: dict[str, list[tuple[Measured, Any]]] = defaultdict(list)
    for few in shards(measured, READ_AT_ONCE):
        read = {f.id: f for f in run.project.store.by_id(Features, [one.feature_id for one in few])}
        for one in few:
            features = read[one.feature_id]
            part = seen_face(features, one.track or "") if stage == FACE else features
            groups[method_of(features)].append((one, part))
    return list(groups.values())


def _baseline(stage: str, subject: str, parts: Sequence[Any]) -> Baseline | None:
    return make_face_baseline(subject, parts) if stage == FACE else make_baseline(subject, parts)
