"""What a sample tells of events: their size in the speaker's own units, and the lag between face and voice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agents.questions.serialise import sample_text
from pipeline.project import Project
from pipeline.stages.base import Run
from pipeline.stages.compose import ComposeStage
from schemas.parts import Event, Series
from schemas.records import Baseline, Features, Sample, Segment
from tests.pipeline.records import face, make_run, place, project_in, segment, source, voice

RISE = Event(cue="pitch_rise", modality="audio", start_s=1.0, end_s=1.5, size=6.0, unit="semitone")
SMILE = Event(
    cue="AU12", modality="visual", start_s=1.0, end_s=1.8, apex_s=1.2, size=0.7, unit="intensity", track="face0"
)  # fmt: skip


LEVELS = (0.1,) * 20 + (0.6,) * 5  # of the smile, five times a second
TIMES_S = tuple(round(0.2 * n, 3) for n in range(25))


def smiling(of: Segment, *, speaking: bool | None = None) -> Features:
    seen = face(of)
    tracks = tuple(track.model_copy(update={"speaking": speaking}) for track in seen.tracks)
    curve = Series(name="AU12", unit="intensity", times_s=TIMES_S, values=LEVELS, track="face0")
    return seen.model_copy(update={"events": (SMILE,), "series": (curve,), "tracks": tracks})


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
    return compose(run)


def compose(run: Run) -> list[Sample]:
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


def test_action_units_are_told_in_deviations_of_the_speakers_face(project: Project) -> None:
    run = make_run(project)
    for n in range(3):
        of = source(n)
        part = segment(of, 0)
        place(run, of, [(part, [smiling(part)])], speaker="ann")
    samples = compose(run)
    (usual,) = project.store.all(Baseline)
    assert (usual.subject, usual.stage, usual.segments, usual.seen_s) == ("speaker:ann", "au", 3, 15.0)
    assert usual.stats["AU12"].median == 0.1
    assert usual.stats["AU12"].sd == pytest.approx(0.2)
    for sample in samples:
        assert sample.baseline_ids == (usual.id,)
        assert [(event.size, event.z) for event in sample.events] == [(0.7, pytest.approx(3.0))]
        assert "(+3.0 sd from how this person usually looks)" in sample_text(sample)


def test_later_recordings_move_no_face_and_no_voice(project: Project) -> None:
    """Also where a segment had none: its sample stands, and nobody is asked again."""
    run = make_run(project)
    made: dict[str, Sample] = {}
    for n in range(4):
        of = source(n)
        part = segment(of, 0)
        place(run, of, [(part, [voice(part, 100 + n), smiling(part)])], speaker="ann")
        before, made = made, {sample.segment_id: sample for sample in compose(run)}
        assert [made[name].id for name in before] == [sample.id for sample in before.values()]
    stages = {baseline.id: baseline.stage for baseline in project.store.all(Baseline)}
    assert sorted(stages.values()) == ["au", "au", "prosody", "prosody"]  # of three segments and of four
    kinds = [sorted(stages[i] for i in made[part.id].baseline_ids) for part in run.segments]
    assert kinds == [[], [], ["au", "prosody"], ["au", "prosody"]]


def test_a_face_that_does_not_move_with_the_voice_is_not_the_speakers(project: Project) -> None:
    """The picture shows somebody who listens, or the voice is put over it."""
    run = make_run(project)
    for n in range(3):
        of = source(n)
        part = segment(of, 0)
        place(run, of, [(part, [voice(part, 100 + n), smiling(part, speaking=False)])], speaker="ann")
    samples = compose(run)
    assert {baseline.stage for baseline in project.store.all(Baseline)} == {"prosody"}
    assert [(sample.target.face_track, sample.missing) for sample in samples] == 3 * [
        (None, {"text": "not_extracted", "visual": "face_unknown"})
    ]
    assert not any("AU12" in sample_text(sample) for sample in samples)
