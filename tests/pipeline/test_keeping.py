"""The rule of baselines: a segment keeps those that stand for it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.stages.keeping import VIEW_VERSION, Made, View, kept_baselines
from pipeline.stages.targets import FACE, VOICE
from schemas.parts import Target, Turn
from schemas.records import Sample

COMPARED = {VOICE: "d_voice", FACE: "d_face"}
SUBJECTS = {VOICE: "speaker:ann", FACE: "speaker:ann"}
ANN = Target(speaker="ann", face_track="f1")
VIEW = View("seg_1", ANN, ("d_face", "d_voice", "d_words"), (Turn(text="hi"),), COMPARED, SUBJECTS)
OTHER_WORDS = replace(VIEW, feature_digests=("d_face", "d_other_words", "d_voice"))
OTHER_VOICE = replace(
    VIEW,
    feature_digests=("d_face", "d_other_voice", "d_words"),
    compared=COMPARED | {VOICE: "d_other_voice"},
)
OTHER_FACE = replace(
    VIEW, feature_digests=("d_other_face", "d_voice", "d_words"), compared=COMPARED | {FACE: "d_other_face"}
)
OTHER_TRACK = replace(VIEW, target=Target(speaker="ann", face_track="f2"))
OTHER_SPEAKER = replace(VIEW, target=Target(speaker="bob", face_track="f1"))
BOTH = {VOICE: "bas_1", FACE: "bas_2"}
LATER = {VOICE: "bas_3", FACE: "bas_4"}


def made(view: View, baselines: dict[str, str], *, live: bool = False) -> Made:
    subjects = {stage: view.subjects[stage] for stage in baselines}
    sample_id, target = view.sample_id(sorted(baselines.values())), view.target
    return Made(sample_id, baselines, subjects, view.feature_digests, target.speaker, target.key, live)


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


def test_a_new_segment_gets_baselines_now() -> None:
    assert kept_baselines(VIEW, []) == {}


@pytest.mark.parametrize(
    ("baselines", "kept"),
    [
        (BOTH, BOTH),
        ({}, {VOICE: None, FACE: None}),
        ({VOICE: "bas_1"}, {VOICE: "bas_1", FACE: None}),
    ],
)
def test_what_stands_is_kept_whatever_was_made_later(
    baselines: dict[str, str], kept: dict[str, str | None]
) -> None:
    """Also when there was none: a change of all baselines that was cut off has changed none."""
    samples = [made(VIEW, baselines, live=True), made(VIEW, LATER)]
    assert kept_baselines(VIEW, samples) == kept


def test_other_words_keep_what_voice_and_face_are_compared_with() -> None:
    samples = [made(VIEW, LATER), made(VIEW, BOTH, live=True), made(OTHER_WORDS, LATER)]
    assert kept_baselines(OTHER_WORDS, samples) == BOTH


@pytest.mark.parametrize(
    ("view", "kept"),
    [
        (OTHER_VOICE, {FACE: "bas_2"}),
        (OTHER_FACE, {VOICE: "bas_1"}),
        (OTHER_TRACK, {VOICE: "bas_1"}),
        (OTHER_SPEAKER, {}),
    ],
)
def test_what_is_measured_anew_or_is_of_another_person_gets_a_baseline_now(
    view: View, kept: dict[str, str]
) -> None:
    assert kept_baselines(view, [made(VIEW, BOTH, live=True)]) == kept


def test_who_is_declared_later_gets_the_baselines_of_that_speaker() -> None:
    """A transcript called them ann before, in this recording alone."""
    local = replace(VIEW, subjects=dict.fromkeys(SUBJECTS, "source:src_1/ann"))
    assert kept_baselines(VIEW, [made(local, BOTH, live=True)]) == {}
    assert kept_baselines(local, [made(local, BOTH, live=True)]) == BOTH


def test_a_trial_of_another_voice_that_is_taken_back_leads_to_the_newest_sample_from_before() -> None:
    trial = {VOICE: "bas_5", FACE: "bas_4"}
    samples = [made(VIEW, BOTH), made(VIEW, LATER), made(OTHER_VOICE, trial, live=True)]
    assert kept_baselines(VIEW, samples) == LATER


def test_where_nothing_is_compared_nothing_is_kept() -> None:
    silent = replace(VIEW, feature_digests=("d_words",), compared={})
    assert kept_baselines(silent, [made(VIEW, BOTH, live=True), made(silent, {}, live=True)]) == {}
