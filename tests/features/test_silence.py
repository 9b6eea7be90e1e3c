"""Silence is nothing loud enough at all; sound without a voice is not silence, wherever it is told."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.features.asr_pocketsphinx import PocketSphinxAsr
from pipeline.features.base import Audio
from pipeline.features.prosody import CoreProsody
from pipeline.features.silence import why_no_speech
from pipeline.stages.segment import speech_features
from schemas.records import Features
from tests.features.voice_media import make_clip, silence, tone


def with_click(length_s: float) -> Audio:
    """Its mean level over all is under -60 dB; the click is not."""
    audio = silence(length_s)
    audio[8000:8320] = tone(1000, 0.02, peak=0.02)
    return audio


@pytest.mark.parametrize(
    ("audio", "reason"),
    [
        (None, "no_audio_stream"),
        (silence(0), "silence"),
        (silence(1), "silence"),
        (silence(0.03), "silence"),
        (tone(200, 1, peak=0.0005), "silence"),
        (tone(200, 0.01), "no_speech"),  # shorter than what is looked at
        (np.concatenate([silence(0.1), tone(200, 0.01)]), "no_speech"),
        (with_click(20), "no_speech"),
    ],
)
def test_one_word_for_one_fact(audio: Audio | None, reason: str) -> None:
    assert why_no_speech(audio) == reason
    clip = make_clip(audio, speech=())
    told = [speech_features(clip.source, audio).missing]
    for extractor in (CoreProsody(), PocketSphinxAsr()):
        ((_, result),) = extractor.extract([clip])
        assert isinstance(result, Features), result
        told.append(result.missing)
    assert told == [reason] * 3
