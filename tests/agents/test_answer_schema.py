"""What is asked is what the taxonomy declares, in the order of the answer; what comes back is checked by it."""

from __future__ import annotations

import json
import re
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.answers.parsing import ParsedAnnotation, parse_annotation
from agents.questions.answer_schema import (
    answer_schema,
    asked_fields,
    dimensions_text,
    fields_text,
    labels_text,
)
from agents.questions.prompting import annotation_request, second_look_schema
from schemas.taxonomy import Dimension, Taxonomy, load_taxonomy, shipped_taxonomies
from tests.wire.material import ORDER, answer, make_sample, section

SAMPLE = make_sample()
INTENTS = {"thank": {"verbalizers": ["thanks"]}, "joke": {"verbalizers": []}}
LABELS = {"joy": {"verbalizers": ["glad"]}, "anger": {"verbalizers": []}}
INTENT = Taxonomy.model_validate(
    {
        "name": "both",
        "instruction": "which?",
        "labels": LABELS,
        "multi_label": False,
        "heads": {"intent": {"question": "What for?", "labels": INTENTS}},
    }
)


def read(taxonomy: Taxonomy, data: dict[str, Any]) -> ParsedAnnotation:
    return parse_annotation(json.dumps(data), "stop", SAMPLE, taxonomy, shown=frozenset())


def asked(taxonomy: Taxonomy, **changes: Any) -> dict[str, Any]:
    """A valid answer with the fields that are asked for, and the changes."""
    label = taxonomy.names[0] if taxonomy.names else "nostalgic"
    scored: dict[str, Any] = {"label": label, "intensity": 1} if taxonomy.multi_label else {"label": label}
    whole = answer(
        readings={"text": label, "audio": None, "visual": None},
        labels=[scored],
        dimensions={name: scale.high for name, scale in taxonomy.dimensions.items()},
        heads=dict.fromkeys(taxonomy.heads),
        trajectory=[{"start_s": 0, "end_s": 1, "label": label}],
    )
    return {name: whole[name] for name in asked_fields(taxonomy)} | changes


@pytest.mark.parametrize("name", shipped_taxonomies())
def test_only_what_is_declared_is_asked_and_told_in_this_order(name: str) -> None:
    taxonomy = load_taxonomy(name)
    schema = answer_schema(taxonomy)
    fields = list(schema["properties"])
    assert fields == [field for field in ORDER if field in fields]
    assert fields == re.findall(r'^\d+\. "(\w+)":', fields_text(taxonomy), re.M)
    assert ("labels" in fields, "readings" in fields, "trajectory" in fields) == (taxonomy.asks_labels,) * 3
    assert ("dimensions" in fields) == bool(taxonomy.dimensions)
    system = annotation_request(SAMPLE, taxonomy, section()).system
    assert all(word in system for label in taxonomy.names for word in taxonomy.words(label))
    assert "$" not in system
    jsonschema.Draft202012Validator.check_schema(schema)
    data = asked(taxonomy)
    jsonschema.validate(data, schema)
    parsed = read(taxonomy, data)
    assert (parsed.outcome, parsed.repaired) == ("labelled", False)
    assert parsed.answer is not None
    assert parsed.answer.primary == (data["labels"][0]["label"] if taxonomy.asks_labels else None)
    assert parsed.answer.dimensions.given == {n: s.high for n, s in taxonomy.dimensions.items()}


def test_what_nobody_declared_is_neither_asked_nor_read() -> None:
    found = read(
        load_taxonomy("iemocap4"), asked(load_taxonomy("iemocap4"), dimensions={"valence": 9})
    ).answer
    assert found is not None
    assert found.dimensions.given == {}


@pytest.mark.parametrize("name", ["sentiment-continuous", "vad", "vad-sam5"])
@pytest.mark.parametrize("value", ["low", "high", "below", "above", "text"])
def test_numbers_are_checked_against_their_scale(name: str, value: str) -> None:
    taxonomy = load_taxonomy(name)
    first, scale = next(iter(taxonomy.dimensions.items()))
    values: dict[str, Any] = {
        "low": scale.low, "high": scale.high, "below": scale.low - 0.01, "above": scale.high + 0.01, "text": "so",
    }  # fmt: skip
    parsed = read(taxonomy, asked(taxonomy, dimensions={first: values[value]}))
    if value in ("low", "high"):
        assert parsed.answer is not None
        assert parsed.answer.dimensions.given == {first: values[value]}
    else:
        assert (parsed.outcome, parsed.reason) == (
            "unparsed",
            "wrong_shape" if value == "text" else "out_of_range",
        )


def test_no_number_at_all_is_an_abstention_with_a_reason_and_unparsed_without() -> None:
    taxonomy = load_taxonomy("vad")
    nothing = dict.fromkeys(taxonomy.dimensions)
    said = read(taxonomy, asked(taxonomy, dimensions=nothing, abstain_reason="nobody is seen"))
    assert (said.outcome, said.detail) == ("abstained", "nobody is seen")
    assert read(taxonomy, asked(taxonomy, dimensions=nothing)).reason == "wrong_shape"


def test_a_second_label_where_one_is_asked_for_is_not_chosen_from() -> None:
    taxonomy = load_taxonomy("iemocap4")
    parsed = read(taxonomy, asked(taxonomy, labels=[{"label": "sad"}, {"label": "angry"}]))
    assert (parsed.outcome, parsed.reason) == ("unparsed", "several_labels")


def test_an_open_label_is_any_word_but_no_sentence() -> None:
    taxonomy = load_taxonomy("open")
    parsed = read(
        taxonomy, asked(taxonomy, labels=[{"label": "Nostalgic", "intensity": 2}, {"label": "let down"}])
    )
    assert parsed.answer is not None
    assert [score.label for score in parsed.answer.labels] == ["nostalgic", "let down"]
    assert parsed.repaired
    long = asked(taxonomy, labels=[{"label": "he seems to feel rather sad about it"}])
    assert read(taxonomy, long).reason == "unknown_label"


def test_further_questions_are_answered_by_their_own_words_or_left_open() -> None:
    schema = answer_schema(INTENT)["properties"]["heads"]["properties"]["intent"]
    assert schema["anyOf"][0]["enum"] == ["thank", "joke"]
    parsed = read(INTENT, asked(INTENT, heads={"intent": "Thanks!"}))
    assert parsed.answer is not None
    assert parsed.answer.heads == {"intent": "thank"}
    left = read(INTENT, asked(INTENT, heads={"intent": None})).answer
    assert left is not None
    assert left.heads == {}
    assert read(INTENT, asked(INTENT, heads={"intent": "glad"})).reason == "unknown_label"
    assert "# Further question: intent\n\nWhat for? Use only" in labels_text(INTENT, "labels")
    assert 'the further questions: "intent";' in fields_text(INTENT)


def test_scales_are_told_with_what_their_ends_mean() -> None:
    sentiment = load_taxonomy("sentiment-continuous")
    told = '"sentiment" from -3 (highly negative) to 3 (highly positive)'
    assert dimensions_text(sentiment.dimensions) == told
    assert told in labels_text(sentiment, "judge")
    assert dimensions_text(load_taxonomy("ekman7").dimensions) == (
        '"valence", "arousal" and "dominance", each from -1 to 1'
    )
    mixed = {"valence": Dimension(low=-1, high=1), "tension": Dimension(low=0, high=10)}
    assert dimensions_text(mixed) == '"valence" from -1 to 1 and "tension" from 0 to 10'


@pytest.mark.parametrize("name", shipped_taxonomies())
def test_a_judge_is_asked_for_labels_that_exist(name: str) -> None:
    taxonomy = load_taxonomy(name)
    implied = second_look_schema(taxonomy)["properties"]["implied_label"]
    jsonschema.validate(None, implied)
    assert (implied == {"type": "null"}) == (not taxonomy.asks_labels)


@given(st.sampled_from(shipped_taxonomies()), st.data())
def test_any_numbers_give_an_outcome_and_never_one_off_the_scale(name: str, data: st.DataObject) -> None:
    taxonomy = load_taxonomy(name)
    number = st.one_of(st.none(), st.floats(-12, 12), st.integers(-9, 9), st.text(max_size=3), st.booleans())
    given_ = {dimension: data.draw(number) for dimension in taxonomy.dimensions}
    parsed = read(taxonomy, asked(taxonomy, dimensions=given_))
    if parsed.answer is not None:
        for dimension, value in parsed.answer.dimensions.given.items():
            scale = taxonomy.dimensions[dimension]
            assert scale.low <= value <= scale.high
