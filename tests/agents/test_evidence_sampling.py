"""What the sampling cannot show is not refuted: the same movements at 5 and at 25 samples a second."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.agents import cue_samples as make
from tests.agents.cue_samples import verdict

COARSE_S, USUAL_S, FINE_S = 0.2, 0.1, 0.04
LENGTH_S = 4.0
PHASES_S = (0.0, 0.03, 0.07, 0.1, 0.13, 0.17)  # where the samples lie in the movement
Movement = Callable[[np.ndarray], np.ndarray]


def held(level: float, length_s: float, start_s: float = 2.0) -> Movement:
    return lambda times_s: np.where((times_s >= start_s) & (times_s < start_s + length_s), level, 0.0)


def bump(size: float, length_s: float, start_s: float = 2.0) -> Movement:
    """Up and down as a raised cosine."""

    def at(times_s: np.ndarray) -> np.ndarray:
        inside = (times_s > start_s) & (times_s < start_s + length_s)
        return np.where(inside, size / 2 * (1 - np.cos(2 * np.pi * (times_s - start_s) / length_s)), 0.0)

    return at


def rest(times_s: np.ndarray) -> np.ndarray:
    return np.zeros_like(times_s)


def verdicts(
    cue: str, feature: str, movement: Movement, step_s: float, span: tuple[float, float] = (0.0, 4.0)
) -> set[str]:
    """The verdicts of the claim that the cue is there, wherever the samples lie."""
    found = set()
    for phase_s in PHASES_S:
        times_s = np.arange(0.0, LENGTH_S, step_s) + phase_s
        values = [float(value) for value in movement(times_s)]
        series = make.angles if feature.endswith("_deg") else lambda n, v, **o: make.aus({n: v}, **o)
        features = series(feature, values, step_s=step_s)
        moved = features.series[0].model_copy(update={"times_s": tuple(times_s.tolist())})
        one = verdict(make.claim(cue, *span), features.model_copy(update={"series": (moved,)}))
        if one.verdict == "not_measurable":
            assert f"sampled too coarsely: every {step_s:g} s" in one.reason
        found.add(one.verdict)
    return found


TRUE = [
    ("AU12", "AU12", held(0.8, 0.25)),
    ("AU04", "AU04", held(0.8, 0.2)),
    ("AU12", "AU12", bump(0.8, 0.3)),
    ("AU45", "AU45", bump(1.0, 0.2)),
    ("brief_smile", "AU12", held(0.8, 0.25)),
    ("brief_frown", "AU04", held(0.8, 0.3)),
    ("smile", "AU12", held(0.8, 0.55)),
    ("head_down", "head_pitch_deg", held(-20, 0.35)),
    ("head_averted", "head_yaw_deg", held(-25, 0.35)),
    ("nod", "head_pitch_deg", bump(-10, 0.3)),
    ("nod", "head_pitch_deg", bump(-7, 0.4)),
    ("head_shake", "head_yaw_deg", lambda t: bump(14, 0.3)(t) - bump(14, 0.3, 2.3)(t)),
]


@pytest.mark.parametrize(("cue", "feature", "movement"), TRUE)
def test_a_true_short_movement_is_supported_at_25_hz_and_never_contradicted_below(
    cue: str, feature: str, movement: Movement
) -> None:
    assert verdicts(cue, feature, movement, FINE_S) == {"supported"}
    for step_s in (USUAL_S, COARSE_S):
        assert "contradicted" not in verdicts(cue, feature, movement, step_s)


FALSE = [
    ("AU12", "AU12", rest),
    ("brief_smile", "AU12", rest),
    ("brief_smile", "AU12", held(0.8, 3.0, 0.5)),  # the smile is there and long
    ("smile", "AU12", rest),
    ("smile", "AU12", held(0.2, 3.0, 0.5)),
    ("smile", "AU12", held(0.8, 0.1)),
    ("steady_smile", "AU12", held(0.8, 1.0)),
    ("AU43", "AU43", bump(1.0, 0.2)),
    ("head_down", "head_pitch_deg", rest),
    ("nod", "head_pitch_deg", rest),
    ("nod", "head_pitch_deg", held(-10, 9.0)),  # it stays down
    ("nod", "head_pitch_deg", bump(-4, 2.0, 1.0)),  # slow and small
    ("head_shake", "head_yaw_deg", held(20, 9.0)),
]


@pytest.mark.parametrize("step_s", [COARSE_S, USUAL_S, FINE_S])
@pytest.mark.parametrize(("cue", "feature", "movement"), FALSE)
def test_what_is_clearly_not_there_is_contradicted_at_all_rates(
    cue: str, feature: str, movement: Movement, step_s: float
) -> None:
    assert verdicts(cue, feature, movement, step_s) == {"contradicted"}


def test_a_lone_sample_is_a_slip_when_it_is_short_and_undecided_when_it_is_long() -> None:
    for step_s, expected in ((FINE_S, "contradicted"), (COARSE_S, "not_measurable")):
        lone = make.aus({"AU04": [0.0] * 9 + [0.8] + [0.0] * 10}, step_s=step_s)
        for direction in ("present", "absent"):
            found = verdict(make.claim("AU04", 0.0, 20 * step_s, direction=direction), lone)
            wanted = {("contradicted", "absent"): "supported"}.get((expected, direction), expected)
            assert found.verdict == wanted


def test_a_movement_in_a_span_of_few_steps_cannot_be_refuted() -> None:
    for step_s, expected in ((FINE_S, "contradicted"), (COARSE_S, "not_measurable")):
        still = make.angles("head_pitch_deg", [0.0] * round(4 / step_s), step_s=step_s)
        assert verdict(make.claim("nod", 1.0, 1.5), still).verdict == expected
        assert verdict(make.claim("nod", 1.0, 2.0), still).verdict == "contradicted"


USUAL_TIMES_S = {  # ten pictures a second of cameras with 29.97 and with 25: every third; two steps, then three
    "29.97": [round(n * 3 / 29.97, 4) for n in range(40)],
    "25, even": sorted(
        [round(0.2 * n, 4) for n in range(20)] + [round(0.2 * n + 0.08, 4) for n in range(20)]
    ),
    "25, odd": sorted([round(0.2 * n, 4) for n in range(20)] + [round(0.2 * n + 0.12, 4) for n in range(20)]),
}


@pytest.mark.parametrize("camera", USUAL_TIMES_S)
def test_ten_pictures_a_second_are_enough_for_a_nod_whatever_the_camera(camera: str) -> None:
    times_s = USUAL_TIMES_S[camera]
    angles = [float(value) for value in bump(-4.5, 0.4)(np.array(times_s))]
    features = make.angles("head_pitch_deg", angles, step_s=USUAL_S)
    series = features.series[0].model_copy(update={"times_s": tuple(times_s)})
    small = features.model_copy(update={"series": (series,)})
    assert verdict(make.claim("nod", 0.0, 3.8), small).verdict == "contradicted"


@pytest.mark.parametrize("step_s", [COARSE_S, USUAL_S, FINE_S])
def test_a_nod_between_two_rests_is_a_nod(step_s: float) -> None:
    assert verdicts("nod", "head_pitch_deg", bump(-14, 0.8, 1.6), step_s) == {"supported"}
