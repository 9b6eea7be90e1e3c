"""The backend side of WhisperX, before a worker starts and with one that answers as it is told.

The library itself runs in tests/backends.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import numpy as np
import pytest

from pipeline.features import asr_whisperx
from pipeline.features.asr_whisperx import NOT_ASKED, WhisperX, WhisperXParams
from pipeline.features.base import Clip
from pipeline.features.denoise.base import as_heard
from schemas.errors import ItemError, UserError
from schemas.parts import Span
from schemas.records import Features
from tests.features.tiny_whisper import make_tiny_whisper
from tests.features.voice_media import make_clip

NOISE = np.random.default_rng(0).normal(0, 0.1, 5 * 16_000).astype(np.float32)
STAND_IN = """\
# /// script
# requires-python = ">=3.11,<3.13"
# dependencies = []
# ///
import json, os, sys
clips = json.load(open(sys.argv[1]))
print(json.dumps({{"type": "ready"}}), flush=True)
answers = json.loads({answers!r})
for clip in clips:
    assert os.path.getsize(clip["audio"]) > 100
    print(json.dumps({{"type": "start", "id": clip["id"]}}), flush=True)
    print(json.dumps({{"id": clip["id"], **answers[int(clip["id"])]}}), flush=True)
"""


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_whisper(tmp_path_factory.mktemp("whisper"))


@pytest.fixture(autouse=True)
def _no_aligners(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own models must not change these tests."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


def aligner(folder: Path, text: str = "weights") -> str:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_text(text)
    return str(folder)


def hear(weights: Path, clips: list[Clip], **options: Any) -> list[Features | ItemError]:
    return [result for _, result in WhisperX(WhisperXParams(weights=str(weights), **options)).extract(clips)]


def answered(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    weights: Path,
    answers: list[dict[str, Any]],
    clip: Clip,
    stand_in: str = STAND_IN,
    **options: Any,
) -> list[Features | ItemError]:
    """The results of clips of which a worker says these things."""
    script = folder / "stand_in.py"
    script.write_text(stand_in.format(answers=json.dumps(answers)))
    monkeypatch.setattr(asr_whisperx, "SCRIPT", script)
    return hear(weights, [clip] * len(answers), **options)


def done(
    *words: tuple[str, float, float, float | None], by: str = "alignment", language: str = "en"
) -> dict[str, Any]:
    rows = [{"text": t, "start_s": start, "end_s": end, "score": score} for t, start, end, score in words]
    return {"type": "done", "language": language, "unsupported": False, "by": by, "words": rows}


def test_where_and_how_are_not_in_the_question(weights: Path, tmp_path: Path) -> None:
    copy = make_tiny_whisper(tmp_path / "elsewhere")
    one = WhisperX(WhisperXParams(weights=str(weights), language="en"))
    two = WhisperX(
        WhisperXParams(
            weights=str(copy),
            language="en",
            device="cuda",
            batch_size=1,
            compute_type="float16",
            cpu_threads=3,
        )
    )
    assert (one.params, one.weights_digest) == (two.params, two.weights_digest)
    assert set(one.params) == set(WhisperXParams.model_fields) - NOT_ASKED
    for option in ({"language": "de"}, {"vad": "silero"}, {"beam_size": 1}, {"align": False}):
        other = WhisperX(WhisperXParams.model_validate({"weights": str(weights), "language": "en"} | option))
        assert other.params != one.params


def test_the_alignment_models_that_may_be_used_are_in_the_digest(weights: Path, tmp_path: Path) -> None:
    def digest(language: str | None, **aligners: str) -> str | None:
        options = WhisperXParams(weights=str(weights), language=language, align_weights=aligners)
        return WhisperX(options).weights_digest

    english, other = aligner(tmp_path / "en"), aligner(tmp_path / "other", "other weights")
    assert digest("en", en=english) != digest("en")
    assert digest("en", en=english) != digest("en", en=other)
    assert digest("en-GB", en=english) == digest("en", en=english, de=other)
    assert digest(None, en=english) != digest(None, en=english, de=other)


def test_nobody_heard_starts_no_worker(
    weights: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(asr_whisperx, "SCRIPT", tmp_path / "absent.py")
    clips = [make_clip(None), make_clip(NOISE, speech=()), make_clip(0 * NOISE, speech=())]
    reasons = [result.missing for result in hear(weights, clips) if isinstance(result, Features)]
    assert reasons == ["no_audio_stream", "no_speech", "silence"]
    (unknown,) = hear(weights, [make_clip(NOISE)], language="tlh")
    assert isinstance(unknown, Features)
    assert unknown.missing == "unsupported_language"


@pytest.mark.worker
def test_what_the_worker_says_becomes_records(
    weights: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    clip = make_clip(NOISE, speech=(Span(start_s=1.0, end_s=3.0),))
    answers = [
        done(
            (" hi ", 1.0, 1.5, 0.71239),
            ("42", 1.5, 2.0, None),
            ("over", 2.9, 9.0, 2.0),
            ("silence", 4.2, 4.8, 0.9),
        ),
        done(("hallo", 1.0, 1.5, 0.9), by="attention", language="de"),
        done(),
        {"type": "done", "unsupported": True, "words": []},
        {"type": "error", "code": "clip_failed", "message": "ValueError: odd"},
        done(language=""),
    ]
    first, german, silent, foreign, failed, unheard = answered(monkeypatch, tmp_path, weights, answers, clip)
    assert isinstance(first, Features)
    assert [(w.text, w.start_s, w.end_s, w.confidence) for w in first.words] == [
        ("hi", 1.0, 1.5, 0.712),
        ("42", 1.5, 2.0, None),
    ]
    assert first.notes == ("language:en", "language_detected", "words_without_confidence:1")
    assert isinstance(german, Features)
    assert german.notes == ("language:de", "language_detected", "word_times_by_attention")
    assert isinstance(silent, Features)
    assert (silent.missing, silent.notes) == ("no_words", ("language:en", "language_detected"))
    assert isinstance(foreign, Features)
    assert foreign.missing == "unsupported_language"
    assert isinstance(failed, ItemError)
    assert (failed.code, failed.message) == ("clip_failed", "whisperx: ValueError: odd")
    assert isinstance(unheard, Features)
    assert (unheard.missing, unheard.notes) == ("no_words", ())


@pytest.mark.worker
def test_what_holds_for_every_clip_ends_the_shard(
    weights: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    error = {
        "type": "error",
        "code": "no_gpu_memory",
        "message": "full",
        "remedy": "lower batch_size (now 8)",
    }
    with pytest.raises(UserError, match="lower batch_size") as caught:
        answered(monkeypatch, tmp_path, weights, [error, done()], make_clip(NOISE))
    assert caught.value.code == "no_gpu_memory"


def test_missing_weights_are_a_user_error_with_a_remedy() -> None:
    with pytest.raises(UserError) as caught:
        WhisperX(WhisperXParams(model="large-v3"))
    assert caught.value.code == "weights_missing"
    for part in ("hf download Systran/faster-whisper-large-v3", "3.1 GB", "MIT", "download = true"):
        assert part in caught.value.remedy
    with pytest.raises(UserError, match="someone/model is not on this machine"):
        WhisperX(WhisperXParams(weights="someone/model"))


@pytest.mark.parametrize("denoise", ["none", "afftdn"])
def test_the_worker_hears_what_the_denoiser_leaves(
    weights: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, denoise: str
) -> None:
    """The clip keeps its own sound: the voice is measured on that."""
    kept = tmp_path / "heard.npy"
    copying = STAND_IN.replace(
        "    assert", f"    import shutil; shutil.copy(clip['audio'], {str(kept)!r})\n    assert"
    )
    clip = make_clip(NOISE, speech=(Span(start_s=0, end_s=5),))
    answered(monkeypatch, tmp_path, weights, [done(("so", 0.1, 0.4, 0.9))], clip, copying, denoise=denoise)
    heard = np.load(kept)
    assert np.allclose(heard, as_heard(NOISE, denoise), atol=1e-4)
    assert np.allclose(heard, NOISE, atol=1e-4) == (denoise == "none")
    assert clip.audio is NOISE
