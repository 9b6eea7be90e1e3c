"""Records are frozen; the id follows the question only, the digest the answer only."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from schemas.parts import Evidence, MediaFacts, MediaRef, Series, Span, Target, Word
from schemas.record import Record
from schemas.records import RECORDS, Annotation, Features, Segment, Source


def features(**changes: object) -> Features:
    fields: dict[str, object] = {
        "subject_id": "seg_1",
        "extractor": "asr.x",
        "version": "1",
        "stage": "asr",
        "words": (Word(start_s=0, end_s=0.5, text="hello"),),
    }
    return Features.model_validate({**fields, **changes})


def test_the_same_words_of_a_new_version_have_a_new_id_and_the_same_digest() -> None:
    old, new = features(), features(version="2", params={"beam": 5}, weights_digest="abc")
    assert old.id != new.id
    assert old.digest == new.digest


def test_other_words_have_the_same_id_and_another_digest() -> None:
    old, new = features(), features(words=(Word(start_s=0, end_s=0.5, text="goodbye"),))
    assert old.id == new.id
    assert old.digest != new.digest


def test_a_field_that_is_added_later_moves_no_digest() -> None:
    class Later(Features):
        weather: str = "unknown"

    fields = features().model_dump()
    assert Later.model_validate(fields).digest == features().digest
    assert Later.model_validate(fields | {"weather": "rain"}).digest != features().digest


def test_a_record_survives_json() -> None:
    record = features()
    again = Features.model_validate_json(record.model_dump_json())
    assert (again, again.id, again.digest) == (record, record.id, record.digest)
    assert json.loads(json.dumps(record.as_json()))["id"] == record.id


def test_records_are_frozen_and_refuse_unknown_fields() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        features().stage = "au"  # type: ignore[misc]
    with pytest.raises(ValidationError, match="wrods"):
        features(wrods=())


@pytest.mark.parametrize("cls", RECORDS.values(), ids=RECORDS.keys())
def test_question_and_parent_are_fields_of_the_record(cls: type[Record]) -> None:
    assert set(cls.QUESTION) <= set(cls.model_fields)
    assert cls.PARENT is None or cls.PARENT in cls.model_fields


def test_there_are_twelve_records_with_prefixes_of_their_own() -> None:
    assert len(RECORDS) == len({cls.PREFIX for cls in RECORDS.values()}) == 12


def test_a_span_ends_after_it_starts() -> None:
    with pytest.raises(ValidationError, match="before start_s"):
        Span(start_s=2, end_s=1)
    with pytest.raises(ValidationError):
        Evidence(id="e1", modality="text", cue="quote", start_s=-1, end_s=1)


def test_a_series_has_as_many_values_as_times() -> None:
    with pytest.raises(ValidationError, match="2 times, 1 values"):
        Series(name="pitch_hz", unit="Hz", times_s=(0, 0.02), values=(100.0,))


def test_media_is_named_by_its_recipe() -> None:
    ref = MediaRef(kind="clip", source_id="src_1", source_start_s=0, source_end_s=1)
    assert ref.key != ref.model_copy(update={"source_end_s": 2.0}).key
    assert ref.key == MediaRef.model_validate_json(ref.model_dump_json()).key


def test_a_target_names_speaker_and_face() -> None:
    assert Target(speaker="ann", face_track="f1").key != Target(speaker="ann").key


def test_an_annotation_that_failed_has_the_id_of_its_question() -> None:
    question = {
        "sample_id": "smp_1",
        "annotator": "a",
        "request_digest": "d",
        "provider": "p",
        "model": "m",
    }
    failed = Annotation.model_validate({**question, "outcome": "failed", "reason": "timeout"})
    refused = Annotation.model_validate({**question, "outcome": "refused", "reason": "refusal"})
    assert failed.id == refused.id
    assert failed.digest != refused.digest


def test_segments_know_their_length() -> None:
    segment = Segment(
        source_id="src_1",
        rule="fixed",
        version="1",
        source_start_s=1.1,
        source_end_s=3.4,
        index=0,
    )
    assert segment.duration_s == 2.3
    assert segment.parent_id == "src_1"


def test_a_source_is_its_bytes() -> None:
    facts = MediaFacts(kind="audio", container="wav", duration_s=1)
    one, other = (Source(sha256="aa", size_bytes=n, media=facts) for n in (1, 2))
    assert one.id == other.id
