"""The driver: no engine without work, failures that stay with their item, and what a run counts."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.ingest import ingest
from pipeline.outputs import RunOutput
from pipeline.project import Project, open_project
from pipeline.run import Execute, all_stages, local_engine, run
from schemas.errors import UserError
from schemas.records import Sample, Segment
from tests.media_io.make import make_sound, tone
from tests.pipeline.records import Quiet, project_in

SETTINGS = "[segment]\nrule = 'whole'\n[features.au]\nenabled = false\n[features.asr]\nenabled = false\n"


def no_engine(_body: Callable[[Execute], None]) -> None:
    raise AssertionError("an engine was started")


def run_local(project: Project, **flags: Any) -> RunOutput:
    return run(project, local_engine(), progress=Quiet(), **flags)


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    folder = tmp_path / "sounds"
    folder.mkdir()
    for number in range(3):
        make_sound(folder / f"{number}.wav", tone(1.0 + number, from_s=0.2))
    return folder


def test_an_empty_project_starts_no_engine(tmp_path: Path) -> None:
    with project_in(tmp_path / "project") as project:
        found = run(project, no_engine, progress=Quiet())
    assert (found.sources, found.this_run.decodes, found.failed_items) == (0, 0, [])


def test_with_nothing_missing_no_engine_is_started(sounds: Path, tmp_path: Path) -> None:
    with project_in(tmp_path / "project", SETTINGS) as project:
        ingest(project, [str(sounds)])
        first = run_local(project)
        again = run(project, no_engine, progress=Quiet())
        assert (first.this_run.sources, first.this_run.decodes) == (3, 3)
        assert first.dropped == {"no_speech_or_face": 3}
        assert (again.this_run.sources, again.this_run.decodes) == (0, 0)
        assert (again.sources, again.samples, again.dropped) == (3, 3, first.dropped)
        assert [row["counts"]["decodes"] for row in project.store.runs()] == [3, 0]


def test_a_recording_that_is_gone_fails_alone_and_comes_back(sounds: Path, tmp_path: Path) -> None:
    away = tmp_path / "away.wav"
    with project_in(tmp_path / "project", SETTINGS) as project:
        ingest(project, [str(sounds)])
        shutil.move(sounds / "1.wav", away)
        found = run_local(project)
        (failed,) = found.failed_items
        assert (failed.stage, failed.code) == ("segment", "missing_file")
        assert str(sounds / "1.wav") in failed.message
        assert "emotrace run" in failed.retry
        assert (found.sources, found.segments) == (3, 2)
        assert [item.id for item in run(project, no_engine, progress=Quiet()).failed_items] == [failed.id]

        shutil.move(away, sounds / "1.wav")
        mended = run_local(project)
        assert (mended.failed_items, mended.segments, mended.this_run.decodes) == ([], 3, 1)
        assert run(project, no_engine, progress=Quiet()).failed_items == []


def test_a_recording_that_was_taken_out_of_sight_stands_while_its_records_do(
    sounds: Path, tmp_path: Path
) -> None:
    with project_in(tmp_path / "project", SETTINGS) as project:
        ingest(project, [str(sounds)])
        before = run_local(project)
        shutil.rmtree(sounds)
        after = run(project, no_engine, progress=Quiet())
        assert (after.samples, after.failed_items) == (before.samples, [])


def test_other_settings_make_other_segments_and_old_ones_come_back_free(sounds: Path, tmp_path: Path) -> None:
    root = tmp_path / "project"
    with project_in(root, SETTINGS) as project:
        ingest(project, [str(sounds)])
        run_local(project)
        whole = project.store.live_ids(Segment)
    with project_in(root, SETTINGS.replace("'whole'", "'fixed'\nwindow_s = 1.0\nmin_s = 0.2")) as project:
        windows = run_local(project)
        assert windows.segments > len(whole)
        assert not project.store.live_ids(Segment) & whole
        assert windows.this_run.decodes == 0  # the cache holds what they are cut from
    with project_in(root, SETTINGS) as project:
        back = run(project, no_engine, progress=Quiet())
        assert project.store.live_ids(Segment) == whole
        assert (back.segments, len(project.store.live_ids(Sample))) == (3, 3)


def test_a_segment_that_another_cut_numbered_otherwise_is_numbered_again(
    sounds: Path, tmp_path: Path
) -> None:
    with project_in(tmp_path / "project", SETTINGS) as project:
        ingest(project, [str(sounds)])
        run_local(project)
        store = project.store
        store.add([segment.model_copy(update={"index": 7}) for segment in store.live(Segment)])
        assert {segment.index for segment in store.live(Segment)} == {7}
        run(project, no_engine, progress=Quiet())
        assert {segment.index for segment in store.live(Segment)} == {0}


def test_a_wrong_setting_is_refused_before_any_work_is_stored(sounds: Path, tmp_path: Path) -> None:
    with project_in(tmp_path / "project", "[features.prosody]\nbackend = 'nobody'\n") as project:
        ingest(project, [str(sounds)])
        with pytest.raises(UserError, match="nobody"):
            run_local(project)
        assert project.store.live_ids(Sample) == set()
    with open_project(tmp_path / "project") as project:
        assert len(project.store.runs()) == 1  # also a run that was refused is remembered


def test_the_local_engine_begins_no_shard_after_a_failure() -> None:
    begun: list[int] = []
    failed = threading.Event()

    def work(shard: list[Any]) -> None:
        begun.append(shard[0])
        if shard[0] == 0:
            failed.set()
            raise UserError("no_space", "no space left")
        assert failed.wait(10)
        threading.Event().wait(0.2)

    def body(execute: Execute) -> None:
        execute("stage", [[n] for n in range(50)], work)

    with pytest.raises(UserError, match="no space left"):
        local_engine(workers=2)(body)
    assert len(begun) < 10


def test_stages_have_names_of_their_own() -> None:
    names = [stage.name for stage in all_stages()]
    assert len(names) == len(set(names))
    assert names[0] == "segment"
    assert names.index("compose") < names.index("annotate") < names.index("check") < names.index("decide")
