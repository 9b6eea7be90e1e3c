"""Claims against the signal: verdicts by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.evidence.check import check_annotation
from agents.evidence.claims import read_claims
from schemas.cues import CUE_FILE, cue_table, read_cue_table
from schemas.parts import Event, Span, Target
from schemas.records import Features
from tests.agents import cue_samples as make
from tests.agents.cue_samples import PAUSE, RISE, SMILE, verdict

TABLE = cue_table()


@pytest.mark.parametrize(
    ("span", "direction", "expected"),
    [
        ((1.0, 2.0), "present", "supported"),
        ((1.0, 2.0), "up", "supported"),
        ((1.0, 2.0), "absent", "contradicted"),
        ((2.4, 3.8), "present", "contradicted"),
        ((2.4, 3.8), "absent", "supported"),
        ((1.0, 2.0), "down", "not_measurable"),
        ((3.5, 4.5), "present", "outside_clip"),
        ((4.2, 4.2), "absent", "outside_clip"),
        ((1.5, 1.5), "present", "supported"),
        ((3.0, 3.0), "present", "contradicted"),
        ((1.0, 4.05), "present", "supported"),
    ],
)
def test_action_units(span: tuple[float, float], direction: str, expected: str) -> None:
    found = verdict(make.claim("AU12", *span, direction=direction, shown=True), SMILE)
    assert found.verdict == expected
    assert found.shown


def test_a_verdict_says_what_was_measured() -> None:
    found = verdict(make.claim("AU12", 1.0, 2.0), SMILE)
    assert (found.measured, found.reference, found.unit) == (0.8, 0.3, "intensity")
    assert "AU12" in found.reason
    assert not found.shown


def test_a_smile_is_held_longer_than_a_movement_of_the_lips() -> None:
    twitch = make.aus({"AU12": [0.0, 0.0, 0.9, 0.4, 0.0] * 20}, step_s=0.04)
    assert verdict(make.claim("smile"), SMILE).verdict == "supported"
    assert verdict(make.claim("smile"), twitch).verdict == "contradicted"
    assert verdict(make.claim("AU12"), twitch).verdict == "supported"


def test_a_lone_sample_is_a_slip_but_a_still_is_believed() -> None:
    slip = make.aus({"AU04": [0.9, 0.0, 0.0, 0.0, None, 0.8, None, 0.0]}, step_s=0.04)
    assert verdict(make.claim("AU04", 0.0, 0.32), slip).verdict == "contradicted"
    still = make.aus({"AU12": [0.9]})
    assert verdict(make.claim("AU12", 0.0, 0.0), still).verdict == "supported"
    assert verdict(make.claim("smile", 0.0, 0.0), still).verdict == "supported"


def test_closed_eyes_are_no_blink() -> None:
    blink = make.aus({"AU43": [0.0, 1.0, 0.0, 0.0, 0.0, 0.0]})
    closed = make.aus({"AU43": [0.0, 1.0, 1.0, 1.0, 0.0, 0.0]})
    assert verdict(make.claim("AU43", 0.0, 1.2), blink).verdict == "contradicted"
    assert verdict(make.claim("AU43", 0.0, 1.2), closed).verdict == "supported"


@pytest.mark.parametrize("span", [(1.6, 1.6), (1.3, 1.5), (1.9, 3.0)])
def test_a_part_of_what_is_held_is_enough(span: tuple[float, float]) -> None:
    assert verdict(make.claim("smile", *span), SMILE).verdict == "supported"
    assert verdict(make.claim("smile", *span, direction="absent"), SMILE).verdict == "contradicted"
    assert verdict(make.claim("smile", 2.5, 2.5), SMILE).verdict == "contradicted"


def face_of_ten_seconds(**levels: float) -> Features:
    """A face that is measured at the samples `at_N` only."""
    values: list[float | None] = [None] * 50
    for name, level in levels.items():
        values[int(name.removeprefix("at_"))] = level
    return make.aus({"AU12": values})


def test_a_glimpse_refutes_nothing_but_may_prove() -> None:
    claims = [make.claim("AU12", 0.0, 4.0, direction=direction) for direction in ("present", "absent")]
    for item in claims:
        found = verdict(item, face_of_ten_seconds(at_5=0.05, at_6=0.05))
        assert (found.verdict, found.measured) == ("not_measurable", None)
        assert "10%" in found.reason
    shown = face_of_ten_seconds(at_5=0.6, at_6=0.7)
    assert [verdict(item, shown).verdict for item in claims] == ["supported", "contradicted"]


def test_half_of_the_span_is_enough_to_refute() -> None:
    half = make.aus({"AU12": [0.0] * 10 + [None] * 10})
    less = make.aus({"AU12": [0.0] * 9 + [None] * 11})
    assert verdict(make.claim("AU12", 0.0, 4.0), half).verdict == "contradicted"
    assert verdict(make.claim("AU12", 0.0, 4.0), less).verdict == "not_measurable"


def test_a_picture_that_ends_before_the_sound_is_not_seen_to_the_end() -> None:
    short = make.aus({"AU12": [0.0] * 8})  # 1.6 s of 4 s
    assert verdict(make.claim("AU12", 0.0, 4.0), short).verdict == "not_measurable"
    assert verdict(make.claim("AU12", 0.0, 1.6), short).verdict == "contradicted"


def test_a_sparse_curve_holds_until_its_next_sample() -> None:
    curve = make.aus({"AU12": [0.0] * 12}).series[0]
    times_s = (*(0.04 * n for n in range(9)), 1.5, 2.5, 3.5)  # a picture that freezes
    frozen = make.aus({}).model_copy(update={"series": (curve.model_copy(update={"times_s": times_s}),)})
    assert verdict(make.claim("AU12", 0.5, 3.5), frozen).verdict == "contradicted"


def test_a_verdict_never_belies_its_figures() -> None:
    almost = make.aus({"AU12": [0.29996] * 20})
    found = verdict(make.claim("AU12"), almost)
    assert (found.verdict, found.measured, found.reference) == ("supported", 0.3, 0.3)


def test_the_last_tenth_of_a_second_is_forgiven_whatever_the_length() -> None:
    for duration_s in (0.7, 1.1, 2.3, 3.3):  # 0.7 + 0.1 is less than 0.8 to a computer
        item = make.claim("AU12", 0.0, round(duration_s + 0.1, 1))
        found = check_annotation(make.annotation(make.triplet(item)), [SMILE], [], duration_s, TABLE)
        assert found.verdicts[0].verdict != "outside_clip"


@pytest.mark.parametrize(
    ("cue", "modality"),
    [("AU12", "audio"), ("loud", "visual"), ("pause", "text"), ("quote", "visual"), ("smile", "text")],
)
def test_a_cue_is_checked_in_its_own_modality_only(cue: str, modality: str) -> None:
    measured = (SMILE, make.voice([160.0] * 200, events=(PAUSE,)), make.asr("so it is"))
    quote = "so it is" if cue == "quote" else None
    found = verdict(make.claim(cue, modality=modality, quote=quote), *measured, baselines=(make.baseline(),))
    assert found.verdict == "not_measurable"
    assert modality in found.reason


def test_a_hole_in_the_face_breaks_what_is_held() -> None:
    hole = make.aus({"AU43": [1.0, 1.0, None, 1.0, 1.0]})
    assert verdict(make.claim("AU43"), hole).verdict == "not_measurable"


def test_the_targets_face_counts_and_not_the_neighbours() -> None:
    other = make.aus({"AU12": [0.0] * 10}, track="face2")  # seen for a shorter time
    item = make.claim("AU12", 1.0, 2.0)
    assert verdict(item, SMILE, other).verdict == "supported"
    assert verdict(item, SMILE, other, target=Target(face_track="face2")).verdict == "contradicted"
    assert verdict(item, SMILE, other, target=Target(face_track="face9")).verdict == "not_measurable"
    unseen = verdict(item, SMILE, other, target=Target(speaker="ann"))
    assert (unseen.verdict, unseen.reason) == (
        "not_measurable", "AU12: none of the faces is known to be the target's"
    )  # fmt: skip


def test_nothing_measured_is_not_measurable_whatever_is_claimed() -> None:
    no_face = Features(subject_id="seg_1", extractor="x", version="1", stage="au", missing="no_face")
    for direction in ("present", "absent"):
        found = verdict(make.claim("AU12", direction=direction), no_face)
        assert (found.verdict, found.measured) == ("not_measurable", None)
        assert "no_face" in found.reason
    assert "au was not measured" in verdict(make.claim("AU12")).reason
    assert verdict(make.claim("AU09"), SMILE).verdict == "not_measurable"
    assert "cue table" in verdict(make.claim("aura of joy"), SMILE).reason


@pytest.mark.parametrize(
    ("cue", "direction", "expected"),
    [
        ("pitch_high", "present", "supported"),
        ("pitch", "up", "supported"),
        ("pitch", "down", "contradicted"),
        ("pitch", "present", "not_measurable"),
        ("pitch", "absent", "not_measurable"),
        ("loudness", "up", "supported"),
        ("loudness", "present", "not_measurable"),
        ("speech rate", "up", "supported"),
        ("pitch range", "down", "supported"),
        ("pitch_low", "present", "contradicted"),
        ("pitch_low", "absent", "supported"),
        ("pitch_low", "up", "not_measurable"),
        ("pitch_high", "down", "contradicted"),
        ("loud", "present", "supported"),
        ("quiet", "down", "contradicted"),
        ("pitch_flat", "present", "supported"),
        ("pitch_varied", "down", "supported"),
        ("fast", "present", "supported"),
        ("slow_rate", "present", "contradicted"),
        ("speech", "present", "supported"),
        ("silence", "present", "contradicted"),
        ("silence", "up", "not_measurable"),
        ("speech", "down", "contradicted"),
    ],
)
def test_voice_against_the_baseline(cue: str, direction: str, expected: str) -> None:
    # 160 Hz is 5 semitones over 120 Hz, 2.5 sd; -25 dB is 1.25 sd over -30 dB; 5 syllables are 2 sd over 4.
    spoken = make.voice([160.0] * 150 + [None] * 50, speech_rate_syl_s=5.0)
    found = verdict(make.claim(cue, direction=direction), spoken, baselines=(make.baseline(),))
    assert found.verdict == expected


def test_pauses_make_a_voice_neither_quiet_nor_deep() -> None:
    spoken = make.voice([160.0] * 20 + [None] * 180)
    found = verdict(make.claim("loud"), spoken, baselines=(make.baseline(),))
    assert (found.verdict, found.measured, found.unit) == ("supported", 1.25, "sd")


def test_relative_cues_need_a_baseline_absolute_ones_do_not() -> None:
    spoken = make.voice([160.0] * 200)
    found = verdict(make.claim("pitch_high"), spoken)
    assert found.verdict == "not_measurable"
    assert "baseline" in found.reason
    assert verdict(make.claim("pitch_flat"), spoken).verdict == "supported"


def test_the_speakers_baseline_comes_before_the_recordings() -> None:
    spoken = make.voice([160.0] * 200)
    both = (make.baseline("source:s"), make.baseline("speaker:A", pitch_hz=160.0))
    assert verdict(make.claim("pitch_high"), spoken, baselines=both).verdict == "contradicted"


def test_the_speech_rate_belongs_to_the_whole_clip() -> None:
    spoken = make.voice([160.0] * 200, speech_rate_syl_s=7.0)
    assert verdict(make.claim("fast_rate"), spoken).verdict == "supported"
    assert verdict(make.claim("fast_rate", 0.0, 0.5), spoken).verdict == "not_measurable"


@pytest.mark.parametrize(
    ("cue", "span", "expected"),
    [
        ("pause", (0.8, 1.8), "supported"),
        ("pause", (2.5, 3.5), "contradicted"),
        ("long_pause", (0.8, 1.8), "contradicted"),
        ("pitch_rise", (0.0, 1.0), "supported"),
        ("pitch_fall", (0.0, 1.0), "contradicted"),
        ("rising intonation", (2.0, 3.0), "contradicted"),
        ("loud_burst", (0.0, 4.0), "contradicted"),
        ("pause", (1.3, 1.3), "supported"),
        ("pause", (1.6, 4.0), "contradicted"),  # it only touches
        ("pitch_rise", (0.5, 0.5), "supported"),
    ],
)
def test_events_of_the_voice(cue: str, span: tuple[float, float], expected: str) -> None:
    spoken = make.voice([160.0] * 200, events=(RISE, PAUSE))
    assert verdict(make.claim(cue, *span), spoken).verdict == expected


def test_a_pause_does_not_end_because_more_is_claimed() -> None:
    pause = Event(cue="pause", modality="audio", start_s=0.0, end_s=2.0, size=2.0, unit="s")
    spoken = make.voice([160.0] * 200, events=(pause,))
    for end_s in (1.5, 2.0, 4.0):
        assert verdict(make.claim("pause", 1.5, end_s), spoken).verdict == "supported"


def test_why_a_measure_alone_is_no_claim() -> None:
    assert "up or down" in verdict(make.claim("pitch"), make.voice([160.0] * 200)).reason


@pytest.mark.parametrize("direction", ["present", "absent"])
def test_no_pitch_is_no_movement_of_the_pitch(direction: str) -> None:
    whispered = make.voice([None] * 100 + [160.0] * 100)
    for cue in ("pitch_rise", "pitch_fall"):
        found = verdict(make.claim(cue, 0.0, 1.8, direction=direction), whispered)
        assert found.verdict == "not_measurable"
        assert "voice" in found.reason
    assert verdict(make.claim("pitch_rise", 0.0, 3.0), whispered).verdict == "contradicted"


def test_silence_is_known_without_a_pitch_curve() -> None:
    silent = Features(subject_id="seg_1", extractor="x", version="1", stage="prosody", missing="silence")
    deaf = Features(
        subject_id="seg_1", extractor="x", version="1", stage="prosody", missing="no_audio_stream"
    )
    assert verdict(make.claim("silence"), silent).verdict == "supported"
    assert verdict(make.claim("silence"), deaf).verdict == "not_measurable"
    assert verdict(make.claim("loud"), silent).verdict == "not_measurable"


def test_an_annotation_without_answer_has_no_verdicts() -> None:
    found = check_annotation(make.annotation(None), [SMILE], [], make.DURATION_S, TABLE)
    assert found.verdicts == ()
    assert found.feature_digests == (SMILE.digest,)
    assert found.cue_table_digest == TABLE.digest


def test_spans_need_no_frame_inside() -> None:
    point = Span(start_s=1.5, end_s=1.5)
    assert verdict(make.claim("AU12", point.start_s, point.end_s), SMILE).verdict == "supported"


NEW_ROW = (
    "wrinkled_bridge,visual,AU09,share,absolute,>=,0.5,share,0.2,0.4,,"
    "wrinkles the bridge of the nose,,Wrinkles it,x\n"
)


def test_a_cue_is_added_by_one_row(tmp_path: Path) -> None:
    """It is found, read in a sentence, measured and told, without code."""
    file = tmp_path / "cues.csv"
    file.write_text(CUE_FILE.read_text("utf-8") + NEW_ROW, encoding="utf-8")
    table = read_cue_table(file)
    (claim,) = read_claims("She wrinkles the bridge of her nose.", table=table, duration_s=4.0).claims
    item = make.claim(claim.cue, 0.0, 2.0, modality=claim.modality)
    for level, expected in ((0.4, "supported"), (0.1, "contradicted")):
        features = make.aus({"AU09": [level] * 10})
        (found,) = check_annotation(make.annotation(make.triplet(item)), [features], [], 4.0, table).verdicts
        assert (found.verdict, found.reference) == (expected, 0.5)
    assert table.digest != TABLE.digest


@pytest.mark.parametrize(
    ("curve", "span", "expected"),
    [
        ([0, 0, 0.5, 0.5, 0, 0, 0, 0], (0.0, 1.6), "supported"),
        ([0, 0, 0.5, 0.5, 0, 0, 0, 0], (1.0, 1.6), "contradicted"),  # over
        ([0.5] * 20, (1.0, 1.4), "contradicted"),  # the claim is short, the smile is not
        ([0] * 8, (0.0, 1.6), "contradicted"),  # what is not there is not brief
        ([0, 0, 0.5, 0.5, None, None, 0, 0], (0.0, 1.6), "not_measurable"),  # nobody knows how long
    ],
)
def test_brief_is_a_length(curve: list[float | None], span: tuple[float, float], expected: str) -> None:
    assert verdict(make.claim("brief_smile", *span), make.aus({"AU12": curve})).verdict == expected


@pytest.mark.parametrize(
    ("cue", "curve", "expected"),
    [
        ("nod", [0, -3, -8, -3, 0, 0], 8),
        ("nod", [0, -3, -8, -8, -8, -8], 0),  # it stays down
        ("nod", [0, 0, -8, -8, -8, -8, -8, -8, -8, 0, 0], 0),  # a leg of more than 1 s
        ("head_shake", [0, 6, 0, -6, 0, 6, 0], 6),
        ("head_shake", [0, 6, 6, 6, 0, 0], 0),  # a glance to the side and back
        ("head_averted", [-25] * 4 + [0] * 4, 25),
        ("head_averted", [-12, 0, 12, 0], 0),  # not held
    ],
)
def test_movements_of_the_head(cue: str, curve: list[float], expected: float) -> None:
    name = {"nod": "head_pitch_deg"}.get(cue, "head_yaw_deg")
    found = verdict(make.claim(cue, 0.0, 0.2 * len(curve)), make.angles(name, curve))
    assert found.measured == pytest.approx(expected, abs=1e-3)


def test_angles_of_a_head_are_no_slips_of_a_unit() -> None:
    """Only intensities have a neighbour that must be near: an angle below zero is no slip."""
    assert (
        verdict(make.claim("head_down"), make.angles("head_pitch_deg", [-20.0] * 20)).verdict == "supported"
    )


@pytest.mark.parametrize(("span", "expected"), [((0.4, 0.8), "supported"), ((2.4, 2.8), "contradicted")])
def test_what_lasts_is_measured_in_a_short_span_too(span: tuple[float, float], expected: str) -> None:
    smile = make.aus({"AU12": [0.6] * 10 + [0.0] * 10})
    assert verdict(make.claim("steady_smile", *span), smile).verdict == expected
    hidden = make.aus({"AU12": [0.6, 0.6, None, None, None, None]})
    assert verdict(make.claim("steady_smile", *span), hidden).verdict == "not_measurable"
