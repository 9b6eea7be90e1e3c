"""How a speaker's face usually looks: when it can be said, and what it holds."""

from __future__ import annotations

import random

import numpy as np
import pytest

from pipeline.features.face_baseline import LEAST_SD, make_face_baseline, seen_face
from schemas.parts import FaceTrack, Series
from schemas.records import Features

STEP_S = 0.2


def clip(
    name: str,
    smile: list[float | None],
    *,
    track: str = "f1",
    unit: str = "intensity",
    version: str = "1",
) -> Features:
    """A face that was looked at five times a second, with a second one beside it that smiles all the time."""
    times = tuple(round(n * STEP_S, 3) for n in range(len(smile)))
    curves = {track: tuple(smile), "other": (1.0,) * len(smile)}
    return Features(
        subject_id=name,
        extractor="mediapipe",
        version=version,
        stage="au",
        tracks=tuple(
            FaceTrack(name=one, start_s=0, end_s=len(smile) * STEP_S, frames=len(smile), box=(0, 0, 1, 1))
            for one in curves
        ),
        series=(
            *(
                Series(name="AU12", unit=unit, times_s=times, values=v, track=one)
                for one, v in curves.items()
            ),
            Series(name="head_yaw_deg", unit="deg", times_s=times, values=(40.0,) * len(smile), track=track),
        ),
    )


SMILES: list[list[float | None]] = [[0.0] * 15 + [0.6] * 5, [0.2] * 20, [None] * 2 + [0.1] * 18]


def faces() -> list[Features]:
    return [clip(f"seg_{n}", smile) for n, smile in enumerate(SMILES)]


def test_levels_of_the_own_track_over_all_its_frames() -> None:
    baseline = make_face_baseline("speaker:ANN", [seen_face(features, "f1") for features in faces()])
    assert baseline is not None
    levels = [value for smile in SMILES for value in smile if value is not None]
    stat = baseline.stats["AU12"]
    assert stat.median == pytest.approx(np.median(levels), abs=1e-4)
    assert stat.sd == pytest.approx(np.std(levels), abs=1e-4)
    assert stat.n == len(levels) == 58
    assert set(baseline.stats) == {"AU12"}  # a turned head is no expression
    assert (baseline.stage, baseline.segments, baseline.seen_s, baseline.speech_s) == ("au", 3, 12.0, 0.0)
    assert (baseline.subject, baseline.extractor, baseline.version) == ("speaker:ANN", "mediapipe", "1/2")
    assert baseline.feature_digests == tuple(sorted(f"{features.digest}/f1" for features in faces()))


def test_how_long_a_face_was_seen_when_the_steps_are_uneven() -> None:
    """Ten pictures a second of a camera with 25: two of its steps, then three, again and again."""
    times = tuple(round(0.2 * (n // 2) + 0.12 * (n % 2), 2) for n in range(40))
    one = clip("seg", [0.0] * 40)
    uneven = tuple(series.model_copy(update={"times_s": times}) for series in one.series)
    seen = seen_face(one.model_copy(update={"series": uneven}), "f1")
    assert seen.seen_s == pytest.approx(4.0, abs=0.03)


def test_order_and_repeats_change_nothing() -> None:
    parts = [seen_face(features, "f1") for features in faces()]
    shuffled = random.Random(1).sample([*parts, *parts], 6)
    assert make_face_baseline("s", parts) == make_face_baseline("s", shuffled)


@pytest.mark.parametrize(("frames", "known"), [(16, False), (17, True)])
def test_it_takes_ten_seconds(frames: int, known: bool) -> None:
    parts = [seen_face(clip(f"seg_{n}", [0.1 * n] * frames), "f1") for n in range(3)]
    assert (make_face_baseline("s", parts) is not None) == known


def test_it_takes_three_segments_with_the_face() -> None:
    two = [seen_face(clip(f"seg_{n}", [0.1 * n] * 50), "f1") for n in range(2)]
    assert make_face_baseline("s", two) is None
    away = seen_face(clip("seg_2", [0.1] * 50, track="f7"), "f1")
    assert make_face_baseline("s", [*two, away]) is None


def test_a_face_that_never_moves_has_the_least_spread() -> None:
    still = make_face_baseline("s", [seen_face(clip(f"seg_{n}", [0.0] * 20), "f1") for n in range(3)])
    assert still is not None
    assert still.stats["AU12"].sd == LEAST_SD


def test_what_is_only_there_or_not_has_no_level() -> None:
    """A flag of OpenFace tells no strength."""
    flags = [seen_face(clip(f"seg_{n}", [1.0] * 20, unit="presence"), "f1") for n in range(3)]
    assert make_face_baseline("s", flags) is None


def test_measurements_of_two_versions_are_not_mixed() -> None:
    mixed = [seen_face(clip(f"seg_{n}", [0.1] * 20, version=str(n)), "f1") for n in range(3)]
    with pytest.raises(ValueError, match="one extractor and version"):
        make_face_baseline("s", mixed)
