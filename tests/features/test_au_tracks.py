"""Faces followed over frames by their boxes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.features.au_tracks import Array, Track, face_boxes, overlap, track_faces

Box = tuple[float, float, float, float]
NOBODY: Box = (np.nan, np.nan, np.nan, np.nan)
NEAR: Box = (0.1, 0.2, 0.4, 0.8)
FAR: Box = (0.7, 0.3, 0.8, 0.5)


def follow(
    frames: list[list[Box]], *, step_s: float = 0.2, unsure: tuple[tuple[int, int], ...] = ()
) -> tuple[list[Track], int]:
    """Track boxes given per frame; every face is confirmed but the (frame, slot) pairs of `unsure`."""
    boxes = np.array(frames, dtype=np.float64)
    scores: Array = np.where(np.isfinite(boxes[..., 0]), 0.9, np.nan)
    for row, slot in unsure:
        scores[row, slot] = np.nan
    return track_faces(np.arange(len(frames), dtype=np.float64) * step_s, boxes, scores, min_frames=3)


def shifted(box: Box, dx: float) -> Box:
    return (box[0] + dx, box[1], box[2] + dx, box[3])


def test_two_people_who_swap_slots_stay_themselves() -> None:
    tracks, dropped = follow([[NEAR, FAR], [FAR, NEAR], [NEAR, FAR], [FAR, NEAR]])
    assert [track.name for track in tracks] == ["f1", "f2"]
    assert [track.slots.tolist() for track in tracks] == [[0, 1, 0, 1], [1, 0, 1, 0]]
    assert tracks[0].score == pytest.approx(0.9)
    assert dropped == 0


def test_a_small_face_that_stays_longer_is_not_the_main_face() -> None:
    tracks, _ = follow([[FAR, NEAR]] * 6 + [[FAR, NOBODY]] * 2)
    assert tracks[0].boxes[0].tolist() == list(NEAR)


def test_a_fast_head_is_one_track_and_a_far_jump_is_not() -> None:
    assert len(follow([[shifted(FAR, -0.05 * i)] for i in range(6)])[0]) == 1
    assert len(follow([[FAR]] * 3 + [[shifted(FAR, -0.5)]] * 3)[0]) == 2


def test_a_face_that_was_away_is_the_same_for_a_second_only() -> None:
    assert len(follow([[NEAR]] * 3 + [[NOBODY]] * 4 + [[NEAR]] * 3)[0]) == 1
    assert len(follow([[NEAR]] * 3 + [[NOBODY]] * 6 + [[NEAR]] * 3)[0]) == 2


def test_short_and_unconfirmed_faces_are_dropped() -> None:
    frames = [[NEAR, FAR if i in (2, 3) else NOBODY] for i in range(6)]
    tracks, dropped = follow(frames)
    assert (len(tracks), dropped) == (1, 1)
    tracks, dropped = follow([[NEAR, FAR]] * 6, unsure=tuple((i, 1) for i in range(4)))
    assert (len(tracks), dropped) == (1, 1)


def test_a_still_needs_one_frame_only() -> None:
    assert len(follow([[NEAR, FAR]])[0]) == 2


def test_a_face_found_twice_counts_once() -> None:
    tracks, dropped = follow([[NEAR, shifted(NEAR, 0.02)]] * 4)
    assert (len(tracks), dropped) == (1, 0)


def test_only_who_is_seen_in_the_wanted_frames_counts() -> None:
    """NEAR leaves after frame 3: from frame 3 on FAR is the main face, from frame 4 on the only one."""
    frames = np.array([[NEAR, FAR]] * 4 + [[NOBODY, FAR]] * 7)
    scores: Array = np.where(np.isfinite(frames[..., 0]), 0.9, np.nan)
    scores[6:, 1] = 0.7
    times_s = np.arange(11, dtype=np.float64) * 0.2

    def seen(first: int, last: int) -> list[tuple[str, list[float], float | None]]:
        tracks, dropped = track_faces(times_s, frames, scores, min_frames=3, wanted=(first, last))
        assert dropped == 0
        return [(track.name, track.boxes[0].tolist(), track.score) for track in tracks]

    assert seen(0, 11) == [("f1", list(NEAR), 0.9), ("f2", list(FAR), 0.9)]
    assert seen(3, 11) == [("f1", list(FAR), 0.7), ("f2", list(NEAR), 0.9)]
    assert seen(4, 11) == [("f1", list(FAR), 0.7)]
    assert seen(6, 6) == []


def test_a_part_of_a_track_counts_from_its_first_frame() -> None:
    (track, _), _ = follow([[NEAR, FAR], [FAR, NEAR], [NEAR, FAR], [FAR, NEAR]])
    part = track.within(1, 3)
    assert (part.name, part.rows.tolist(), part.slots.tolist()) == ("f1", [0, 1], [1, 0])
    assert part.boxes.tolist() == [list(NEAR)] * 2


def test_boxes_and_overlap() -> None:
    mesh = np.full((1, 2, 3, 3), np.nan)
    mesh[0, 0] = [[0.1, 0.5, 9], [0.3, 0.2, 9], [0.2, 0.4, 9]]
    boxes = face_boxes(mesh)
    assert boxes[0, 0].tolist() == [0.1, 0.2, 0.3, 0.5]
    assert np.isnan(boxes[0, 1]).all()
    assert overlap(np.array(NEAR), np.array(NEAR)) == pytest.approx(1)
    assert overlap(np.array(NEAR), np.array(FAR)) == 0


unit = st.floats(0, 0.9)
side = st.floats(0.02, 0.5)
box = st.one_of(st.just(NOBODY), st.builds(lambda x, y, w, h: (x, y, x + w, y + h), unit, unit, side, side))


@given(st.lists(st.tuples(box, box, box), min_size=1, max_size=15))
def test_no_face_is_in_two_tracks_and_no_track_twice_in_a_frame(
    frames: list[tuple[Box, ...]],
) -> None:
    tracks, _ = follow([list(frame) for frame in frames])
    used = [(int(r), int(s)) for track in tracks for r, s in zip(track.rows, track.slots, strict=True)]
    assert len(used) == len(set(used))
    for track in tracks:
        assert (np.diff(track.rows) > 0).all()
        assert np.isfinite(track.boxes).all()
        assert len(track.rows) >= min(3, len(frames))
