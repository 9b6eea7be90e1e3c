"""Py-Feat as published, with weights made on the spot: an image, a video, a whole run, clear errors."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline.features.au_pyfeat import SCRIPT, PyfeatAus, PyfeatParams
from pipeline.features.base import Clip
from pipeline.features.select import pick_extractor
from pipeline.features.worker import uv_binary
from pipeline.project import open_project
from schemas.errors import UserError
from schemas.records import Features, Sample
from tests.features.test_au_mediapipe import decoded_clip
from tests.pipeline.project import done_well, emotrace, take, write_settings

pytestmark = [pytest.mark.media, pytest.mark.worker]

Media = Callable[[str], Path]
STILL, SMILE, CUT = (
    "images/pyfeat_single_face.jpg",
    "video/pyfeat_single_face.mp4",
    "video/pyfeat_face_noface.mov",
)
UNITS, EMOTIONS = 20, 7


@pytest.fixture(scope="module")
def clips(media: Media, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Clip]:
    folder = tmp_path_factory.mktemp("decoded")
    return {name: decoded_clip(media(name), folder) for name in (STILL, SMILE, CUT)}


@pytest.fixture(scope="module")
def weights(clips: dict[str, Clip], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of weights, with `reference.json`: Py-Feat's own answer for the picture that the worker gets."""
    folder = tmp_path_factory.mktemp("pyfeat")
    frames = clips[STILL].frames
    assert frames is not None
    picture = folder / "picture.jpg"
    picture.write_bytes(pq.read_table(frames).column("jpeg")[0].as_py())
    sync = [uv_binary(), "sync", "--quiet", "--python", sys.executable, "--script", str(SCRIPT)]
    subprocess.run(sync, check=True)
    found = subprocess.run(
        [uv_binary(), "python", "find", "--script", str(SCRIPT)], check=True, capture_output=True, text=True
    )
    make = Path(__file__).with_name("tiny_pyfeat.py")
    made = subprocess.run(
        [found.stdout.strip(), str(make), str(folder), str(picture)],
        capture_output=True,
        text=True,
        check=False,
        env={"HF_HUB_OFFLINE": "1", "HOME": str(folder), "PATH": "/usr/bin:/bin"},
    )
    assert made.returncode == 0, made.stderr
    return folder


@pytest.fixture(scope="module")
def measured(clips: dict[str, Clip], weights: Path) -> dict[str, Features]:
    extractor = PyfeatAus(PyfeatParams(weights=str(weights), batch_size=4, max_faces=1))
    back = {id(clip): name for name, clip in clips.items()}
    found = {}
    for clip, result in extractor.extract(clips.values()):
        assert isinstance(result, Features), result
        found[back[id(clip)]] = result
    return found


def values(features: Features, name: str) -> tuple[float | None, ...]:
    (series,) = [series for series in features.series if series.name == name]
    return series.values


def test_an_image_gives_what_pyfeat_itself_says(measured: dict[str, Features], weights: Path) -> None:
    said = json.loads((weights / "reference.json").read_text("utf-8"))
    features = measured[STILL]
    assert features.missing is None
    units = [series.name for series in features.series if series.unit == "intensity"]
    assert len(units) == UNITS
    for unit in units:
        assert values(features, unit) == (pytest.approx(said[unit], abs=2e-3),)
    assert values(features, "valence") == (pytest.approx(said["valence"], abs=2e-3),)
    assert values(features, "emotion_happiness") == (pytest.approx(said["Happy"], abs=2e-3),)
    assert values(features, "head_yaw_deg") == (pytest.approx(-math.degrees(said["Yaw"]), abs=0.2),)
    assert values(features, "head_pitch_deg") == (pytest.approx(math.degrees(said["Pitch"]), abs=0.2),)


def test_a_video_gives_curves_on_the_clock_of_its_frames(
    measured: dict[str, Features], clips: dict[str, Clip]
) -> None:
    for name in (SMILE, CUT):
        features, frames = measured[name], clips[name].frames
        assert frames is not None
        times_s = pq.read_table(frames, columns=["time_s"]).column("time_s").to_pylist()
        (track,) = features.tracks
        assert (track.name, track.frames) == ("f1", len(times_s))
        assert features.series[0].times_s == pytest.approx(times_s, abs=1e-4)
        emotions = [s for s in features.series if s.name.startswith("emotion_")]
        assert len(emotions) == EMOTIONS
        for at_once in zip(*(series.values for series in emotions), strict=True):
            assert sum(value or 0.0 for value in at_once) == pytest.approx(1.0, abs=2e-3)
        assert all(-1 <= (v or 0.0) <= 1 for name in ("valence", "arousal") for v in values(features, name))
        assert len(set(values(features, "AU12"))) > 1, "the pictures differ, so must the numbers"


def test_the_question_holds_the_weights_and_not_where_they_lie(weights: Path, tmp_path: Path) -> None:
    here = PyfeatAus(PyfeatParams(weights=str(weights), batch_size=1, device="cuda:0"))
    (tmp_path / "copy").mkdir()
    for name in ("face_multitask_v28.safetensors", "retinaface_r34.safetensors"):
        (tmp_path / "copy" / name).write_bytes((weights / name).read_bytes())
    there = PyfeatAus(PyfeatParams(weights=str(tmp_path / "copy")))
    assert (here.params, here.weights_digest) == (there.params, there.weights_digest)
    assert not {"weights", "device", "batch_size"} & set(here.params)


def test_auto_takes_it_when_its_weights_are_named(weights: Path) -> None:
    assert pick_extractor("au", "auto", {"weights": str(weights)}, Path("talk.mp4")).name == "pyfeat"


def test_a_device_that_is_not_there_is_one_clear_line(clips: dict[str, Clip], weights: Path) -> None:
    extractor = PyfeatAus(PyfeatParams(weights=str(weights), device="cuda:7"))
    with pytest.raises(UserError, match='device = "cpu"') as caught:
        list(extractor.extract([clips[STILL]]))
    assert caught.value.code == "no_device"


def test_weights_that_are_none_are_one_clear_line(
    clips: dict[str, Clip], weights: Path, tmp_path: Path
) -> None:
    for name in ("face_multitask_v28.safetensors", "retinaface_r34.safetensors"):
        (tmp_path / name).write_bytes((weights / name).read_bytes()[:1000])
    with pytest.raises(UserError, match="cannot be loaded") as caught:
        list(PyfeatAus(PyfeatParams(weights=str(tmp_path))).extract([clips[STILL]]))
    assert caught.value.code == "weights_unreadable"
    assert "\n" not in str(caught.value)


def test_a_run_measures_with_it(media: Media, weights: Path, tmp_path: Path) -> None:
    faces = f'[features.au]\nbackend = "pyfeat"\nweights = "{weights}"\nmax_faces = 1\n'
    settings = f'[segment]\nrule = "whole"\n{faces}'
    root = write_settings(tmp_path / "project", settings)
    with open_project(root) as project:
        take(project, media(SMILE))
    done_well(emotrace("run", "--project", root, "--local", "--json"))
    with open_project(root) as project:
        (measured,) = [f for f in project.store.all(Features) if f.stage == "au"]
        (sample,) = project.store.all(Sample)
    assert (measured.extractor, len(measured.weights_digest or "")) == ("pyfeat", 64)
    assert sample.target.face_track == "f1"
    assert measured.digest in sample.feature_digests
