"""The pose backend on real recordings, through its real worker: people with hands out of view, and nobody."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.features.au_mediapipe import MediapipeAus
from pipeline.features.base import Clip
from pipeline.features.pose_mediapipe import SCRIPT, WEIGHTS_DIGEST, MediapipePose, PoseParams
from pipeline.features.worker import run_worker
from pipeline.stages.body import body_events
from schemas.errors import ItemError
from schemas.parts import Target
from schemas.records import Features
from tests.features.test_au_mediapipe import decoded_clip

pytestmark = [pytest.mark.worker, pytest.mark.media]

Media = Callable[[str], Path]
SPEAKERS = ("video/wh_address_a.mp4", "video/grid_bbaf2n.mpg")
STILL = "images/obama_portrait.jpg"
NOBODY = ("video/pyfeat_no_face.mp4", "video/psd_testvideo.mp4")
EVERYTHING = (*SPEAKERS, STILL, *NOBODY)
GIVEN_UP = "torn"


@pytest.fixture(scope="module")
def clips(media: Media, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Clip]:
    folder = tmp_path_factory.mktemp("decoded")
    clips = {name: decoded_clip(media(name), folder) for name in EVERYTHING}
    torn = folder / "torn.parquet"
    pq.write_table(pa.table({"time_s": [0.0], "jpeg": pa.array([b"no picture"], pa.binary())}), torn)
    sound = replace(clips[STILL], frames=None)
    return {GIVEN_UP: replace(clips[STILL], frames=torn), "sound": sound, **clips}


@pytest.fixture(scope="module")
def measured(clips: dict[str, Clip]) -> dict[str, Features | ItemError]:
    back = {id(clip): name for name, clip in clips.items()}
    return {back[id(clip)]: result for clip, result in MediapipePose().extract(clips.values())}


def features(measured: dict[str, Features | ItemError], name: str) -> Features:
    result = measured[name]
    assert isinstance(result, Features), result
    return result


@pytest.mark.parametrize("name", SPEAKERS)
def test_the_body_of_a_speaker_has_its_nose_in_the_face(
    measured: dict[str, Features | ItemError], clips: dict[str, Clip], name: str
) -> None:
    body = features(measured, name)
    assert (body.missing, body.summary["body_share"]) == (None, 1.0)
    ((_, faces),) = MediapipeAus().extract([clips[name]])
    assert isinstance(faces, Features)
    ((x, y, width, height),) = (track.box for track in faces.tracks)
    assert x < (body.summary["nose_x"] or 0) < x + width
    assert y < (body.summary["nose_y"] or 0) < y + height
    assert body_events(Target(face_track="f1"), faces, body) == body.events


@pytest.mark.parametrize("name", SPEAKERS)
def test_hands_out_of_view_are_neither_still_nor_moving(
    measured: dict[str, Features | ItemError], name: str
) -> None:
    body = features(measured, name)
    assert body.events == ()
    assert {value for series in body.series for value in series.values} == {None}
    assert body.summary["gesture_share"] is None


def test_a_still_tells_where_the_hands_are_and_no_movement(measured: dict[str, Features | ItemError]) -> None:
    body = features(measured, STILL)
    assert body.summary["hand_near_face_share"] == 0.0
    assert body.summary["hand_speed_mean"] is None
    assert body.events == ()


@pytest.mark.parametrize("name", NOBODY)
def test_drawings_and_landscapes_hold_nobody(measured: dict[str, Features | ItemError], name: str) -> None:
    body = features(measured, name)
    assert body.missing == "no_body"
    assert (body.series, body.events, body.summary) == ((), (), {})


def test_what_cannot_be_seen_is_said(measured: dict[str, Features | ItemError]) -> None:
    assert features(measured, "sound").missing == "no_video_stream"
    torn = measured[GIVEN_UP]
    assert isinstance(torn, ItemError)
    assert (torn.code, "no readable JPEG" in torn.message) == ("clip_failed", True)


def test_a_hand_at_the_chin_is_seen(clips: dict[str, Clip], tmp_path: Path) -> None:
    """Landmarks as the worker would write them: series, events and summary follow in the clip's own time."""
    from tests.features.test_pose_geometry import SIZE_PX, landmarks

    clip = clips[SPEAKERS[0]]
    bodies = landmarks(11)
    bodies[4:8] = landmarks(4, p15=(340, 160))
    arrays = {
        "times_s": np.arange(11) / 5 + clip.segment.source_start_s,
        "landmarks": bodies,
        "size_px": np.array(SIZE_PX),
    }
    body = MediapipePose(PoseParams(min_event_s=0.5)).read(clip, arrays)
    near = [event for event in body.events if event.cue == "hand_near_face"]
    assert [(event.start_s, event.end_s, event.size) for event in near] == [(0.8, 1.6, None)]
    assert body.summary["hand_near_face_share"] == pytest.approx(4 / 11, abs=1e-4)


def test_the_worker_loads_the_weights_that_the_question_names(clips: dict[str, Clip], tmp_path: Path) -> None:
    seen: list[dict[str, object]] = []
    row = {"frames": str(clips[STILL].frames), "start_s": 0, "end_s": 1, "still": True, "min_confidence": 0.5}
    manifest = [{"id": "a", "out": str(tmp_path / "a.npz"), **row}]
    assert [message["type"] for message in run_worker(SCRIPT, manifest, on_message=seen.append)] == ["done"]
    assert json.dumps(seen).count(WEIGHTS_DIGEST) == 1
