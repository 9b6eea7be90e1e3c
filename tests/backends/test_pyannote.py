"""pyannote.audio as published, in its own environment: a trained model of turns, a random one of voices."""

from __future__ import annotations

import json
import shutil
import subprocess
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.features.base import SAMPLE_RATE_HZ, Audio
from pipeline.features.diarize_pyannote import SCRIPT, PyannoteDiarizer, PyannoteParams
from pipeline.features.recordings import Recording
from pipeline.features.rttm import read_turns, split_rttm
from pipeline.features.speech_pyannote import VERSION
from pipeline.features.worker import build_environment, uv_binary
from schemas.errors import ItemError, UserError
from schemas.parts import AudioFacts, MediaFacts, SpeakerTurn
from schemas.records import Features, Source
from tests.features.voice_media import load
from tests.pipeline.project import done_well, emotrace, ingested, stored, write_settings

HERE = Path(__file__).parent
# Of the meeting: both speak, one after the other; short, because the model of voices is slow without a GPU.
START_S, END_S = 10.0, 18.0
SETTINGS = """\
[segment]
rule = "whole"
[features.diarize]
backend = "pyannote"
weights = "{weights}"
num_speakers = {speakers}
[features.asr]
enabled = false
[features.prosody]
enabled = false
"""
Media = Callable[[str], Path]


@pytest.fixture(scope="session")
def python() -> str:
    """The interpreter of the worker's environment, which is made when it is not there."""
    build_environment(SCRIPT)
    command = [uv_binary(), "python", "find", "--script", str(SCRIPT)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def run_inside(python: str, script: str, *arguments: str | Path) -> str:
    """What a script of this folder prints in the worker's environment."""
    command = [python, str(HERE / script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="session")
def weights(python: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pyannote") / "pipeline"
    run_inside(python, "tiny_pyannote.py", folder)
    return folder


def write_wav(path: Path, audio: Audio) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE_HZ)
        file.writeframes((np.clip(audio, -1, 1) * 32767).astype("<i2").tobytes())
    return path


@pytest.fixture(scope="session")
def meeting(media: Media, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A piece of a real meeting of two."""
    audio = load(media("audio/ami_dev00.wav"))
    piece = audio[round(START_S * SAMPLE_RATE_HZ) : round(END_S * SAMPLE_RATE_HZ)]
    return write_wav(tmp_path_factory.mktemp("meeting") / "meeting.wav", piece)


def spoken(turns: list[SpeakerTurn], from_s: float, to_s: float) -> np.ndarray:
    """Whether somebody speaks, for every 10 ms of a stretch."""
    clock = np.arange(from_s, to_s, 0.01)
    return np.any([(turn.start_s <= clock) & (clock < turn.end_s) for turn in turns], axis=0)


def recording(path: Path, length_s: float = END_S - START_S) -> Recording:
    facts = MediaFacts(
        kind="audio",
        container="wav",
        duration_s=length_s,
        audio=(AudioFacts(codec="pcm_s16le", sample_rate_hz=SAMPLE_RATE_HZ, channels=1),),
    )
    return Recording(Source(sha256=f"{abs(hash(path)):064x}"[:64], size_bytes=1, media=facts), lambda: path)


def test_a_meeting_is_diarized_by_a_run_as_the_library_does_it(
    meeting: Path, weights: Path, python: str, media: Media, tmp_path: Path
) -> None:
    project = ingested(tmp_path / "project", SETTINGS.format(weights=weights, speakers=2), meeting)
    done_well(emotrace("run", "--local", "--project", project, "--json"))
    found = turns_of(project)
    published = json.loads(run_inside(python, "published_pyannote.py", meeting, weights, 2))
    end_s = END_S - START_S
    expected = [(who, a, min(b, end_s)) for a, b, who in published if a < end_s]
    assert sorted((t.speaker, t.start_s, t.end_s) for t in found.turns) == sorted(expected)
    assert {turn.speaker for turn in found.turns} == {"SPEAKER_00", "SPEAKER_01"}

    truth_file = media("audio/ami_debug.development.rttm")
    truth = [turn for _, turn in read_turns(split_rttm(truth_file)["dev00"], truth_file)]
    agree = spoken(list(found.turns), 0, end_s) == spoken(truth, START_S, END_S)[: round(end_s * 100)]
    assert np.mean(agree) > 0.8

    again = done_well(emotrace("run", "--local", "--project", project, "--json"))
    assert "diarize" not in again["this_run"]["stages"]
    write_settings(project, SETTINGS.format(weights=weights, speakers=1))
    done_well(emotrace("run", "--local", "--project", project, "--json"))
    assert {turn.speaker for turn in turns_of(project).turns} == {"SPEAKER_00"}
    shown = done_well(emotrace("show", "meeting.wav", "--project", project, "--json"))
    assert {turn["speaker"] for turn in shown["turns"]} == {"SPEAKER_00"}


def turns_of(project: Path) -> Features:
    with stored(project) as store:
        (source,) = store.all(Source)
        (found,) = [f for f in store.live(Features, [source.id]) if f.stage == "diarize"]
    assert (found.extractor, found.version) == ("pyannote", PyannoteDiarizer.version)
    assert len(found.weights_digest or "") == 64
    return found


def test_one_that_fails_does_not_end_the_shard(meeting: Path, weights: Path, tmp_path: Path) -> None:
    silence = write_wav(tmp_path / "silence.wav", np.zeros(3 * SAMPLE_RATE_HZ, np.float32))
    nothing = write_wav(tmp_path / "nothing.wav", np.zeros(0, np.float32))
    torn = tmp_path / "torn.wav"
    torn.write_bytes(meeting.read_bytes()[:20])
    diarizer = PyannoteDiarizer(PyannoteParams(weights=str(weights), device="cpu"))
    files = {path: recording(path) for path in (torn, silence, nothing)}
    results = {one.audio(): result for one, result in diarizer.diarize(files.values())}
    failed = results[torn]
    assert isinstance(failed, ItemError)
    assert failed.code == "clip_failed"
    for path in (silence, nothing):
        found = results[path]
        assert isinstance(found, Features)
        assert (found.turns, found.missing) == ((), "no_speech")


def test_speech_of_a_meeting_cuts_its_segments(meeting: Path, python: str, tmp_path: Path) -> None:
    settings = "[segment]\nrule = 'speech'\nvad = '{vad}'\n[features.asr]\nenabled = false\n"
    project = ingested(tmp_path / "project", settings.format(vad="pyannote"), meeting)
    run = done_well(emotrace("run", "--local", "--project", project, "--json"))
    assert run["segments"] > 0
    shown = done_well(emotrace("show", "meeting.wav", "--project", project, "--json"))
    assert all(item["segment"]["params"]["vad"] == VERSION for item in shown["items"])
    # It speaks from 10.0 to 13.31 s and from 13.15 to 16.92 s of the meeting.
    assert 0.8 < sum(s["end_s"] - s["start_s"] for s in shown["speech"]) / (16.92 - START_S) < 1.2
    again = done_well(emotrace("run", "--local", "--project", project, "--json"))
    assert "segment" not in again["this_run"]["stages"]

    write_settings(project, settings.format(vad="silero"))
    done_well(emotrace("run", "--local", "--project", project, "--json"))
    other = done_well(emotrace("show", "meeting.wav", "--project", project, "--json"))
    assert all("vad" not in item["segment"]["params"] for item in other["items"])
    assert other["speech"] != shown["speech"]


@pytest.mark.parametrize(("change", "code"), [("weights", "weights_unreadable"), ("device", "no_gpu")])
def test_what_every_recording_would_fail_of_ends_the_run(
    change: str, code: str, meeting: Path, weights: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(weights, tmp_path / "weights")
    if change == "weights":
        (copy / "embedding" / "pytorch_model.bin").write_bytes(b"cut off")
    device = "cuda" if change == "device" else "cpu"
    diarizer = PyannoteDiarizer(PyannoteParams.model_validate({"weights": str(copy), "device": device}))
    with pytest.raises(UserError) as caught:
        list(diarizer.diarize([recording(meeting)]))
    assert caught.value.code == code
    assert caught.value.remedy
    assert "\n" not in str(caught.value)
