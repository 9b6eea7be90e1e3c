"""An unchanged project is recognised in one look, and whatever matters makes a run look at every item again."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline import unchanged as one_look
from pipeline.features import backends
from pipeline.features.asr_aligners import TORCH_MODELS, torch_folder
from pipeline.features.worker import build_environment
from pipeline.ingest import ingest
from pipeline.outputs import RunOutput
from pipeline.project import Project, open_project
from pipeline.run import local_engine, run
from schemas.errors import UserError
from schemas.records import Annotation, Review, Sample
from tests.media_io.make import make_sound, tone
from tests.pipeline.project import LEXICON_ALONE, write_settings
from tests.pipeline.records import Quiet


@dataclass(frozen=True)
class Place:
    """A project and its recordings; each step opens the project anew, as a command does."""

    project: Path
    recordings: Path

    def run(self) -> RunOutput:
        with open_project(self.project) as project:
            return run(project, local_engine(), progress=Quiet())

    def is_known(self) -> bool:
        """Whether the next run would not look at every item."""
        with open_project(self.project) as project:
            return one_look.unchanged(project, one_look.look(project)) is not None

    def transcript(self, words: str) -> None:
        self.recordings.joinpath("a.srt").write_text(f"1\n00:00:00,100 --> 00:00:00,900\n{words}\n", "utf-8")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    found = Place(tmp_path / "project", tmp_path / "recordings")
    found.recordings.mkdir()
    for name, length_s in (("a", 1.0), ("b", 1.5)):
        make_sound(found.recordings / f"{name}.wav", tone(length_s, from_s=0.2))
    found.transcript("I am so happy")
    with open_project(write_settings(found.project, LEXICON_ALONE)) as project:
        ingest(project, [str(found.recordings)])
    assert not found.is_known()
    assert found.run().failed_items == []
    return found


def test_the_second_run_tells_what_a_whole_look_tells(place: Place) -> None:
    assert place.is_known()
    with open_project(place.project) as project:
        quick = one_look.nothing_to_do(project)
        assert len(project.store.runs()) == 2
    assert quick is not None
    whole = place.run()
    leave_out = {"wall_s": True, "this_run": {"wall_s"}}
    assert quick.model_dump(exclude=leave_out) == whole.model_dump(exclude=leave_out)  # type: ignore[arg-type]
    assert place.is_known()


def edit_transcript(place: Place) -> None:
    place.transcript("I am so sad")


def add_transcript(place: Place) -> None:
    shutil.copy(place.recordings / "a.srt", place.recordings / "b.srt")


def change_setting(place: Place) -> None:
    write_settings(place.project, LEXICON_ALONE + "[policy]\nmin_labelled = 1\n")


def say_something(place: Place) -> None:
    with open_project(place.project) as project:
        ingest(project, [str(place.recordings)], facts={"speaker": "ann"})


def add_recording(place: Place) -> None:
    make_sound(place.recordings / "c.wav", tone(2.0, from_s=0.3))
    with open_project(place.project) as project:
        ingest(project, [str(place.recordings)])


def take_a_recording_away(place: Place) -> None:
    (place.recordings / "b.wav").rename(place.project / "b.wav")


def touch_a_recording(place: Place) -> None:
    os.utime(place.recordings / "b.wav", ns=(1, 1))


def delete_a_clip(place: Place) -> None:
    clips = sorted(place.project.glob("cache/**/clip.mp4"))
    assert clips, "nobody waits for a clip"
    clips[0].unlink()


def review(place: Place) -> None:
    with open_project(place.project) as project:
        (sample, *_) = project.store.live(Sample)
        said = Review(
            segment_id=sample.segment_id, target=sample.target, taxonomy=project.taxonomy.digest,
            reviewer="ann", phase="blind", at="2026-01-01T00:00:00.000+00:00", cannot_tell=True,
        )  # fmt: skip
        project.store.add([said])


def let_a_record_stand_no_longer(place: Place) -> None:
    with open_project(place.project) as project:
        project.store.set_live(Annotation, [])


def break_the_note(place: Place) -> None:
    (place.project / one_look.STATE_FILE).write_text('{"state": 1}', "utf-8")


CHANGES: list[Callable[[Place], None]] = [
    edit_transcript,
    add_transcript,
    change_setting,
    say_something,
    add_recording,
    take_a_recording_away,
    touch_a_recording,
    delete_a_clip,
    review,
    let_a_record_stand_no_longer,
    break_the_note,
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_whatever_matters_makes_a_run_look_again(place: Place, change: Callable[[Place], None]) -> None:
    change(place)
    assert not place.is_known()


def test_a_changed_program_looks_again(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "program"
    (program / "pipeline").mkdir(parents=True)
    (program / "pipeline" / "run.py").write_text("1\n")
    monkeypatch.setattr(one_look, "PROGRAM", program)
    assert not place.is_known()
    place.run()
    assert place.is_known()
    (program / "pipeline" / "run.py").write_text("12\n")
    assert not place.is_known()


def test_weights_that_are_named_are_looked_at(place: Place, tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    weights.mkdir()
    (weights / "model.bin").write_bytes(b"one")
    write_settings(place.project, LEXICON_ALONE + f'[features.asr]\nweights = "{weights}"\n')

    def outside(project: Project) -> str:
        return one_look.look(project).outside

    with open_project(place.project) as project:
        before = outside(project)
        assert outside(project) == before
        (weights / "model.bin").write_bytes(b"three")
        assert outside(project) != before


def test_alignment_models_that_torch_keeps_are_looked_at(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    place.run()
    torch_folder().mkdir(parents=True)
    (torch_folder() / "resnet.pth").write_bytes(b"nothing that anything here would take")
    assert place.is_known()
    (torch_folder() / TORCH_MODELS["en"][1]).write_bytes(b"one")
    assert not place.is_known()


def tiny_wheel(folder: Path) -> Path:
    """A package that needs no network."""
    path = folder / "tiny-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("tiny.py", "")
        wheel.writestr("tiny-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1\n")
        wheel.writestr(
            "tiny-1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr("tiny-1.dist-info/RECORD", "")
    return path


@pytest.mark.worker
@pytest.mark.parametrize("backend", ["auto", "mediapipe"])
def test_an_environment_that_auto_waits_for_is_looked_at(
    backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    monkeypatch.setattr(backends, "WORKERS", tmp_path)
    script, needs = tmp_path / "pyfeat_faces.py", f'["tiny @ {tiny_wheel(tmp_path).as_uri()}"]'
    script.write_text(f'# /// script\n# requires-python = ">=3.11"\n# dependencies = {needs}\n# ///\n')
    weights = tmp_path / "weights"
    weights.mkdir()
    option = f'weights = "{weights}"\n' if backend == "auto" else ""
    settings = write_settings(tmp_path / "project", f'[features.au]\nbackend = "{backend}"\n{option}')
    backends.built.cache_clear()
    with open_project(settings) as project:
        before = one_look.look(project).outside
        build_environment(script)
        backends.built.cache_clear()
        assert (one_look.look(project).outside != before) is (backend == "auto")
    backends.built.cache_clear()


def test_a_run_that_is_cut_off_leaves_nothing_known(place: Place) -> None:
    change_setting(place)

    def cut_off(_body: object) -> None:
        raise UserError("stopped", "somebody pulled the plug", "plug it in")

    edit_transcript(place)
    with open_project(place.project) as project, pytest.raises(UserError, match="plug"):
        run(project, cut_off, progress=Quiet())
    write_settings(place.project, LEXICON_ALONE)
    place.transcript("I am so happy")
    assert not place.is_known()


def test_a_failed_item_is_looked_at_every_time(place: Place) -> None:
    take_a_recording_away(place)
    make_sound(place.recordings / "c.wav", tone(2.0, from_s=0.3))
    with open_project(place.project) as project:
        ingest(project, [str(place.recordings)])
    (place.recordings / "c.wav").unlink()
    assert [item.code for item in place.run().failed_items] == ["missing_file"]
    assert not place.is_known()
