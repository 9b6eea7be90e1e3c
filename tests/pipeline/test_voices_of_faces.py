"""The face of a voice is found by what its mouth does while the voice speaks, not while it pauses."""

from __future__ import annotations

from pathlib import Path

from pipeline.features.active_speaker import MOUTH_OPEN
from pipeline.stages.speakers import SpeakersStage
from pipeline.stages.targets import Cast
from schemas.parts import FaceTrack, Series, Span, SpeakerTurn
from schemas.records import Features, Segment
from tests.pipeline.records import make_run, place, project_in, source

STEP_S = 0.2
LENGTH_S = 20.0
TALKS = (Span(start_s=0, end_s=2), Span(start_s=12, end_s=14))
LISTENS = Span(start_s=15, end_s=19)


def face(part: Segment) -> Features:
    """A mouth that moves while its owner talks and rests in the long pause between."""
    times_s = [round(n * STEP_S, 3) for n in range(round(LENGTH_S / STEP_S))]
    moves = [any(span.start_s <= time_s < span.end_s for span in TALKS) for time_s in times_s]
    gaps = tuple(0.1 * (n % 2) if moving else 0.0 for n, moving in enumerate(moves))
    track = FaceTrack(name="face0", start_s=0, end_s=LENGTH_S, frames=len(gaps), box=(0.1, 0.1, 0.5, 0.5))
    mouth = Series(name=MOUTH_OPEN, unit="eye distances", times_s=tuple(times_s), values=gaps, track="face0")
    return Features(
        subject_id=part.id, extractor="mediapipe", version="1", stage="au", tracks=(track,), series=(mouth,)
    )


def test_a_mouth_that_rests_in_a_pause_still_belongs_to_the_voice(tmp_path: Path) -> None:
    with project_in(tmp_path) as project:
        run, of = make_run(project), source(1)
        part = Segment(
            source_id=of.id, rule="whole", version="1", index=0, source_start_s=0, source_end_s=LENGTH_S
        )
        place(run, of, [(part, [face(part)])], speaker=None)
        turns = [SpeakerTurn(speaker="ann", start_s=s.start_s, end_s=s.end_s) for s in TALKS]
        turns.append(SpeakerTurn(speaker="bob", start_s=LISTENS.start_s, end_s=LISTENS.end_s))
        run.casts[of.id] = Cast(of.id, tuple(turns), run.facts[of.id])
        stage = SpeakersStage()
        stage.work(run, stage.plan(run))
        stage.finish(run)
        (joined,) = [f for f in project.store.live(Features) if f.stage == "speakers"]
        assert set(joined.summary) == {"face0/ann"}
