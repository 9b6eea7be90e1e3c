"""The keyless provider: its answers fit the schema that models get, and other label spaces are met honestly."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import jsonschema
import pytest

from agents.cue_rules.answer import AROUSAL, CLASS_WORDS, VALENCE
from agents.parsing import parse_annotation
from agents.prompting import annotation_request, answer_schema
from agents.protocol import Request
from agents.providers import PROVIDERS
from agents.providers.cues import ANNOTATORS, CueProvider
from schemas.errors import ProviderError, UserError
from schemas.parts import MediaRef, Span
from schemas.records import Sample
from schemas.registry import resolve
from schemas.settings_models import AnnotatorSection, JudgeSection
from schemas.taxonomy import LabelClass, Taxonomy
from tests.agents import cue_samples as make

HAPPY = make.face_sample(
    make.au("AU12"),
    words=make.said("I am so happy"),
    speech=(Span(start_s=0.2, end_s=3.8),),
    prosody=make.voice_sample(
        z={"pitch_median_hz": 1.8, "intensity_mean_db": 1.2}, pitch_range_st=13.0
    ).prosody,
)
EMPTY = make.sample(missing={"text": "no_speech", "audio": "silence", "visual": "no_face"})


def section(model: str) -> AnnotatorSection:
    return AnnotatorSection(name="a", provider="cues", model=model)


def no_media(ref: MediaRef) -> bytes:
    raise AssertionError("a keyless provider loads no media")


def ask(model: str, sample: Sample, taxonomy: Taxonomy = make.EKMAN7) -> dict[str, Any]:
    request = annotation_request(sample, taxonomy, section(model)).model_copy(update={"sample": sample})
    return answer_of(model, request)


def answer_of(model: str, request: Request) -> dict[str, Any]:
    response = asyncio.run(CueProvider(section(model)).complete(request, no_media))
    assert response.finish_reason == "stop"
    assert response.usage.cost_usd == 0
    answer: dict[str, Any] = json.loads(response.text)
    return answer


@pytest.mark.parametrize("model", ANNOTATORS)
@pytest.mark.parametrize("sample", [HAPPY, EMPTY], ids=["happy", "empty"])
def test_answers_fit_the_schema_and_are_parsed_unrepaired(model: str, sample: Sample) -> None:
    answer = ask(model, sample)
    jsonschema.validate(answer, answer_schema(make.EKMAN7))
    parsed = parse_annotation(json.dumps(answer), "stop", sample, make.EKMAN7, shown=frozenset())
    assert not parsed.repaired
    assert parsed.outcome == ("labelled" if sample is HAPPY else "abstained")
    if parsed.answer is not None:
        assert parsed.answer.primary == "joy"
        assert len(parsed.answer.rationale) >= 2
        assert all(step.evidence_ids for step in parsed.answer.rationale)


@pytest.mark.parametrize("model", ANNOTATORS)
def test_the_same_sample_gives_the_same_bytes(model: str) -> None:
    assert json.dumps(ask(model, HAPPY)) == json.dumps(ask(model, HAPPY))


def taxonomy(*names: str) -> Taxonomy:
    return Taxonomy(name="own", instruction="", labels={n: LabelClass(verbalizers=()) for n in names})


def test_another_taxonomy_is_met_by_its_own_words() -> None:
    assert ask("facial", HAPPY, taxonomy("Happy", "Sad"))["labels"][0]["label"] == "Happy"
    assert ask("lexicon", HAPPY, taxonomy("happiness", "anger"))["readings"]["text"] == "happiness"


def test_a_taxonomy_without_the_label_gives_an_abstention() -> None:
    answer = ask("facial", HAPPY, taxonomy("anger", "boredom"))
    assert (answer["labels"], answer["abstain_reason"]) == ([], "label_not_in_taxonomy")


def test_labels_that_the_taxonomy_lacks_are_dropped() -> None:
    mixed = make.text_sample("I am happy happy but sad")
    assert ask("lexicon", mixed)["labels"][0]["label"] == "joy"
    assert [score["label"] for score in ask("lexicon", mixed, taxonomy("sad", "angry"))["labels"]] == ["sad"]


def test_an_open_vocabulary_gets_ekmans_names() -> None:
    request = annotation_request(HAPPY, make.EKMAN7, section("facial"))
    free = request.model_copy(update={"sample": HAPPY, "answer_schema": {"type": "object"}})
    assert answer_of("facial", free)["labels"][0]["label"] == "joy"


def test_unknown_models_are_refused_with_the_known_ones() -> None:
    with pytest.raises(UserError, match="lexicon, prosody, facial"):
        CueProvider(section("horoscope"))


def test_a_judge_is_no_annotator_and_an_annotator_no_judge() -> None:
    CueProvider(JudgeSection(name="j", provider="cues", model="rules"))
    with pytest.raises(UserError, match='no annotator "rules"'):
        CueProvider(section("rules"))
    with pytest.raises(UserError, match='no judge "lexicon"') as caught:
        CueProvider(JudgeSection(name="j", provider="cues", model="lexicon"))
    assert caught.value.remedy == "set model to one of: rules"


def test_a_request_without_its_sample_is_refused_for_good() -> None:
    request = annotation_request(HAPPY, make.EKMAN7, section("facial"))
    with pytest.raises(ProviderError) as caught:
        answer_of("facial", request)
    assert not caught.value.transient


def test_the_registry_finds_it_and_it_uses_no_wire() -> None:
    assert resolve(PROVIDERS, "cues", what="provider") is CueProvider
    assert CueProvider.wire is False
    inputs = {model: CueProvider(section(model)).inputs for model in ANNOTATORS}
    assert len(set(inputs.values())) == len(ANNOTATORS)


def test_every_class_has_words_and_dimensions() -> None:
    assert set(CLASS_WORDS) == set(VALENCE) == set(AROUSAL) == set(make.EKMAN7.names)
