"""Answers in lines of text: what is plain becomes a triplet, marked as repaired; what is not has its reason."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.annotators.annotator import Annotator
from agents.answers.parsing import ParsedAnnotation, parse_annotation
from agents.asking import collect
from schemas.taxonomy import load_taxonomy
from tests.wire.material import (
    InstantClock,
    answer_json,
    make_sample,
    media_bytes,
    section,
    taxonomy,
)
from tests.wire.server import FakeModels, Reply

TAXONOMY = taxonomy()
AS_ASKED = """e1: visual, 0.5-1.5 s, smile, present: the lip corners go up
e2: text, 0.6-1.1 s, quote, present: she says "great"
Step 1: The smile speaks for joy. [e1]
Step 2: So do her words. [e2]
Text alone: joy
Audio alone: none
Visual alone: joy
Label: joy, intensity 2
Confidence: 0.8
Valence: 0.6"""


def read(text: str, *, free_text: bool = True, sample: Any = None, finish: str = "stop") -> ParsedAnnotation:
    sample = sample or make_sample()
    return parse_annotation(text, finish, sample, TAXONOMY, shown=frozenset(), free_text=free_text)


def test_lines_as_they_are_asked_for_are_the_whole_answer() -> None:
    parsed = read(AS_ASKED)
    assert (parsed.outcome, parsed.repaired) == ("labelled", True), parsed
    answer = parsed.answer
    assert answer is not None
    first, second = answer.evidence
    assert (first.modality, first.cue, first.start_s, first.end_s) == ("visual", "smile", 0.5, 1.5)
    assert first.description == "the lip corners go up"
    assert (second.modality, second.cue, second.quote) == ("text", "quote", "great")
    assert [(step.text, step.evidence_ids) for step in answer.rationale] == [
        ("The smile speaks for joy.", ("e1",)),
        ("So do her words.", ("e2",)),
    ]
    assert (answer.readings.text, answer.readings.audio, answer.readings.visual) == ("joy", None, "joy")
    assert (answer.primary, answer.labels[0].intensity, answer.confidence) == ("joy", 2, 0.8)
    assert answer.dimensions.valence == 0.6


LOOSE = """**Evidence:**
- Visual: a broad smile at 0.9 s
- "It was great" (text)
- Audio: raised pitch, 0.2 to 1.1 s

**Reasoning:**
Step 1: She smiles.
Step 2: Her words are glad, and her voice rises.

**Final label:** Happy (intensity 2) because of the smile."""


SHORT = "e1: visual, 0.5-1.5 s, smile, present: the lip corners go up\nStep 1: She smiles. [e1]\n"


@pytest.mark.parametrize(
    ("text", "labels", "confidence"),
    [
        (f"{SHORT}Label: joy, surprise\nConfidence: 0.8", ["joy", "surprise"], 0.8),
        (f"{SHORT}Label: joy and surprise", ["joy", "surprise"], None),
        (f"{SHORT}Confidence: 0.8\nLabel: joy<|im_end|>", ["joy"], 0.8),
        (f"{SHORT}<answer>Label: joy</answer></s>", ["joy"], None),
        (SHORT.replace(":", "\uff1a") + "Label\uff1ajoy\nConfidence\uff1a80%", ["joy"], 0.8),
        (f"{SHORT}Label:\n**Joy**\n\nConfidence:\n\n0.8", ["joy"], 0.8),
        (
            "## Evidence\n- Visual (0.5-1.5 s): smile\n\n## Reasoning\nShe smiles.\n\n"
            "## Final Label\njoy\n\n**Confidence**\n0.8",
            ["joy"],
            0.8,
        ),
    ],
)  # fmt: skip
def test_fields_as_open_models_write_them(text: str, labels: list[str], confidence: float | None) -> None:
    parsed = read(text)
    assert parsed.answer is not None, parsed
    assert [score.label for score in parsed.answer.labels] == labels
    assert parsed.answer.confidence == confidence
    assert [step.text for step in parsed.answer.rationale] == ["She smiles."]


EVIDENCE, STEP = "Evidence: Visual: a smile at 0.9 s.", "Step 1: She smiles."


@pytest.mark.parametrize(
    "text",
    [
        f"### Final Answer\n{EVIDENCE}\n{STEP}\nLabel: joy",
        f"Answer:\n\n{EVIDENCE}\n{STEP}\nLabel: joy",
        f"Answer:\n**Evidence**\n- Visual: a smile at 0.9 s\n**Reasoning**\n{STEP}\n**Label**\n**Joy**",
        f"Answer:\nVisual: a smile at 0.9 s [e1]\n{SHORT}Label: joy",
        f"{SHORT}## Emotion\nLabel: joy",
        f"{SHORT}Label:\nEmotion:\njoy",
        f"{SHORT}Label: joy\nConfidence:\nValence: 0.5",
    ],
)
def test_a_heading_above_another_field_has_no_value(text: str) -> None:
    parsed = read(text)
    assert parsed.answer is not None, parsed
    assert [score.label for score in parsed.answer.labels] == ["joy"]
    assert parsed.answer.confidence is None


@pytest.mark.parametrize(
    "below",
    [
        "Confidence: 0.8",
        "Step 1: She smiles.",
        "Visual: a smile",
        "Text alone: joy",
        "## Summary",
        "",
        "Note: none",
        "Her voice: shaky",
        "*Reasoning*",
    ],
)
def test_what_stands_below_an_empty_label_is_no_open_label(below: str) -> None:
    sample, vocabulary = make_sample(), load_taxonomy("open")
    parsed = parse_annotation(
        f"{SHORT}Label:\n{below}", "stop", sample, vocabulary, shown=frozenset(), free_text=True
    )
    assert (parsed.outcome, parsed.reason, parsed.answer) == ("unparsed", "no_label_line", None)


@pytest.mark.parametrize(
    "text",
    [
        "# " + " " * 100_000 + ":",
        "Label: joy" + "," * 100_000 + "x",
        "Label: joy" + "( " * 50_000 + "x",
        "Steps: step" + " " * 100_000,
        ". step" + "\t" * 100_000,
        "Label: joy" + " -" * 50_000 + "x",
    ],
)
def test_no_line_makes_the_search_slow(text: str) -> None:
    """A search that grows with the square of the length would run into the suite's time limit here."""
    assert read(text).answer is None


@pytest.mark.parametrize("label", ["joy/anger", "joy or anger", "joy and not anger", "neither joy nor anger"])
def test_what_leaves_open_which_label_is_meant_is_no_answer(label: str) -> None:
    parsed = read(f"{SHORT}Label: {label}")
    assert (parsed.outcome, parsed.reason, parsed.answer) == ("unparsed", "unknown_label", None)


def test_markup_headings_and_prose_are_read() -> None:
    parsed = read(LOOSE)
    assert parsed.outcome == "labelled", parsed
    answer = parsed.answer
    assert answer is not None
    assert [(e.modality, e.cue, e.start_s, e.end_s) for e in answer.evidence] == [
        ("visual", "broad_smile", 0.9, 0.9),
        ("text", "quote", 0.0, 2.5),
        ("audio", "pitch_high", 0.2, 1.1),
    ]
    assert answer.evidence[1].quote == "It was great"
    assert len(answer.rationale) == 2
    assert (answer.primary, answer.labels[0].intensity, answer.confidence) == ("joy", 2, None)


def test_an_answer_in_one_line_is_read() -> None:
    parsed = read(
        "Evidence: Visual: a smile. Step 1: She smiles. Step 2: So it is joy. Label: joy. Confidence: 80 %"
    )
    assert parsed.answer is not None, parsed
    assert len(parsed.answer.rationale) == 2
    assert (parsed.answer.primary, parsed.answer.confidence) == ("joy", 0.8)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"Label: joy, intensity 2": "So it is joy"}, "no_label_line"),
        ({"Label: joy, intensity 2": "Label: envy"}, "unknown_label"),
        ({"Label: joy, intensity 2": "Label: joy or anger"}, "unknown_label"),
        ({"Label: joy, intensity 2": "Label: joy\nFinal label: anger"}, "several_answers"),
        ({"Label: joy, intensity 2": "Label: joy, intensity 9"}, "out_of_range"),
        ({"Confidence: 0.8": "Confidence: high"}, "wrong_shape"),
        ({"Confidence: 0.8": "Confidence: 8"}, "out_of_range"),
        ({"Valence: 0.6": "Valence: 0.2 to 0.4"}, "wrong_shape"),
        ({"Valence: 0.6": "Valence: 0.2\u20130.4"}, "wrong_shape"),
        ({"e1: visual, 0.5-1.5 s": "e1: visual, 3.5-4.5 s"}, "span_outside_clip"),
        ({"e1: visual, 0.5-1.5 s": "e1: visual, 1.5-0.5 s"}, "wrong_shape"),
        ({"visual, 0.5-1.5 s, smile, present: the lip corners go up": "some mood"}, "wrong_shape"),
        ({"e1: ": "", "e2: ": ""}, "no_evidence"),
        ({"[e2]": "[e7]"}, "bad_step_reference"),
        ({"e2: text": "e1: text"}, "wrong_shape"),
        ({"Step 1: The smile speaks for joy. [e1]": "", "Step 2: So do her words. [e2]": ""}, "empty_rationale"),
        ({"Text alone: joy": "Text alone: bliss"}, "unknown_label"),
    ],
)  # fmt: skip
def test_what_is_not_plain_has_its_reason(changes: dict[str, str], reason: str) -> None:
    text = AS_ASKED
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    parsed = read(text)
    assert (parsed.outcome, parsed.reason, parsed.answer) == ("unparsed", reason, None)


def test_other_failures_are_what_they_are_for_an_object() -> None:
    assert read(AS_ASKED, finish="length").reason == "truncated"
    assert read("").reason == "empty_answer"
    assert read("I'm sorry, I can't help with that.")[:2] == ("refused", "refusal_in_words")
    assert (
        read(AS_ASKED, sample=make_sample(missing={"visual": "no_face"})).reason == "missing_modality_cited"
    )
    abstained = read("Abstain: the face is hidden and nobody speaks")
    assert (abstained.outcome, abstained.detail) == ("abstained", "the face is hidden and nobody speaks")


def test_the_cues_of_a_claim_in_prose_are_read_from_its_words() -> None:
    plain = "visual, 0.5-1.5 s, smile, present: the lip corners go up"
    denied = read(AS_ASKED.replace(plain, "visual: no smile is seen"))
    both = read(AS_ASKED.replace(plain, "a smile and a brow lowerer"))
    neither = read(AS_ASKED.replace(plain, "visual: something in the eyes"))
    assert denied.answer is not None
    assert (denied.answer.evidence[0].cue, denied.answer.evidence[0].direction) == ("smile", "absent")
    assert both.answer is not None
    assert [item.modality for item in both.answer.evidence] == ["visual", "visual", "text"]
    assert both.answer.rationale[0].evidence_ids == ("e1", "e2")
    assert neither.answer is not None
    assert (neither.answer.evidence[0].cue, neither.answer.evidence[0].modality) == ("other", "visual")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("visual: The man does not frown, smile, or nod", "!AU04 !smile !nod"),
        ("face: neither frowning, smiling, nor nodding", "!AU04 !smile !nod"),
        ("visual, 0-1 s, smile, not present", "!smile"),
        ("visual, 0-1 s, smile, absent: no smile is seen", "!smile"),
        ("visual, 0:00-0:01, smile, present: it does not fade", "smile"),
        ("visual, frown, no smile, present", "AU04 !smile"),
        ("visual, smile: there is no smile", "!smile"),
    ],
)
def test_a_cue_that_is_denied_in_words_is_no_cue_that_is_there(said: str, expected: str) -> None:
    plain = "visual, 0.5-1.5 s, smile, present: the lip corners go up"
    answer = read(AS_ASKED.replace(plain, said)).answer
    assert answer is not None
    found = [item for item in answer.evidence if item.modality == "visual"]
    assert [("!" if item.direction == "absent" else "") + item.cue for item in found] == expected.split()


def test_a_model_that_may_write_lines_may_write_an_object() -> None:
    assert (read(answer_json()).outcome, read(answer_json()).repaired) == ("labelled", False)


def test_a_model_that_was_not_declared_so_may_not_write_lines() -> None:
    assert read(AS_ASKED, free_text=False)[:2] == ("unparsed", "not_json")


def test_lines_over_the_wire_become_a_record_and_are_asked_for() -> None:
    found: list[Any] = []
    with FakeModels() as models:
        models.script(Reply(text=AS_ASKED))
        free = section(base_url=models.openai_url, takes=("text",), gives=())
        held = section(base_url=models.openai_url, takes=("text",))
        annotator = Annotator(free, TAXONOMY)
        asyncio.run(
            collect(
                [(annotator, make_sample(), 0)],
                journal=None,
                clock=InstantClock(),
                load=media_bytes,
                on_record=found.append,
            )
        )
        sent = models.requests[0].raw
    assert (found[0].outcome, found[0].repaired, found[0].answer.primary) == ("labelled", True, "joy")
    assert "If you cannot write JSON" in sent
    assert "response_format" not in sent
    assert "If you cannot write JSON" not in Annotator(held, TAXONOMY).request(make_sample()).system


words = st.sampled_from(
    [
        *AS_ASKED.split("\n"),
        *LOOSE.split("\n"),
        "Label:",
        "Evidence:",
        "e1:",
        "",
        "Step",
        "{",
        "\u202e",
        "1.",
        "joy",
    ]
)


@given(st.lists(words | st.text(max_size=20), max_size=14).map("\n".join))
def test_any_lines_give_an_outcome_and_no_label_that_they_do_not_say(text: str) -> None:
    parsed = read(text)
    assert parsed == read(text)
    if parsed.answer is None:
        assert parsed.outcome != "labelled"
        assert parsed.reason
    else:
        assert parsed.repaired
        assert {score.label for score in parsed.answer.labels} <= {"joy"}
        assert "joy" in text.lower() or "happy" in text.lower()
        parsed.answer.model_dump_json().encode()


@pytest.mark.parametrize(
    ("said", "confidence"),
    [
        (".1", 0.1), ("0,9", 0.9), ("0.85.", 0.85), ("85 %", 0.85), ("8,5/10", 0.85), ("4 out of 5", 0.8),
        ("1", 1.0),
    ],
)  # fmt: skip
def test_a_confidence_is_read_whole(said: str, confidence: float) -> None:
    answer = read(AS_ASKED.replace("Confidence: 0.8", f"Confidence: {said}")).answer
    assert answer is not None
    assert answer.confidence == pytest.approx(confidence)


@pytest.mark.parametrize("said", ["1.2.3", "high", "about right", "12,34,5"])
def test_what_is_no_number_is_no_confidence(said: str) -> None:
    parsed = read(AS_ASKED.replace("Confidence: 0.8", f"Confidence: {said}"))
    assert (parsed.outcome, parsed.reason) == ("unparsed", "wrong_shape")


@pytest.mark.parametrize(
    ("said", "valence"), [("0,5", 0.5), (".5", 0.5), ("-0.25", -0.25), ("\u22120.25", -0.25), ("high", None)]
)
def test_a_dimension_is_read_whole(said: str, valence: float | None) -> None:
    answer = read(AS_ASKED.replace("Valence: 0.6", f"Valence: {said}")).answer
    assert answer is not None
    assert answer.dimensions.valence == valence


@pytest.mark.parametrize(
    ("said", "span"),
    [
        ("0,5-1,5 s", (0.5, 1.5)), ("0:00-0:02", (0.0, 2.0)), ("0:00.5 to 0:01,5", (0.5, 1.5)),
        ("0.5 s - 1.5 s", (0.5, 1.5)), ("at 0:01", (1.0, 1.0)), ("at 1,5 s", (1.5, 1.5)),
    ],
)  # fmt: skip
def test_times_are_read_in_every_form(said: str, span: tuple[float, float]) -> None:
    answer = read(AS_ASKED.replace("0.5-1.5 s", said)).answer
    assert answer is not None
    assert (answer.evidence[0].start_s, answer.evidence[0].end_s) == span
    assert answer.evidence[0].cue == "smile"


@pytest.mark.parametrize(
    "said", ["smile: absent", "smile (absent)", "smile, absent", "smile, absent: none is seen"]
)
def test_a_direction_is_found_wherever_it_stands(said: str) -> None:
    answer = read(AS_ASKED.replace("smile, present: the lip corners go up", said)).answer
    assert answer is not None
    assert (answer.evidence[0].cue, answer.evidence[0].direction) == ("smile", "absent")


@pytest.mark.parametrize(
    "said", ["joy (unlikely; rather sadness)", "joy. On reflection no: sadness", "joy, or maybe sadness"]
)
def test_an_answer_that_is_taken_back_is_none(said: str) -> None:
    parsed = read(AS_ASKED.replace("Label: joy, intensity 2", f"Label: {said}"))
    assert parsed.outcome == "unparsed"


@pytest.mark.parametrize(
    "said",
    [
        "joy (she smiles)",
        "joy because the smile outweighs her words",
        "joy. It is plain.",
        "joy, intensity 2",
    ],
)
def test_an_explanation_takes_nothing_back(said: str) -> None:
    answer = read(AS_ASKED.replace("Label: joy, intensity 2", f"Label: {said}")).answer
    assert answer is not None
    assert [score.label for score in answer.labels] == ["joy"]
