"""Whose turn it is on a GPU, with real processes that would see each other; and too little memory on it.

There need not be a GPU: nobody computes.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.features import asr_whisperx, au_pyfeat, diarize_pyannote, speech_pyannote
from pipeline.features.asr_faster_whisper import FasterWhisper, FasterWhisperParams
from pipeline.features.asr_whisperx import WhisperX, WhisperXParams
from pipeline.features.au_pyfeat import PyfeatAus, PyfeatParams
from pipeline.features.au_weights import FACE_FINDER_FILES, MULTITASK_FILES
from pipeline.features.devices import computes_on_gpu, on_gpu, turn
from pipeline.features.diarize_pyannote import PyannoteDiarizer, PyannoteParams
from pipeline.features.host import Host, hosted
from pipeline.features.recordings import Recording
from pipeline.features.worker import run_worker
from schemas.errors import ItemError, MediaError, UserError
from schemas.records import Features
from tests.features.test_pyannote_weights import make as make_pipeline
from tests.features.test_worker import HEADER, clips, script
from tests.features.tiny_whisper import make_tiny_whisper
from tests.features.voice_media import make_clip, tone

FULL = """
send(type="ready")
for clip in clips:
    send(type="start", id=clip["id"])
    send(type="error", id=clip["id"], code={code!r}, message="the GPU is full")
"""
# A process that is not alone finds the file of the other one.
LONELY = """
send(type="ready")
for clip in clips:
    send(type="start", id=clip["id"])
    with open("{lock}", "x"):
        time.sleep(1)
    os.remove("{lock}")
    send(type="done", id=clip["id"])
"""


@pytest.mark.parametrize(
    ("device", "devices", "there"),
    [
        ("cpu", 1, False),
        ("auto", 0, False),
        ("auto", 2, True),
        ("cuda", 0, True),  # it will fail, and say so
        ("cuda:1", 2, True),
        ("mps", 0, True),
    ],
)
def test_which_device_is_a_gpu(device: str, devices: int, there: bool) -> None:
    assert on_gpu(device, lambda: devices) is there


def test_backends_that_can_use_a_gpu_say_whether_they_do(tmp_path: Path) -> None:
    makers: list[Callable[[str], object]] = [
        lambda device: whisperx(tmp_path, device),
        lambda device: pyfeat(tmp_path, device),
        lambda device: pyannote(tmp_path, device),
        lambda device: faster_whisper(tmp_path, device),
    ]
    for number, make in enumerate(makers):
        (tmp_path := tmp_path / str(number)).mkdir()
        assert computes_on_gpu(make("cuda"))
        assert not computes_on_gpu(make("cpu"))


@pytest.mark.worker
def test_on_a_gpu_one_process_runs_at_a_time(tmp_path: Path) -> None:
    worker = script(tmp_path, LONELY.format(lock=tmp_path / "lock"))

    def kinds(_: int) -> list[str]:
        return [message["type"] for message in run_worker(worker, clips(""), device="cuda")]

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(kinds, range(3))) == [["done"]] * 3


def test_who_waits_for_the_gpu_leaves_when_the_run_is_over(tmp_path: Path) -> None:
    class Over(Exception):  # noqa: N818
        pass

    def end() -> None:
        raise Over

    def wait() -> None:
        looks = iter([lambda: None, end])
        with hosted(Host(go_on=lambda: next(looks)())), turn("cuda"):
            raise AssertionError("two at a time")

    def load() -> None:
        looks = iter([lambda: None, end])
        with hosted(Host(go_on=lambda: next(looks)())):
            list(whisper.extract([]))

    whisper = faster_whisper(tmp_path, "cuda")
    for work in (wait, load):
        with ThreadPoolExecutor(1) as pool, turn("cuda"), pytest.raises(Over):
            pool.submit(work).result()
    with turn("cuda"), turn("cpu"):
        pass


# --- too little memory on it ---------------------------------------------------------------------------


def whisperx(folder: Path, device: str = "cpu") -> WhisperX:
    weights = folder / "whisper"
    if not weights.exists():
        make_tiny_whisper(weights)
    return WhisperX(
        WhisperXParams.model_validate({"weights": str(weights), "align": False, "device": device})
    )


def faster_whisper(folder: Path, device: str) -> FasterWhisper:
    weights = folder / "whisper"
    if not weights.exists():
        make_tiny_whisper(weights)
    return FasterWhisper(FasterWhisperParams(weights=str(weights), device=device))


def pyfeat(folder: Path, device: str = "cpu") -> PyfeatAus:
    for name in (MULTITASK_FILES[0], FACE_FINDER_FILES[0]):
        (folder / name).write_bytes(b"weights")
    return PyfeatAus(PyfeatParams(weights=str(folder), device=device, batch_size=7))


def pyannote(folder: Path, device: str = "cpu") -> PyannoteDiarizer:
    weights = folder / "pipeline"
    if not weights.exists():
        make_pipeline(weights)
    return PyannoteDiarizer(PyannoteParams.model_validate({"weights": str(weights), "device": device}))


def full(module: Any, folder: Path, monkeypatch: pytest.MonkeyPatch, code: str = "no_gpu_memory") -> None:
    """A worker that finds the GPU's memory full at each clip, in place of a backend's own."""
    (folder / "full").mkdir()
    worker = folder / "full" / "worker.py"
    worker.write_text(HEADER + textwrap.dedent(FULL.format(code=code)), encoding="utf-8")
    monkeypatch.setattr(module, "SCRIPT", worker)


def recording(audio: Callable[[], Path]) -> Recording:
    return Recording(make_clip(tone(200, 1.0)).source, audio)


@pytest.mark.worker
def test_py_feat_says_what_to_lower(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full(au_pyfeat, tmp_path, monkeypatch, code="out_of_memory")
    clip = replace(make_clip(tone(200, 1.0)), frames=tmp_path / "frames.parquet")
    with pytest.raises(UserError) as caught:
        list(pyfeat(tmp_path).extract([clip]))
    for part in ("batch_size (7)", "`[run] workers`", 'device = "cpu"'):
        assert part in caught.value.remedy


@pytest.mark.worker
def test_the_diarizer_says_what_to_lower(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full(diarize_pyannote, tmp_path, monkeypatch)
    with pytest.raises(UserError) as caught:
        list(pyannote(tmp_path).diarize([recording(lambda: tmp_path / "a.wav")]))
    for part in ("embedding_batch_size", "`[run] workers`", 'device = "cpu"'):
        assert part in caught.value.remedy


@pytest.mark.worker
def test_voice_activity_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full(speech_pyannote, tmp_path, monkeypatch)
    with pytest.raises(UserError) as caught:
        speech_pyannote.speech_of({"a": tmp_path / "a.wav"})
    assert caught.value.code == "no_gpu_memory"
    for part in ('vad = "silero"', "CUDA_VISIBLE_DEVICES", "`[run] workers`"):
        assert part in caught.value.remedy


# --- one that is broken costs only itself ----------------------------------------------------------------


@pytest.mark.worker
def test_a_recording_whose_sound_cannot_be_had_costs_only_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = "send(type='ready')\nfor clip in clips: send(type='done', id=clip['id'], turns=[[0, 0.5, 'a']])"
    monkeypatch.setattr(diarize_pyannote, "SCRIPT", script(tmp_path, body))

    def away() -> Path:
        raise MediaError("missing_file", "it is gone")

    def broken() -> Path:
        raise ValueError("odd")

    asked = [recording(broken), recording(lambda: tmp_path / "a.wav"), recording(away)]
    results = dict(zip(map(id, asked), [None] * 3, strict=True))
    results |= {id(one): result for one, result in pyannote(tmp_path).diarize(asked)}
    odd, found, gone = results.values()
    assert isinstance(odd, ItemError)
    assert (odd.code, odd.message) == ("diarize_failed", "pyannote: ValueError: odd")
    assert isinstance(found, Features)
    assert isinstance(gone, ItemError)
    assert gone.code == "missing_file"


def test_a_full_disk_still_ends_the_run(tmp_path: Path) -> None:
    def full_disk() -> Path:
        raise UserError("no_space", "no space left", "free some")

    with pytest.raises(UserError, match="no space left"):
        list(pyannote(tmp_path).diarize([recording(full_disk)]))


# --- sound is not held for the time of a shard -----------------------------------------------------------


@pytest.mark.worker
def test_a_worker_that_looks_at_pictures_holds_no_sound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full(au_pyfeat, tmp_path, monkeypatch)
    one = make_clip(np.zeros(16_000, np.float32))
    asked = (replace(one, frames=tmp_path / "frames.parquet") for _ in range(3))
    results = list(pyfeat(tmp_path).extract(asked))
    assert [clip.audio for clip, _ in results] == [None] * 3
    assert {clip.segment.id for clip, _ in results} == {one.segment.id}


@pytest.mark.worker
def test_memory_of_whisperx_is_told_with_the_batch_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = """
    send(type="ready")
    for clip in clips[:2]:
        send(type="start", id=clip["id"])
        send(type="error", id=clip["id"], code="clip_failed", message="odd")
    send(type="error", id=clips[0]["id"], code="no_gpu_memory", message="full", remedy="lower batch_size")
    """
    monkeypatch.setattr(asr_whisperx, "SCRIPT", script(tmp_path, body))
    results = whisperx(tmp_path).extract([make_clip(tone(200, 1.0))] * 3)
    assert [isinstance(next(results)[1], ItemError) for _ in range(2)] == [True, True]
    with pytest.raises(UserError, match="lower batch_size"):
        next(results)
