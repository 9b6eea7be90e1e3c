"""Compose: the baseline that a sample keeps, the turns before it, and what is missing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agents.questions.prompting import annotation_request
from pipeline.facts import stretch_key
from pipeline.project import Project
from pipeline.stages.base import Run
from pipeline.stages.compose import ComposeStage
from pipeline.stages.speakers import SpeakersStage
from review_ui.views import blind_view
from schemas.parts import SpeakerTurn
from schemas.records import Baseline, Features, Sample, Segment
from schemas.settings_models import AnnotatorSection
from schemas.taxonomy import load_taxonomy
from tests.pipeline.records import face, heard, make_run, place, project_in, segment, source, voice


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with project_in(tmp_path / "project") as opened:
        yield opened


def compose(run: Run) -> dict[str, Sample]:
    """What stands after the stage, by segment id."""
    stage = ComposeStage()
    items = stage.plan(run)
    stage.work(run, items)
    stage.finish(run)
    assert run.failures == {}
    return {sample.segment_id: sample for sample in run.samples}


def talkers(
    project: Project,
    count: int,
    *,
    speaker: str | None = "ann",
    text: str = "well",
    rebaseline: bool = False,
) -> Run:
    """A run over `count` recordings of one segment each; every one is a little higher than the last."""
    run = make_run(project, rebaseline=rebaseline)
    for n in range(count):
        of = source(n)
        part = segment(of, 0)
        place(run, of, [(part, [heard(part, text), voice(part, 100 + 10 * n), face(part)])], speaker=speaker)
    return run


def test_a_sample_keeps_its_baseline_and_rebaseline_moves_it(project: Project) -> None:
    first = compose(talkers(project, 3))
    (baseline,) = project.store.all(Baseline)
    assert (baseline.subject, baseline.segments) == ("speaker:ann", 3)
    assert {sample.baseline_ids for sample in first.values()} == {(baseline.id,)}
    assert all(measure.z is not None for s in first.values() for measure in s.prosody[:1])

    run = talkers(project, 4)
    later = compose(run)
    assert {key: later[key] for key in first} == first
    (new,) = [sample for key, sample in later.items() if key not in first]
    assert run.counts["samples"] == 1
    assert [b.segments for b in project.store.all(Baseline)] == [3, 4]
    assert new.baseline_ids == (project.store.all(Baseline)[1].id,)

    moved = compose(talkers(project, 4, rebaseline=True))
    assert {sample.baseline_ids for sample in moved.values()} == {new.baseline_ids}
    assert compose(talkers(project, 4)) == moved  # what stands is the newest view, and it stays
    assert project.store.live_ids(Sample) == {sample.id for sample in moved.values()}


def test_a_rebaseline_that_was_cut_off_has_moved_nothing(project: Project) -> None:
    first = compose(talkers(project, 3))
    run, stage = talkers(project, 4, rebaseline=True), ComposeStage()
    items = stage.plan(run)
    assert len(items) == 4
    stage.work(run, items[:2])  # and then it was killed
    later = compose(talkers(project, 4))
    assert {key: later[key] for key in first} == first


def test_a_rebaseline_back_to_an_earlier_baseline_stays(project: Project) -> None:
    first = compose(talkers(project, 3))
    moved = compose(talkers(project, 4, rebaseline=True))
    back = compose(talkers(project, 3, rebaseline=True))
    assert back == first
    assert {sample.baseline_ids for sample in moved.values()} != {s.baseline_ids for s in back.values()}
    assert compose(talkers(project, 3)) == first


def test_a_trial_of_other_words_that_is_taken_back_leads_to_the_samples_from_before(project: Project) -> None:
    first = compose(talkers(project, 3))
    trial = compose(talkers(project, 4, text="other"))
    assert {trial[key].baseline_ids for key in first} == {s.baseline_ids for s in first.values()}
    back = compose(talkers(project, 4))
    assert {key: back[key] for key in first} == first


def test_the_words_of_people_who_took_their_consent_back_are_nobodys_context(project: Project) -> None:
    run, of = make_run(project), source(1)
    parts = [segment(of, n) for n in range(4)]
    texts = ("a xylophone", "so it is", "yes quite zanzibar", "well")
    words = [heard(part, text) for part, text in zip(parts, texts, strict=True)]
    mixed = [
        word.model_copy(update={"speaker": "bob" if word.text == "zanzibar" else "ann"})
        for word in words[2].words
    ]
    words[2] = words[2].model_copy(update={"words": tuple(mixed)})
    found = [(part, [said, voice(part, 100), face(part)]) for part, said in zip(parts, words, strict=True)]
    place(run, of, found, speaker="ann")
    run.facts[of.id][stretch_key(0.0, 5.0)] = {"speaker": "bob"}
    before = compose(run)
    assert [turn.text for turn in before[parts[2].id].context] == ["a xylophone", "so it is"]
    assert "zanzibar" in shown(before[parts[3].id])

    run.facts["speaker:bob"] = {"consent": "withdrawn"}
    after = compose(run)
    assert [turn.text for turn in after[parts[2].id].context] == ["so it is"]
    assert [turn.text for turn in after[parts[3].id].context] == ["so it is", "yes quite"]
    assert after[parts[2].id].id != before[parts[2].id].id
    assert project.store.live_ids(Sample) == {sample.id for sample in after.values()}
    for part in parts[1:]:
        assert "xylophone" not in shown(after[part.id])
    assert "zanzibar" not in shown(after[parts[3].id])


def shown(sample: Sample) -> str:
    """All that is told of a sample: its prompt, and the page before the blind label."""
    section = AnnotatorSection(name="a", provider="openai_compatible", model="m")
    request = annotation_request(sample, load_taxonomy("ekman7"), section)
    return f"{request} {blind_view(sample, has_clip=False)}"


def test_too_little_speech_gives_no_baseline(project: Project) -> None:
    composed = compose(talkers(project, 2))
    assert {sample.baseline_ids for sample in composed.values()} == {()}
    assert all(measure.z is None for sample in composed.values() for measure in sample.prosody)


def test_without_a_declared_speaker_a_recording_is_its_own_baseline(project: Project) -> None:
    assert {sample.baseline_ids for sample in compose(talkers(project, 4, speaker=None)).values()} == {()}
    run, of = make_run(project), source(9)
    parts = [segment(of, n) for n in range(3)]
    place(
        run, of, [(part, [heard(part, "so"), voice(part, 200), face(part)]) for part in parts], speaker=None
    )
    (ids,) = {sample.baseline_ids for sample in compose(run).values()}
    assert [b.subject for b in project.store.by_id(Baseline, list(ids))] == [f"source:{of.id}"]


def test_other_words_make_another_sample(project: Project) -> None:
    of = source(1)
    part = segment(of, 0)
    views = []
    for text in ("no", "yes", "no"):
        run = make_run(project)
        place(run, of, [(part, [heard(part, text), voice(part, 100), face(part)])], speaker=None)
        views.append(compose(run)[part.id])
    assert [view.words[0].text for view in views] == ["no", "yes", "no"]
    assert views[0] == views[2]


def test_the_last_turns_of_the_same_recording_are_context(project: Project) -> None:
    run, of, other = make_run(project), source(1), source(2)
    texts = ["one", "two", "", "four", "five"]
    parts = [segment(of, n) for n in range(len(texts))]
    place(
        run, of, [(p, [heard(p, t), voice(p, 100), face(p)]) for p, t in zip(parts, texts, strict=True)],
        speaker="ann",
    )  # fmt: skip
    stranger = segment(other, 0)
    place(
        run, other, [(stranger, [heard(stranger, "hi"), voice(stranger, 90), face(stranger)])], speaker="bob"
    )
    composed = compose(run)
    told = [[turn.text for turn in composed[part.id].context] for part in parts]
    # Nobody spoke in the third: it is one of the two turns before the fourth, and has nothing to tell.
    assert told == [[], ["one"], ["one", "two"], ["two"], ["four"]]
    assert {turn.speaker for turn in composed[parts[4].id].context} == {"ann"}
    assert composed[stranger.id].context == ()


def test_what_is_missing_is_said_with_its_reason(project: Project) -> None:
    run, of, sound = make_run(project), source(1), source(2, video=False)
    silent, wordless, faceless, voiceless, turned = (segment(of, n) for n in range(5))
    place(
        run, of,
        [
            (silent, [heard(silent, "", missing="no_speech"), voice(silent, 1, missing="silence"), face(silent)]),
            (wordless, [heard(wordless, ""), voice(wordless, 100), face(wordless)]),
            (faceless, [heard(faceless, "so"), voice(faceless, 100), face(faceless, missing="no_face")]),
            (voiceless, [heard(voiceless, "so")]),
            (turned, [heard(turned, "so"), voice(turned, 100), face(turned, level=None)]),
        ],
        speaker=None,
    )  # fmt: skip
    alone = segment(sound, 0)
    place(run, sound, [(alone, [heard(alone, "so"), voice(alone, 100)])], speaker=None)
    composed = compose(run)
    assert composed[silent.id].missing == {"text": "no_speech", "audio": "silence"}
    assert composed[silent.id].prosody == ()
    assert composed[wordless.id].missing == {"text": "no_words"}
    assert composed[faceless.id].missing == {"visual": "no_face"}
    assert composed[turned.id].missing == {"visual": "face_not_measurable"}
    assert composed[voiceless.id].missing == {"audio": "not_extracted", "visual": "not_extracted"}
    assert composed[alone.id].missing == {"visual": "no_video_stream"}
    assert (composed[faceless.id].target.face_track, composed[silent.id].target.face_track) == (None, "face0")
    assert (composed[alone.id].key_frames, composed[wordless.id].key_frames != ()) == ((), True)


def test_a_segment_waits_for_features_that_failed(project: Project) -> None:
    run, of = make_run(project), source(1)
    ready, waiting = segment(of, 0), segment(of, 1)
    place(run, of, [(ready, [heard(ready, "so")]), (waiting, [heard(waiting, "no")])], speaker=None)
    run.feature_ids[waiting.id]["prosody"] = voice(waiting, 100).id  # wanted, and never made
    assert set(compose(run)) == {ready.id}


def test_low_quality_words_are_called_so(project: Project) -> None:
    run, of = make_run(project), source(1)
    part = segment(of, 0)
    place(run, of, [(part, [heard(part, "so", notes=("low_quality_asr",))])], speaker=None)
    assert compose(run)[part.id].words_source == "sidecar (low quality)"


# --- several people ----------------------------------------------------------------------------------


def of_voice(of: Segment, pitch_hz: float, where: list[list[float]] | None) -> Features:
    """A voice that was measured in some stretches alone."""
    return Features.model_validate({**voice(of, pitch_hz).model_dump(), "params": {"where": where}})


def debate(
    project: Project, parts: int = 3, *, facts: dict[str, str] | None = None
) -> tuple[Run, list[Segment]]:
    """A low and a high voice take turns in every segment; a face is seen in each, and a second one that rests."""
    run, of = make_run(project), source(1)
    segments = [segment(of, n) for n in range(parts)]
    turns = [
        SpeakerTurn(speaker=name, start_s=5 * n + start_s, end_s=5 * n + end_s)
        for n in range(parts)
        for name, start_s, end_s in (("S0", 0.0, 2.0), ("S1", 2.0, 5.0))
    ]
    spoken = Features(subject_id=of.id, extractor="rttm", version="1", stage="diarize", turns=tuple(turns))
    found = []
    for n, part in enumerate(segments):
        heard_of = [of_voice(part, 100, [[0.0, 2.0]]), of_voice(part, 200, [[2.0, 5.0]])]
        found.append((part, [heard(part, f"one two three four five six seven eight nine {n}"), face(part)]))
        project.store.add(heard_of)
        run.feature_ids[part.id] = {f"prosody/S{i}": feature.id for i, feature in enumerate(heard_of)}
    kept = {part.id: dict(run.feature_ids[part.id]) for part in segments}
    place(run, of, found, speaker=None)
    for part in segments:
        run.feature_ids[part.id] |= kept[part.id]
    run.facts[of.id] |= facts or {}
    project.store.add([spoken])
    run.source_feature_ids = [spoken.id]
    return run, segments


def composed_all(run: Run) -> dict[tuple[str, str | None], Sample]:
    """What stands after speakers and compose, by segment and speaker."""
    for stage in (SpeakersStage(), ComposeStage()):
        stage.work(run, stage.plan(run))
        stage.finish(run)
    assert run.failures == {}
    return {(sample.segment_id, sample.target.speaker): sample for sample in run.samples}


def test_each_of_two_people_has_a_sample_and_a_baseline_of_their_own(project: Project) -> None:
    run, parts = debate(project)
    found = composed_all(run)
    assert set(found) == {(part.id, name) for part in parts for name in ("S0", "S1")}
    subjects = {b.id: b.subject for b in project.store.all(Baseline)}
    assert set(subjects.values()) == {f"source:{parts[0].source_id}/{name}" for name in ("S0", "S1")}
    for (_, name), sample in found.items():
        assert [subjects[i] for i in sample.baseline_ids] == [f"source:{parts[0].source_id}/{name}"]
        assert sample.prosody[0].value == (100 if name == "S0" else 200)
        assert sample.missing == {"visual": "face_unknown"}
        assert len(sample.others) == 1
    assert [word.text for word in found[parts[0].id, "S0"].own_words] == ["one", "two", "three", "four"]


def test_nothing_of_it_is_made_twice(project: Project) -> None:
    run, parts = debate(project)
    first = composed_all(run)
    again, _ = debate(project)
    assert SpeakersStage().plan(again) == []
    assert composed_all(again) == first
    assert again.counts["samples"] == 0
    assert {ref.features for ref in again.samples.refs} == {
        tuple(again.feature_ids[part.id][key] for key in ("asr", "au", f"prosody/{name}", "speakers"))
        for part in parts
        for name in ("S0", "S1")
    }


def test_the_turns_before_bear_the_names_of_their_speakers(project: Project) -> None:
    run, parts = debate(project, facts={"speaker": "ann"})  # S1 speaks most
    found = composed_all(run)
    context = found[parts[1].id, "ann"].context
    assert [(turn.speaker, turn.text) for turn in context] == [
        ("S0", "one two three four"),
        ("ann", "five six seven eight nine 0"),
    ]
    assert found[parts[1].id, "S0"].context == context
    assert {word.speaker for word in found[parts[1].id, "S0"].words} == {"S0", "ann"}


@pytest.mark.parametrize(("turns", "texts"), [(0, []), (1, ["five six seven eight nine 1"]), (9, [])])
def test_as_many_turns_are_shown_as_are_wanted(tmp_path: Path, turns: int, texts: list[str]) -> None:
    with project_in(tmp_path / "project", f"[select]\ncontext_turns = {turns}\n") as project:
        run, parts = debate(project)
        context = composed_all(run)[parts[2].id, "S0"].context
        assert len(context) == min(turns, 4)
        assert turns > 1 or [turn.text for turn in context] == texts


def test_another_name_of_one_is_told_to_the_samples_of_all(project: Project) -> None:
    run, parts = debate(project)
    before = composed_all(run)
    run, _ = debate(project, facts={"speaker": "ann"})
    after = composed_all(run)
    assert before[parts[0].id, "S0"].id != after[parts[0].id, "S0"].id
    assert {turn.speaker for turn in after[parts[0].id, "S0"].turns} == {"S0", "ann"}
    assert after[parts[0].id, "S0"].baseline_ids == before[parts[0].id, "S0"].baseline_ids
    ann = project.store.by_id(Baseline, after[parts[0].id, "ann"].baseline_ids)
    assert [baseline.subject for baseline in ann] == ["speaker:ann"]


def test_a_face_that_nobody_hears_is_a_target_where_all_are_wanted(tmp_path: Path) -> None:
    with project_in(tmp_path / "project", '[select]\ntargets = "all"\n') as project:
        run, parts = debate(project)
        silent = composed_all(run)[parts[0].id, None]
        assert silent.target.key == "-/face0"
        assert silent.missing == {"text": "does_not_speak", "audio": "does_not_speak"}
        assert (silent.prosody, silent.baseline_ids, silent.own_words) == ((), (), ())
        assert len(silent.others) == 2


def test_who_is_never_alone_has_no_voice_to_show(project: Project) -> None:
    run, of = make_run(project), source(1)
    part = segment(of, 0)
    place(run, of, [(part, [heard(part, "so it is"), face(part)])], speaker=None)
    turns = tuple(SpeakerTurn(speaker=name, start_s=0, end_s=5) for name in ("S0", "S1"))
    spoken = Features(subject_id=of.id, extractor="rttm", version="1", stage="diarize", turns=turns)
    unheard = of_voice(part, 100, []).model_dump() | {"missing": "never_alone", "series": (), "summary": {}}
    for name in ("S0", "S1"):
        run.feature_ids[part.id][f"prosody/{name}"] = Features.model_validate(unheard).id
    project.store.add([spoken, Features.model_validate(unheard)])
    run.source_feature_ids = [spoken.id]
    found = composed_all(run)
    assert {sample.missing["audio"] for sample in found.values()} == {"never_alone"}
    assert len({sample.id for sample in found.values()}) == 2
