"""Tables and time series beside recordings, and bodies, through whole runs."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from agents.questions.serialise import sample_text
from pipeline.stages.body import body_events
from schemas.parts import Event, FaceTrack, Target
from schemas.records import Features, Sample
from tests.features.test_au_tables import openface_row, write
from tests.media_io.make import make_video
from tests.pipeline.project import done_well, emotrace, ingested, stored

Media = Callable[[str], Path]
SETTINGS = '[segment]\nrule = "whole"\n[features.asr]\nenabled = false\n[features.prosody]\nenabled = false\n'
HEART = "time_s,heart_rate[bpm]\n0.5,70\n1.5,80\n"


def run(root: Path) -> None:
    done_well(emotrace("run", "--project", root, "--local", "--json"))


def standing(root: Path) -> tuple[dict[str, Features], Sample]:
    """The features that stand, by stage, and the sample that does."""
    with stored(root) as store:
        live = store.live_ids(Features)
        features = {f.stage: f for f in store.all(Features) if f.id in live}
        (sample,) = [s for s in store.all(Sample) if s.id in store.live_ids(Sample)]
    return features, sample


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    """A recording without a face, 2 s at 25 frames per second, with an OpenFace table of a smile beside it."""
    folder = tmp_path / "recordings"
    folder.mkdir()
    recording = make_video(folder / "talk.mp4", size=(640, 480))
    rows = [openface_row(n + 1, n / 25, AU12_r=4 if n >= 25 else 0) for n in range(50)]
    write(folder / "talk.csv", rows, ", ")
    return recording


def test_what_stands_beside_a_recording_is_in_its_sample(talk: Path, tmp_path: Path) -> None:
    root = ingested(tmp_path / "project", SETTINGS, talk)
    run(root)
    features, without = standing(root)
    assert (features["au"].extractor, set(features) & {"pose", "series"}) == ("openface", set())
    assert [(event.cue, event.track, event.size) for event in without.events] == [("AU12", "f1", 0.8)]
    assert "AU12 0.8 intensity" in sample_text(without)
    series = talk.with_suffix(".series.csv")
    series.write_text(HEART)
    run(root)
    features, with_series = standing(root)
    assert features["series"].series[0].values == (70.0, 80.0)
    assert features["series"].digest in with_series.feature_digests
    assert with_series.id != without.id
    run(root)
    assert standing(root) == (features, with_series)
    series.unlink()
    run(root)
    features, again = standing(root)
    assert (again.id, "series" in features) == (without.id, False)


def test_a_bad_row_fails_its_recording_and_the_others_go_on(talk: Path, tmp_path: Path) -> None:
    other = make_video(talk.with_name("other.mp4"), frames=30)
    write(other.with_suffix(".csv"), [openface_row(n + 1, n / 25) for n in range(30)])
    with talk.with_suffix(".csv").open("a") as file:
        file.write("51,0,never,1,1,0,0,0,1,2,1,2,0,0,0\n")
    root = ingested(tmp_path / "project", SETTINGS, talk, other)
    done = emotrace("run", "--project", root, "--local")
    assert done.status == 1
    assert (
        f'{talk.with_suffix(".csv")}:52: "never" in the column timestamp is no number'
        in done.stderr + done.stdout
    )
    _, sample = standing(root)
    assert sample.duration_s < 1.5, "the other recording has its sample"


@pytest.mark.media
@pytest.mark.worker
def test_bodies_are_measured_where_the_project_file_asks_for_them(media: Media, tmp_path: Path) -> None:
    recording = Path(shutil.copy(media("video/wh_address_a.mp4"), tmp_path / "talk.mp4"))
    root = ingested(tmp_path / "project", SETTINGS, recording)
    run(root)
    features, without = standing(root)
    assert "pose" not in features
    with (root / "emotrace.toml").open("a") as file:
        file.write("[features.pose]\nmin_event_s = 0.5\n")
    run(root)
    features, sample = standing(root)
    assert features["pose"].summary["body_share"] == 1.0
    assert features["pose"].digest in sample.feature_digests
    assert sample.id != without.id
    assert sample.events == without.events, "no hand is in view"


def body(x: float) -> Features:
    event = Event(cue="arms_crossed", modality="visual", start_s=0, end_s=1)
    return Features(
        subject_id="seg_1", extractor="mediapipe", version="1", stage="pose", events=(event,),
        summary={"nose_x": x, "nose_y": 0.4},
    )  # fmt: skip


def test_a_body_that_is_not_the_targets_is_not_told() -> None:
    tracks = [
        FaceTrack(name=name, start_s=0, end_s=1, frames=5, box=(x, 0.3, 0.2, 0.3))
        for name, x in (("f1", 0.1), ("f2", 0.6))
    ]
    both = Features(subject_id="seg_1", extractor="mediapipe", version="1", stage="au", tracks=tuple(tracks))
    one = both.model_copy(update={"tracks": (tracks[0],)})
    left, right = body(0.2), body(0.7)
    first, second = Target(face_track="f1"), Target(face_track="f2")
    assert body_events(first, both, left) == left.events
    assert body_events(first, both, right) == ()
    assert body_events(second, both, right) == right.events
    assert body_events(Target(), both, right) == ()
    assert body_events(first, one, right) == right.events
    assert body_events(Target(), None, right) == right.events
    assert body_events(first, both, None) == ()
    assert body_events(first, both, right.model_copy(update={"summary": {}})) == ()
