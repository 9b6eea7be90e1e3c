"""The facial annotator: combinations of action units."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.answers.parsing import parse_annotation
from agents.cue_rules import facial
from agents.evidence.check import check_annotation
from pipeline.features.au_mediapipe import MediapipeAus
from pipeline.features.base import Clip
from pipeline.media.decode import decode
from pipeline.media.probe import probe
from schemas.cues import cue_table
from schemas.parts import Event, FaceTrack, Span, Target
from schemas.records import Features, Sample, Segment, Source
from tests.agents import cue_samples as make

TALKING = (Span(start_s=0.0, end_s=make.DURATION_S),)


def label(sample: Sample) -> str:
    answer = facial.annotate(sample, make.EKMAN7)
    return str(answer["labels"][0]["label"]) if answer["labels"] else str(answer["abstain_reason"])


@pytest.mark.parametrize(
    ("units", "expected"),
    [
        (("AU12",), "joy"),
        (("AU06", "AU12", "AU25"), "joy"),
        (("AU01", "AU15"), "sadness"),
        (("AU01", "AU04", "AU15"), "sadness"),
        (("AU01", "AU02", "AU05"), "surprise"),
        (("AU01", "AU02", "AU26"), "surprise"),
        (("AU01", "AU02", "AU04", "AU05", "AU20"), "fear"),
        (("AU04", "AU05"), "anger"),
        (("AU04", "AU07", "AU23"), "anger"),
        (("AU09",), "disgust"),
        (("AU01", "AU02"), "neutral"),  # raised brows are also a sign of conversation
        (("AU04",), "anger"),  # the one part of anger that geometry always shows
        (("AU25", "AU43"), "neutral"),
        ((), "neutral"),
    ],
)
def test_combinations(units: tuple[str, ...], expected: str) -> None:
    assert label(make.face_sample(*(make.au(unit) for unit in units))) == expected


def test_units_must_be_active_at_one_time() -> None:
    assert label(make.face_sample(make.au("AU01", 0.0, 1.0), make.au("AU15", 2.0, 3.0))) == "neutral"


def test_lowered_brows_alone_are_a_weaker_sign_than_with_widened_eyes() -> None:
    alone, both = (
        facial.annotate(make.face_sample(*map(make.au, units)), make.EKMAN7)
        for units in (("AU04",), ("AU04", "AU05"))
    )
    assert alone["confidence"] < both["confidence"]


def test_speech_opens_the_mouth_and_moves_its_corners() -> None:
    gasp = [make.au(unit) for unit in ("AU01", "AU02", "AU26")]
    assert label(make.face_sample(*gasp)) == "surprise"
    assert label(make.face_sample(*gasp, speech=TALKING)) == "neutral"
    short, long = make.au("AU12", 1.0, 1.4), make.au("AU12", 1.0, 1.6)
    assert label(make.face_sample(short, speech=TALKING)) == "neutral"
    assert label(make.face_sample(long, speech=TALKING)) == "joy"
    assert label(make.face_sample(short)) == "joy"


def test_abstains_without_a_face() -> None:
    assert label(make.sample()) == "no_face"
    assert label(make.sample(missing={"visual": "no_video_stream"})) == "no_video_stream"
    assert label(make.face_sample(make.au("AU12"), target=Target(face_track="face7"))) == "no_face"


def test_the_neighbours_smile_is_not_the_targets() -> None:
    other = FaceTrack(name="face2", start_s=0, end_s=4, frames=5, box=(0.7, 0.3, 0.2, 0.2))
    mine = make.face_sample().faces[0]
    sample = make.face_sample(make.au("AU12", track="face2"), faces=(mine, other))
    assert label(sample) == "neutral"
    assert label(sample.model_copy(update={"target": Target(face_track="face2")})) == "joy"


def test_evidence_has_the_times_of_the_events() -> None:
    answer = facial.annotate(make.face_sample(make.au("AU12", 1.25, 2.5)), make.EKMAN7)
    assert [(e["cue"], e["start_s"], e["end_s"]) for e in answer["evidence"]] == [("AU12", 1.25, 2.5)]
    assert answer["readings"] == {"text": None, "audio": None, "visual": "joy"}
    assert answer["dimensions"]["valence"] > 0


def test_neutral_claims_only_units_that_did_not_move_at_all() -> None:
    twitch = make.au("AU12", 1.0, 1.2)
    answer = facial.annotate(make.face_sample(twitch, speech=TALKING), make.EKMAN7)
    claims = {(e["cue"], e["direction"]) for e in answer["evidence"]}
    assert claims == {("AU01", "absent"), ("AU04", "absent"), ("AU15", "absent")}


def test_a_stronger_smile_gives_more_confidence() -> None:
    weak, strong = (
        facial.annotate(make.face_sample(make.au("AU12", size=size)), make.EKMAN7) for size in (0.3, 0.9)
    )
    assert weak["confidence"] < strong["confidence"]
    assert weak["labels"][0]["intensity"] < strong["labels"][0]["intensity"]


def test_two_expressions_make_a_trajectory() -> None:
    first = [make.au(unit, 0.2, 1.2) for unit in ("AU01", "AU02", "AU05")]
    answer = facial.annotate(make.face_sample(*first, make.au("AU12", 2.0, 3.0)), make.EKMAN7)
    assert [point["label"] for point in answer["trajectory"]] == ["surprise", "joy"]


events = st.builds(
    lambda cue, start, length, size: Event(
        cue=cue, modality="visual", start_s=start, end_s=start + length, size=size, unit="intensity"
    ),
    st.sampled_from([f"AU{n:02d}" for n in (1, 2, 4, 5, 7, 9, 12, 15, 20, 25, 26, 43)]),
    st.floats(0, 5),
    st.floats(0, 5),
    st.none() | st.floats(0, 1),
)


@given(st.lists(events, max_size=8))
@settings(max_examples=200, deadline=None)
def test_any_events_give_an_answer_inside_the_clip(found: list[Event]) -> None:
    answer = facial.annotate(make.face_sample(*found), make.EKMAN7)
    assert answer["labels"]
    assert 0 <= answer["confidence"] <= 1
    assert all(0 <= label["intensity"] <= 3 for label in answer["labels"])
    for item in answer["evidence"] + answer["trajectory"]:
        assert 0 <= item["start_s"] <= item["end_s"] <= make.DURATION_S


def _clip(path: Path, folder: Path) -> Clip:
    facts = probe(path)
    source = Source(sha256=path.name, size_bytes=1, media=facts)
    segment = Segment(
        source_id=source.id, rule="whole", version="1", source_start_s=0, source_end_s=facts.duration_s, index=0,
    )  # fmt: skip
    return Clip(source, segment, path, None, decode(path, facts, folder / path.name).frames)


@pytest.mark.media
@pytest.mark.worker
@pytest.mark.slow
def test_real_faces(media: Callable[[str], Path], tmp_path: Path) -> None:
    """A smile, a neutral speaker and a cartoon, through the real backend; every claim agrees with the check."""
    expected = {
        "pyfeat_single_face.mp4": "joy",
        "grid_lrwp9a.mpg": "neutral",
        "pyfeat_no_face.mp4": "no_face",
    }
    clips = [_clip(media(f"video/{name}"), tmp_path) for name in expected]
    for clip, features in MediapipeAus().extract(clips):
        assert isinstance(features, Features)
        speech = (Span(start_s=0, end_s=clip.segment.duration_s),) if "grid" in clip.path.name else ()
        sample = make.sample(
            faces=features.tracks,
            events=features.events,
            speech=speech,
            duration_s=clip.segment.duration_s,
            missing={"visual": features.missing} if features.missing else {},
        )
        assert label(sample) == expected[clip.path.name]
        text = json.dumps(facial.annotate(sample, make.EKMAN7))
        answer = parse_annotation(text, "stop", sample, make.EKMAN7, shown=frozenset()).answer
        found = check_annotation(make.annotation(answer), [features], [], sample.duration_s, cue_table())
        assert {v.verdict for v in found.verdicts} <= {"supported"}
        assert bool(found.verdicts) == (clip.path.name != "pyfeat_no_face.mp4")
