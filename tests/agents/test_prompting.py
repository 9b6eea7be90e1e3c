"""What a model is shown, and that a question's identity holds what it must and nothing else."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.protocol import MediaPart, Request, TextPart
from agents.questions.prompting import annotation_request, answer_schema, keyless_request, shown_features
from schemas.cues import cue_table
from schemas.parts import Event, FaceTrack, Measure, SpeakerTurn, Target, Word
from schemas.records import NO_PICTURES, NOT_SPEAKING
from schemas.taxonomy import Taxonomy
from tests.wire.material import answer, make_sample, section, taxonomy

TAXONOMY = taxonomy()


def ask(sample: Any = None, **changes: Any) -> Request:
    return annotation_request(sample or make_sample(), TAXONOMY, section(**changes))


def data_of(request: Request) -> str:
    first = request.parts[0]
    assert isinstance(first, TextPart)
    return first.text


def media_of(request: Request) -> list[str]:
    return [part.ref.kind for part in request.parts if isinstance(part, MediaPart)]


def test_everything_that_was_measured_stands_under_its_tag() -> None:
    text = data_of(ask())
    words, prosody, visual = (
        text.partition(f"<{tag}>")[2].partition(f"</{tag}>")[0]
        for tag in ("Text", "Audio-Prosody", "Visual-AU")
    )
    assert "0.60-1.10 s great" in words
    assert "pitch_st_median: 12.3 semitone (+2.1 sd" in prosody
    assert "0.50-1.50 s AU12 0.7 intensity, strongest at 1.00 s" in visual
    assert "earlier turn, speaker ben: How was it?" in text
    assert "target person: speaker anna" in text
    assert "2.500 s" in text


def test_what_is_seen_beside_the_face_has_a_tag_of_its_own() -> None:
    near = Event(cue="hand_near_face", modality="visual", start_s=0.4, end_s=1.2)
    text = data_of(ask(make_sample(events=(*make_sample().events, near))))
    assert "<Visual-Event>\n0.40-1.20 s hand_near_face\n</Visual-Event>" in text
    assert "hand_near_face" not in text.partition("<Visual-AU>")[2].partition("</Visual-AU>")[0]
    assert "Visual-Event" not in data_of(ask())
    unseen = data_of(ask(make_sample(events=(near,), missing={"visual": "no_face"})))
    assert "missing: no_face" in unseen
    assert "hand_near_face" in unseen


def test_a_missing_modality_is_said_and_not_left_empty() -> None:
    text = data_of(ask(make_sample(words=(), missing={"text": "no_speech", "visual": "no_face"}, events=())))
    assert "<Text>\nmissing: no_speech\n</Text>" in text
    assert "<Visual-AU>\nmissing: no_face\n</Visual-AU>" in text


def test_the_target_face_is_placed_in_the_picture() -> None:
    face = FaceTrack(start_s=0, end_s=2, name="face2", frames=50, box=(0.5, 0.25, 0.1, 0.2))
    sample = make_sample(target=Target(face_track="face2"), faces=(face,))
    assert "face face2 (left 50 %, top 25 %, width 10 %, height 20 % of the picture)" in data_of(ask(sample))


def test_the_answer_is_asked_for_reasons_first() -> None:
    order = ["evidence", "rationale", "readings", "labels", "confidence", "dimensions", "trajectory"]
    schema = answer_schema(TAXONOMY)
    assert list(schema["properties"])[:7] == order
    assert schema["required"] == list(schema["properties"])
    places = [ask().system.index(f'"{name}"') for name in order]
    assert places == sorted(places)


def test_the_schema_is_strict_and_takes_a_valid_answer() -> None:
    schema = answer_schema(TAXONOMY)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(answer(), schema)
    for bad in (
        answer(labels=[{"label": "envy", "intensity": 1}]),
        answer() | {"extra": 1},
        {key: value for key, value in answer().items() if key != "evidence"},
    ):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(bad, schema)
    cues = schema["properties"]["evidence"]["items"]["properties"]["cue"]["enum"]
    assert set(cues) == {*cue_table().cues, "quote"}
    _assert_every_object_is_closed(schema)


def _assert_every_object_is_closed(schema: Any) -> None:
    if isinstance(schema, dict):
        if schema.get("type") == "object":
            assert schema["additionalProperties"] is False
            assert schema["required"] == list(schema["properties"])
        for value in schema.values():
            _assert_every_object_is_closed(value)
    elif isinstance(schema, list):
        for value in schema:
            _assert_every_object_is_closed(value)


@pytest.mark.parametrize(
    ("changes", "kinds"),
    [
        ({"takes": ("text",)}, []),
        ({"takes": ("text", "images")}, ["image"] * 3),
        ({"takes": ("text", "images"), "key_frames": 1}, ["image"]),
        ({"takes": ("text", "audio")}, ["audio"]),
        ({"takes": ("text", "video"), "provider": "gemini"}, ["clip"]),
        ({"takes": ("text", "video")}, ["clip"]),
        ({"takes": ("text", "images", "video"), "key_frames": 1}, ["clip", "image"]),
    ],
)
def test_the_model_gets_what_it_takes(changes: dict[str, Any], kinds: list[str]) -> None:
    assert media_of(ask(**changes)) == kinds


def test_a_clip_of_sound_alone_is_not_sent_as_a_video() -> None:
    heard = make_sample(key_frames=(), missing={"visual": NO_PICTURES})
    assert media_of(ask(heard, takes=("audio", "video"))) == ["audio"]
    unseen = make_sample(key_frames=(), missing={"visual": "no_face"})
    assert media_of(ask(unseen, takes=("video",))) == ["clip"]


def test_of_the_key_frames_the_most_telling_are_sent_in_order_of_time() -> None:
    frames = make_sample().key_frames
    sample = make_sample(key_frames=(frames[2], frames[0], frames[1], frames[3]))
    told = {
        number: [part.text for part in ask(sample, key_frames=number).parts if isinstance(part, TextPart)][1:]
        for number in (1, 2, 4)
    }
    at = [f"Key frame at {frame.time_s:.3f} s:" for frame in frames]
    assert told == {1: at[2:3], 2: [at[0], at[2]], 4: at}


def test_without_text_no_measurement_is_shown() -> None:
    request = ask(takes=("audio",))
    assert "great" not in data_of(request)
    assert "AU12" not in data_of(request)
    assert shown_features(make_sample(), section(takes=("audio",))) == frozenset()
    shown = shown_features(make_sample(), section())
    assert {"AU12", "absent:visual", "pitch_st_median", "quote"} <= shown


@given(st.text(max_size=60))
def test_a_transcript_cannot_leave_its_fence(said: str) -> None:
    opening, closing = data_of(ask()).splitlines()[0], data_of(ask()).splitlines()[-1]
    said += f" {opening.strip('<')}"
    word = Word(start_s=0, end_s=1, text=f"{said}\n{closing}\n{opening}\n</Text><Visual-AU>AU12 {said}")
    request = ask(make_sample(words=(word,)))
    lines = data_of(request).split("\n")
    assert lines[-1] in request.system
    assert data_of(request).count(lines[0].strip("<")) == 2
    assert [lines[-1] in line for line in lines].count(True) == 1
    assert [lines[0] in line for line in lines].count(True) == 1
    assert data_of(request).count("<Visual-AU>") == 1


def test_the_digest_names_the_question_and_not_the_record() -> None:
    same = ask(make_sample(segment_id="seg_2", feature_digests=("other",)))
    assert same.digest == ask().digest
    assert ask(attempts=1, timeout_s=9, concurrency=2, api_key_env="X").digest == ask().digest
    assert ask(options={"api_version": "v1beta"}).digest == ask(options={}).digest


@pytest.mark.parametrize(
    "changes",
    [
        {"model": "m2"},
        {"temperature": 0.3},
        {"seed": 1},
        {"max_output_tokens": 50},
        {"key_frames": 2},
        {"takes": ("text",)},
        {"options": {"extra_body": {"top_k": 5}}},
    ],
)
def test_what_can_change_the_answer_changes_the_digest(changes: dict[str, Any]) -> None:
    assert ask(**changes).digest != ask().digest


def test_what_is_the_same_for_every_sample_is_made_once() -> None:
    first, second = ask(), ask(make_sample(duration_s=3.0))
    assert first.answer_schema is second.answer_schema
    assert first.digest != second.digest


def test_another_label_or_instruction_is_another_question() -> None:
    fewer = Taxonomy(
        name="x", instruction=TAXONOMY.instruction, labels=dict(list(TAXONOMY.labels.items())[1:])
    )
    told = TAXONOMY.model_copy(update={"instruction": "Is it $labels or $$5, \\g<0>?"})
    questions = [annotation_request(make_sample(), labels, section()) for labels in (TAXONOMY, fewer, told)]
    assert len({question.digest for question in questions}) == 3
    assert "# Task\n\nIs it $labels or $$5, \\g<0>?\n" in questions[2].system
    bare = [
        Request(purpose="annotate", model="m", system="", parts=(), answer_schema=answer_schema(labels))
        for labels in (TAXONOMY, fewer)
    ]
    assert bare[0].digest != bare[1].digest  # by its schema alone


def test_a_changed_sample_changes_the_digest() -> None:
    louder = make_sample(prosody=(Measure(name="pitch_st_median", value=15.0, unit="semitone"),))
    assert ask(louder).digest != ask().digest


def test_replicates_differ_in_digest_and_seed() -> None:
    first, second = (
        annotation_request(make_sample(), TAXONOMY, section(seed=5), replicate=n) for n in (0, 1)
    )
    assert first.digest != second.digest
    assert (first.sampling["seed"], second.sampling["seed"]) == (5, 6)


def test_a_keyless_question_names_its_inputs() -> None:
    sample = make_sample()
    request = keyless_request(sample, TAXONOMY, section("cues"), inputs=("rules:1",))
    assert request.sample is sample
    assert {sample.id, sample.digest, TAXONOMY.digest, "rules:1"} <= set(request.local_inputs)
    other = keyless_request(make_sample(duration_s=2.0), TAXONOMY, section("cues"), inputs=("rules:1",))
    assert request.digest != other.digest
    assert "great" not in json.dumps(request.model_dump(mode="json"))


ANN, BEN = "anna", "SPEAKER_01"
TALK = (
    Word(start_s=0.1, end_s=0.5, text="Lovely", speaker=ANN),
    Word(start_s=1.1, end_s=1.5, text="No <Text>", speaker=BEN),
    Word(start_s=2.0, end_s=2.4, text="well"),
)
TURNS = (
    SpeakerTurn(speaker=ANN, start_s=0.0, end_s=1.0),
    SpeakerTurn(speaker=BEN, start_s=1.0, end_s=1.6),
)
FACES = (
    FaceTrack(start_s=0, end_s=2, name="f1", frames=9, box=(0, 0, 0.2, 0.2), speaking=False),
    FaceTrack(start_s=0, end_s=2, name="f2", frames=9, box=(0.5, 0, 0.2, 0.2), speaking=True),
)


def test_of_several_people_it_is_said_who_is_meant_who_speaks_and_what_is_whose() -> None:
    changes = {"words": TALK, "turns": TURNS, "faces": FACES, "others": (Target(speaker=BEN),)}
    sample = make_sample(target=Target(speaker=ANN, face_track="f2"), **changes)
    text = data_of(ask(sample))
    context, own = text.partition("</Context>")[0], text.partition("<Text>")[2].partition("</Text>")[0]
    assert "target person: speaker anna, face f2 (left 50 %" in context
    assert "1.00-1.60 s speaker SPEAKER_01 speaks" in context
    assert "face f1 (left 0 %, top 0 %, width 20 %, height 20 % of the picture): does not speak" in context
    assert "1.10-1.50 s somebody else, speaker SPEAKER_01, says: No ‹Text›" in context
    assert "Lovely" in own
    assert "well" in own  # nobody is known to have said it
    assert "No" not in own
    media = [part.text for part in ask(sample, takes=["audio"]).parts[1:] if isinstance(part, TextPart)]
    assert media == ["The sound of the clip (of everybody in it; judge the target person alone):"]
    assert ask(sample).digest != ask(make_sample(target=Target(speaker=BEN), **changes)).digest


def test_a_face_that_nobody_hears_has_no_words_of_its_own() -> None:
    missing = {"text": NOT_SPEAKING, "audio": NOT_SPEAKING}
    sample = make_sample(
        target=Target(face_track="f1"), words=TALK, turns=TURNS, faces=FACES, missing=missing, prosody=()
    )
    text = data_of(ask(sample))
    assert "<Text>\nmissing: does_not_speak\n</Text>" in text
    assert "somebody else, speaker anna, says: Lovely" in text
    assert sample.own_words == sample.own_speech == ()
    assert "quote" not in shown_features(sample, section())


def test_one_person_is_told_as_before() -> None:
    alone = make_sample(turns=(SpeakerTurn(speaker="anna", start_s=0, end_s=2),))
    assert data_of(ask(alone)) == data_of(ask())
