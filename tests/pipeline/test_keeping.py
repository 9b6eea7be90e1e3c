"""The rule of baselines: a segment keeps the one that stands for it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.stages.keeping import VIEW_VERSION, Made, View, kept_baseline
from schemas.parts import Target, Turn
from schemas.records import Sample

VIEW = View("seg_1", Target(speaker="ann"), ("d_face", "d_voice", "d_words"), (Turn(text="hi"),), "d_voice")
OTHER_WORDS = replace(VIEW, feature_digests=("d_face", "d_other_words", "d_voice"))
OTHER_VOICE = replace(VIEW, feature_digests=("d_face", "d_other_voice", "d_words"), voice="d_other_voice")
OTHER_SPEAKER = replace(VIEW, target=Target(speaker="bob"))


def made(view: View, *baseline_ids: str, live: bool = False) -> Made:
    return Made(view.sample_id(baseline_ids), baseline_ids, view.feature_digests, view.target.speaker, live)


def test_the_id_is_known_before_the_sample_is_composed() -> None:
    sample = Sample(
        segment_id=VIEW.segment_id,
        target=VIEW.target,
        feature_digests=VIEW.feature_digests,
        baseline_ids=("bas_1",),
        context=VIEW.context,
        view_version=VIEW_VERSION,
        duration_s=2.0,
    )
    assert VIEW.sample_id(("bas_1",)) == sample.id


def test_a_new_segment_gets_a_baseline_now() -> None:
    assert kept_baseline(VIEW, []) is None


@pytest.mark.parametrize("baselines", [("bas_1",), ()])
def test_what_stands_is_kept_whatever_was_made_later(baselines: tuple[str, ...]) -> None:
    """Also when there was none: a change of all baselines that was cut off has changed none."""
    samples = [made(VIEW, *baselines, live=True), made(VIEW, "bas_2")]
    assert kept_baseline(VIEW, samples) == baselines


def test_other_words_keep_what_the_voice_is_compared_with() -> None:
    samples = [made(VIEW, "bas_2"), made(VIEW, "bas_1", live=True), made(OTHER_WORDS, "bas_2")]
    assert kept_baseline(OTHER_WORDS, samples) == ("bas_1",)


@pytest.mark.parametrize("view", [OTHER_VOICE, OTHER_SPEAKER])
def test_another_voice_gets_a_baseline_now(view: View) -> None:
    assert kept_baseline(view, [made(VIEW, "bas_1", live=True)]) is None


def test_a_trial_of_another_voice_that_is_taken_back_leads_to_the_newest_sample_from_before() -> None:
    samples = [made(VIEW, "bas_1"), made(VIEW, "bas_2"), made(OTHER_VOICE, "bas_3", live=True)]
    assert kept_baseline(VIEW, samples) == ("bas_2",)


def test_without_a_voice_only_the_same_view_is_kept() -> None:
    silent = replace(VIEW, feature_digests=("d_face",), voice=None)
    assert kept_baseline(silent, [made(VIEW, "bas_1", live=True)]) is None
    assert kept_baseline(silent, [made(silent, live=True)]) == ()
