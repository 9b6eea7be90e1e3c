"""Answers of all kinds become outcomes: nothing raises, and no failure becomes a label."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.answers.jsontext import NotJsonError, find_object
from agents.answers.parsing import ParsedAnnotation, parse_annotation
from agents.judges.parsing import parse_judgement, parse_second_look
from schemas.taxonomy import load_taxonomy
from tests.wire.material import answer, answer_json, make_sample, taxonomy

TAXONOMY = taxonomy()
SAMPLE = make_sample()
REASONS = {
    "refusal", "content_filter", "refusal_in_words", "truncated", "empty_answer", "not_json", "several_answers",
    "no_label_line", "duplicate_key", "too_long", "wrong_shape", "wrong_enum", "out_of_range", "unknown_label",
    "several_labels", "span_outside_clip", "missing_modality_cited", "empty_rationale", "no_evidence",
    "bad_step_reference", "other_language",
}  # fmt: skip


HARMONY = "<|channel|>analysis<|message|>"
DOCS = Path(__file__).resolve().parents[2] / "docs" / "dataset-builders.md"


def test_every_reason_is_explained() -> None:
    rows = re.findall(r"^\| (?:refused|unparsed): (.*?) \|", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    explained = {code for row in rows for code in re.findall(r"`(\w+)`", row)}
    given = {
        code
        for path in (DOCS.parents[1] / "agents").rglob("*.py")
        for code in re.findall(r"(?:BadAnswer|NotJson)Error\(\s*\"(\w+)\"", path.read_text(encoding="utf-8"))
    }
    assert explained == REASONS
    assert given <= REASONS
    assert len(given) > 12


def parse(
    text: str, finish_reason: str | None = "stop", sample: Any = SAMPLE, *, free_text: bool = False
) -> ParsedAnnotation:
    return parse_annotation(text, finish_reason, sample, TAXONOMY, shown=frozenset(), free_text=free_text)


def item(**changes: Any) -> list[dict[str, Any]]:
    return [answer()["evidence"][0] | changes]


def test_a_valid_answer_is_read_as_it_is() -> None:
    parsed = parse(answer_json())
    assert (parsed.outcome, parsed.reason, parsed.repaired) == ("labelled", "", False)
    assert parsed.answer is not None
    assert parsed.answer.primary == "joy"
    assert parsed.answer.evidence[0].cue == "AU12"
    assert parsed.answer.rationale[0].evidence_ids == ("e1",)
    assert parsed.answer.readings.audio is None
    assert parsed.answer.labels[0].intensity == 2
    assert parsed.answer.dimensions.valence == 0.6


@pytest.mark.parametrize(
    ("text", "finish_reason", "reason"),
    [
        ("I cannot help with that.", "refusal", "refusal"),
        (answer_json(), "content_filter", "content_filter"),
        (answer_json()[:80], "length", "truncated"),
        (answer_json(), "length", "truncated"),
        ("  \n", "stop", "empty_answer"),
        ("The person is joyful.", "stop", "not_json"),
        (answer_json()[:80], "stop", "truncated"),
        (f"```json\n{answer_json()[:80]}", None, "truncated"),
        ('["joy"]', "stop", "not_json"),
        ('"joy"', "stop", "not_json"),
        (answer_json() + answer_json(confidence=0.7), "stop", "several_answers"),
        (f"{answer_json()}\n{answer_json()}\n{answer_json(labels=['anger'])}", "stop", "several_answers"),
        ("<think>It may be " + answer_json(), "stop", "truncated"),
        (answer_json().replace("0.8", "NaN"), "stop", "not_json"),
        ('{"labels": [{"label": "joy"}], ' + answer_json()[1:], "stop", "duplicate_key"),
        ("[" * 100_000, "stop", "not_json"),
        ('{"a":' * 100_000, "stop", "not_json"),
        ("{}", "stop", "wrong_shape"),
        (answer_json(confidence=1.2), "stop", "out_of_range"),
        (answer_json(confidence="high"), "stop", "wrong_shape"),
        (answer_json(confidence="0.7-0.8"), "stop", "wrong_shape"),
        (answer_json(confidence="0.7 to 0.8"), "stop", "wrong_shape"),
        (answer_json(confidence="85"), "stop", "out_of_range"),
        (answer_json(confidence="120 %"), "stop", "out_of_range"),
        (answer_json(confidence=True), "stop", "wrong_shape"),
        (answer_json(confidence=10**400), "stop", "out_of_range"),
        (answer_json(labels=[]), "stop", "wrong_shape"),
        (answer_json(labels=""), "stop", "wrong_shape"),
        (answer_json(labels="none"), "stop", "unknown_label"),
        (answer_json(labels=[], abstain_reason="N/A"), "stop", "wrong_shape"),
        (answer_json(labels=[{"label": "joy", "intensity": 9}]), "stop", "out_of_range"),
        (answer_json(labels=[{"label": "jealousy", "intensity": 1}]), "stop", "unknown_label"),
        (answer_json(labels=[{"label": "", "intensity": 1}]), "stop", "unknown_label"),
        (answer_json(readings={"text": "bliss"}), "stop", "unknown_label"),
        (answer_json(evidence=item(end_s=2.7)), "stop", "span_outside_clip"),
        (answer_json(evidence=item(start_s=-1)), "stop", "span_outside_clip"),
        (answer_json(evidence=item(end_s=1e999)).replace("Infinity", "1e999"), "stop", "out_of_range"),
        (answer_json(evidence=item(start_s=2)), "stop", "wrong_shape"),
        (answer_json(evidence=item(modality="smell")), "stop", "wrong_enum"),
        (answer_json(evidence=item(modality="visual, audio")), "stop", "wrong_enum"),
        (answer_json(evidence=item(direction="sideways")), "stop", "wrong_enum"),
        (answer_json(evidence=item(modality=7)), "stop", "wrong_shape"),
        (answer_json(evidence=item() + item()), "stop", "wrong_shape"),
        (answer_json(evidence=[]), "stop", "no_evidence"),
        (answer_json(evidence=["She seems to be happy."]), "stop", "wrong_shape"),
        (answer_json(evidence=["Visual: a smile, 0.5-9.5 s"]), "stop", "span_outside_clip"),
        (answer_json(rationale=[]), "stop", "empty_rationale"),
        (answer_json(rationale=[{"n": 1, "text": " ", "evidence_ids": []}]), "stop", "empty_rationale"),
        (answer_json(rationale=[{"n": 1, "text": "None.", "evidence_ids": []}]), "stop", "empty_rationale"),
        (answer_json(rationale="none"), "stop", "empty_rationale"),
        (answer_json(rationale=["N/A"]), "stop", "empty_rationale"),
        (
            answer_json(rationale=[{"n": 1, "text": "so", "evidence_ids": ["e9"]}]),
            "stop",
            "bad_step_reference",
        ),
        (answer_json(dimensions={"valence": 3}), "stop", "out_of_range"),
    ],
)
def test_each_failure_has_its_own_reason_and_no_label(text: str, finish_reason: str, reason: str) -> None:
    parsed = parse(text, finish_reason)
    assert parsed.reason == reason
    assert parsed.outcome == ("refused" if finish_reason in ("refusal", "content_filter") else "unparsed")
    assert parsed.answer is None


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, I can't help with that.",
        "I\u2019m sorry, but I can\u2019t identify people in images.",
        "As an AI language model, I do not have the ability to watch videos.",
        "**I cannot assist** with this request.",
        "<think>They want {a label}.</think>\n\nSorry, I won't do this.",
        "Es tut mir leid, aber dabei kann ich nicht helfen.",
        "\u62b1\u6b49\uff0c\u6211\u65e0\u6cd5\u5206\u6790\u8fd9\u4e2a\u89c6\u9891\u3002",
    ],
)
def test_a_refusal_in_words_is_a_refusal(text: str) -> None:
    parsed = parse(text)
    assert (parsed.outcome, parsed.reason, parsed.answer) == ("refused", "refusal_in_words", None)
    assert parsed.detail
    assert parse_judgement(text, "stop", TAXONOMY)[:2] == ("refused", "refusal_in_words")


@pytest.mark.parametrize(
    "text",
    [
        "The person says: I'm sorry, I can't help with that.",
        "I'm sorry to see her cry. The label is sadness.",
        "As an AI, I see joy here.",
        "Sorry for the wait: joy.",
    ],
)
def test_words_that_only_sound_like_a_refusal_are_none(text: str) -> None:
    assert parse(text)[:2] == ("unparsed", "not_json")


def test_an_apology_before_an_answer_is_prose() -> None:
    parsed = parse("I'm sorry, I cannot be certain, but: " + answer_json())
    assert (parsed.outcome, parsed.repaired) == ("labelled", True)


def test_citing_a_missing_modality_is_refused_and_its_reading_is_dropped() -> None:
    sample = make_sample(missing={"visual": "no_face"})
    assert parse(answer_json(), sample=sample).reason == "missing_modality_cited"
    parsed = parse(answer_json(evidence=item(modality="text", cue="quote", quote="great")), sample=sample)
    assert parsed.answer is not None
    assert parsed.answer.readings.visual is None
    assert parsed.repaired


@pytest.mark.parametrize(
    "text",
    [
        f"```json\n{answer_json()}\n```",
        f"Here is my answer:\n{answer_json()}\nI hope it helps.",
        f"<think>{{maybe anger}}</think>{answer_json()}",
        f"<THINK>{{}}</THINK>{answer_json()}",
        f"[THINK]{answer_json(labels=['anger'])}[/THINK]{answer_json()}",
        answer_json().replace("]", ",]").replace('"joy"}]', '"joy",}]'),
        answer_json() + "}",
        f"[{answer_json()}]",
        answer_json(evidence=item(modality="Visual", direction="PRESENT")),
        answer_json(labels=["joy"]),
        answer_json(labels="Joy"),
        answer_json(labels={"label": "joy", "intensity": 2}),
        f"{answer_json()}\n\n{answer_json()}",
        f"{answer_json()}\nNote: {{joy}} is what I chose.",
        f"Of {{joy, anger}} I choose the first: {answer_json()}",
        f"\u25c1think\u25b7{answer_json(labels=['anger'])}\u25c1/think\u25b7{answer_json()}",
        f"<analysis>{answer_json(labels=['anger'])}</analysis>\n<answer>{answer_json()}</answer>",
        f"<|channel|>analysis<|message|>{{hm}}<|end|><|start|>assistant<|channel|>final<|message|>{answer_json()}",
        json.dumps({"answer": answer()}),
        repr(answer()),
        f"```python\n{answer(evidence=item(description=chr(39) + chr(34)))!r}\n```",
        answer_json().replace("null", "None").replace('"labels"', "labels"),
        answer_json().replace('"labels":', '"labels"\uff1a').replace('"evidence"', "\u201cevidence\u201d"),
        json.dumps(answer(), indent=1).replace(
            '"confidence"', '// sure // "labels"\n# yes\n/* { */ "confidence"'
        ),
        answer_json().replace("go up", "go\nup").replace("A smile", "She\\'s glad. A smile"),
        answer_json(confidence="80%"),
        answer_json(confidence="0.8"),
        answer_json(labels=[{"label": "joy", "intensity": "2"}]),
        answer_json(evidence=item(start_s="0.5", end_s="1.5 s")),
        answer_json(evidence=item(modality="Visual-AU")),
        answer_json(evidence=item(modality="facial expression", direction="Raised")),
        answer_json(evidence=item(id=1), rationale=[{"n": 1, "text": "A smile.", "evidence_ids": [1]}]),
        answer_json(evidence=item(id="1"), rationale=[{"n": 1, "text": "A smile.", "evidence_ids": "E1"}]),
        answer_json(rationale="First, there is a smile [e1]. Therefore it is joy."),
        answer_json(rationale=["A smile [e1].", "So joy."]),
        answer_json(evidence=["e1: visual, 0.5-1.5 s, AU12: the lip corners go up"]),
        answer_json(evidence="Visual: she smiles from 0.5 to 1.5 s"),
        answer_json(evidence=item()[0]),
        answer_json(readings={"text": "none", "audio": "N/A", "visual": "joy"}),
        answer_json(labels=[{"label": "Happy", "intensity": 2}]),
        answer_json(labels=[{"label": "joy", "intensity": 2}, {"label": "happy", "intensity": 1}]),
        answer_json(rationale=[{"n": 4, "text": "A smile.", "evidence_ids": ["e1"]}]),
        answer_json(evidence=item(end_s=2.55), rationale=answer()["rationale"]),
    ],
)
def test_usual_slips_are_mended_and_marked(text: str) -> None:
    parsed = parse(text)
    assert parsed.outcome == "labelled", parsed
    assert parsed.repaired
    assert parsed.answer is not None
    assert [score.label for score in parsed.answer.labels] == ["joy"]
    assert parsed.answer.evidence[0].end_s <= SAMPLE.duration_s


def test_a_rationale_in_prose_becomes_steps_with_what_they_cite() -> None:
    for said in ("Step 1: A smile [e1]. Step 2: So joy.", ["A smile [e1].", "So joy."]):
        parsed = parse(answer_json(rationale=said))
        assert parsed.answer is not None
        steps = [(step.n, step.text, step.evidence_ids) for step in parsed.answer.rationale]
        assert steps == [(1, "A smile.", ("e1",)), (2, "So joy.", ())]


def test_a_number_stated_in_words_is_the_one_that_was_said() -> None:
    for stated, value in (
        ("80%", 0.8),
        (" 85 % sure", 0.85),
        ("8/10", 0.8),
        (".5", 0.5),
        ("4 out of 5", 0.8),
        ("0.8, as e1 shows.", 0.8),
        ("**0,800**", 0.8),
        ("1.0.", 1.0),
    ):
        parsed = parse(answer_json(confidence=stated))
        assert parsed.answer is not None
        assert parsed.answer.confidence == pytest.approx(value)


@pytest.mark.parametrize(
    "stated",
    ["70%-80%", "0.7\u20140.8", "0.7~0.8", "0.7\u22120.8", "7/10-8/10", "0.7 or 0.8", "0.7 to one",
     "1 out of five", "1 (scale 1-5)", "1,000", "70to80%", "0.7 .. 0.8", "0/0", "1/five"],
)  # fmt: skip
def test_a_confidence_that_goes_on_with_another_number_is_none(stated: str) -> None:
    parsed = parse(answer_json(confidence=stated))
    assert (parsed.outcome, parsed.reason) == ("unparsed", "wrong_shape")


@pytest.mark.parametrize("minus", ["-", "\u2212"])
def test_a_confidence_below_zero_is_out_of_range(minus: str) -> None:
    assert parse(answer_json(confidence=f"{minus}0.8")).reason == "out_of_range"


def test_an_open_label_that_says_that_there_is_none_is_none() -> None:
    for word in ("none", "N/A", "null", "Unknown", "cannot be determined", "unclear emotion", "not clear",
                 "unsure", "insufficient evidence", "no emotion", "no clear emotion", "can not tell",
                 "can\u2019t tell", "hard to say"):  # fmt: skip
        text = answer_json(labels=[{"label": word, "intensity": None}], readings={}, trajectory=[])
        parsed = parse_annotation(text, "stop", SAMPLE, load_taxonomy("open"), shown=frozenset())
        assert (parsed.outcome, parsed.reason) == ("unparsed", "unknown_label"), word


@pytest.mark.parametrize(
    ("below", "outcome"),
    [
        ("\n\nWait, the label should be anger instead.", "unparsed"),
        ("\n```\nOn second thought: furious fits better.", "unparsed"),
        ("\nWait, let me reconsider.\nThe label is anger.", "unparsed"),
        ("\nWait. She frowns. So it is anger.", "unparsed"),
        ("\nOn reflection it should be {anger}", "unparsed"),
        ("\nIt should be noted that I was wrong. Actually it is anger.", "unparsed"),
        ("\nIt should be noted that sadness was ruled out.", "labelled"),
        ("\nThis should be read as joy rather than surprise.", "labelled"),
        ("\nThe label should be happy. I ruled anger out.", "labelled"),
        ("\nActually, I am sure that it is joy.", "labelled"),
        ("\nI chose joy instead of anger, since she smiles.", "labelled"),
        ("\nI hope this helps! Let me know if another clip should be annotated.", "labelled"),
    ],
)
def test_an_answer_that_is_taken_back_below_is_none(below: str, outcome: str) -> None:
    parsed = parse(answer_json(labels=["joy"]) + below)
    assert (parsed.outcome, parsed.reason) == (outcome, "" if outcome == "labelled" else "several_answers")


def test_an_answer_in_a_fence_that_is_taken_back_below_is_none() -> None:
    fenced = f"```json\n{answer_json(labels=['joy'])}\n```\n"
    assert parse(f"{fenced}So it is joy, not anger.").outcome == "labelled"
    assert parse(f"{fenced}Wait.\nIt is {{anger}}.").reason == "several_answers"


@pytest.mark.parametrize("field", ["labels", "dimensions", "evidence"])
def test_an_answer_with_one_field_is_not_what_stands_in_it(field: str) -> None:
    alone = {field: {"label": "joy"}}
    assert find_object(json.dumps(alone)).value == alone
    assert find_object(json.dumps({"answer": alone})).value == alone


@pytest.mark.parametrize("free_text", [False, True])
def test_a_draft_in_thoughts_that_do_not_end_is_no_answer(free_text: bool) -> None:
    for draft in (answer_json(), "Label: joy\nConfidence: 0.9"):
        for begin in (
            "<think>",
            "\n<Thinking>",
            "[THINK]",
            "Hm.\n<think>",
            "\u25c1think\u25b7",
            "<analysis>",
            HARMONY,
        ):
            parsed = parse(f"{begin}It may be {draft}", free_text=free_text)
            assert (parsed.outcome, parsed.reason) == ("unparsed", "truncated")


@pytest.mark.parametrize("spoiled", ['"confidence": NaN', '"confidence": 0.5 // sure'])
def test_a_broken_object_is_told_as_that_where_lines_are_allowed_too(spoiled: str) -> None:
    text = answer_json().replace('"confidence": 0.8', spoiled)
    assert spoiled in text
    assert parse(text, free_text=True).reason == "not_json"


def test_how_deep_an_answer_may_be_nested_does_not_depend_on_who_asks() -> None:
    def nested(depth: int) -> str:
        return f'{answer_json()[:-1]}, "x": {"[" * depth}{"]" * depth}}}'

    def called_from(below: int, text: str) -> str:
        return called_from(below - 1, text) if below else parse(text).outcome

    for depth, outcome in ((90, "labelled"), (200, "unparsed"), (400, "unparsed")):
        assert {called_from(below, nested(depth)) for below in (0, 300)} == {outcome}


def test_labels_without_number_are_too_many() -> None:
    parsed = parse(answer_json(labels=[{"label": "joy"}] * 101))
    assert (parsed.outcome, parsed.reason) == ("unparsed", "too_long")


def test_text_inside_strings_is_never_mended() -> None:
    said = 'he said ",]" and ",}" '
    text = answer_json(evidence=item(description=said))[:-1] + ",}"
    parsed = parse(text)
    assert parsed.answer is not None
    assert parsed.answer.evidence[0].description == said.strip()


def test_evidence_ids_are_renumbered_with_their_citations() -> None:
    evidence = [*item(id="smile"), *item(id="7", cue="smiling")]
    rationale = [{"n": 1, "text": "Both.", "evidence_ids": ["7", "smile"]}]
    parsed = parse(answer_json(evidence=evidence, rationale=rationale))
    assert parsed.answer is not None
    assert [e.id for e in parsed.answer.evidence] == ["e1", "e2"]
    assert parsed.answer.evidence[1].cue == "smile"
    assert parsed.answer.rationale[0].evidence_ids == ("e2", "e1")


@pytest.mark.parametrize(
    ("direction", "cue"),
    [("up", "pitch_high"), ("down", "pitch_high"), ("present", "pitch"), ("absent", "pitch")],
)
def test_a_measure_is_a_cue_with_its_direction_only(direction: str, cue: str) -> None:
    parsed = parse(answer_json(evidence=item(modality="audio", cue="pitch", direction=direction)))
    assert parsed.answer is not None
    assert parsed.answer.evidence[0].cue == cue


def test_abstaining_needs_a_reason() -> None:
    parsed = parse(answer_json(labels=[], abstain_reason="the face is hidden"))
    assert (parsed.outcome, parsed.reason, parsed.detail) == ("abstained", "abstained", "the face is hidden")
    assert parsed.answer is None


def test_characters_that_cannot_be_stored_are_replaced() -> None:
    parsed = parse(answer_json(evidence=item(description="\ud800 a\x00b")))
    assert parsed.answer is not None
    assert parsed.answer.evidence[0].description == "\ufffd a\ufffdb"
    assert parsed.repaired


@pytest.mark.parametrize(
    ("cue", "direction", "shown", "expected"),
    [
        ("AU12", "present", {"AU12"}, True),
        ("smile", "present", {"AU12"}, True),
        ("AU04", "present", {"AU12"}, False),
        ("AU04", "absent", {"AU12", "absent:visual"}, True),
        ("AU12", "present", set(), False),
    ],
)
def test_what_stood_in_the_prompt_is_marked_shown(
    cue: str, direction: str, shown: set[str], expected: bool
) -> None:
    text = answer_json(evidence=item(cue=cue, direction=direction))
    parsed = parse_annotation(text, "stop", SAMPLE, TAXONOMY, shown=frozenset(shown))
    assert parsed.answer is not None
    assert parsed.answer.evidence[0].shown is expected


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.text() | json_values.map(json.dumps), st.sampled_from(["stop", "length", "refusal", None, "odd"]))
def test_any_text_gives_an_outcome_and_no_label(text: str, finish_reason: str | None) -> None:
    parsed = parse(text, finish_reason)
    assert parsed.outcome in ("refused", "unparsed")
    assert parsed.reason in REASONS
    assert parse_judgement(text, finish_reason, TAXONOMY).outcome in ("refused", "unparsed")


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, child in inner for found in paths(child, (*path, key)))]


@given(st.sampled_from(paths(answer())[1:]), json_values)
def test_an_answer_with_one_field_spoiled_is_read_soundly(path: tuple[Any, ...], value: Any) -> None:
    data: Any = answer()
    parent = data
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = value
    parsed = parse(json.dumps(data))
    if parsed.answer is None:
        assert parsed.outcome != "labelled"
        assert parsed.reason in REASONS | {"abstained"}
    else:
        given_names = {json.dumps(data["labels"])}
        assert parsed.answer.primary in TAXONOMY.names
        assert any(parsed.answer.primary in text or parsed.repaired for text in given_names)
        ids = {e.id for e in parsed.answer.evidence}
        assert all(set(step.evidence_ids) <= ids for step in parsed.answer.rationale)
        parsed.answer.model_dump_json().encode()


@given(st.integers(min_value=0, max_value=len(answer_json()) - 1))
def test_no_prefix_of_an_answer_is_a_label(cut: int) -> None:
    assert parse(answer_json()[:cut]).answer is None


@pytest.mark.parametrize("depth", [100, 400, 600, 900, 2000, 100_000])
def test_no_depth_of_nesting_breaks_the_reader(depth: int) -> None:
    assert parse('{"labels":' + "[" * depth + "]" * depth + "}").reason in ("wrong_shape", "not_json")
    deep = answer_json()[:-1] + ', "more":' + "[" * depth + "]" * depth + "}"
    assert parse(deep).outcome in ("labelled", "unparsed")


@pytest.mark.parametrize(
    "text",
    [
        '{"a": "' + '\\"' * 300_000,
        "{" * 300_000,
        "```" * 300_000,
        "```json" + "\n" * 100_000,
        "," * 300_000,
        '{"a"://' * 300_000,
        "{'\\" * 300_000,
        "{\u201c" * 300_000,
        "{/*" * 300_000,
        "{#a:" * 300_000,
        '{"a": 1} {"b": ' * 90_000,
    ],
)
def test_no_text_makes_the_search_slow(text: str) -> None:
    """A search that grows with the square of the length would run into the suite's time limit here."""
    assert parse(text + "}").reason in ("not_json", "truncated")


def test_a_ten_megabyte_reply_is_refused_quickly() -> None:
    with pytest.raises(NotJsonError, match="longer than"):
        find_object("{" * 10_000_000)


RATING: dict[str, Any] = {
    "reasons": ["sound"], "s_rec": 0.9, "s_reason": 0.8, "s_cot": 0.4,
}  # fmt: skip


def test_a_rating_is_read() -> None:
    parsed = parse_judgement(json.dumps(RATING), "stop", TAXONOMY)
    assert (parsed.outcome, parsed.s_rec, parsed.s_reason, parsed.s_cot) == ("scored", 0.9, 0.8, 0.4)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"s_cot": None}, "wrong_shape"),
        ({"s_rec": True}, "wrong_shape"),
        ({"s_rec": "high"}, "wrong_shape"),
        ({"s_rec": 8}, "out_of_range"),
        ({"s_rec": "85"}, "out_of_range"),
        ({"s_rec": math.nan}, "not_json"),
        ({"reasons": []}, "empty_rationale"),
        ({"reasons": "none"}, "empty_rationale"),
        ({"reasons": ["N/A", "-"]}, "empty_rationale"),
    ],
)
def test_a_bad_rating_is_unparsed_and_never_a_zero(changes: dict[str, Any], reason: str) -> None:
    parsed = parse_judgement(json.dumps(RATING | changes), "stop", TAXONOMY)
    assert (parsed.outcome, parsed.reason) == ("unparsed", reason)
    assert (parsed.s_rec, parsed.s_reason, parsed.s_cot) == (None, None, None)


@pytest.mark.parametrize(
    ("said", "flags"),
    [
        (RATING, ()),
        (RATING | {"s_rec": "0.9"}, ("repaired",)),
        ({name: RATING[name] for name in ("s_rec", "s_reason", "s_cot", "reasons")}, ("answer_first",)),
        (RATING | {"flags": ["perfect"]}, ()),  # a model names none
    ],
)
def test_a_mended_rating_and_one_without_reasons_first_are_flagged(said: Any, flags: tuple[str, ...]) -> None:
    parsed = parse_judgement(json.dumps(said), "stop", TAXONOMY)
    assert (parsed.outcome, parsed.s_rec, parsed.flags) == ("scored", 0.9, flags)


def test_a_description_alone_is_read_and_its_steps_cite_every_claim_of_it() -> None:
    evidence = [
        *item(
            id="a", cue="facial expression", description="Her brows knit and her lips are pressed together."
        ),
        *item(id="b", cue="AU12", direction="absent"),
    ]
    rationale = [{"n": 1, "text": "So.", "evidence_ids": ["a", "b"]}]
    parsed = parse(answer_json(evidence=evidence, rationale=rationale))
    assert parsed.answer is not None
    assert [(e.id, e.cue) for e in parsed.answer.evidence] == [("e1", "AU04"), ("e2", "AU24"), ("e3", "AU12")]
    assert parsed.answer.rationale[0].evidence_ids == ("e1", "e2", "e3")
    assert parsed.repaired
    assert parsed.answer.evidence[0].description.startswith("Her brows")


def test_what_no_word_names_stays_as_it_was_said() -> None:
    parsed = parse(answer_json(evidence=item(id="e1", cue="aura", description="She looks happy.")))
    assert parsed.answer is not None
    assert [(e.cue, e.description) for e in parsed.answer.evidence] == [("aura", "She looks happy.")]


@pytest.mark.parametrize(
    ("implied", "outcome", "label", "reason"),
    [
        ("happy", "answered", "joy", ""),
        (None, "answered", None, ""),
        ("none", "answered", None, ""),
        ("N/A", "answered", None, ""),
        ("envy", "unparsed", None, "unknown_label"),
        (3, "unparsed", None, "wrong_shape"),
    ],
)
def test_a_second_look_is_read(implied: Any, outcome: str, label: str | None, reason: str) -> None:
    text = json.dumps({"reasons": ["the smile"], "implied_label": implied})
    parsed = parse_second_look(text, "stop", TAXONOMY)
    assert (parsed.outcome, parsed.implied_label, parsed.reason) == (outcome, label, reason)


def test_a_second_look_that_names_no_label_at_all_is_unparsed() -> None:
    assert parse_second_look('{"reasons": ["x"]}', "stop", TAXONOMY).reason == "wrong_shape"
    assert parse_second_look('{"implied_label": "joy"}', "stop", TAXONOMY).reason == "empty_rationale"
    assert parse_second_look("no", "refusal", TAXONOMY).outcome == "refused"
