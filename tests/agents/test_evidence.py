"""Every claim against the signal: verdicts by hand, and what must hold for any claim."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.evidence import check_annotation
from agents.evidence_quote import share_said, tokens
from schemas.cues import cue_table
from schemas.parts import Event, Evidence, Span, Target, Verdict
from schemas.records import Baseline, Features
from tests.agents import cue_samples as make

TABLE = cue_table()
SMILE = make.aus({"AU12": [0.0] * 5 + [0.1, 0.5, 0.8, 0.8, 0.6] + [0.0] * 10})  # high from 1.2 to 2.0 s
PAUSE = Event(cue="pause", modality="audio", start_s=1.0, end_s=1.6, size=0.6, unit="s")
RISE = Event(cue="pitch_rise", modality="audio", start_s=0.4, end_s=0.6, size=5.0, unit="semitone")


def verdict(
    item: Evidence, *features: Features, baselines: tuple[Baseline, ...] = (), **options: Any
) -> Verdict:
    found = check_annotation(
        make.annotation(make.triplet(item)), features, baselines, make.DURATION_S, TABLE, **options
    )
    assert len(found.verdicts) == 1
    return found.verdicts[0]


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
    twitch = make.aus({"AU12": [0.0, 0.0, 0.9, 0.4, 0.0] * 4})
    assert verdict(make.claim("smile"), SMILE).verdict == "supported"
    assert verdict(make.claim("smile"), twitch).verdict == "contradicted"
    assert verdict(make.claim("AU12"), twitch).verdict == "supported"


def test_a_lone_sample_is_a_slip_but_a_still_is_believed() -> None:
    slip = make.aus({"AU04": [0.9, 0.0, 0.0, 0.0, None, 0.8, None, 0.0]})
    assert verdict(make.claim("AU04"), slip).verdict == "contradicted"
    still = make.aus({"AU12": [0.9]})
    assert verdict(make.claim("AU12", 0.0, 0.0), still).verdict == "supported"
    assert verdict(make.claim("smile", 0.0, 0.0), still).verdict == "supported"


def test_closed_eyes_are_no_blink() -> None:
    blink = make.aus({"AU43": [0.0, 1.0, 0.0, 0.0, 0.0, 0.0]})
    closed = make.aus({"AU43": [0.0, 1.0, 1.0, 1.0, 0.0, 0.0]})
    assert verdict(make.claim("AU43"), blink).verdict == "contradicted"
    assert verdict(make.claim("AU43"), closed).verdict == "supported"


def test_a_hole_in_the_face_breaks_what_is_held() -> None:
    hole = make.aus({"AU43": [1.0, 1.0, None, 1.0, 1.0]})
    assert verdict(make.claim("AU43"), hole).verdict == "not_measurable"


def test_the_targets_face_counts_and_not_the_neighbours() -> None:
    other = make.aus({"AU12": [0.0] * 10}, track="face2")  # seen for a shorter time
    item = make.claim("AU12", 1.0, 2.0)
    assert verdict(item, SMILE, other).verdict == "supported"
    assert verdict(item, SMILE, other, target=Target(face_track="face2")).verdict == "contradicted"
    assert verdict(item, SMILE, other, target=Target(face_track="face9")).verdict == "not_measurable"


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
        ("pitch_low", "present", "contradicted"),
        ("pitch_low", "absent", "supported"),
        ("pitch_low", "up", "supported"),
        ("loud", "present", "supported"),
        ("quiet", "down", "contradicted"),
        ("pitch_flat", "present", "supported"),
        ("pitch_varied", "down", "supported"),
        ("fast", "present", "supported"),
        ("slow_rate", "present", "contradicted"),
        ("speech", "present", "supported"),
        ("silence", "present", "contradicted"),
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
    ],
)
def test_events_of_the_voice(cue: str, span: tuple[float, float], expected: str) -> None:
    spoken = make.voice([160.0] * 200, events=(RISE, PAUSE))
    assert verdict(make.claim(cue, *span), spoken).verdict == expected


def test_silence_is_known_without_a_pitch_curve() -> None:
    silent = Features(subject_id="seg_1", extractor="x", version="1", stage="prosody", missing="silence")
    deaf = Features(
        subject_id="seg_1", extractor="x", version="1", stage="prosody", missing="no_audio_stream"
    )
    assert verdict(make.claim("silence"), silent).verdict == "supported"
    assert verdict(make.claim("silence"), deaf).verdict == "not_measurable"
    assert verdict(make.claim("loud"), silent).verdict == "not_measurable"


@pytest.mark.parametrize(
    ("quote", "span", "expected"),
    [
        ("I am NOT happy!", (0.0, 1.2), "supported"),
        ("not happy", (0.6, 1.2), "supported"),
        ("happy about this", (2.5, 3.5), "contradicted"),  # said, but elsewhere
        ("I am happy", (0.0, 1.2), "contradicted"),  # the negation is left out
        ("I am not at all happy", (0.0, 1.2), "contradicted"),
        ("I am not happy about that", (0.0, 2.0), "supported"),  # one word in six misheard
        ("what a day", (0.0, 2.0), "contradicted"),
        ("...", (0.0, 2.0), "not_measurable"),
    ],
)
def test_quotes(quote: str, span: tuple[float, float], expected: str) -> None:
    heard = make.asr("I am not happy about this")
    assert verdict(make.claim("quote", *span, quote=quote), heard).verdict == expected


def test_words_without_a_cue_name_are_checked_as_a_quote() -> None:
    item = make.claim("negative words", 0.0, 2.0, modality="text", quote="not happy")
    assert verdict(item, make.asr("I am not happy")).verdict == "supported"


def test_no_transcript_no_verdict() -> None:
    none = Features(subject_id="seg_1", extractor="x", version="1", stage="asr", missing="no_speech")
    found = verdict(make.claim("quote", quote="hello"), none)
    assert found.verdict == "not_measurable"
    assert "no_speech" in found.reason


def test_any_of_several_transcripts_may_support_a_quote() -> None:
    item = make.claim("quote", quote="wonderful day")
    assert verdict(item, make.asr("wander full day"), make.asr("wonderful day")).verdict == "supported"


def test_an_annotation_without_answer_has_no_verdicts() -> None:
    found = check_annotation(make.annotation(None), [SMILE], [], make.DURATION_S, TABLE)
    assert found.verdicts == ()
    assert found.feature_digests == (SMILE.digest,)
    assert found.cue_table_digest == TABLE.digest


# --- for any claim ---------------------------------------------------------------------------------

ALL = (
    SMILE,
    make.voice([160.0] * 100 + [None] * 100, events=(RISE, PAUSE), speech_rate_syl_s=5.0),
    make.asr("I am not happy about this"),
)
times = st.floats(0, 6, allow_nan=False)
claims = st.builds(
    lambda start, length, **fields: Evidence(start_s=start, end_s=start + length, **fields),
    times,
    times,
    id=st.sampled_from(["e1", "e2", "e3"]),
    modality=st.sampled_from(["text", "audio", "visual", "context"]),
    cue=st.one_of(st.sampled_from(sorted(TABLE.cues)), st.text(max_size=12)),
    direction=st.sampled_from(["up", "down", "present", "absent"]),
    quote=st.none() | st.text(max_size=20) | st.just("not happy"),
    shown=st.booleans(),
)
some_features = st.lists(st.sampled_from(ALL), unique_by=id)
some_baselines = st.sampled_from([(), (make.baseline(),)])


@given(st.lists(claims, max_size=4), some_features, some_baselines)
@settings(max_examples=200, deadline=None)
def test_one_verdict_per_item_in_order(
    items: list[Evidence], features: list[Features], baselines: tuple[Baseline, ...]
) -> None:
    answer = make.annotation(make.triplet(*items))
    found = check_annotation(answer, features, baselines, make.DURATION_S, TABLE)
    assert [v.evidence_id for v in found.verdicts] == [item.id for item in items]
    assert [v.shown for v in found.verdicts] == [item.shown for item in items]
    for result in found.verdicts:
        measured = result.verdict in ("supported", "contradicted")
        assert (result.measured is not None) == measured
        assert result.reason
    assert found.digest == check_annotation(answer, features, baselines, make.DURATION_S, TABLE).digest


@given(claims, some_features, some_baselines)
@settings(max_examples=200, deadline=None)
def test_the_reverse_claim_has_the_reverse_verdict(
    item: Evidence, features: list[Features], baselines: tuple[Baseline, ...]
) -> None:
    reverse = {"supported": "contradicted", "contradicted": "supported"}
    there, gone = (
        verdict(item.model_copy(update={"direction": direction}), *features, baselines=baselines).verdict
        for direction in ("present", "absent")
    )
    assert gone == reverse.get(there, there)


odd_values = st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False))


@given(st.lists(odd_values, max_size=30), st.sampled_from(sorted(TABLE.cues)), times, times)
@settings(max_examples=200, deadline=None)
def test_odd_measurements_never_break_the_check(
    values: list[float | None], cue: str, start_s: float, length_s: float
) -> None:
    features = [make.voice(values), make.aus({f"AU{n:02d}": values for n in (1, 12, 43)})]
    item = make.claim(cue, start_s, start_s + length_s, quote="x")
    check_annotation(make.annotation(make.triplet(item)), features, [make.baseline()], 4.0, TABLE)


words = st.lists(st.sampled_from(["a", "b", "c", "not"]), max_size=6)


@given(words, words, words)
def test_words_that_were_said_are_found_wherever_they_stand(
    before: list[str], quote: list[str], after: list[str]
) -> None:
    share = share_said(quote, [*before, *quote, *after])
    assert share == (1.0 if quote else 0.0)


@given(words, words)
def test_share_said_is_a_share(quote: list[str], heard: list[str]) -> None:
    assert 0 <= share_said(quote, heard) <= 1


def test_tokens() -> None:
    assert tokens("Don\u2019t, STOP -- me!") == ["don't", "stop", "me"]
    assert tokens("我很高兴 ok") == ["我", "很", "高", "兴", "ok"]


def test_share_said_by_hand() -> None:
    assert share_said(tokens("ask what you can do"), tokens("so ask what we can do now")) == pytest.approx(
        0.8
    )


def test_spans_need_no_frame_inside() -> None:
    point = Span(start_s=1.5, end_s=1.5)
    assert verdict(make.claim("AU12", point.start_s, point.end_s), SMILE).verdict == "supported"
