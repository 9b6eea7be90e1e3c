"""OpenFace and Py-Feat tables beside a recording: which is which, their clock, scales, faces and mistakes."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.features.active_speaker import with_speaking
from pipeline.features.au_tables import OpenfaceAus, OpenfaceParams, PyfeatTableAus, PyfeatTableParams
from pipeline.features.base import Clip, method_of
from pipeline.features.face_tables import find_face_table, read_face_table
from pipeline.features.select import pick_extractor
from schemas.errors import ItemError
from schemas.parts import MediaFacts, Series, Span, VideoFacts
from schemas.records import Features, Segment, Source

WIDTH_PX, HEIGHT_PX = 640, 480
OPENFACE = "../tables/pyfeat_OpenFace_Test.csv"
Media = Callable[[str], Path]
Row = dict[str, Any]


def clip_of(
    recording: Path,
    times_s: Sequence[float],
    start_s: float = 0.0,
    end_s: float | None = None,
    rotation_deg: int = 0,
) -> Clip:
    """A segment of a recording whose frames are presented at `times_s`."""
    duration_s = times_s[-1] + 0.1
    video = VideoFacts(
        codec="h264",
        width_px=WIDTH_PX,
        height_px=HEIGHT_PX,
        rotation_deg=rotation_deg,
        frames=len(times_s),
        first_pts_s=times_s[0],
        last_pts_s=times_s[-1],
    )
    facts = MediaFacts(kind="video", container="mp4", duration_s=duration_s, video=video)
    source = Source(sha256="0" * 64, size_bytes=1, media=facts)
    segment = Segment(
        source_id=source.id,
        rule="given",
        version="1",
        source_start_s=start_s,
        source_end_s=duration_s if end_s is None else end_s,
        index=0,
    )
    pts = recording.with_suffix(".npy")
    np.save(pts, np.array(times_s))
    return Clip(source, segment, recording, None, None, pts=pts)


def write(path: Path, rows: Sequence[Row], separator: str = ",") -> Path:
    lines = [separator.join(rows[0]), *(separator.join(str(v) for v in row.values()) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def openface_row(frame: int, time_s: float, **fields: Any) -> Row:
    x = 320.0 + float(fields.pop("shift_px", 0.0))
    face = {"x_0": x - 50, "x_1": x + 50, "y_0": 200.0, "y_1": 320.0}
    first = {"frame": frame, "face_id": 0, "timestamp": time_s, "confidence": 0.98, "success": 1}
    angles = {"pose_Rx": 0.1, "pose_Ry": 0.2, "pose_Rz": 0.3}
    return {**first, **angles, **face, "AU12_r": 0.0, "AU12_c": 0, "AU28_c": 0} | fields


def pyfeat_row(frame: int, **fields: Any) -> Row:
    box = {"FaceRectX": 200.0, "FaceRectY": 100.0, "FaceRectWidth": 200.0, "FaceRectHeight": 240.0}
    return {
        "frame": frame,
        **box,
        "FaceScore": 0.99,
        "AU12": 0.1,
        "Happy": 0.2,
        "valence": 0.3,
        "Yaw": 0.1,
    } | fields


def result_of(extractor: Any, clip: Clip) -> Features | ItemError:
    ((_, result),) = extractor.beside(clip.path).extract([clip])
    return result


def faces_of(extractor: Any, clip: Clip) -> Features:
    result = result_of(extractor, clip)
    assert isinstance(result, Features), result
    return result


def series(features: Features, name: str, track: str = "f1") -> Series:
    (found,) = [one for one in features.series if (one.name, one.track) == (name, track)]
    return found


STEPS = [round(0.04 * n, 2) for n in range(50)]


def test_a_table_is_known_by_its_header_and_not_by_its_name(tmp_path: Path) -> None:
    recording = tmp_path / "talk.mp4"
    assert find_face_table(recording) is None
    (tmp_path / "talk.csv").write_text("time_s,gsr\n0,1\n")
    assert find_face_table(recording) is None
    assert pick_extractor("au", "auto", {}, recording).name == "mediapipe"
    named = write(tmp_path / "talk_pyfeat.csv", [pyfeat_row(0)])
    assert find_face_table(recording) == ("pyfeat_csv", named)
    assert pick_extractor("au", "auto", {}, recording).name == "pyfeat_csv"
    plain = write(tmp_path / "talk.csv", [openface_row(1, 0.0)], ", ")
    assert find_face_table(recording) == ("openface", plain)
    assert find_face_table(recording, "pyfeat_csv") == ("pyfeat_csv", named)
    assert pick_extractor("au", "auto", {}, recording).name == "openface"
    assert pick_extractor("au", "pyfeat_csv", {}, recording).name == "pyfeat_csv"
    with pytest.raises(ItemError, match="no table of the kind openface") as caught:
        pick_extractor("au", "openface", {}, tmp_path / "other.mp4")
    assert caught.value.code == "table_missing"


def test_the_bytes_of_a_table_are_in_the_question(tmp_path: Path) -> None:
    recording = tmp_path / "talk.mp4"
    write(tmp_path / "talk.csv", [openface_row(1, 0.0)])
    first = pick_extractor("au", "auto", {}, recording).params
    write(tmp_path / "talk.csv", [openface_row(1, 0.0, AU12_r=5)])
    assert pick_extractor("au", "auto", {}, recording).params != first


def test_the_tables_of_two_recordings_are_measured_in_one_way(tmp_path: Path) -> None:
    found = []
    for name in ("talk", "walk"):
        write(tmp_path / f"{name}.csv", [openface_row(1, 0.0, AU12_r=len(found)) for _ in STEPS])
        found.append(faces_of(OpenfaceAus(), clip_of(tmp_path / f"{name}.mp4", STEPS)))
    assert found[0].params != found[1].params
    assert method_of(found[0]) == method_of(found[1])
    surer = faces_of(OpenfaceAus(OpenfaceParams(min_confidence=0.9)), clip_of(tmp_path / "walk.mp4", STEPS))
    assert method_of(surer) != method_of(found[1])


def test_openface_is_told_in_our_units_on_the_clock_of_its_timestamps(tmp_path: Path) -> None:
    rows = [openface_row(n + 1, t, AU12_r=2.5 if 0.8 <= t < 1.6 else 0) for n, t in enumerate(STEPS)]
    write(tmp_path / "talk.csv", rows, ", ")
    features = faces_of(OpenfaceAus(), clip_of(tmp_path / "talk.mp4", STEPS))
    (track,) = features.tracks
    assert (track.name, track.frames, track.confidence) == ("f1", len(STEPS), 0.98)
    assert track.box == pytest.approx((270 / 640, 200 / 480, 100 / 640, 120 / 480), abs=1e-3)
    assert track.pose_deg == pytest.approx({"pitch": -5.7296, "yaw": -11.4592, "roll": 17.1887}, abs=1e-3)
    assert series(features, "AU12").times_s == tuple(STEPS)
    assert set(series(features, "AU12").values) == {0.0, 0.5}
    (event,) = features.events
    assert (event.cue, event.start_s, event.end_s) == (
        "AU12",
        pytest.approx(0.8, abs=0.1),
        pytest.approx(1.6, abs=0.1),
    )
    assert event.size == pytest.approx(0.5)
    assert features.summary["AU12_max"] == 0.5


def test_the_event_of_a_unit_that_is_only_present_or_not_has_no_size(tmp_path: Path) -> None:
    rows = [openface_row(n + 1, t, AU28_c=int(0.8 <= t < 1.6)) for n, t in enumerate(STEPS)]
    write(tmp_path / "talk.csv", rows)
    features = faces_of(OpenfaceAus(), clip_of(tmp_path / "talk.mp4", STEPS))
    (event,) = features.events
    assert (event.cue, event.size, event.unit) == ("AU28", None, "")
    assert series(features, "present_AU12").unit == "flag"


@pytest.mark.parametrize("rotation_deg", [0, 90, 180, 270])
def test_boxes_are_shares_of_the_picture_as_it_is_shown(rotation_deg: int, tmp_path: Path) -> None:
    """A frame of 640 by 480 that is turned by a quarter is read, and shown, as 480 by 640."""
    width_px, height_px = (480, 640) if rotation_deg % 180 else (640, 480)
    recording = tmp_path / "talk.mp4"
    for extractor, rows in (
        (OpenfaceAus(), [openface_row(n + 1, t, y_1=480.0) for n, t in enumerate(STEPS)]),
        (PyfeatTableAus(), [pyfeat_row(n, FaceRectY=120.0, FaceRectHeight=360.0) for n in range(len(STEPS))]),
    ):
        write(tmp_path / "talk.csv", rows)
        (track,) = faces_of(extractor, clip_of(recording, STEPS, rotation_deg=rotation_deg)).tracks
        x0, y0, width, height = track.box
        left_px, right_px = (270, 370) if extractor.name == "openface" else (200, 400)
        assert (x0, x0 + width) == pytest.approx((left_px / width_px, right_px / width_px), abs=1e-3)
        assert y0 + height == pytest.approx(480 / height_px, abs=1e-3)


def test_rows_that_openface_doubts_are_no_face(tmp_path: Path) -> None:
    rows = [openface_row(n + 1, t, success=int(n < 25), AU12_r="-nan(ind)") for n, t in enumerate(STEPS)]
    rows[3]["confidence"] = 0.3
    write(tmp_path / "talk.csv", rows)
    clip = clip_of(tmp_path / "talk.mp4", STEPS)
    features = faces_of(OpenfaceAus(), clip)
    assert features.tracks[0].frames == 24
    assert series(features, "head_yaw_deg").values[3] is None
    assert features.summary["AU12_max"] is None
    sure = faces_of(OpenfaceAus(OpenfaceParams(min_confidence=0.99)), clip)
    assert sure.missing == "no_face"


def test_two_faces_are_two_tracks_the_longer_seen_first(tmp_path: Path) -> None:
    rows = []
    for n, time_s in enumerate(STEPS):
        if n < 20:
            rows.append(openface_row(n + 1, time_s, face_id=0, shift_px=-200, AU12_r=1))
        rows.append(openface_row(n + 1, time_s, face_id=1, shift_px=200, AU12_r=4))
    write(tmp_path / "talk.csv", rows)
    features = faces_of(OpenfaceAus(), clip_of(tmp_path / "talk.mp4", STEPS))
    assert [(track.name, track.frames) for track in features.tracks] == [("f1", 50), ("f2", 20)]
    assert features.summary["AU12_mean"] == 0.8
    assert series(features, "AU12", "f2").values[:20] == (0.2,) * 20


def test_segments_get_their_part_in_their_own_time(tmp_path: Path) -> None:
    rows = [openface_row(n + 1, t, AU12_r=t) for n, t in enumerate(STEPS)]
    write(tmp_path / "talk.csv", rows)
    recording = tmp_path / "talk.mp4"
    features = faces_of(OpenfaceAus(), clip_of(recording, STEPS, 0.5, 1.0))
    told = series(features, "AU12")
    assert told.times_s[0] == pytest.approx(0.02)
    assert told.values == tuple(round(t / 5, 4) for t in STEPS if 0.5 <= t < 1.0)
    assert faces_of(OpenfaceAus(), clip_of(recording, STEPS, 1.97, 2.0)).missing == "no_frame"


VARIABLE = [0.0, 0.1, 0.11, 0.5, 0.51, 0.9, 1.2, 1.21, 1.22, 1.23]


def test_frames_of_pyfeat_are_looked_up_among_the_presented_ones(tmp_path: Path) -> None:
    write(tmp_path / "talk.csv", [pyfeat_row(n, AU12=n / 10) for n in range(0, 10, 3)])
    features = faces_of(PyfeatTableAus(), clip_of(tmp_path / "talk.mp4", VARIABLE))
    assert series(features, "AU12").times_s == (0.0, 0.5, 1.2, 1.23)
    assert series(features, "AU12").values == (0.0, 0.3, 0.6, 0.9)
    assert series(features, "emotion_happiness").values == (0.2,) * 4
    assert series(features, "head_yaw_deg").values[0] == pytest.approx(-math.degrees(0.1), abs=1e-3)
    assert features.tracks[0].box == pytest.approx((200 / 640, 100 / 480, 200 / 640, 240 / 480), abs=1e-3)


def test_pyfeat_tables_without_a_face_in_some_frames(tmp_path: Path) -> None:
    empty = dict.fromkeys(pyfeat_row(0), "") | {"frame": 4, "FaceScore": 0}
    rows = [*(pyfeat_row(n) for n in range(4)), empty, *(pyfeat_row(n, FaceScore=0.1) for n in range(5, 10))]
    write(tmp_path / "talk.csv", rows)
    features = faces_of(PyfeatTableAus(), clip_of(tmp_path / "talk.mp4", VARIABLE))
    assert features.tracks[0].frames == 4
    assert features.summary["face_share"] == 0.4
    everything = PyfeatTableAus(PyfeatTableParams(min_confidence=0.05))
    assert faces_of(everything, clip_of(tmp_path / "talk.mp4", VARIABLE)).tracks[0].frames == 9


def test_angles_whose_unit_nobody_knows_are_left_out(tmp_path: Path) -> None:
    old = pyfeat_row(0)
    del old["valence"]
    write(tmp_path / "talk.csv", [old | {"frame": n} for n in range(5)])
    features = faces_of(PyfeatTableAus(), clip_of(tmp_path / "talk.mp4", VARIABLE))
    assert features.tracks[0].pose_deg == {}
    assert not [one for one in features.series if one.name.startswith("head_")]


def test_a_table_of_another_file_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "talk.csv", [pyfeat_row(n) for n in range(12)])
    result = result_of(PyfeatTableAus(), clip_of(tmp_path / "talk.mp4", VARIABLE))
    assert isinstance(result, ItemError)
    assert (result.code, "frame 11" in result.message) == ("table_frames", True)


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("x,0,0.0,1,1,0,0,0,1,2,1,2,0,0,0", '"x" in the column frame is no number'),
        ("1,0,-1,1,1,0,0,0,1,2,1,2,0,0,0", "-1 in the column timestamp cannot be"),
        ("1,0,0.0,1,1,0,0,0,1,2,1,2,high,0,0", '"high" in the column AU12_r is no number'),
        ("1,0,0.0,1,1,0,0,0,1,2,1,2,inf,0,0", "inf in the column AU12_r cannot be"),
        ("1,0,0.0", "3 fields, the header has 15"),
        ("1,0,,1,1,0,0,0,1,2,1,2,0,0,0", '"" in the column timestamp is no number'),
    ],
)
def test_a_bad_row_is_named_by_file_and_line(line: str, part: str, tmp_path: Path) -> None:
    path = write(tmp_path / "talk.csv", [openface_row(1, 0.0)])
    path.write_text(path.read_text("utf-8") + line + "\n", "utf-8")
    clip = clip_of(tmp_path / "talk.mp4", STEPS)
    extractor = OpenfaceAus().beside(clip.path)
    results = [result for _, result in extractor.extract([clip, clip])]
    assert all(isinstance(result, ItemError) and result.code == "bad_table" for result in results)
    assert str(results[0]) == f"{path}:3: {part}"


def test_a_real_openface_table_has_all_its_units(media: Media, tmp_path: Path) -> None:
    openface = media(OPENFACE)
    (tmp_path / "talk.csv").write_bytes(openface.read_bytes())
    recording, times_s = tmp_path / "talk.mp4", [round(n / 25, 3) for n in range(100)]
    wrong = result_of(OpenfaceAus(), clip_of(recording, times_s))
    assert isinstance(wrong, ItemError), "its timestamps are a millisecond apart"
    assert (wrong.code, 'times = "frame"' in wrong.retry) == ("table_times", True)
    shorter = result_of(OpenfaceAus(), clip_of(recording, times_s[:72]))
    assert isinstance(shorter, ItemError), "it was made of a recording with more frames"
    assert (shorter.code, "frame 100" in shorter.message) == ("table_frames", True)
    features = faces_of(OpenfaceAus(OpenfaceParams(times="frame")), clip_of(recording, times_s))
    assert features.series[0].times_s == tuple(times_s)
    units = [one.name for one in features.series if one.unit == "intensity"]
    assert (len(units), [one.name for one in features.series if one.unit == "presence"]) == (17, ["AU28"])
    with openface.open(newline="") as file:
        given = [float(row["AU12_r"]) for row in csv.DictReader(file, skipinitialspace=True)]
    assert series(features, "AU12").values == pytest.approx([value / 5 for value in given], abs=1e-4)
    assert features.tracks[0].frames == 100
    gaps = np.array(series(features, "mouth_open").values, dtype=np.float64)
    assert np.isfinite(gaps).all()
    assert 0 <= gaps.min() <= gaps.max() < 0.5


def mouth(frame: int, open_px: float) -> Row:
    """A row of Py-Feat with its mesh: outer eye corners 100 px apart."""
    points = {13: (300.0, 220.0), 14: (300.0, 220.0 + open_px), 33: (250.0, 150.0), 263: (350.0, 150.0)}
    mesh = {f"mesh_{axis}_{p}": xy[i] for p, xy in points.items() for i, axis in enumerate("xy")}
    return pyfeat_row(frame, Yaw=0.0, Pitch=0.0) | mesh


def test_the_opening_of_the_mouth_is_told_so_that_who_speaks_is_found(tmp_path: Path) -> None:
    times_s = [round(0.2 * n, 1) for n in range(20)]
    write(tmp_path / "talk.csv", [mouth(n, 10.0 * (n % 2)) for n in range(20)])
    features = faces_of(PyfeatTableAus(), clip_of(tmp_path / "talk.mp4", times_s))
    assert series(features, "mouth_open").values == (0.0, 0.1) * 10
    speech = [Span(start_s=0, end_s=4)]
    (track,) = with_speaking(features.tracks, features.series, speech)
    assert track.speaking is True
    write(tmp_path / "talk.csv", [mouth(n, 10.0) for n in range(20)])
    still = faces_of(PyfeatTableAus(), clip_of(tmp_path / "talk.mp4", times_s))
    assert with_speaking(still.tracks, still.series, speech)[0].speaking is False
    turned = [mouth(n, 10.0) | {"Yaw": 0.9} for n in range(20)]
    write(tmp_path / "talk.csv", turned)
    unseen = faces_of(PyfeatTableAus(), clip_of(tmp_path / "talk.mp4", times_s))
    assert set(series(unseen, "mouth_open").values) == {None}


def test_turned_heads_of_the_real_table_turn_the_same_way_in_our_signs(media: Media, tmp_path: Path) -> None:
    """The nose goes to the picture's right as the head turns to the person's left; eyes tilt with the roll."""
    openface = media(OPENFACE)
    (tmp_path / "talk.csv").write_bytes(openface.read_bytes())
    clip = clip_of(tmp_path / "talk.mp4", [round(n / 25, 3) for n in range(100)])
    features = faces_of(OpenfaceAus(OpenfaceParams(times="frame")), clip)
    points = read_face_table(openface, "openface").columns
    right, left = (
        {axis: np.mean([points[f"{axis}_{i}"] for i in eye], axis=0) for axis in "xy"}
        for eye in (range(36, 42), range(42, 48))
    )
    apart = left["x"] - right["x"]
    nose = {axis: (points[f"{axis}_30"] - (right[axis] + left[axis]) / 2) / apart for axis in "xy"}
    seen = {"head_yaw_deg": nose["x"], "head_roll_deg": left["y"] - right["y"], "head_pitch_deg": -nose["y"]}
    for name, moved in seen.items():
        told = np.array(series(features, name).values, dtype=np.float64)
        assert np.corrcoef(told, moved)[0, 1] > 0.3, name


@given(
    st.lists(st.floats(0, 5), min_size=4, max_size=30),
    st.floats(0, 1),
    st.floats(0.2, 1),
    st.sampled_from([",", ", "]),
)
def test_every_intensity_stays_in_its_place(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[float], start: float, share: float, separator: str
) -> None:
    folder = tmp_path_factory.mktemp("table")
    times_s = [round(0.04 * n, 2) for n in range(len(sizes))]
    rows = [
        openface_row(n + 1, t, AU12_r=size) for n, (t, size) in enumerate(zip(times_s, sizes, strict=True))
    ]
    write(folder / "talk.csv", rows, separator)
    start_s = round(start * times_s[-1], 3)
    end_s = round(start_s + share * (times_s[-1] + 0.1 - start_s), 3)
    features = faces_of(OpenfaceAus(), clip_of(folder / "talk.mp4", times_s, start_s, end_s))
    inside = [(t, size) for t, size in zip(times_s, sizes, strict=True) if start_s - 1e-6 <= t < end_s - 1e-6]
    if not inside:
        assert features.missing == "no_frame"
        return
    told = series(features, "AU12")
    assert told.values == pytest.approx([size / 5 for _, size in inside], abs=1e-4)
    assert [time_s + start_s for time_s in told.times_s] == pytest.approx([t for t, _ in inside], abs=1e-3)
    for event in features.events:
        assert 0 <= event.start_s <= event.end_s <= end_s - start_s + 1e-6
