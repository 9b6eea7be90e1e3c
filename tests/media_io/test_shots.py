"""Shot borders against the published golden lists, against PySceneDetect itself, and on made pictures."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scenedetect.common import FrameTimecode
from scenedetect.detectors import ContentDetector as TheirContent
from scenedetect.detectors import ThresholdDetector as TheirFade

from pipeline.media.decode import DecodeParams, decode
from pipeline.media.probe import probe
from pipeline.media.shots import (
    FADE_BIAS,
    FADE_THRESHOLD,
    ContentDetector,
    FadeDetector,
    Looks,
    Planes,
    hsv_planes,
    shots_from_cuts,
)

Media = Callable[[str], Path]


def cuts_of(path: Path, tmp_path: Path, **params: Any) -> tuple[tuple[int, ...], list[float]]:
    result = decode(path, probe(path), tmp_path, DecodeParams(**params))
    return result.cut_frames, [s.start_s for s in result.shots]


@pytest.mark.media
def test_hard_cuts_equal_the_golden_list(media: Media, tmp_path: Path) -> None:
    golden = json.loads(media("video/psd_testvideo.ContentDetector.default.json").read_text())["cuts"]
    frames, starts_s = cuts_of(media("video/psd_testvideo.mp4"), tmp_path)
    assert list(frames) == golden == [30, 180, 394]
    assert starts_s == pytest.approx([0.0, 1.001, 6.006, 13.146], abs=0.001)


@pytest.mark.media
def test_fades_begin_the_scenes_of_the_golden_table(media: Media, tmp_path: Path) -> None:
    frames, starts_s = cuts_of(media("video/psd_testvideo.mp4"), tmp_path, shot_detector="fade")
    assert frames == (201, 382)
    assert starts_s == pytest.approx([0.0, 6.706, 12.746], abs=0.001)


@pytest.mark.media
def test_a_cut_in_a_variable_frame_rate_recording_stands_at_its_own_time(
    media: Media, tmp_path: Path
) -> None:
    # Frame 72 by its time stamp. Time times the nominal rate would call it 63.
    frames, starts_s = cuts_of(media("video/pyfeat_face_noface.mov"), tmp_path)
    assert (frames, starts_s) == ((72,), [0.0, 2.4])


@pytest.mark.media
@pytest.mark.parametrize("name", ["wh_address_b.mp4", "grid_bbaf2n.mpg", "pyfeat_single_face.mp4"])
def test_one_shot_recordings_have_no_cut(media: Media, tmp_path: Path, name: str) -> None:
    assert cuts_of(media(f"video/{name}"), tmp_path)[0] == ()


@pytest.mark.media
def test_equals_pyscenedetect_on_the_same_pictures(media: Media) -> None:
    with av.open(str(media("video/pyfeat_face_noface.mov"))) as container:
        pictures = [f.to_ndarray(format="bgr24")[::8, ::8].copy() for f in container.decode(video=0)]
    ours, theirs = run_both(pictures, ContentDetector(), TheirContent())
    assert ours == theirs == [72]


@given(
    seed=st.integers(0, 2**32 - 1),
    levels=st.lists(st.integers(0, 8), min_size=1, max_size=60),
    min_frames=st.integers(1, 8),
)
def test_cut_rule_equals_pyscenedetect(seed: int, levels: list[int], min_frames: int) -> None:
    rng = np.random.default_rng(seed)
    pictures = [np.clip(30 * n + rng.integers(0, 12, (6, 8, 3)), 0, 255).astype(np.uint8) for n in levels]
    ours, theirs = run_both(
        pictures, ContentDetector(min_shot_frames=min_frames), TheirContent(min_scene_len=min_frames)
    )
    assert ours == theirs


@given(
    levels=st.lists(st.sampled_from([0, 5, 40, 200]), min_size=1, max_size=60), min_frames=st.integers(1, 8)
)
def test_fade_rule_equals_pyscenedetect_after_leading_black(levels: list[int], min_frames: int) -> None:
    pictures = [np.full((4, 4, 3), n, np.uint8) for n in levels]
    ours, theirs = run_both(
        pictures,
        FadeDetector(min_shot_frames=min_frames),
        TheirFade(threshold=FADE_THRESHOLD, fade_bias=FADE_BIAS, min_scene_len=min_frames),
    )
    lit = next((n for n, level in enumerate(levels) if level >= FADE_THRESHOLD), len(levels))
    assert ours == [cut for cut in theirs if lit == 0 or cut > lit]


@dataclass(frozen=True)
class Picture:
    """A BGR picture, and another that stands for its rough look."""

    fine_bgr: npt.NDArray[np.uint8]
    rough_bgr: npt.NDArray[np.uint8]

    def fine(self) -> Planes:
        return planes(self.fine_bgr)

    def rough(self) -> Planes:
        return planes(self.rough_bgr)


def planes(bgr: npt.NDArray[np.uint8]) -> Planes:
    blue, green, red = (np.ascontiguousarray(bgr[..., n]) for n in range(3))
    return red, green, blue


def run_both(pictures: list[npt.NDArray[np.uint8]], ours: Any, theirs: Any) -> tuple[list[int], list[int]]:
    found: list[int] = []
    for number, picture in enumerate(pictures):
        ours.add(Picture(picture, picture))
        found += [cut.frame_num for cut in theirs.process_frame(FrameTimecode(number, fps=25.0), picture)]
    return ours.cuts, found


@pytest.mark.parametrize(
    ("rough", "fine", "cuts"), [(60, 90, [20]), (60, 30, []), (90, 30, [20]), (30, 90, [])]
)
def test_a_rough_look_near_the_threshold_is_decided_by_a_fine_one(
    rough: int, fine: int, cuts: list[int]
) -> None:
    # From black to grey only the value changes: the score is a third of the step, 20 for a step of 60.
    detector = ContentDetector(threshold=21.0)
    for number in range(40):
        grey = [np.full((4, 4, 3), level if number >= 20 else 0, np.uint8) for level in (fine, rough)]
        detector.add(Picture(*grey))
    assert detector.cuts == cuts


@pytest.mark.media
@pytest.mark.parametrize("name", ["psd_testvideo.mp4", "pyfeat_face_noface.mov", "wh_address_d.mp4"])
def test_rough_looks_never_change_what_fine_ones_say(media: Media, name: str) -> None:
    looks, content, fade = Looks(), (ContentDetector(), ContentDetector()), (FadeDetector(), FadeDetector())
    with av.open(str(media(f"video/{name}"))) as container:
        for frame in container.decode(video=0):
            look = looks.at(frame)
            fine = replace(look, rough_scaler=look.fine_scaler, rough_px=look.fine_px)
            for rough_one, fine_one in (content, fade):
                rough_one.add(look)
                fine_one.add(fine)
    assert content[0].cuts == content[1].cuts
    assert fade[0].cuts == fade[1].cuts


def test_hue_saturation_value_equal_opencv_for_every_kind_of_colour() -> None:
    steps = np.arange(0, 256, 3, dtype=np.uint8)
    red, green, blue = (np.ascontiguousarray(c.reshape(86, -1)) for c in np.meshgrid(steps, steps, steps))
    theirs = cv2.cvtColor(np.dstack([blue, green, red]), cv2.COLOR_BGR2HSV)
    for number, plane in enumerate(hsv_planes(red, green, blue)):
        assert np.array_equal(plane, theirs[..., number])


def test_shots_cover_the_recording() -> None:
    times_s = np.arange(50) / 25
    shots = shots_from_cuts([10, 30], times_s, 2.0)
    assert [(s.start_s, s.end_s) for s in shots] == [(0, 0.4), (0.4, 1.2), (1.2, 2.0)]
    assert [(s.start_s, s.end_s) for s in shots_from_cuts([], times_s, 2.0)] == [(0, 2.0)]
