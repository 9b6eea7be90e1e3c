"""Whisper through faster-whisper with a constructed model: real loading, decoding and word alignment."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from pipeline.features.asr_faster_whisper import FasterWhisper, FasterWhisperParams
from pipeline.features.asr_weights import WHISPER_REPOSITORIES, cached_whisper, whisper_folder
from pipeline.features.base import Clip
from pipeline.features.weights import folder_digest
from schemas.errors import UserError
from schemas.parts import Span
from schemas.records import Features
from tests.features.tiny_whisper import SENTENCE, make_tiny_whisper
from tests.features.voice_media import make_clip

NOISE = np.random.default_rng(0).normal(0, 0.1, 5 * 16_000).astype(np.float32)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_whisper(tmp_path_factory.mktemp("whisper"))


def hear(weights: Path, clip: Clip, language: str | None = None) -> Features:
    asr = FasterWhisper(FasterWhisperParams(weights=str(weights), language=language))
    ((_, result),) = asr.extract([clip])
    assert isinstance(result, Features), result
    return result


def test_words_with_their_times(weights: Path) -> None:
    result = hear(weights, make_clip(NOISE))
    assert [word.text for word in result.words] == list(SENTENCE)
    for word in result.words:
        assert (word.start_s, word.end_s) == pytest.approx(SENTENCE[word.text], abs=0.1)
        assert (word.confidence or 0) > 0.9
    assert result.notes == ("language:en",)
    assert result.missing is None


def test_words_outside_speech_are_dropped(weights: Path) -> None:
    result = hear(weights, make_clip(NOISE, speech=(Span(start_s=1.4, end_s=2.4),)))
    assert [word.text for word in result.words] == ["tiny"]


def test_times_stay_in_the_segment(weights: Path) -> None:
    result = hear(weights, make_clip(NOISE[: 3 * 16_000]))
    assert result.words
    assert all(word.end_s <= 3.0 for word in result.words)


@pytest.mark.parametrize(
    ("clip", "reason"),
    [
        (make_clip(None), "no_audio_stream"),
        (make_clip(NOISE, speech=()), "no_speech"),
    ],
)
def test_nothing_to_hear_is_said(weights: Path, clip: Clip, reason: str) -> None:
    result = hear(weights, clip)
    assert (result.missing, result.words) == (reason, ())


def test_a_language_that_the_model_does_not_know_is_said(weights: Path) -> None:
    result = hear(weights, make_clip(NOISE), "de-AT")
    assert (result.missing, result.words) == ("unsupported_language", ())
    assert hear(weights, make_clip(NOISE), "en-GB").words


def test_the_question_holds_what_the_weights_are_not_where(weights: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(weights, tmp_path / "elsewhere"))
    clip = make_clip(NOISE, speech=())
    assert hear(weights, clip).id == hear(copy, clip).id
    digest = folder_digest(copy)
    (copy / "model.bin").write_bytes((copy / "model.bin").read_bytes() + b"x")
    assert folder_digest(copy) != digest


def test_missing_weights_are_a_user_error_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match=r"model\.bin, tokenizer\.json missing"):
        FasterWhisper(FasterWhisperParams(weights=str(tmp_path)))
    with pytest.raises(UserError, match="hf download") as caught:
        whisper_folder(None, None, tmp_path / "empty")
    assert caught.value.code == "weights_missing"
    with pytest.raises(UserError, match="known: large-v3"):
        cached_whisper("enormous", tmp_path)


def test_unreadable_weights_are_a_user_error(weights: Path, tmp_path: Path) -> None:
    broken = Path(shutil.copytree(weights, tmp_path / "broken"))
    (broken / "model.bin").write_bytes(b"not a model")
    asr = FasterWhisper(FasterWhisperParams(weights=str(broken)))
    with pytest.raises(UserError, match="cannot be loaded"):
        list(asr.extract([make_clip(NOISE)]))


def test_a_model_of_the_hub_cache_is_found(weights: Path, tmp_path: Path) -> None:
    for name in ("tiny", "small"):
        folder = tmp_path / f"models--{WHISPER_REPOSITORIES[name].replace('/', '--')}"
        shutil.copytree(weights, folder / "snapshots" / "abc")
        (folder / "refs").mkdir()
        (folder / "refs" / "main").write_text("abc")
    assert "faster-whisper-small" in str(cached_whisper(None, tmp_path))
    assert "faster-whisper-tiny" in str(cached_whisper("tiny", tmp_path))
    assert cached_whisper("base", tmp_path) is None
