"""The lexicon annotator: what words alone say."""

from __future__ import annotations

import csv

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.cue_rules import lexicon
from schemas.parts import Word
from tests.agents import cue_samples as make


def label(text: str) -> str:
    answer = lexicon.annotate(make.text_sample(text), make.EKMAN7)
    return str(answer["labels"][0]["label"]) if answer["labels"] else str(answer["abstain_reason"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I am so happy to see you", "joy"),
        ("This makes me furious, I hate it", "anger"),
        ("She cried at the funeral and felt miserable", "sadness"),
        ("Wow, I am astonished", "surprise"),
        ("I'm terrified of the dark", "fear"),
        ("That is disgusting, yuck", "disgust"),
        ("The train leaves at nine from platform two", "neutral"),
        ("I am not happy", "sadness"),
        ("I'm not angry about it", "neutral"),
        ("No. I am happy", "joy"),  # the negation belongs to another sentence
        ("", "no_text"),
        ("...", "no_text"),
        ("Das will sie am Mittwoch abgeben", "no_english_word"),
    ],
)
def test_labels(text: str, expected: str) -> None:
    assert label(text) == expected


def test_a_clear_feeling_without_an_emotion_word_is_not_called_neutral() -> None:
    assert label("You are the best friend and a real treasure and I respect you") == "no_emotion_word"


def test_every_claim_is_a_quote_at_the_time_of_its_words() -> None:
    sample = make.text_sample("well I am really happy and then scared")
    answer = lexicon.annotate(sample, make.EKMAN7)
    quotes = {item["quote"]: item for item in answer["evidence"]}
    assert set(quotes) == {"really happy", "scared"}
    assert (quotes["really happy"]["start_s"], quotes["really happy"]["end_s"]) == (0.9, 1.5)
    assert {item["cue"] for item in answer["evidence"]} == {"quote"}
    assert [point["label"] for point in answer["trajectory"]] == ["joy", "fear"]


def test_degree_words_change_the_confidence() -> None:
    def confidence(text: str) -> float:
        return float(lexicon.annotate(make.text_sample(text), make.EKMAN7)["confidence"])

    assert confidence("I am very worried") > confidence("I am worried") > confidence("I am slightly worried")


def test_a_poor_transcript_lowers_the_confidence() -> None:
    good = make.text_sample("I am happy")
    poor = good.model_copy(update={"words_source": "pocketsphinx (low quality)"})
    unsure = good.model_copy(
        update={"words": tuple(word.model_copy(update={"confidence": 0.2}) for word in good.words)}
    )
    confidence = [lexicon.annotate(sample, make.EKMAN7)["confidence"] for sample in (good, poor, unsure)]
    assert confidence[1] == pytest.approx(confidence[0] / 2, abs=0.001)
    assert confidence[2] == pytest.approx(confidence[0] / 3, abs=0.001)


def test_words_that_contradict_each_other_lower_the_confidence() -> None:
    one = lexicon.annotate(make.text_sample("I am happy"), make.EKMAN7)
    two = lexicon.annotate(make.text_sample("I am happy and sad"), make.EKMAN7)
    assert two["confidence"] < one["confidence"]
    assert {score["label"] for score in two["labels"]} == {"joy", "sadness"}


def test_missing_text_is_believed_over_words() -> None:
    sample = make.text_sample("I am happy", missing={"text": "no_audio_stream"})
    assert lexicon.annotate(sample, make.EKMAN7)["abstain_reason"] == "no_text"


def test_the_word_list_is_clean() -> None:
    with (lexicon.DATA_DIR / "emotion_words.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    words = [row["word"] for row in rows]
    assert len(words) == len(set(words)) > 300
    assert words == sorted(words)
    assert {row["label"] for row in rows} == set(make.EKMAN7.names) - {"neutral"}
    for row in rows:
        assert lexicon.tokens(row["word"]) == [row["word"]], "an entry must be one token"
        assert 0 < float(row["weight"]) <= 1


texts = st.lists(
    st.one_of(st.text(max_size=8), st.sampled_from(["not", "very", "happy", "sad", "angry", "the", "wow!"])),
    max_size=12,
)


@given(texts)
@settings(max_examples=150, deadline=None)
def test_any_words_give_an_answer_inside_the_clip(parts: list[str]) -> None:
    words = tuple(Word(text=text, start_s=n * 0.3, end_s=n * 0.3 + 0.3) for n, text in enumerate(parts))
    sample = make.sample(words=words, duration_s=round(0.3 * len(words), 6))
    answer = lexicon.annotate(sample, make.EKMAN7)
    assert bool(answer["labels"]) != bool(answer["abstain_reason"])
    assert 0 <= answer["confidence"] <= 1
    for item in answer["evidence"]:
        assert 0 <= item["start_s"] <= item["end_s"] <= sample.duration_s
