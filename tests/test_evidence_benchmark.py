"""The references of the evidence benchmark: right by hand, and made without what they are a reference for."""

from __future__ import annotations

import ast
import csv
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import evidence, evidence_face, evidence_five, evidence_media, evidence_probes, evidence_voice
from benchmarks.evidence_face import DLIB, DLIB_EYES, EYES_MM, geometry
from benchmarks.evidence_voice import Usual, Voice
from schemas.cues import cue_table
from schemas.parts import Verdict

CHECKED = (
    "agents",
    "pipeline.features.au_geometry",
    "pipeline.features.prosody",
    "pipeline.features.baseline",
)


@pytest.mark.parametrize("module", [evidence_voice, evidence_face, evidence_five])
def test_a_reference_imports_nothing_of_what_it_judges(module: object) -> None:
    tree = ast.parse(Path(str(getattr(module, "__file__"))).read_text("utf-8"))  # noqa: B009 - a module
    names = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert names
    assert [name for name in names if name.startswith(CHECKED)] == []


def test_a_claim_is_decided_only_where_all_estimates_agree() -> None:
    pause = cue_table().cues["pause"]  # 0.25 s and more
    assert evidence_probes.decided(pause, [0.5, 0.9], "present") == ("supported", False)
    assert evidence_probes.decided(pause, [0.5, 0.9], "absent") == ("contradicted", False)
    assert evidence_probes.decided(pause, [0.0, 0.2], "present") == ("contradicted", True)
    assert evidence_probes.decided(pause, [0.2, 0.3], "present") == (None, True)


def tone(hz: float, seconds: float, level: float = 0.3) -> evidence_voice.Audio:
    times = np.arange(round(seconds * 16_000)) / 16_000
    return np.asarray(
        level * sum(np.sin(2 * np.pi * k * hz * times) / k for k in range(1, 8)), dtype=np.float32
    )


def quiet(seconds: float) -> evidence_voice.Audio:
    noise = np.random.default_rng(0).normal(0, 1e-5, round(seconds * 16_000))
    return np.asarray(noise, dtype=np.float32)


def test_both_programs_hear_pitch_level_and_pauses_of_a_made_voice() -> None:
    voice = Voice(np.concatenate([tone(200, 1.0), quiet(0.6), tone(400, 1.0, level=0.15)]))
    usual = Usual([(12 * np.log2(200), 2.0)] * 4, [(voice.level_db.max(), 3.0)] * 4)
    assert evidence_voice.pitch_z(voice, 1.7, 2.5, usual) == pytest.approx([6.0] * 4, abs=0.1)  # an octave
    assert evidence_voice.level_z(voice, 1.7, 2.5, usual) == pytest.approx([-2.0] * 4, abs=0.3)  # 6 dB
    assert evidence_voice.longest_pause(voice, 0.0, 2.6, None) == pytest.approx([0.6] * 6, abs=0.05)
    assert max(evidence_voice.longest_pause(voice, 0.1, 0.8, None)) == 0
    # A pause of which the span holds a corner may be meant or not: nothing is decided.
    assert evidence_voice.longest_pause(voice, 0.1, 1.1, None) == pytest.approx([0.0, 0.6] * 3, abs=0.05)
    assert evidence_voice.longest_unvoiced(voice, 0.5, 2.0, None) == pytest.approx([0.6] * 4, abs=0.06)
    assert evidence_voice.pitch_z(voice, 1.1, 1.5, usual) == []  # nothing is voiced


def test_both_programs_follow_a_glide() -> None:
    times = np.arange(16_000) / 16_000
    hz = 150 * 2 ** (times * 6 / 12)  # six semitones in a second
    phase = 2 * np.pi * np.cumsum(hz) / 16_000
    glide = 0.3 * sum(np.sin(k * phase) / k for k in range(1, 8))
    voice = Voice(np.asarray(glide, dtype=np.float32))
    assert evidence_voice.rise(voice, 0.0, 1.0, None) == pytest.approx([6.0] * 8, abs=0.4)
    assert evidence_voice.fall(voice, 0.0, 1.0, None) == pytest.approx([0.0] * 8, abs=0.4)
    assert evidence_voice.pitch_trend(voice, 0.0, 1.0, None) == pytest.approx([6.0] * 8, abs=0.4)


def face(roll_deg: float = 0.0, mouth_mm: float = 50.0) -> np.ndarray:
    """Landmarks (1, 68, 2) in pixels of a face whose outer eye corners are 178 px apart."""
    points = np.full((68, 2), 1.0)
    places = {
        "eye_r": (-89, 0), "eye_l": (89, 0), "nose": (0, 76), "base": (0, 100), "upper": (0, 140),
        "lower": (0, 150), "chin": (0, 220), "brow_r": (-30, -40), "brow_l": (30, -40), "outer_r": (-80, -44),
        "outer_l": (80, -44), "mouth_r": (-mouth_mm, 145), "mouth_l": (mouth_mm, 145),
    }  # fmt: skip
    for name, place in places.items():
        points[DLIB[name]] = place
    angle = np.radians(roll_deg)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return (points @ turn.T + 300)[None]


@pytest.mark.parametrize("roll_deg", [0.0, 12.0, -20.0])
def test_distances_are_millimetres_whatever_the_tilt(roll_deg: float) -> None:
    found = geometry(np.zeros(1), face(roll_deg, 60.0), DLIB, DLIB_EYES).mm
    assert EYES_MM == 89.0
    assert found["roll"] == pytest.approx(roll_deg)
    assert found["mouth"] == pytest.approx(60.0)
    assert found["gap"] == pytest.approx(5.0)
    assert found["inner"] == pytest.approx(20.0)
    assert found["yaw"] == pytest.approx(0.0, abs=1e-9)
    assert found["pitch"] == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("roll_deg", [0.0, 12.0, -20.0])
def test_five_points_tell_the_head_and_the_mouth(roll_deg: float) -> None:
    """Pupils 126 px apart, so that 1 mm is 2 px; the nose 20 mm aside, the corners of the mouth 60 mm apart."""
    points = np.array([(-63.0, 0.0), (63.0, 0.0), (40.0, 76.0), (-60.0, 130.0), (60.0, 130.0)])
    angle = np.radians(roll_deg)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    found = evidence_five.geometry(np.zeros(1), (points @ turn.T + 300)[None]).mm
    assert found["roll"] == pytest.approx(roll_deg)
    assert found["yaw"] == pytest.approx(np.degrees(np.arcsin(20 / 35)))
    assert found["pitch"] == pytest.approx(0.0, abs=1e-9)
    assert found["mouth"] == pytest.approx(60.0)


def test_a_point_that_slips_in_one_frame_is_no_movement() -> None:
    slip = np.array([5.0, 5.0, 9.0, 5.0, np.nan, 5.0])
    assert np.array_equal(evidence_five.smoothed(slip), [5.0, 5.0, 5.0, 7.0, np.nan, 5.0], equal_nan=True)


def test_between_surely_and_surely_not_nothing_is_decided() -> None:
    low, high = evidence_face.BOUNDS["smile"][2:4]
    assert evidence_face.decided("smile", (high + 1, high + 1), "present")[0] == "supported"
    assert evidence_face.decided("smile", (low - 1, low - 1), "present")[0] == "contradicted"
    assert evidence_face.decided("smile", (low + 1, low + 1), "present")[0] is None
    assert evidence_face.decided("smile", (low - 1, high + 1), "present")[0] is None  # beside the span


def judged(truth: str | None, verdict: str, reference: str) -> evidence.Judged:
    item = evidence_probes.claim("pause", "audio", (0.0, 1.0))
    source = SimpleNamespace(language="en", speaker="ann")
    target = SimpleNamespace(speaker="ann")
    piece = SimpleNamespace(source=source, sample=SimpleNamespace(target=target, feature_digests=()))
    probe = evidence_probes.Probe(piece, item, truth, reference)  # type: ignore[arg-type]
    return probe, Verdict.model_validate({"evidence_id": "e1", "verdict": verdict, "reason": "as it is"})


def test_undecided_claims_have_a_row_and_are_neither_right_nor_wrong(
    capsys: pytest.CaptureFixture[str],
) -> None:
    sure = judged("contradicted", "contradicted", "Praat")
    open_ = [judged(None, name, "Praat") for name in ("contradicted", "contradicted", "supported")]
    evidence.confusion("some", [sure, *open_])
    rows = {
        line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines() if line.strip()
    }
    assert rows["undecided"] == ["1", "2", "0", "0"]
    assert rows["contradicted"] == ["0", "1", "0", "0"]
    evidence.confusion("the same", [sure])
    assert "1.000 (0.207-1.000) of 1  1.000 (0.207-1.000) of 1" in capsys.readouterr().out
    evidence.by_undecided(open_)
    assert capsys.readouterr().out.splitlines()[-1].split() == ["Praat", "1", "2", "0", "0"]


def test_cues_that_never_happen_are_told_from_those_that_do(capsys: pytest.CaptureFixture[str]) -> None:
    never = [judged("contradicted", "contradicted", "Praat")] * 9  # of pauses
    evidence.by_presence(never)
    lines = capsys.readouterr().out.splitlines()
    assert next(line for line in lines if line.startswith("pause")).split() == ["pause", "0", "0", "9", "0"]
    assert any(line.startswith("less than 5 times") for line in lines)
    assert lines[-1].startswith("a check that finds nothing, ever")
    assert "1.000 (0.701-1.000) of 9" in lines[-1]  # as right as any
    often = [*never, *[judged("supported", "supported", "Praat")] * 6]
    evidence.by_presence(often)
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("5 times or more") for line in lines)
    assert "0.600 (0.357-0.802) of 15" in lines[-1]


def test_what_the_pipeline_takes_in_is_no_independent_reference() -> None:
    praat = judged("contradicted", "contradicted", "Praat")
    text = judged("contradicted", "supported", "given transcript, jiwer")
    turns = judged("not_measurable", "not_measurable", "human turns: the target does not speak")
    assert evidence.independent([praat, text, turns]) == [praat]
    assert evidence_probes.IMPORTED.keys().isdisjoint(evidence_probes.INDEPENDENT)


def test_the_recordings_are_looked_at_as_often_as_the_product_does() -> None:
    assert "face_fps" not in evidence_media.SETTINGS


def test_the_sentences_are_many_and_none_was_used_to_make_the_rules() -> None:
    with evidence.SENTENCES.open(encoding="utf-8", newline="") as file:
        kept = [row["text"] for row in csv.DictReader(file)]
    with (Path(__file__).parent / "agents" / "claims_dev.csv").open(encoding="utf-8", newline="") as file:
        used = {row["text"] for row in csv.DictReader(file)}
    assert len(set(kept)) == len(kept) >= 150
    assert used.isdisjoint(kept)
