"""Ways to ask that depend less on wording, chance and habit: their effect on models with a known habit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agents.prompting import PROMPT_DIR, VARIANTS
from schemas.settings_models import MAX_VARIANTS
from tests.wire.robust import asking, chance, data_of, system_of
from tests.wire.server import FakeModels, Reply

FIRST_WORDS = "You annotate emotion in short recordings of people."


def set_off_by_a_wording(body: dict[str, Any]) -> Reply:
    """Right (joy), but for one wording of the task that makes it say anger."""
    return Reply(label="anger" if FIRST_WORDS in system_of(body) else "joy")


def right_in_six_of_ten(body: dict[str, Any]) -> Reply:
    """Joy in 60 % of the samples; else one of the other labels, whichever chance has it."""
    drawn = chance(data_of(body), body["seed"])
    others = ("neutral", "anger", "disgust", "fear", "sadness", "surprise")
    return Reply(label="joy" if drawn < 0.6 else others[int((drawn - 0.6) / 0.4 * len(others))])


def test_every_variant_is_another_wording_of_the_same_task() -> None:
    texts = {name: (PROMPT_DIR / "variants" / f"{name}.md").read_text(encoding="utf-8") for name in VARIANTS}
    assert len(set(texts.values())) == len(VARIANTS) == MAX_VARIANTS
    assert sorted(path.stem for path in (PROMPT_DIR / "variants").iterdir()) == sorted(VARIANTS)
    for text in texts.values():  # each says that claims are checked, and none that the data could be obeyed
        assert "program" in text
        assert "recording" in text
        assert "$" not in text


def test_one_wording_that_sets_a_model_off_is_outvoted_by_the_others(tmp_path: Path) -> None:
    with FakeModels(mind=set_off_by_a_wording) as models:
        alone = asking(models, tmp_path / "1")
        (tmp_path / "3").mkdir()
        several = asking(models, tmp_path / "3", "variants = 3")
    assert alone.labels == ["anger"]
    assert several.labels == ["joy"]
    said = {one.variant: one.answer.primary for one in several.annotations if one.answer}
    assert said == {0: "anger", 1: "joy", 2: "joy"}
    (voice,) = several.consensus[0].voices
    assert (voice.asked, voice.labelled, voice.variants) == (3, 3, 3)
    assert voice.agreement == pytest.approx(2 / 3)
    assert voice.distribution == pytest.approx({"anger": 1 / 3, "joy": 2 / 3})
    assert several.consensus[0].distribution == pytest.approx(voice.distribution)


def test_more_variants_ask_only_what_is_new(tmp_path: Path) -> None:
    with FakeModels(mind=set_off_by_a_wording) as models:
        sent = []
        for variants in (1, 3, 3, 1):
            told = asking(models, tmp_path, f"variants = {variants}")
            sent.append(len(models.requests))
        assert sent == [1, 3, 3, 3]
    assert told.labels == ["anger"]  # the two answers more are history again
    assert told.consensus[0].voices == ()


def test_samples_that_are_right_in_six_of_ten_are_right_together(tmp_path: Path) -> None:
    """One sample is right in 60 % of the clips; that joy is in front among nine has a probability of 0.95."""
    right = {}
    with FakeModels(mind=right_in_six_of_ten) as models:
        for samples in (1, 9):
            folder = tmp_path / str(samples)
            folder.mkdir()
            told = asking(models, folder, settings=f"replicates = {samples}\nseed = 0", clips=40)
            right[samples] = told.labels.count("joy") / 40
    assert 0.45 <= right[1] <= 0.75
    assert right[9] >= 0.9
    shares = [one.voices[0].agreement for one in told.consensus]
    assert 0.5 <= sum(shares) / len(shares) <= 0.7  # the samples agree as often as they are right


def test_what_failed_is_among_the_asked_and_is_no_vote(tmp_path: Path) -> None:
    def mind(body: dict[str, Any]) -> Reply:
        return Reply(status=400) if body["seed"] == 1 else Reply(label="joy" if body["seed"] else "fear")

    with FakeModels(mind=mind) as models:
        told = asking(models, tmp_path, settings="replicates = 4\nseed = 0")
    (voice,) = told.consensus[0].voices
    assert (voice.asked, voice.labelled, voice.agreement) == (4, 3, 0.5)
    assert voice.distribution == pytest.approx({"fear": 1 / 3, "joy": 2 / 3})
    assert told.consensus[0].outcomes == {"failed": 1, "labelled": 3}


def test_the_mean_of_stated_probabilities_lets_the_sure_answer_win(tmp_path: Path) -> None:
    def mind(body: dict[str, Any]) -> Reply:
        sure = FIRST_WORDS in system_of(body)
        return Reply(label="joy" if sure else "fear", confidence=0.95 if sure else 0.3)

    with FakeModels(mind=mind) as models:
        folders = [tmp_path / name for name in ("vote", "mean")]
        for folder in folders:
            folder.mkdir()
        vote, mean = (asking(models, at, f'variants = 3\ncombine = "{at.name}"') for at in folders)
    assert (vote.labels, mean.labels) == (["fear"], ["joy"])
    (voice,) = mean.consensus[0].voices
    # joy: 0.95 once, and twice an equal part of the 0.7 that were not put on fear
    assert voice.distribution["joy"] == pytest.approx((0.95 + 2 * 0.7 / 6) / 3)
    assert sum(voice.distribution.values()) == pytest.approx(1)
    assert (voice.combine, voice.prob_sources, vote.consensus[0].voices[0].prob_sources) == (
        "mean", ("stated",), (),
    )  # fmt: skip
