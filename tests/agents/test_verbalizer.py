"""From the tokens of an answer to a probability of every class: synonyms, beginnings of words, what is untold."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.answers.verbalizer import label_probabilities
from schemas.ports import TokenLogprob
from schemas.taxonomy import LabelClass, Taxonomy

WORDS = {
    "joy": ("happy", "glad"),
    "sadness": ("unhappy", "grief", "sad"),
    "surprise": ("astonished",),
    "anger": ("mad", "angry"),
    "disgust": ("disgusted",),
}
TAXONOMY = Taxonomy(
    name="few",
    instruction="?",
    labels={name: LabelClass(verbalizers=words) for name, words in WORDS.items()},
)
HEAD, TAIL = '{"labels": [{"label": "', '"}]}'


def place(written: str, p: float, **others: float) -> TokenLogprob:
    """A token with its probability and those of others in its place."""
    top = {written: p, **others}
    return TokenLogprob(written, math.log(p), tuple((text, math.log(q)) for text, q in top.items()))


def told(*places: TokenLogprob, head: str = HEAD, tail: str = TAIL) -> dict[str, float]:
    tokens = (TokenLogprob(head, -0.1), *places, TokenLogprob(tail, -0.1))
    text = "".join(token.text for token in tokens)
    return label_probabilities(text, tokens, TAXONOMY)


def test_the_words_of_a_class_are_summed() -> None:
    found = told(place("grief", 0.4, joy=0.25, happy=0.2, Glad=0.1))
    assert found["joy"] == pytest.approx(0.55 / 0.95)
    assert found["sadness"] == pytest.approx(0.4 / 0.95)
    assert max(found, key=lambda name: found[name]) == "joy"  # though no one word of it is the likeliest
    assert list(found) == list(TAXONOMY.names)


def test_a_beginning_counts_for_the_one_class_that_it_can_become() -> None:
    found = told(place("ang", 0.6, dis=0.3, un=0.1), TokenLogprob("er", math.log(0.5)))
    assert found == pytest.approx({"anger": 0.6, "disgust": 0.3, "sadness": 0.1, "joy": 0, "surprise": 0})


def test_a_beginning_of_several_classes_is_followed_where_it_was_written() -> None:
    # "s" may become sadness or surprise: both have two tokens, and count with the geometric mean of them.
    found = told(place("s", 0.8, joy=0.2), place("adness", 0.75, urprise=0.25))
    long = {"sadness": math.sqrt(0.8 * 0.75), "surprise": math.sqrt(0.8 * 0.25), "joy": 0.2}
    total = sum(long.values())
    assert found == pytest.approx({**{name: p / total for name, p in long.items()}, "anger": 0, "disgust": 0})


def test_what_was_written_counts_once_for_all_words_of_a_class() -> None:
    found = told(place("s", 0.8, joy=0.2), place("adness", 0.5, ad=0.45, urprise=0.05))
    long = {"sadness": math.sqrt(0.8 * 0.95), "surprise": math.sqrt(0.8 * 0.05), "joy": 0.2}
    total = sum(long.values())
    assert found == pytest.approx({**{name: p / total for name, p in long.items()}, "anger": 0, "disgust": 0})


def test_what_could_be_several_classes_and_was_not_written_is_left_out() -> None:
    found = told(place("joy", 0.6, s=0.3, a=0.1))
    assert found["joy"] == 1.0


@pytest.mark.parametrize("logprob", [math.nan, math.inf, 1e9, 0.5])
def test_what_is_the_logarithm_of_no_probability_tells_nothing(logprob: float) -> None:
    assert told(TokenLogprob("joy", logprob)) == {}
    assert told(TokenLogprob("joy", -0.2, (("anger", logprob),))) == {}
    assert told(TokenLogprob("joy", 1e-6))["joy"] == 1.0


def test_too_little_that_is_known_is_no_probability() -> None:
    assert told(place("joy", 0.45)) == {}
    assert told(place("joy", 0.45, s=0.5)) == {}
    assert told(place("joy", 0.45, mad=0.1))["joy"] == pytest.approx(0.45 / 0.55)


def test_a_label_may_begin_within_a_token_and_end_within_one() -> None:
    head = '{"labels": [{"label":'
    first = place(' "mad"', 0.7, **{' "joy"': 0.2, ' "joy': 0.05, ' "': 0.04, "joy": 0.01})
    found = told(first, head=head, tail="}]}")
    assert found["anger"] == pytest.approx(0.7 / 0.95)
    assert found["joy"] == pytest.approx(0.25 / 0.95)


def test_a_whole_word_is_not_taken_for_the_beginning_of_another() -> None:
    assert told(place('mad"', 0.6, **{'s"': 0.3}), tail="}]}")["anger"] == 1.0


def test_labels_as_plain_texts_and_in_lines_are_found() -> None:
    assert told(place("joy", 0.9), head='{"labels": ["', tail='"]}')["joy"] == 1.0
    assert told(place("joy", 0.9), head="Step 1: so.\nLabel: ", tail=", intensity 2")["joy"] == 1.0


def test_tokens_that_are_not_those_of_the_answer_tell_nothing() -> None:
    token = place("joy", 0.9)
    text = f"{HEAD}joy{TAIL}"
    whole = (TokenLogprob(HEAD, -0.1), token, TokenLogprob(TAIL, -0.1))
    assert label_probabilities(text, whole, TAXONOMY)["joy"] == 1.0
    assert label_probabilities(f"{text} ", whole, TAXONOMY) == {}
    assert label_probabilities(text, (), TAXONOMY) == {}
    assert label_probabilities(text, None, TAXONOMY) == {}
    assert label_probabilities("joy", (token,), TAXONOMY) == {}
    open_words = Taxonomy(name="open", instruction="?", kind="open", wheel="wheel1", labels={})
    assert label_probabilities(text, whole, open_words) == {}


PIECES = st.sampled_from(["s", "sad", "joy", "un", "happy", "ang", "er", '"', "x", " ", "ness", "mad", "dis"])


@given(
    st.lists(
        st.tuples(PIECES, st.floats(0.01, 1), st.dictionaries(PIECES, st.floats(0.001, 1))),
        min_size=1,
        max_size=4,
    )
)
def test_whatever_the_tokens_the_probabilities_are_a_distribution_or_nothing(
    rows: list[tuple[str, float, dict[str, float]]],
) -> None:
    found = told(*(place(written, p, **others) for written, p, others in rows))
    assert not found or list(found) == list(TAXONOMY.names)
    assert not found or sum(found.values()) == pytest.approx(1)
    assert all(0 <= p <= 1 for p in found.values())
