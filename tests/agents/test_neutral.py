"""What a judge is not told of an annotation: names of models, and in the second look the label."""

from __future__ import annotations

from typing import Any

import pytest

from agents.judges.neutral import LABEL, SOMEBODY, without_label, without_names
from schemas.parts import Evidence, LabelScore, Readings, Step, Target, Triplet, Turn, Word
from schemas.records import Annotation
from schemas.taxonomy import load_taxonomy
from tests.wire.material import make_sample, taxonomy


def answer(*steps: str, description: str = "", quote: str | None = None, label: str = "joy") -> Triplet:
    item = Evidence(
        id="e1", modality="visual", start_s=0, end_s=1, cue="AU12", description=description, quote=quote
    )
    return Triplet(
        evidence=(item,),
        rationale=tuple(Step(n=n, text=text, evidence_ids=("e1",)) for n, text in enumerate(steps, start=1)),
        readings=Readings(),
        labels=(LabelScore(label=label),),
        confidence=0.5,
    )


def annotation(said: Triplet, *, name: str = "a1", model: str = "m1", **changes: Any) -> Annotation:
    fields = {"sample_id": "s", "annotator": name, "request_digest": "d", "provider": "p", "model": model}
    return Annotation.model_validate({**fields, "outcome": "labelled", "answer": said, **changes})


def seen(text: str, **of: Any) -> str:
    """The text as a judge gets it, in a step."""
    return without_names(annotation(answer(text), **of), make_sample()).rationale[0].text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("As GPT-4o, I see a smile.", "As [annotator], I see a smile."),
        ("As a large language model I cannot feel, but", "As [annotator] I cannot feel, but"),
        ("As an AI language model, I think", "As [annotator], I think"),
        ("Gemini 2.5 Pro reads joy.", "[annotator] reads joy."),
        ("As LLaVA-1.5, I see SmolVLM2's joy.", "As [annotator], I see [annotator]'s joy."),
        ("Qwen2.5-Omni-7B: a smile", "[annotator]: a smile"),
        ("ChatGPT and Claude agree.", "[annotator] and [annotator] agree."),
        ("The face of a gemstone; claudication.", "The face of a gemstone; claudication."),
    ],
)
def test_names_of_models_are_neutral(text: str, expected: str) -> None:
    assert seen(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("## Result\n- **Lips** go _up_\n* `AU12` — “wide”", 'Result\nLips go up\nAU12 - "wide"'),
        ("**very *wide* eyes**, ***open***, *x*.", "very wide eyes, open, x."),
        ("a*b is 2*3, f** and *, **half", "a*b is 2*3, f** and *, **half"),
        ("pitch_high in 0.5-1.2 s, 2 * 3, it’s 3–4 dB up", "pitch_high in 0.5-1.2 s, 2 * 3, it's 3–4 dB up"),
    ],
)
def test_marks_of_style_are_plain(text: str, expected: str) -> None:
    assert seen(text) == expected


@pytest.mark.parametrize("run", ["\n", " ", "*", "_", "#"])
def test_no_text_makes_the_search_slow(run: str) -> None:
    """A search that grows with the square of the length would run into the suite's time limit here."""
    assert seen(f"a{run * 100_000}b").startswith("a")


def test_the_annotators_own_name_and_model_are_neutral() -> None:
    own = {"name": "our-model", "model": "lab/secret-7b", "model_version": "secret-7b-0611"}
    text = seen("our-model here: secret-7b-0611, that is lab/secret-7b or secret-7b, sees a smile.", **own)
    assert text == f"{SOMEBODY} here: {SOMEBODY}, that is {SOMEBODY} or {SOMEBODY}, sees a smile."


def test_a_name_that_is_a_word_goes_only_where_somebody_speaks_of_themselves() -> None:
    own = {"name": "prosody", "model": "prosody"}
    text = "As prosody, I hear it. I am prosody. The prosody rises, as prosody often does."
    assert seen(text, **own) == (
        f"As {SOMEBODY}, I hear it. I am {SOMEBODY}. The prosody rises, as prosody often does."
    )


@pytest.mark.parametrize(
    "sample",
    [
        make_sample(target=Target(speaker="Claude")),
        make_sample(context=(Turn(speaker=None, text="Ask Claude."),)),
        make_sample(words=(Word(start_s=0, end_s=1, text="Claude,"), Word(start_s=1, end_s=2, text="hello"))),
    ],
)
def test_a_person_of_that_name_keeps_it(sample: Any) -> None:
    said = without_names(annotation(answer("Claude smiles, says GPT-4.")), sample)
    assert said.rationale[0].text == f"Claude smiles, says {SOMEBODY}."


def test_quotes_and_claims_stand_and_descriptions_are_neutral() -> None:
    said = without_names(
        annotation(answer("x", description="seen by GPT-4o", quote="I asked ChatGPT")), make_sample()
    )
    item = said.evidence[0]
    assert (item.description, item.quote, item.cue) == (f"seen by {SOMEBODY}", "I asked ChatGPT", "AU12")
    assert said.labels == (LabelScore(label="joy"),)


@pytest.mark.parametrize(
    "word",
    ["joy", "Joyful", "happily", "happiness", "happier", "delight", "delighted", "amusement", "angrily", "ANGER",
     "irritation", "annoyance", "sadness", "sadly", "disappointment", "surprising", "surprise", "fearful",
     "disgusting", "sadder", "saddest", "saddened", "maddening", "maddeningly", "worriedly", "fearfully",
     "disgustedly", "worry", "worries", "worrying", "worryingly", "worrisome", "grieving", "grieved",
     "fury", "anxiety", "unsurprised", "unamused", "non-happy",
     "fearfulness", "no emotion", "no-emotion", "matter of fact", "neutrally", "calmly"],
)  # fmt: skip
def test_every_form_of_every_class_is_masked(word: str) -> None:
    said = without_label(
        answer(f"All speaks for {word}, not for boredom.", description=f"{word} face"), taxonomy(), ""
    )
    assert said.rationale[0].text == f"All speaks for {LABEL}, not for boredom."
    assert said.evidence[0].description == f"{LABEL} face"


@pytest.mark.parametrize("word", ["made", "saddle", "madam", "happen", "surpass", "neutron", "sad-eyed"])
def test_words_that_only_look_like_it_stand(word: str) -> None:
    masked = without_label(answer(f"It was {word}."), taxonomy(), "").rationale[0].text
    assert masked == (f"It was {LABEL}-eyed." if word == "sad-eyed" else f"It was {word}.")


def test_what_was_said_in_the_clip_is_evidence_and_is_not_masked() -> None:
    spoken = answer("x", quote="I am so happy")
    assert (
        without_label(spoken, taxonomy(), "Well, I am so happy, you know").evidence[0].quote
        == "I am so happy"
    )
    assert without_label(spoken, taxonomy(), "Well").evidence[0].quote == f"I am so {LABEL}"


def test_every_form_of_a_sentiment_is_masked() -> None:
    sentiment = load_taxonomy("sentiment3")
    said = without_label(answer("Negativity, negatively; worse.", label="negative"), sentiment, "")
    assert said.rationale[0].text == f"{LABEL}, {LABEL}; worse."


def test_labels_of_its_own_are_masked_too() -> None:
    said = without_label(answer("She is wistful.", label="wistful"), taxonomy(), "")
    assert said.rationale[0].text == f"She is {LABEL}."
