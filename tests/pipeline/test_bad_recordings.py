"""Every kind of bad recording in one table: what is told of it, while all others are measured in the same run."""

from __future__ import annotations

import shutil
import wave
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from pipeline.features import au_mediapipe
from pipeline.ingest import ingest
from pipeline.outputs import FailedItem
from pipeline.project import open_project
from pipeline.run import local_engine, run
from schemas.records import Features, Segment
from tests.media_io.make import make_sound, make_video, tone
from tests.pipeline.project import write_settings
from tests.pipeline.records import Quiet

pytestmark = [pytest.mark.worker, pytest.mark.slow]

SETTINGS = """\
[segment]
rule = "whole"
[select]
require = "any"
[run]
workers = 2
[features.asr]
enabled = false
"""
KILLED_S, ABORTED_S, RAISING_S = 1.2, 1.4, 1.6  # by its length a worker knows the clip on which it is to end
END_OF_WORKER = f"""
def end_on(clip: dict[str, Any]) -> None:
    import os, signal
    length_s = round(clip["end_s"] - clip["start_s"], 3)
    if length_s == {KILLED_S}:
        os.kill(os.getpid(), signal.SIGKILL)  # as the system does when memory runs out
    if length_s == {ABORTED_S}:
        os.abort()
    if length_s == {RAISING_S}:
        raise ValueError("a picture that no library can read")
"""
MEASURED = None


@dataclass(frozen=True)
class Bad:
    """A recording, and what is told of its voice and face: why there is none, the failure, or MEASURED."""

    make: Callable[[Path], object]
    prosody: str | None = "no_speech"
    au: str | None = "no_face"


def torn(path: Path) -> None:
    make_video(path, frames=100, tones=(tone(4.0),))
    data = bytearray(path.read_bytes())
    third = len(data) // 3
    data[third : third + 600] = bytes(600)
    path.write_bytes(data)


def phone(path: Path) -> None:
    with av.open(str(path), "w") as out:
        stream = out.add_stream("pcm_mulaw", rate=8000, layout="mono")
        sound = (8000 * np.sin(np.arange(8000) / 8)).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(sound, format="s16", layout="mono")
        frame.sample_rate = 8000
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def no_length(path: Path) -> None:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))


def film_called_sound(path: Path) -> None:
    make_video(path.with_suffix(".mp4"), tones=(tone(2.0),)).rename(path)


def joined(path: Path) -> None:
    path.write_bytes(make_video(path, tones=(tone(2.0),)).read_bytes() * 2)


def of_length(length_s: float) -> Callable[[Path], object]:
    return lambda path: make_video(path, frames=round(25 * length_s))


def people(path: Path) -> None:
    """Two portraits side by side."""
    portrait = Image.open(path.parent / "portrait").resize((455, 568))
    both = Image.new("RGB", (910, 568))
    both.paste(portrait, (0, 0))
    both.paste(portrait, (455, 0))
    both.save(path)


TABLE = {
    "good.mp4": Bad(lambda path: make_video(path, frames=75, tones=(tone(3.0),))),
    "corrupt in the middle.mp4": Bad(torn),
    "no audio.mp4": Bad(make_video, prosody="no_audio_stream"),
    "no video.wav": Bad(lambda path: make_sound(path, tone(1.0)), au="no_video_stream"),
    "many faces.jpg": Bad(people, prosody="no_audio_stream", au=MEASURED),
    "one frame.mp4": Bad(lambda path: make_video(path, frames=1), prosody="no_audio_stream"),
    "phone.wav": Bad(phone, au="no_video_stream"),
    "film.wav": Bad(film_called_sound),
    "gone.wav": Bad(lambda path: make_sound(path, tone(1.1)), "missing_file", "missing_file"),
    "killed.mp4": Bad(of_length(KILLED_S), "no_audio_stream", "worker_crashed"),
    "aborted.mp4": Bad(of_length(ABORTED_S), "no_audio_stream", "worker_crashed"),
    "raising.mp4": Bad(of_length(RAISING_S), "no_audio_stream", "clip_failed"),
}
NO_RECORDINGS = {
    "nothing.mp4": (Path.touch, "empty_file"),
    "no length.wav": (no_length, "undecodable"),
    "joined.ts": (joined, "broken_times"),
}


@pytest.fixture
def worker_that_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real worker, but for three clips on which it is killed, aborts and raises."""
    text = au_mediapipe.SCRIPT.read_text("utf-8")

    work = "lambda clip: process_clip(clip, models, send)"
    assert text.count(work) == text.count("def main()") == 1
    text = text.replace(work, "lambda clip: end_on(clip) or process_clip(clip, models, send)")
    for imported in ("caller.py", "lean.py", "pictures.py"):
        shutil.copy(au_mediapipe.SCRIPT.with_name(imported), tmp_path)
    script = tmp_path / "worker.py"
    script.write_text(text.replace("def main()", f"{END_OF_WORKER}\n\ndef main()"), encoding="utf-8")
    monkeypatch.setattr(au_mediapipe, "SCRIPT", script)


@pytest.mark.usefixtures("worker_that_ends")
def test_each_fails_alone_and_says_why(tmp_path: Path, media: Callable[[str], Path]) -> None:
    folder = tmp_path / "recordings"
    folder.mkdir()
    (folder / "portrait").write_bytes(media("images/obama_portrait.jpg").read_bytes())
    for name, bad in TABLE.items():
        bad.make(folder / name)
    for name, (make, _) in NO_RECORDINGS.items():
        make(folder / name)
    with open_project(write_settings(tmp_path / "project", SETTINGS)) as project:
        taken = ingest(project, [str(folder)])
        (folder / "gone.wav").unlink()
        told = run(project, local_engine(workers=2), progress=Quiet())
        segments = {segment.id: segment.source_id for segment in project.store.live(Segment)}
        measured = project.store.live(Features, list(segments))
        names = {stored.source_id: Path(stored.path).name for stored in project.store.paths().values()}

    assert {Path(str(f.path)).name: f.code for f in taken.failed} == {
        n: c for n, (_, c) in NO_RECORDINGS.items()
    }
    found: dict[str, dict[str, str | None]] = {name: {} for name in TABLE}
    for features in (one for one in measured if one.stage in ("prosody", "au")):
        found[names[segments[features.subject_id]]][features.stage] = features.missing
    for failure in told.failed_items:
        if failure.stage != "ingest":
            assert one_line_with_remedy(failure)
            stages = ("prosody", "au") if failure.stage == "segment" else (failure.stage,)
            found[Path(str(failure.path)).name] |= dict.fromkeys(stages, failure.code)
    assert found == {name: {"prosody": bad.prosody, "au": bad.au} for name, bad in TABLE.items()}
    faces = next(f for f in measured if f.stage == "au" and names[segments[f.subject_id]] == "many faces.jpg")
    assert len(faces.tracks) == 2


def one_line_with_remedy(failure: FailedItem) -> bool:
    return bool(failure.message and failure.retry) and "\n" not in failure.message + failure.retry
