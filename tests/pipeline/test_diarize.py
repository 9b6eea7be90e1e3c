"""The stage: one item per recording with sound, only what changed again; where it failed, segments wait."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.commands.show import show
from pipeline.ingest import ingest
from pipeline.outputs import RunOutput
from pipeline.project import Project
from pipeline.run import Execute, all_stages, local_engine, run
from schemas.records import Features, Sample, Source
from tests.features.test_diarize_rttm import line
from tests.media_io.make import make_sound, make_video, tone
from tests.pipeline.records import Quiet, project_in
from tests.pipeline.test_run import no_engine

SETTINGS = (
    "[segment]\nrule = 'fixed'\nwindow_s = 1.0\nmin_s = 0.2\n[select]\nrequire = 'any'\n"
    "[features.au]\nenabled = false\n[features.asr]\nenabled = false\n"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "recordings"
    folder.mkdir()
    for name in ("one", "two"):
        make_sound(folder / f"{name}.wav", tone(2.0 if name == "one" else 3.0))
    make_video(folder / "mute.mp4", frames=30)
    (folder / "one.rttm").write_text(line("one", "ann", 0, 1.5) + line("one", "bob", 1.2, 0.8))
    return folder


@pytest.fixture
def project(folder: Path, tmp_path: Path) -> Iterator[Project]:
    with project_in(tmp_path / "project", SETTINGS) as opened:
        ingest(opened, [str(folder)])
        yield opened


def run_local(project: Project, **flags: Any) -> RunOutput:
    return run(project, local_engine(), progress=Quiet(), **flags)


def turns(project: Project) -> dict[str, Features]:
    """Name of a recording -> what stands of its turns."""
    names = {stored.source_id: Path(path).name for path, stored in project.store.paths().items()}
    found = project.store.live(Features, [source.id for source in project.store.all(Source)])
    return {names[f.subject_id]: f for f in found if f.stage == "diarize"}


def told(features: Features) -> list[tuple[str, float, float]]:
    return [(turn.speaker, turn.start_s, turn.end_s) for turn in features.turns]


def counting(items: dict[str, int]) -> Callable[[Callable[[Execute], None]], None]:
    """The local engine, which also notes how many items each stage was given."""

    def engine(body: Callable[[Execute], None]) -> None:
        def execute(stage: str, pieces: list[list[Any]], work: Callable[[list[Any]], None]) -> None:
            items[stage] = sum(map(len, pieces))
            for piece in pieces:
                work(piece)

        body(execute)

    return engine


def test_it_stands_between_segment_and_words() -> None:
    names = [stage.name for stage in all_stages()]
    assert names[names.index("segment") + 1 : names.index("asr") + 1] == ["diarize", "asr"]


def test_a_file_is_read_and_where_there_is_none_it_is_said(project: Project) -> None:
    assert run_local(project).failed_items == []
    found = turns(project)
    assert set(found) == {"one.wav", "two.wav"}  # a recording without sound has no item
    assert told(found["one.wav"]) == [("ann", 0, 1.5), ("bob", 1.2, 2.0)]
    assert (found["two.wav"].extractor, found["two.wav"].missing) == ("none", "not_diarized")
    run(project, no_engine, progress=Quiet())


def test_only_the_recording_whose_lines_changed_is_read_again(project: Project, folder: Path) -> None:
    run_local(project)
    before = turns(project)
    (folder / "two.rttm").write_text(line("two", "eve", 0.5, 1))
    items: dict[str, int] = {}
    run(project, counting(items), progress=Quiet())
    assert items["diarize"] == 1
    after = turns(project)
    assert after["one.wav"].id == before["one.wav"].id
    assert told(after["two.wav"]) == [("eve", 0.5, 1.5)]
    (folder / "two.rttm").unlink()
    run(project, no_engine, progress=Quiet())  # what stood before stands again, and nothing is missing
    assert turns(project)["two.wav"].id == before["two.wav"].id


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (line("two", "eve", 0.5, 9), "rttm_outside"),  # told when it is read
        (line("a") + line("b"), "rttm_of_others"),  # told when it is looked for
    ],
)
def test_segments_of_a_wrong_file_wait_and_the_others_go_on(
    text: str, code: str, project: Project, folder: Path
) -> None:
    (folder / "two.rttm").write_text(text)
    found = run_local(project)
    (failed,) = found.failed_items
    assert (failed.stage, failed.code, failed.path) == ("diarize", code, "two.wav")
    assert str(folder / "two.rttm") in failed.message
    assert failed.retry.endswith("then: emotrace run")
    assert "two.wav" not in turns(project)
    lengths = {source.id: source.media.duration_s for source in project.store.all(Source)}
    standing = {segment_of(project, sample) for sample in project.store.live(Sample)}
    assert {lengths[source_id] for source_id in standing} == {2.0, 1.2}
    again = run(project, no_engine, progress=Quiet())
    assert again.failed_items == found.failed_items

    (folder / "two.rttm").write_text(line("two", "eve", 0.5, 1))
    mended = run_local(project)
    assert mended.failed_items == []
    assert mended.samples == found.samples + 3


def segment_of(project: Project, sample: Sample) -> str:
    return show(project, sample.id).source["id"]


def test_a_recording_that_is_away_keeps_its_turns(project: Project, folder: Path) -> None:
    run_local(project)
    before = turns(project)
    folder.rename(folder.with_name("unmounted"))
    run(project, no_engine, progress=Quiet())
    assert turns(project) == before


def test_switched_off_it_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    with project_in(tmp_path / "off", SETTINGS + "[features.diarize]\nenabled = false\n") as project:
        ingest(project, [str(folder)])
        found = run_local(project)
        assert (found.failed_items, turns(project)) == ([], {})
        assert found.samples > 0


def test_a_named_backend_that_has_no_file_fails_the_recordings_without(folder: Path, tmp_path: Path) -> None:
    with project_in(tmp_path / "named", SETTINGS + "[features.diarize]\nbackend = 'rttm'\n") as project:
        ingest(project, [str(folder)])
        (failed,) = run_local(project).failed_items
        assert (failed.path, failed.code) == ("two.wav", "rttm_missing")
        assert told(turns(project)["one.wav"])


def test_show_tells_the_turns(project: Project) -> None:
    run_local(project)
    one = show(project, "one.wav")
    assert one.turns == [
        {"start_s": 0.0, "end_s": 1.5, "speaker": "ann"},
        {"start_s": 1.2, "end_s": 2.0, "speaker": "bob"},
    ]
    assert show(project, "two.wav").turns_missing == "not_diarized"
