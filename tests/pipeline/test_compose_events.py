"""What a sample tells of events: their size in the speaker's own units, and the lag between face and voice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agents.serialise import sample_text
from pipeline.project import Project
from pipeline.stages.compose import ComposeStage
from schemas.parts import Event
from schemas.records import Features, Sample
from tests.pipeline.records import face, make_run, place, project_in, segment, source, voice

RISE = Event(cue="pitch_rise", modality="audio", start_s=1.0, end_s=1.5, size=6.0, unit="semitone")
SMILE = Event(
    cue="AU12", modality="visual", start_s=1.0, end_s=1.8, apex_s=1.2, size=0.7, unit="intensity", track="face0"
)  # fmt: skip


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with project_in(tmp_path / "project") as opened:
        yield opened


def composed(project: Project, count: int) -> list[Sample]:
    """Samples of one speaker's recordings, each with a rise of the pitch at 1.5 s and a smile at 1.2 s."""
    run = make_run(project)
    for n in range(count):
        of = source(n)
        part = segment(of, 0)
        heard = voice(part, 100 + 10 * n).model_copy(update={"events": (RISE,)})
        seen = face(part).model_copy(update={"events": (SMILE,)})
        place(run, of, [(part, [heard, seen])], speaker="ann")
    stage = ComposeStage()
    stage.work(run, stage.plan(run))
    stage.finish(run)
    assert run.failures == {}
    return list(run.samples)


def test_events_of_the_voice_are_told_in_the_speakers_deviations(project: Project) -> None:
    for sample in composed(project, 3):
        smile, rise = sorted(sample.events, key=lambda event: event.modality, reverse=True)
        assert (rise.size, rise.unit, smile) == (6.0, "semitone", SMILE)
        assert rise.z is not None
        assert f"({rise.z:.1f} sd of this person's usual variation)" in sample_text(sample)
    assert all(event.z is None for f in project.store.all(Features) for event in f.events)


def test_one_short_clip_has_no_deviations(project: Project) -> None:
    (sample,) = composed(project, 1)
    assert [event.z for event in sample.events] == [None, None]
    assert all(measure.z is None for measure in sample.prosody)
    assert "sd" not in sample_text(sample)


def test_the_lag_between_face_and_voice_is_a_measure(project: Project) -> None:
    (sample,) = composed(project, 1)
    assert [(m.value, m.unit) for m in sample.prosody if m.name == "face_voice_lag_s"] == [(0.3, "s")]
