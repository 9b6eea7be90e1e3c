"""The demo's recordings are made for real, once per run, and measured with the pipeline's own instruments."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest

from pipeline.commands.demo import (
    CLIPS,
    SPEAKERS,
    WORKER,
    DemoClip,
    make_demo_project,
    manifest,
    project_file,
)
from pipeline.features.au_mediapipe import MediapipeAus
from pipeline.features.base import Clip
from pipeline.features.prosody import CoreProsody
from pipeline.features.transcripts import read_cues
from pipeline.features.worker import run_worker
from pipeline.media.decode import decode
from pipeline.media.probe import probe
from pipeline.media.vad import speech_regions
from schemas.parts import MediaFacts
from schemas.records import Features, Segment, Source
from schemas.settings_file import load_settings

pytestmark = [pytest.mark.worker, pytest.mark.slow]

REST_S = 0.45  # the expression starts at 0.5 s
CLEAR_RISE = 0.3
SMILES = {"ada_joy", "ada_smile_sad_words", "bea_joy", "bea_silent_smile"}
FACES = {clip.name for clip in CLIPS if clip.face and clip.suffix == ".mp4"}


@dataclass(frozen=True)
class Demo:
    folder: Path
    progress: list[tuple[int, int, str]]

    def path(self, name: str) -> Path:
        [clip] = [clip for clip in CLIPS if clip.name == name]
        return self.folder / "media" / f"{name}{clip.suffix}"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    folder = tmp_path_factory.mktemp("demo")
    progress: list[tuple[int, int, str]] = []
    make_demo_project(folder, on_progress=lambda *seen: progress.append(seen))
    return Demo(folder, progress)


def whole(path: Path, facts: MediaFacts, **extra: Any) -> Clip:
    source = Source(sha256=hashlib.sha256(path.read_bytes()).hexdigest(), size_bytes=1, media=facts)
    segment = Segment(
        source_id=source.id, rule="whole", version="1", source_start_s=0, source_end_s=facts.duration_s, index=0,
    )  # fmt: skip
    return Clip(source, segment, path, **{"audio": None, "frames": None, **extra})


def sound(path: Path) -> npt.NDArray[np.float32]:
    """16 kHz mono."""
    with av.open(str(path)) as container:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=16_000)
        frames = [out for frame in container.decode(audio=0) for out in resampler.resample(frame)]
        frames += resampler.resample(None)
    return np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames])


@pytest.fixture(scope="module")
def faces(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Features]:
    """Action units of every clip with pictures, measured at the pipeline's own frame rate."""
    clips = []
    for path in sorted((demo.folder / "media").glob("*.mp4")):
        facts = probe(path)
        clips.append(
            whole(
                path, facts, frames=decode(path, facts, tmp_path_factory.mktemp("decoded") / path.stem).frames
            )
        )
    results = MediapipeAus().extract(clips)
    return {clip.path.stem: features for clip, features in results if isinstance(features, Features)}


@pytest.fixture(scope="module")
def voices(demo: Demo) -> dict[str, Features]:
    """Prosody of every clip with sound."""
    clips = []
    for clip in CLIPS:
        if clip.lines:
            path = demo.path(clip.name)
            audio = sound(path)
            clips.append(whole(path, probe(path), audio=audio, speech=speech_regions(audio)))
    results = CoreProsody().extract(clips)
    return {clip.path.stem: features for clip, features in results if isinstance(features, Features)}


def rise(features: Features, unit: str) -> float:
    """Highest value of an action unit above its median at rest, before the expression starts."""
    [series] = [series for series in features.series if series.name == unit and series.track == "f1"]
    seen = [
        (time_s, value)
        for time_s, value in zip(series.times_s, series.values, strict=True)
        if value is not None
    ]
    rest = float(np.median([value for time_s, value in seen if time_s <= REST_S]))
    return max(value for _, value in seen) - rest


def rising(faces: dict[str, Features], unit: str) -> set[str]:
    return {name for name in FACES if rise(faces[name], unit) >= CLEAR_RISE}


def test_project_lists_every_recording(demo: Demo) -> None:
    with (demo.folder / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(CLIPS) >= 10
    assert all((demo.folder / row["path"]).is_file() for row in rows)
    assert {row["speaker"] for row in rows} == set(SPEAKERS)
    assert {(row["license"], row["consent"], row["language"]) for row in rows} == {
        ("CC0-1.0", "synthetic", "en")
    }
    assert load_settings(demo.folder).release.split_policy == "single"
    assert [done for done, _, _ in demo.progress] == list(range(1, len(CLIPS) + 1))
    assert sorted(path.name for path in demo.folder.iterdir()) == [
        ".emotrace-demo",
        "emotrace.toml",
        "manifest.csv",
        "media",
    ]


@pytest.mark.parametrize("clip", CLIPS, ids=lambda clip: clip.name)
def test_streams_are_as_declared(demo: Demo, clip: DemoClip) -> None:
    facts = probe(demo.path(clip.name))
    assert 3.9 <= facts.duration_s <= 9
    if clip.suffix == ".wav":
        assert facts.kind == "audio"
        assert facts.audio[0].codec == "pcm_s16le"
        return
    assert facts.video is not None
    assert (facts.video.codec, facts.video.pixel_format) == ("h264", "yuv420p")
    assert (facts.video.width_px, facts.video.average_fps) == (384, 25.0)
    assert [audio.codec for audio in facts.audio] == (["aac"] if clip.lines else [])
    assert facts.notes == ()


def test_index_stands_before_the_pictures(demo: Demo) -> None:
    """A browser can play the file while it loads."""
    data = demo.path("ada_joy").read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")


def test_second_run_gives_the_same_bytes_and_moves_nothing(demo: Demo) -> None:
    def state() -> dict[str, tuple[int, int]]:
        return {str(path): (path.stat().st_mtime_ns, path.stat().st_ino) for path in demo.folder.rglob("*")
                if path.is_file()}  # fmt: skip

    settings = demo.folder / "emotrace.toml"
    settings.write_text(project_file() + "\n# edited by a person\n")
    before = state()
    make_demo_project(demo.folder)
    assert state() == before
    assert "edited by a person" in settings.read_text()


def test_a_clip_does_not_depend_on_those_before_it(demo: Demo, tmp_path: Path) -> None:
    [row] = [row for row in manifest(tmp_path) if row["id"] == "cleo_sad"]
    [message] = run_worker(WORKER, [row])
    assert message["type"] == "done"
    assert 0 < message["frame_ms"] <= message["dearest_frame_ms"]  # what `make bench NAME=demo_frames` reads
    assert Path(row["out"]).read_bytes() == demo.path("cleo_sad").read_bytes()


def test_one_broken_clip_does_not_stop_the_others(tmp_path: Path) -> None:
    broken, good = [row for row in manifest(tmp_path) if row["id"] in ("ada_voice_note", "bea_neutral")]
    rows = [{**good, "id": "no_voice", "voice": "xx-none"}, broken]
    messages = {message["id"]: message for message in run_worker(WORKER, rows)}
    assert messages["no_voice"]["type"] == "error"
    assert "xx-none" in messages["no_voice"]["message"]
    assert messages["ada_voice_note"]["type"] == "done"


def test_smile_rises_in_the_smile_clips_only(faces: dict[str, Features]) -> None:
    assert rising(faces, "AU12") == SMILES


def test_brows_are_lowered_in_the_anger_clip_only(faces: dict[str, Features]) -> None:
    assert rising(faces, "AU04") == {"cleo_anger"}


def test_brows_are_raised_in_surprise_and_inside_in_sadness(faces: dict[str, Features]) -> None:
    assert rising(faces, "AU01") == {"bea_surprise", "cleo_sad"}
    assert rising(faces, "AU02") == {"bea_surprise"}
    assert rising(faces, "AU05") == {"bea_surprise"}


def test_jaw_drops_in_surprise_most(faces: dict[str, Features]) -> None:
    assert max(FACES, key=lambda name: rise(faces[name], "AU26")) == "bea_surprise"


def test_lip_corners_sink_in_sadness_most(faces: dict[str, Features]) -> None:
    assert max(FACES, key=lambda name: rise(faces[name], "AU15")) == "cleo_sad"


def test_one_face_in_every_face_clip_and_none_in_the_pattern(faces: dict[str, Features]) -> None:
    assert faces["cleo_no_face"].missing == "no_face"
    assert {name: len(faces[name].tracks) for name in FACES} == dict.fromkeys(FACES, 1)
    assert all(faces[name].summary["face_share"] == 1.0 for name in FACES)


def test_speech_is_audible_and_never_clipped(demo: Demo) -> None:
    for clip in CLIPS:
        if clip.lines:
            audio = sound(demo.path(clip.name))
            assert np.sqrt(np.mean(audio**2)) > 0.01, clip.name
            assert np.abs(audio).max() < 1.0, clip.name


def test_speakers_differ_in_pitch_and_clips_in_manner(voices: dict[str, Features]) -> None:
    pitch_hz = {name: features.summary["pitch_median_hz"] for name, features in voices.items()}
    neutral = [pitch_hz[name] for name in ("cleo_neutral", "ada_neutral", "bea_neutral")]
    steps_st = 12 * np.diff(np.log2(neutral))
    assert (steps_st > 2).all(), neutral
    level_db = {name: features.summary["intensity_mean_db"] for name, features in voices.items()}
    assert pitch_hz["cleo_sad"] < pitch_hz["cleo_neutral"] < pitch_hz["cleo_anger"]
    assert level_db["cleo_sad"] < level_db["cleo_neutral"] < level_db["cleo_anger"]
    assert pitch_hz["bea_surprise"] > pitch_hz["bea_neutral"]
    assert pitch_hz["ada_joy"] > pitch_hz["ada_neutral"]
    assert level_db["ada_joy"] > level_db["ada_neutral"]


@pytest.mark.parametrize("speaker", SPEAKERS)
def test_every_speaker_has_enough_voice_for_a_baseline(voices: dict[str, Features], speaker: str) -> None:
    spoken = [
        voices[clip.name].summary["voiced_s"] for clip in CLIPS if clip.speaker == speaker and clip.lines
    ]
    assert len(spoken) >= 3
    assert sum(spoken) >= 10


def cue_files(demo: Demo) -> Iterator[tuple[str, Path]]:
    for clip in CLIPS:
        if clip.subtitles:
            yield clip.name, demo.path(clip.name).with_suffix(".srt")


def test_subtitles_hold_the_words_while_they_are_spoken(demo: Demo, voices: dict[str, Features]) -> None:
    texts = {clip.name: " ".join(line.text for line in clip.lines) for clip in CLIPS}
    for name, path in cue_files(demo):
        cues = read_cues(path.read_text(encoding="utf-8"), "srt", path.name)
        assert " ".join(text for cue in cues for _, text in cue.lines) == texts[name]
        [loud] = [series for series in voices[name].series if series.name == "intensity_db"]
        levels = dict(zip(loud.times_s, loud.values, strict=True))
        inside = [v for t, v in levels.items() if v is not None and cues[0].start_s <= t <= cues[-1].end_s]
        before = [v for t, v in levels.items() if v is not None and t < cues[0].start_s - 0.1]
        assert np.median(inside) > np.max(before) + 10, name


def test_some_recordings_have_no_transcript(demo: Demo) -> None:
    without = [
        clip.name for clip in CLIPS if clip.lines and not demo.path(clip.name).with_suffix(".srt").exists()
    ]
    assert len(without) >= 2
