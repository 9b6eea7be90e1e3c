"""A recording that is away keeps what was measured and stands, not what was measured last."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.stages.base import Run
from pipeline.stages.extract import ExtractStage
from schemas.records import Features
from schemas.store import StoredPath
from tests.pipeline.records import heard, make_run, place, project_in, segment, source, voice

OF = source(1)
PART = segment(OF, 0)
STANDING, TRIAL, VOICE = heard(PART, "right"), heard(PART, "wrong"), voice(PART, 100)


def away(run: Run) -> str | None:
    """The words that the stage takes for the segment; nothing is there to be measured."""
    assert ExtractStage("asr").plan(run) == []
    return run.feature_ids[PART.id].get("asr")


@pytest.mark.parametrize(
    ("live", "kept"), [([STANDING, VOICE], STANDING), ([TRIAL], TRIAL), ([VOICE], TRIAL)]
)
def test_what_stands_is_kept_and_only_without_it_what_came_last(
    live: list[Features], kept: Features, tmp_path: Path
) -> None:
    with project_in(tmp_path / "project") as project:
        project.store.set_paths([StoredPath(str(tmp_path / "unmounted.mp4"), 9, 9, 9, OF.id)])
        run = make_run(project)
        place(run, OF, [(PART, [])], speaker=None)
        project.store.add([STANDING, VOICE])
        project.store.add([TRIAL])  # after that the settings went back
        project.store.set_live(Features, [feature.id for feature in live])
        assert away(run) == kept.id
