"""MME-Emotion's scores, worked by hand, strict and with the quirks of the published scorer."""

from __future__ import annotations

import pytest

from pipeline.metrics.mme_emotion import Chain, Rated, chain_of, printed

GOOD = "<score>Step 1: 1/1, Step 2: 0/1, Step 3: 1/1</score>"
WRONG = "<score>Step 1: 1/1, Step 2: 0/1</score>"
ALONE = "<score>Step 1: 1/1</score>"
LINES = "<score>\nStep 1: 1/1,\nStep 2: 1/1\n</score>"


@pytest.mark.parametrize("mode", ["strict", "as_published"])
def test_a_chain_by_hand(mode: str) -> None:
    chain = chain_of(Rated(GOOD, 3), mode)  # type: ignore[arg-type]
    assert chain == Chain(rec=1.0, rea=0.5, steps=3)
    assert chain.cot == 0.75
    assert chain_of(Rated(ALONE, 1), mode) == Chain(1.0, 0.0, 1)  # type: ignore[arg-type]


def test_the_table_by_hand() -> None:
    """As published: Rec (1 + 0 + 1) / 3, Rea (0.5 + 1 + 0) / 3, steps (3 + 2 + 1) / 3; two are not read."""
    rated = [Rated(GOOD, 3), Rated(WRONG, 2), Rated(ALONE, 1), Rated(LINES, 2), Rated(None, 4)]
    row = printed(rated, "as_published")
    assert row == pytest.approx((200 / 3, 50.0, (200 / 3 + 50) / 2, 2.0, 3, 2))
    # Strict reads the reply of several lines, and divides by all five.
    assert printed(rated, "strict") == pytest.approx((60.0, 50.0, 55.0, 2.0, 5, 1))


def test_the_count_of_steps_is_checked_in_strict_alone() -> None:
    short = Rated(WRONG, 3)
    assert chain_of(short, "strict") is None
    assert chain_of(short, "as_published") == Chain(0.0, 1.0, 2)


def test_several_labels_are_recall_as_published_and_f1_in_strict() -> None:
    """Three gold labels, eight guesses, all three found."""
    greedy = Rated("<score>Step 1: 1/1, Step 2: 3/3</score>", 2, gold_labels=3, claimed_labels=8)
    published, strict = chain_of(greedy, "as_published"), chain_of(greedy, "strict")
    assert published is not None
    assert strict is not None
    assert (published.rec, strict.rec) == (1.0, pytest.approx(6 / 11))


@pytest.mark.parametrize(
    ("reply", "published"),
    [
        ("<score>Step 1: 5/1, Step 2: 1/1</score>", Chain(1.0, 5.0, 2)),
        ("<score>Step 1: 1/0, Step 2: 1/1</score>", Chain(1.0, 0.0, 2)),
        ("<score>Step 1: 1/1, Step 2: 2/3</score>", Chain(2 / 3, 1.0, 2)),
    ],
)
def test_scores_that_cannot_be_are_taken_as_published_only(reply: str, published: Chain) -> None:
    assert chain_of(Rated(reply, 2), "as_published") == published
    assert chain_of(Rated(reply, 2), "strict") is None


def test_nothing_rated() -> None:
    assert printed([], "strict") == (None, None, None, None, 0, 0)
    assert printed([Rated("no score", 2)], "as_published") == (None, None, None, None, 0, 1)
    assert printed([Rated("no score", 2)], "strict") == (0.0, 0.0, 0.0, None, 1, 1)
