"""A transcript that names two people tells them apart without RTTM or diarizer: each has a voice and words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.ingest import ingest
from pipeline.project import Project
from pipeline.run import run
from pipeline.stages.compose import ComposeStage
from schemas.records import Features
from tests.pipeline.records import Quiet, heard, make_run, place, project_in, segment, source
from tests.pipeline.test_run import no_engine
from tests.pipeline.test_two_people import HIGH_HZ, LOW_HZ, SETTINGS, both, items, measure, talk, up_to_date

NAMED = """1
00:00:00,000 --> 00:00:04,200
ANNA: I am so happy, what a wonderful picnic!

2
00:00:04,500 --> 00:00:08,500
BEN: I hate this invoice, it makes me furious.
"""


@pytest.fixture
def srt(tmp_path: Path) -> Path:
    folder = tmp_path / "recordings"
    folder.mkdir()
    path = talk(folder, "pair", "")
    path.with_suffix(".rttm").unlink()
    path.with_suffix(".srt").write_text(NAMED, encoding="utf-8")
    return path.with_suffix(".srt")


@pytest.fixture
def project(srt: Path, tmp_path: Path) -> Iterator[Project]:
    with project_in(tmp_path / "project", SETTINGS + "[features.au]\nenabled = false\n") as opened:
        ingest(opened, [str(srt.parent)])
        yield opened


def own_words(project: Project) -> dict[str, list[str]]:
    return {name: [word.text for word in item.sample.own_words] for name, item in items(project).items()}


def test_each_has_their_own_words_and_voice(project: Project) -> None:
    up_to_date(project)
    found = items(project)
    assert set(found) == {"ANNA", "BEN"}
    assert measure(found["ANNA"], "pitch_median_hz") == pytest.approx(LOW_HZ, rel=0.15)
    assert measure(found["BEN"], "pitch_median_hz") == pytest.approx(HIGH_HZ, rel=0.15)
    said = own_words(project)
    assert ("picnic!" in said["ANNA"], "furious." in said["ANNA"]) == (True, False)
    assert ("picnic!" in said["BEN"], "furious." in said["BEN"]) == (False, True)
    run(project, no_engine, progress=Quiet())


def test_a_declared_name_is_the_one_in_the_transcript_whatever_its_letters(project: Project) -> None:
    up_to_date(project)
    (source_id,) = {item.source.id for item in items(project).values()}
    project.store.add_facts([(source_id, "speaker", "ben ")])
    up_to_date(project)
    found = items(project)
    assert set(found) == {"ANNA", "ben "}
    assert found["ben "].facts["speaker"] == "ben "
    assert "furious." in own_words(project)["ben "]
    assert "picnic!" not in own_words(project)["ben "]
    assert measure(found["ben "], "pitch_median_hz") == pytest.approx(HIGH_HZ, rel=0.15)


def test_another_name_or_time_tells_anew_and_another_word_does_not(project: Project, srt: Path) -> None:
    def turns() -> str:
        up_to_date(project)
        (found,) = [f for f in project.store.live(Features) if f.stage == "diarize"]
        return found.id

    first = turns()
    srt.write_text(NAMED.replace("happy", "merry"), encoding="utf-8")
    assert turns() == first
    assert "merry," in own_words(project)["ANNA"]
    srt.write_text(NAMED.replace("BEN", "BOB"), encoding="utf-8")
    assert turns() != first
    assert set(items(project)) == {"ANNA", "BOB"}


def test_people_whom_a_program_counted_are_called_as_in_the_transcript(project: Project, srt: Path) -> None:
    srt.with_suffix(".rttm").write_text(both("pair"), encoding="utf-8")
    up_to_date(project)
    found = items(project)
    assert set(found) == {"ANNA", "BEN"}
    assert {turn.speaker for turn in found["BEN"].sample.turns} == {"ANNA", "BEN"}
    srt.write_text(NAMED.replace("ANNA", "EVE"), encoding="utf-8")
    up_to_date(project)
    assert set(items(project)) == {"EVE", "BEN"}
    (source_id,) = {item.source.id for item in found.values()}
    project.store.add_facts([(source_id, "speaker", "Ben")])  # though EVE speaks more
    up_to_date(project)
    assert set(items(project)) == {"EVE", "Ben"}
    assert measure(items(project)["Ben"], "pitch_median_hz") == pytest.approx(HIGH_HZ, rel=0.15)


def test_names_that_are_not_matched_give_their_words_by_time(project: Project, srt: Path) -> None:
    srt.with_suffix(".rttm").write_text(both("pair", "x1y", "x2y"), encoding="utf-8")
    up_to_date(project)
    said = own_words(project)
    assert set(said) == {"x1y", "x2y"}
    assert ("picnic!" in said["x1y"], "furious." in said["x1y"]) == (True, False)
    assert ("picnic!" in said["x2y"], "furious." in said["x2y"]) == (False, True)


def test_without_turns_the_declared_persons_words_are_found_in_any_letters(tmp_path: Path) -> None:
    with project_in(tmp_path) as project:
        opened, of = make_run(project), source(1)
        part = segment(of, 0)
        said = heard(part, "I love you I hate you")
        named = [
            word.model_copy(update={"speaker": "ANNA" if n < 3 else "BEN"})
            for n, word in enumerate(said.words)
        ]
        place(opened, of, [(part, [said.model_copy(update={"words": tuple(named)})])], speaker="anna")
        stage = ComposeStage()
        stage.work(opened, stage.plan(opened))
        stage.finish(opened)
        (sample,) = opened.samples
        assert [(word.text, word.speaker) for word in sample.own_words] == [
            ("I", "anna"), ("love", "anna"), ("you", "anna"),
        ]  # fmt: skip
