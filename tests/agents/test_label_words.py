"""The words of the emotion label sets and their like, by language, against forms of them as people write them."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from agents.judges.label_words import DATA_FILE, WITHOUT_BORDERS, hiding
from schemas.languages import LANGUAGES
from schemas.taxonomy import Taxonomy, load_taxonomy

FORMS = tomllib.loads(Path(__file__).with_name("label_forms.toml").read_text("utf-8"))
TABLE = tomllib.loads(DATA_FILE.read_text("utf-8"))
EVERY_MEANING = ("ekman7", "merr9", "iemocap6")  # they have all words of the table between them
MEANINGS = "meanings"


def hidden(text: str, language: str) -> str:
    for name in EVERY_MEANING:
        pattern = hiding(load_taxonomy(name), language)
        assert pattern is not None
        text = pattern.sub("", text)
    return text


def test_every_language_of_the_table_has_every_meaning_and_forms_to_be_tried() -> None:
    assert set(TABLE) - {MEANINGS} == set(FORMS) <= set(LANGUAGES)
    assert all(list(table) == list(TABLE[MEANINGS]) for table in TABLE.values())


@pytest.mark.parametrize("language", FORMS)
def test_forms_of_emotion_words_are_hidden_and_what_only_looks_like_them_stands(language: str) -> None:
    words = [word.replace("_", " ") for word in FORMS[language]["hidden"].split()]
    left = {word: hidden(word, language) for word in words}
    if language not in WITHOUT_BORDERS:  # the word as a whole; elsewhere an ending may be left
        assert {word: rest for word, rest in left.items() if rest} == {}
    assert [word for word, rest in left.items() if rest == word] == []
    stand = FORMS[language]["stand"]
    assert hidden(stand, language) == stand


def test_a_set_with_a_word_that_the_table_lacks_cannot_be_hidden() -> None:
    assert hiding(load_taxonomy("ekman7"), "de") is not None
    assert hiding(load_taxonomy("ekman7"), "el") is None  # a language that it lacks
    for name in ("emorynlp7", "sentiment3", "mintrec20", "open", "vad"):
        assert hiding(load_taxonomy(name), "de") is None, name
    own = Taxonomy.model_validate(
        {
            "name": "own",
            "instruction": "",
            "labels": {"joy": {"verbalizers": []}, "pride": {"verbalizers": []}},
        }
    )
    assert hiding(own, "de") is None
    # In English its own words are hidden whatever they are, and what is like those that are known.
    english = hiding(own, "en")
    assert english is not None
    assert english.sub("_", "elated, not frightened") == "_, not frightened"
    assert hiding(load_taxonomy("mintrec20"), "en") is None


def test_only_what_the_set_asks_for_is_hidden() -> None:
    pattern = hiding(load_taxonomy("iemocap4"), "de")
    assert pattern is not None
    assert pattern.sub("_", "Die Freude, nicht die Verachtung.") == "Die _, nicht die Verachtung."
