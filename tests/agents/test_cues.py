"""The keyless provider: its answers fit the schema that models get, and other label spaces are met honestly."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import jsonschema
import pytest

from agents.answers.parsing import parse_annotation
from agents.cue_rules.answer import AROUSAL, VALENCE
from agents.protocol import Request
from agents.providers import PROVIDERS
from agents.providers.cues import ANNOTATORS, CueProvider
from agents.questions.answer_schema import answer_schema
from agents.questions.prompting import annotation_request, keyless_request
from schemas.errors import ProviderError, UserError
from schemas.parts import MediaRef, Span
from schemas.records import Sample
from schemas.registry import resolve
from schemas.settings_models import AnnotatorSection, JudgeSection
from schemas.taxonomy import LabelClass, Taxonomy, load_taxonomy, shipped_taxonomies
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
    return answer_of(model, keyless_request(sample, taxonomy, section(model)))


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
    assert ask("facial", HAPPY, load_taxonomy("open"))["labels"][0]["label"] == "joy"


@pytest.mark.parametrize("name", shipped_taxonomies())
@pytest.mark.parametrize("model", ANNOTATORS)
@pytest.mark.parametrize("sample", [HAPPY, EMPTY], ids=["happy", "empty"])
def test_every_shipped_taxonomy_is_answered_or_abstained_from(name: str, model: str, sample: Sample) -> None:
    asked = load_taxonomy(name)
    answer = ask(model, sample, asked)
    jsonschema.validate(answer, answer_schema(asked))
    assert list(answer) == list(answer_schema(asked)["properties"])
    parsed = parse_annotation(json.dumps(answer), "stop", sample, asked, shown=frozenset())
    assert not parsed.repaired
    assert parsed.outcome in ("labelled", "abstained")
    unknown = {"label_not_in_taxonomy", "dimensions_not_known"}
    assert parsed.outcome == "labelled" or sample is EMPTY or answer["abstain_reason"] in unknown


@pytest.mark.parametrize(
    ("name", "said", "sentiment"),
    [
        ("sentiment-continuous", "what a great day this is", (1.0, 3.0)),
        ("sentiment-sims", "awful bad news", (-1, -0.3)),
    ],
)
def test_the_lexicon_tells_sentiment_on_the_declared_scale(
    name: str, said: str, sentiment: tuple[float, float]
) -> None:
    answer = ask("lexicon", make.text_sample(said), load_taxonomy(name))
    assert sentiment[0] <= answer["dimensions"]["sentiment"] <= sentiment[1]
    assert ask("facial", HAPPY, load_taxonomy(name))["abstain_reason"] == "dimensions_not_known"


def test_a_scale_of_ones_own_moves_the_numbers_alone() -> None:
    plain, manikins = (ask("facial", HAPPY, load_taxonomy(name)) for name in ("vad", "vad-sam5"))
    for dimension in ("valence", "arousal"):
        value = plain["dimensions"][dimension]
        assert manikins["dimensions"][dimension] == pytest.approx(3 + 2 * value, abs=2e-3)
    assert plain["dimensions"]["dominance"] is None
    assert plain["confidence"] == manikins["confidence"]


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
    assert set(VALENCE) == set(AROUSAL) == set(make.EKMAN7.names)
