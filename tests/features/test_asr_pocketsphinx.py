"""PocketSphinx on real speech: what it hears, when, and that one clip never changes another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.features.asr_pocketsphinx import PocketSphinxAsr, PocketSphinxParams, padded
from pipeline.features.base import Clip
from schemas.parts import Span
from schemas.records import Features
from tests.features.voice_media import make_clip, recorded, silence, tone

Media = Callable[[str], Path]
JFK = (
    "and so my fellow americans ask not what your country can do for you ask what you can do for your country"
)


@pytest.fixture(scope="module")
def asr() -> PocketSphinxAsr:
    return PocketSphinxAsr()


def hear(asr: PocketSphinxAsr, clip: Clip) -> Features:
    ((_, result),) = asr.extract([clip])
    assert isinstance(result, Features), result
    return result


def word_error_rate(reference: list[str], heard: list[str]) -> float:
    """Edit distance in words over the length of the reference."""
    row = list(range(len(heard) + 1))
    for i, wanted in enumerate(reference, start=1):
        last, row[0] = row[0], i
        for j, word in enumerate(heard, start=1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (wanted != word))
    return row[-1] / len(reference)


@pytest.mark.media
def test_words_of_the_inaugural_address(asr: PocketSphinxAsr, media: Media) -> None:
    clip = recorded(media("audio/jfk.flac"))
    result = hear(asr, clip)
    heard = [word.text for word in result.words]
    assert word_error_rate(JFK.split(), heard) < 0.6
    assert {"fellow", "country", "do"} <= set(heard)
    (americans,) = [word for word in result.words if word.text == "americans"]
    assert 1.4 < americans.start_s < 1.8 < americans.end_s < 2.4
    assert result.notes == ("low_quality_asr",)
    assert not any(set(word.text) & set("<>[]()+") for word in result.words)
    assert all(0 <= (word.confidence or 0) <= 1 for word in result.words)


@pytest.mark.media
def test_words_lie_in_speech_and_in_order(asr: PocketSphinxAsr, media: Media) -> None:
    clip = recorded(media("video/wh_address_d.mp4"))
    words = hear(asr, clip).words
    assert len(words) > 5
    for word in words:
        assert any(r.start_s <= (word.start_s + word.end_s) / 2 <= r.end_s for r in clip.speech)
        assert 0 <= word.start_s < word.end_s <= clip.segment.duration_s
    starts = [word.start_s for word in words]
    assert starts == sorted(starts)


@pytest.mark.media
def test_order_and_repetition_change_nothing(asr: PocketSphinxAsr, media: Media) -> None:
    clips = [recorded(media(name)) for name in ("video/wh_address_b.mp4", "video/grid_swiz3n.mpg")]
    forth = {clip.path: result for clip, result in asr.extract(clips)}
    back = {clip.path: result for clip, result in PocketSphinxAsr().extract(reversed(clips))}
    assert forth == back


@pytest.mark.parametrize(
    ("clip", "reason"),
    [
        (make_clip(None), "no_audio_stream"),
        (make_clip(silence(1), speech=()), "silence"),
        (make_clip(tone(200, 1), speech=()), "no_speech"),
        (make_clip(silence(1), speech=(Span(start_s=0, end_s=0.005),)), "no_words"),
    ],
)
def test_nothing_to_hear_is_said(asr: PocketSphinxAsr, clip: Clip, reason: str) -> None:
    result = hear(asr, clip)
    assert (result.missing, result.words, result.notes) == (reason, (), ())


def in_language(language: str | None) -> PocketSphinxAsr:
    return PocketSphinxAsr(PocketSphinxParams(language=language))


def test_english_of_any_country_is_heard_and_nothing_else() -> None:
    noise = make_clip(np.random.default_rng(0).normal(0, 0.01, 8000).astype(np.float32))
    assert hear(in_language("en-GB"), noise).missing != "unsupported_language"
    refused = hear(in_language("de"), make_clip(tone(200, 1)))
    assert (refused.missing, refused.words, refused.notes) == ("unsupported_language", (), ())


def test_a_language_that_is_learnt_later_is_another_question() -> None:
    clip = make_clip(silence(1), speech=())
    assert len({hear(in_language(language), clip).id for language in (None, "en", "de")}) == 3


def test_parameters_and_weights_stand_in_the_question(asr: PocketSphinxAsr) -> None:
    other = PocketSphinxAsr(PocketSphinxParams(padding_s=0.2))
    clip = make_clip(silence(1), speech=())
    assert hear(asr, clip).id != hear(other, clip).id
    assert len(asr.weights_digest or "") == 64


spans = st.lists(st.floats(0, 10), min_size=2, max_size=8).map(
    lambda cuts: [
        Span(start_s=a, end_s=b) for a, b in zip(sorted(cuts)[::2], sorted(cuts)[1::2], strict=False)
    ]
)


@given(spans, st.floats(0, 3))
def test_padded_regions_stay_in_the_clip_and_out_of_each_other(regions: list[Span], padding_s: float) -> None:
    for region in regions:
        start_s, end_s = padded(region, regions, padding_s, 10.0)
        assert 0 <= start_s <= region.start_s
        assert region.end_s <= end_s <= 10.0
        for other in regions:
            if other is not region and other.length_s > 0:
                assert other.end_s <= start_s or other.start_s >= end_s or other == region
