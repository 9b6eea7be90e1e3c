"""Shards that take turns on a GPU, and what a run tells of their models. The worker only says so."""

from __future__ import annotations

import io
import textwrap
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from pipeline.commands.printing import TerminalProgress
from pipeline.features import asr_whisperx, backends, environments, speech_pyannote
from pipeline.features.backends import built
from pipeline.ingest import ingest
from pipeline.project import Project
from pipeline.run import local_engine, run
from pipeline.stages.base import Progress
from schemas.errors import UserError
from tests.features.test_worker import HEADER
from tests.features.tiny_whisper import make_tiny_whisper
from tests.media_io.make import make_sound, tone
from tests.pipeline.records import Quiet, project_in

pytestmark = pytest.mark.worker
SETTINGS = """
[segment]
rule = "{rule}"
window_s = 1.0
vad = "{vad}"
[select]
require = "any"
[features.asr]
{asr}
[features.prosody]
enabled = false
[features.au]
enabled = false
"""
BEGIN = """
open(os.path.join({folder!r}, str(os.getpid())), "w").close()
send(type="ready")
send(type="loading", what="the model")
"""
HEARS = """
for clip in clips:
    send(type="start", id=clip["id"])
    send(type="done", id=clip["id"], language="en", unsupported=False, by="alignment", words=[])
"""
IS_FULL = """
send(type="start", id=clips[0]["id"])
time.sleep(1)
send(type="error", id=clips[0]["id"], code="no_gpu_memory", message="full")
"""


def worker(name: str, folder: Path, body: str) -> Path:
    """A stand-in for a backend's own script; each process leaves a file in `folder`."""
    folder.mkdir()
    path = folder.parent / name
    path.write_text(
        HEADER.replace("[]", "['idna']") + textwrap.dedent(BEGIN.format(folder=str(folder)) + body),
        encoding="utf-8",
    )
    return path


def run_with(project: Project, progress: Progress) -> Any:
    return run(project, local_engine(workers=3), progress=progress)


@pytest.fixture
def talk(media: Any) -> Path:
    found: Path = media("audio/jfk.flac")
    return found


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Of a project whose words come from a worker on a GPU."""
    script = worker("whisperx_asr.py", tmp_path / "starts", HEARS)
    monkeypatch.setattr(asr_whisperx, "SCRIPT", script)
    for module in (backends, environments):
        monkeypatch.setattr(module, "WORKERS", tmp_path)
    built.cache_clear()
    weights = make_tiny_whisper(tmp_path / "tiny")
    asr = f'backend = "whisperx"\nweights = "{weights}"\nalign = false\ndevice = "cuda"'
    return SETTINGS.format(rule="fixed", vad="silero", asr=asr)


@pytest.mark.media
@pytest.mark.parametrize("terminal", [True, False])
def test_a_shard_on_a_gpu_is_not_spread_over_the_workers_and_tells_what_it_loads(
    settings: str, talk: Path, tmp_path: Path, terminal: bool
) -> None:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=100)
    with project_in(tmp_path / "project", settings) as project:
        ingest(project, [str(talk)])
        with TerminalProgress(console, silent=False) as progress:
            found = run_with(project, progress)
    built.cache_clear()
    assert (found.segments, found.failed_items) == (11, [])
    assert len(list((tmp_path / "starts").iterdir())) == 1
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert text.count("asr: loading the model") == 1
    assert text.index("asr.whisperx: installing an environment") < text.index("asr: loading the model")


@pytest.mark.media
def test_machines_that_read_are_told_nothing(settings: str, talk: Path, tmp_path: Path) -> None:
    console = Console(file=io.StringIO())
    with project_in(tmp_path / "project", settings) as project:
        ingest(project, [str(talk)])
        with TerminalProgress(console, silent=True) as progress:
            run_with(project, progress)
    built.cache_clear()
    assert console.file.getvalue() == ""  # type: ignore[attr-defined]


def test_when_one_finds_the_gpu_full_those_that_wait_do_not_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speech_pyannote, "SCRIPT", worker("speech.py", tmp_path / "starts", IS_FULL))
    monkeypatch.setattr(speech_pyannote, "DEVICE", "cuda")
    for number in range(3):
        make_sound(tmp_path / f"{number}.wav", tone(1.0 + number, from_s=0.2))
    settings = SETTINGS.format(rule="speech", vad="pyannote", asr="enabled = false")
    with project_in(tmp_path / "project", settings) as project:
        ingest(project, [str(tmp_path / f"{number}.wav") for number in range(3)])
        with pytest.raises(UserError, match="full") as caught:
            run_with(project, Quiet())
    assert "CUDA_VISIBLE_DEVICES" in caught.value.remedy
    assert len(list((tmp_path / "starts").iterdir())) == 1
