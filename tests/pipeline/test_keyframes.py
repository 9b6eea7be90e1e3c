"""Key frames: in range, distinct, few, and the facial peak among them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.stages.keyframes import KEY_FRAMES, MIN_APART_S, choose_times
from schemas.parts import Series
from schemas.records import Features

times = st.lists(st.integers(0, 20), min_size=1, max_size=20, unique=True).map(
    lambda steps: tuple(sorted(round(step * 0.2, 3) for step in steps))
)


def faces(series: list[Series]) -> Features:
    return Features(subject_id="seg_1", extractor="x", version="1", stage="au", series=tuple(series))


def curve(
    name: str, at: tuple[float, ...], values: list[float | None], track: str | None = "face0"
) -> Series:
    return Series(name=name, unit="intensity", times_s=at, values=tuple(values), track=track)


@given(st.floats(0.04, 600))
def test_without_faces_they_spread_over_the_segment(duration_s: float) -> None:
    chosen = choose_times(duration_s, None, None)
    at = [time_s for time_s, _ in chosen]
    assert 1 <= len(at) <= KEY_FRAMES
    assert at == sorted(set(at))
    assert 0 <= at[0] <= at[-1] < duration_s
    assert [reason for _, reason in chosen].count("middle") == 1


@given(at=times, data=st.data())
def test_with_faces_the_peak_is_among_them_and_none_is_too_close(
    at: tuple[float, ...], data: st.DataObject
) -> None:
    values = data.draw(st.lists(st.floats(0, 1), min_size=len(at), max_size=len(at)))
    chosen = choose_times(at[-1] + 0.2, faces([curve("AU12", at, [*values])]), "face0")
    assert 1 <= len(chosen) <= KEY_FRAMES
    picked = [time_s for time_s, _ in chosen]
    assert set(picked) <= set(at)
    assert all(b - a >= MIN_APART_S - 1e-9 for a, b in pairwise(picked))
    (peak,) = [time_s for time_s, reason in chosen if reason == "facial_peak"]
    assert values[at.index(peak)] == max(values)


def test_the_peak_sums_the_action_units_of_the_targets_face() -> None:
    at = (0.0, 1.0, 2.0, 3.0)
    found = faces(
        [
            curve("AU12", at, [0.5, 0.4, 0.0, None]),
            curve("AU06", at, [0.0, 0.4, 0.0, 0.6]),
            curve("yaw", at, [9.0, 0.0, 0.0, 0.0]),
            curve("AU12", at, [0.0, 0.0, 1.0, 0.0], track="face1"),
        ]
    )
    peaks = {
        track: next(t for t, reason in choose_times(4.0, found, track) if reason == "facial_peak")
        for track in ("face0", "face1")
    }
    assert peaks == {"face0": pytest.approx(1.0), "face1": pytest.approx(2.0)}


def test_equal_peaks_give_the_first() -> None:
    assert choose_times(1.0, faces([curve("AU12", (0.2, 0.8), [0.5, 0.5])]), "face0")[0] == (
        0.2,
        "facial_peak",
    )
