"""Extractor to checker: a made recording that shows a cue supports it, one that lacks it contradicts it.

The features come from the extractors, because features made by hand repeat what the checker expects.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest

from pipeline.features.asr_sidecar import SidecarTranscript
from pipeline.features.au_mediapipe import MediapipeAus
from pipeline.features.base import Audio, Clip, Extractor
from pipeline.features.baseline import make_baseline
from pipeline.features.prosody import CoreProsody
from schemas.cues import cue_table
from schemas.parts import Span
from schemas.records import Baseline, Features
from tests.agents import cue_samples as make
from tests.features.test_au_geometry import EXPRESSIONS, moved, turned
from tests.features.voice_media import make_clip, silence, tone

# Of heavier backends only: the geometry of a face does not show them, nor does the core measure voice quality.
NOT_MEASURED_HERE = {"AU06", "AU07", "AU09", "AU10", "AU14", "AU17", "AU23", "AU24"}
NOT_MEASURED_HERE |= {"AU11", "AU28", "AU45", "gaze_averted", "gaze_up", "gaze_down"}
NOT_MEASURED_HERE |= {"trembling_voice", "hoarse_voice"}
FACE_STEP_S = 0.2
Points = npt.NDArray[np.float64]
PROSODY = CoreProsody()


def extracted(extractor: Extractor, clip: Clip) -> Features:
    ((_, result),) = extractor.extract([clip])
    assert isinstance(result, Features), result
    return result


# --- a voice ----------------------------------------------------------------------------------------


def voice(*parts: Audio) -> Features:
    return extracted(PROSODY, make_clip(np.concatenate(parts)))


def vowel(pitch_hz: float = 150, length_s: float = 1.0, peak: float = 0.1) -> Audio:
    return tone(pitch_hz, length_s, peak, saw=True)


def glide(start_hz: float, end_hz: float) -> Audio:
    """A voice-like sound of 1 s whose pitch moves evenly in semitones."""
    samples = np.arange(16_000)
    phase = 2 * np.pi * np.cumsum(start_hz * (end_hz / start_hz) ** (samples / 16_000)) / 16_000
    return np.asarray(0.15 * sum(np.sin(k * phase) / k for k in range(1, 12)), dtype=np.float32)


def syllables(per_s: float, pitch_hz: float = 150, peak: float = 0.1) -> Audio:
    """A voice of 4 s that swells `per_s` times a second."""
    swell = 0.03 + 0.97 * np.sin(np.pi * per_s * np.arange(64_000) / 16_000) ** 2
    return np.asarray(vowel(pitch_hz, 4.0, peak) * swell, dtype=np.float32)


@cache
def usual() -> Baseline:
    """A speaker of about 150 Hz and 4.5 syllables a second."""
    habits = [(4.0, 140, 0.08), (4.5, 150, 0.1), (5.0, 160, 0.12), (4.5, 150, 0.1)]
    heard = [
        extracted(PROSODY, make_clip(syllables(*habit), start_s=10.0 * n)) for n, habit in enumerate(habits)
    ]
    baseline = make_baseline("speaker:A", heard)
    assert baseline is not None
    return baseline


# --- a face and words -------------------------------------------------------------------------------


def face(*shapes: dict[tuple[int, ...], tuple[float, float]]) -> Features:
    """One second at rest, then a second of each shape."""
    return acted({}, *shapes)


def acted(*shapes: dict[tuple[int, ...], tuple[float, float]]) -> Features:
    """A second of each shape."""
    return measured([moved(shape) for shape in shapes for _ in range(5)])


def head(axis: str, *degrees: float) -> Features:
    """A head that is at each of these angles for a fifth of a second."""
    angles = [{"pitch": 0.0, "yaw": 0.0, "roll": 0.0} | {axis: one} for one in degrees]
    return measured([turned(moved({}), **angle) for angle in angles])


def measured(meshes: Sequence[Points]) -> Features:
    """What the backend says of these meshes, through the arrays that the worker writes."""
    at, size_px = np.array([300, 200, 0]), np.array([640, 480, 640])
    mesh = np.stack([(points + at) / size_px for points in meshes])
    arrays = {
        "times_s": np.arange(len(mesh)) * FACE_STEP_S,
        "landmarks": mesh[:, None],
        "scores": np.full((len(mesh), 1), 0.9),
        "size_px": np.array([640, 480]),
    }
    return MediapipeAus().read(make_clip(None, end_s=len(meshes) * FACE_STEP_S), arrays)


def words(text: str) -> Features:
    clip = make_clip(None, end_s=2.0)
    with tempfile.TemporaryDirectory() as folder:
        subtitle = Path(folder) / "talk.srt"
        subtitle.write_text(f"1\n00:00:00,000 --> 00:00:02,000\n{text}\n")
        return extracted(SidecarTranscript.beside(subtitle, [Span(start_s=0, end_s=2)]), clip)


# --- every cue --------------------------------------------------------------------------------------


class Case(NamedTuple):
    """What makes the features of a clip that shows the cue, and of one that lacks it."""

    shows: Callable[[Path], Features]
    lacks: Callable[[Path], Features]


def heard(shows: Sequence[Audio], lacks: Sequence[Audio]) -> Case:
    return Case(lambda _: voice(*shows), lambda _: voice(*lacks))


def seen(unit: str) -> Case:
    return Case(lambda folder: face(EXPRESSIONS[unit]), lambda folder: face({}))


def brief(unit: str) -> Case:
    shape = EXPRESSIONS[unit]
    return Case(lambda _: face(shape, {}), lambda _: face(shape, shape, shape, shape))


def steady(unit: str) -> Case:
    shape = EXPRESSIONS[unit]
    return Case(lambda _: acted(shape, shape, {}), lambda _: acted(shape, {}, {}))


def head_moves(axis: str, shows: Sequence[float], lacks: Sequence[float]) -> Case:
    return Case(lambda _: head(axis, *shows), lambda _: head(axis, *lacks))


def swell(start: float, end: float) -> Audio:
    """A voice of 2 s whose level moves evenly in dB."""
    return np.asarray(vowel(length_s=2.0) * np.geomspace(start, end, 32_000), dtype=np.float32)


UP, DOWN = [glide(120, 180)], [glide(180, 120)]
FLAT, VARIED = [vowel()], [glide(100, 260)]
BURST = [vowel(peak=0.05), vowel(length_s=0.3, peak=0.5), vowel(peak=0.05)]

CASES: dict[str, Case] = {
    **{unit: seen(unit) for unit in EXPRESSIONS},
    "smile": seen("AU12"),
    "broad_smile": Case(lambda _: face(EXPRESSIONS["AU12"]), lambda _: face({(61, 291): (0.06, -0.04)})),
    "brief_smile": brief("AU12"),
    "steady_smile": steady("AU12"),
    "brief_frown": brief("AU04"),
    "steady_frown": steady("AU04"),
    "brief_brow_raise": brief("AU02"),
    "nod": head_moves(
        "pitch", (0, 0, 0, -5, -10, -5, 0, 0, 0, 0), (0, 0, 0, -5, -10, -10, -10, -10, -10, -10)
    ),
    "head_shake": head_moves("yaw", (0, 0, 8, 0, -8, 0, 8, 0, 0, 0), (0, 0, 4, 8, 8, 8, 8, 8, 8, 8)),
    "head_turn": head_moves("yaw", (0, 0, 5, 10, 15, 20, 25, 25, 25, 25), (25,) * 10),
    "head_averted": head_moves("yaw", (-25,) * 10, (-10,) * 10),
    "head_tilt": head_moves("roll", (-15,) * 10, (-5,) * 10),
    "head_up": head_moves("pitch", (16,) * 10, (-16,) * 10),
    "head_down": head_moves("pitch", (-16,) * 10, (16,) * 10),
    "quote": Case(lambda _: words("this is not my day"), lambda _: words("this is my day")),
    "pitch_rise": heard(UP, DOWN),
    "pitch_fall": heard(DOWN, UP),
    "pitch_climbs": heard(UP, DOWN),
    "pitch_sinks": heard(DOWN, UP),
    "pitch_varied": heard(VARIED, FLAT),
    "pitch_flat": heard(FLAT, VARIED),
    "pitch_high": heard([syllables(4.5, 220)], [syllables(4.5, 150)]),
    "pitch_low": heard([syllables(4.5, 100)], [syllables(4.5, 150)]),
    "loud": heard([syllables(4.5, 150, 0.8)], [syllables(4.5, 150, 0.1)]),
    "quiet": heard([syllables(4.5, 150, 0.01)], [syllables(4.5, 150, 0.1)]),
    "loud_burst": heard(BURST, FLAT),
    "gets_louder": heard([swell(0.2, 1.0)], [swell(1.0, 0.2)]),
    "gets_quieter": heard([swell(1.0, 0.2)], [swell(0.2, 1.0)]),
    "fast": heard([syllables(8)], [syllables(4.5)]),
    "slow": heard([syllables(2)], [syllables(4.5)]),
    "fast_rate": heard([syllables(8)], [syllables(2)]),
    "slow_rate": heard([syllables(2)], [syllables(8)]),
    "speed_up": heard([syllables(9), syllables(4)], [syllables(4.5)]),
    "slow_down": heard([syllables(4), syllables(9)], [syllables(4.5)]),
    "pause": heard([vowel(), silence(0.5), vowel()], [vowel(), silence(0.1), vowel()]),
    "long_pause": heard([vowel(), silence(1.2), vowel()], [vowel(), silence(0.5), vowel()]),
    "long_silence": heard([silence(1.2), vowel()], [silence(0.3), vowel(), silence(0.3), vowel()]),
    "speech": heard(FLAT, [silence(1)]),
    "silence": heard([silence(1)], FLAT),
}


def test_every_cue_that_is_measured_here_has_a_case() -> None:
    assert set(CASES) == set(cue_table().cues) - NOT_MEASURED_HERE


@pytest.mark.parametrize("cue", sorted(CASES))
def test_what_is_shown_is_supported_and_what_is_not_is_contradicted(cue: str, tmp_path: Path) -> None:
    verdicts = {
        (clip, direction): make.verdict(
            make.claim(cue, 0.0, 2.0, direction=direction, quote="this is not my day"),
            features,
            baselines=(usual(),),
        )
        for clip, features in (("shows", CASES[cue].shows(tmp_path)), ("lacks", CASES[cue].lacks(tmp_path)))
        for direction in ("present", "absent")
    }
    assert {key: found.verdict for key, found in verdicts.items()} == {
        ("shows", "present"): "supported",
        ("shows", "absent"): "contradicted",
        ("lacks", "present"): "contradicted",
        ("lacks", "absent"): "supported",
    }, verdicts


@pytest.mark.parametrize("made", [UP, DOWN], ids=["up", "down"])
@pytest.mark.parametrize(
    ("cue", "direction"),
    [("pitch_rise", "up"), ("pitch change", "up"), ("pitch_fall", "down"), ("pitch change", "down")],
)
def test_a_movement_of_the_pitch_has_a_direction(made: list[Audio], cue: str, direction: str) -> None:
    found = make.verdict(make.claim(cue, 0.0, 1.0, direction=direction), voice(*made))
    assert found.verdict == ("supported" if (direction == "up") == (made is UP) else "contradicted")
    if found.verdict == "supported":
        assert abs(found.measured or 0) == pytest.approx(7, abs=0.5)
    else:  # a movement that is smaller than what the backend tells of has no size
        assert (found.measured, found.reference) == (None, 3 if direction == "up" else -3)
        assert "no such pitch change was found in the span" in found.reason
