"""Few-shot examples: near in meaning, apart in emotion and modality, and never of the same people."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.questions.embeddings import EMBEDDINGS, words_and_cues
from agents.questions.examples import DIVERSITIES, Bank, Example, determinantal, max_min
from schemas.errors import UserError
from schemas.parts import Event, Measure, Step, Word
from schemas.records import Sample
from schemas.registry import resolve
from tests.wire.material import make_sample


def said(text: str, n: int = 0, **changes: Any) -> Sample:
    words = tuple(
        Word(start_s=0.1 * place, end_s=0.1 * place + 0.1, text=word)
        for place, word in enumerate(text.split())
    )
    plain = {"segment_id": f"seg_{n}", "words": words, "prosody": (), "events": (), "context": ()}
    return make_sample(**{**plain, **changes})


def example(text: str, label: str, n: int, ties: tuple[str, ...] = (), **changes: Any) -> Example:
    sample = said(text, n, **changes)
    return Example(sample, frozenset(ties or (f"source:{n}",)), label, (Step(n=1, text=f"It is {label}."),))


def bank(*examples: Example) -> Bank:
    return Bank(examples, version=1, embedding="words_and_cues")


def test_an_embedding_has_length_one_and_likeness_follows_words_and_cues() -> None:
    asked = words_and_cues(said("I lost my keys again"))
    assert np.linalg.norm(asked) == pytest.approx(1)
    near, far = words_and_cues(said("you lost your keys again")), words_and_cues(said("what a sunny day"))
    assert asked @ near > 0.4 > asked @ far
    smile = Event(start_s=0, end_s=1, cue="AU12", modality="visual")
    high = Measure(name="pitch_st_median", value=3.0, unit="semitone", z=2.0)
    silent = said("", events=(smile,), prosody=(high,))
    assert words_and_cues(silent) @ words_and_cues(said("", events=(smile,))) > 0.5
    assert not words_and_cues(said("")).any()


@pytest.mark.parametrize("diversity", DIVERSITIES)
def test_the_most_relevant_example_is_there_and_stands_last(diversity: str) -> None:
    found = bank(
        example("we won the match", "joy", 1),
        example("the train is late", "anger", 2),
        example("my dog died", "sadness", 3),
    ).choose(said("my cat died"), {"source:9"}, 2, diversity)
    assert len(found) == 2
    assert found[-1].label == "sadness"


@pytest.mark.parametrize("diversity", DIVERSITIES)
def test_emotions_and_modalities_are_spread_where_all_are_alike(diversity: str) -> None:
    much = [example(f"that is fine really {n}", "joy", n) for n in range(6)]
    rare = [example("that is fine really", "anger", 7), example("that is fine", "fear", 8)]
    deaf = example("that is fine really yes", "joy", 9, missing={"audio": "no_audio_stream"})
    found = bank(*much, *rare, deaf).choose(said("that is fine really"), (), 4, diversity)
    assert {one.label for one in found} == {"joy", "anger", "fear"}
    assert deaf in found


@pytest.mark.parametrize("diversity", DIVERSITIES)
def test_nobody_sees_an_example_of_the_same_source_speaker_or_group(diversity: str) -> None:
    ties = [
        ("source:a", "speaker:anna"),
        ("source:b", "speaker:anna"),
        ("source:c", "group:x"),
        ("source:d",),
    ]
    examples = bank(*(example("same words", "joy", n, one) for n, one in enumerate(ties)))

    def chosen(*own: str) -> set[str]:
        found = examples.choose(said("same words"), own, 4, diversity)
        return {tie for one in found for tie in one.ties if tie.startswith("source:")}

    assert chosen("source:a", "speaker:anna") == {"source:c", "source:d"}
    assert chosen("source:z", "group:x") == {"source:a", "source:b", "source:d"}
    assert chosen("source:z") == {"source:a", "source:b", "source:c", "source:d"}
    assert chosen("source:a", "source:b", "source:c", "source:d") == set()


TEXTS = st.lists(
    st.sampled_from(["you", "lost", "it", "again", "my", "dog", "won", "a", "match", "today"]), max_size=6
)


@given(
    st.lists(st.tuples(TEXTS, st.sampled_from(["joy", "anger", "fear"])), max_size=12),
    TEXTS,
    st.integers(0, 6),
    st.sampled_from(sorted(DIVERSITIES)),
    st.randoms(use_true_random=False),
)
def test_a_choice_is_small_enough_distinct_and_does_not_hang_on_the_order(
    clips: list[tuple[list[str], str]], asked: list[str], count: int, diversity: str, shuffled: Any
) -> None:
    examples = [example(" ".join(words), label, n) for n, (words, label) in enumerate(clips)]
    sample = said(" ".join(asked), 99)
    found = bank(*examples).choose(sample, (), count, diversity)
    assert len(found) == min(count, len(examples))
    assert len({one.sample.id for one in found}) == len(found)
    again = list(examples)
    shuffled.shuffle(again)
    assert bank(*again).choose(sample, (), count, diversity) == found
    assert bank(*again).digest == bank(*examples).digest


def test_max_min_is_the_farthest_point_traversal() -> None:
    places = np.array([0.0, 0.1, 0.5, 1.0])
    alike = 1 - np.abs(places[:, None] - places[None, :])
    assert max_min(np.array([0.9, 0.8, 0.1, 0.2]), alike, 3) == [0, 3, 2]


@given(st.integers(2, 7), st.integers(0, 10_000))
def test_the_greedy_determinantal_set_is_at_least_a_known_share_of_the_best(size: int, seed: int) -> None:
    """Each greedy step takes what adds most to the volume, so the first two steps can be checked by hand."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(size, 9))
    vectors /= np.linalg.norm(vectors, axis=1)[:, None]
    alike, relevance = (vectors @ vectors.T + 1) / 2, rng.uniform(-1, 1, size)
    kernel = np.exp(relevance)[:, None] * alike * np.exp(relevance)[None, :]
    first, second = determinantal(relevance, alike, 2)
    assert first == int(np.argmax(np.diag(kernel)))
    volume = {
        frozenset(pair): np.linalg.det(kernel[np.ix_(pair, pair)])
        for pair in combinations(range(size), 2)
        if first in pair
    }
    assert volume[frozenset((first, second))] == pytest.approx(max(volume.values()))


def test_copies_of_one_clip_are_taken_only_when_there_is_nothing_else() -> None:
    relevance, alike = np.array([1.0, 1.0, 0.0]), np.array([[1, 1, 0.2], [1, 1, 0.2], [0.2, 0.2, 1.0]])
    assert determinantal(relevance, alike, 2) == [0, 2]
    assert determinantal(relevance, alike, 3) == [0, 2, 1]


def test_a_bank_says_which_it_is() -> None:
    one = example("we won", "joy", 1)
    assert bank(one).digest != bank(one._replace(label="anger")).digest
    assert bank(one).digest != Bank([one], version=2, embedding="words_and_cues").digest
    with pytest.raises(UserError, match="words_and_cues"):
        Bank([one], version=1, embedding="words")
    assert all(callable(resolve(EMBEDDINGS, name, what="embedding")) for name in EMBEDDINGS)
