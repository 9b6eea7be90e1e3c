"""Speech is found wherever somebody speaks in the test recordings, and nowhere else."""

from __future__ import annotations

import itertools
import re
import wave
from collections.abc import Callable
from pathlib import Path

import faster_whisper.vad
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.features.base import Audio
from pipeline.media.cut import cut_audio
from pipeline.media.probe import probe
from pipeline.media.reading import WavSound, read_audio
from pipeline.media.vad import WINDOW, WINDOWS_AT_ONCE, VadParams, _padded, _runs, speech_regions
from schemas.parts import Span

Media = Callable[[str], Path]
SPOKEN = [
    *(f"video/wh_address_{letter}.mp4" for letter in "abcd"),
    *(f"video/grid_{name}.mpg" for name in ("bbaf2n", "brbk7n", "lbax4n", "lrwp9a", "swiz3n")),
    "audio/jfk.flac",
    "audio/librispeech_116-288045-0001.m4a",
    "audio/LJ050-0131.wav",
    "audio/ami_dev00.wav",
    "audio/ami_dev01.wav",
]
EMODB = ["08a02Fe", "09a02La", "11a02Nc", "13a01Ea", "13a02Ta", "14a07Aa", "15a04Wb"]
UNSPOKEN = ["pyfeat_single_face.mp4", "pyfeat_no_face.mp4", "pyfeat_face_noface.mov"]


def sound(path: Path, tmp_path: Path) -> Audio:
    facts = probe(path)
    cut_audio(path, facts, 0.0, facts.duration_s, tmp_path / "sound.wav")
    return read_audio(tmp_path / "sound.wav")


def seconds(regions: tuple[Span, ...]) -> float:
    return sum(r.length_s for r in regions)


@pytest.mark.media
@pytest.mark.parametrize("name", SPOKEN)
def test_speech_is_found(media: Media, tmp_path: Path, name: str) -> None:
    samples = sound(media(name), tmp_path)
    regions = speech_regions(samples)
    assert seconds(regions) > 0.35 * len(samples) / 16_000
    assert all(a.end_s <= b.start_s for a, b in itertools.pairwise(regions))
    assert regions[-1].end_s <= len(samples) / 16_000


@pytest.mark.media
@pytest.mark.parametrize("name", UNSPOKEN)
def test_no_speech_in_near_silence_and_music(media: Media, tmp_path: Path, name: str) -> None:
    assert speech_regions(sound(media(f"video/{name}"), tmp_path)) == ()


@pytest.mark.media
@pytest.mark.parametrize("name", EMODB)
def test_speech_ends_where_its_last_phone_ends(media: Media, tmp_path: Path, name: str) -> None:
    labels = media(f"audio/emodb_{name}.lablaut").read_text("latin-1")
    marks_s = [float(m) for m in re.findall(r"^\s*(\d+\.\d+)", labels, re.MULTILINE)]
    [region] = speech_regions(sound(media(f"audio/emodb_{name}.wav"), tmp_path))
    assert region.end_s == pytest.approx(max(marks_s), abs=0.2)
    assert region.start_s < 0.2


@pytest.mark.media
@pytest.mark.parametrize(("name", "least_recall"), [("dev00", 0.6), ("dev01", 0.75)])
def test_a_quiet_meeting_agrees_with_its_human_turns(
    media: Media, tmp_path: Path, name: str, least_recall: float
) -> None:
    # Human turns run over their pauses, so that not all of their time is speech; outside them nobody speaks.
    grid = np.arange(0, 30, 0.01)
    truth = np.zeros(len(grid), bool)
    for line in media("audio/ami_debug.development.rttm").read_text().splitlines():
        _, recording, _, start, length, *_ = line.split()
        if recording == name:
            truth |= (grid >= float(start)) & (grid < float(start) + float(length))
    found = np.zeros(len(grid), bool)
    for region in speech_regions(sound(media(f"audio/ami_{name}.wav"), tmp_path)):
        found |= (grid >= region.start_s) & (grid < region.end_s)
    assert truth[found].mean() > 0.98
    assert found[truth].mean() > least_recall


@pytest.mark.parametrize("count", [0, 1, 511, 512, 16_000])
def test_silence_of_any_length_has_no_speech(count: int) -> None:
    assert speech_regions(np.zeros(count, np.float32)) == ()


@pytest.mark.media
def test_parameters_matter_and_results_repeat(media: Media, tmp_path: Path) -> None:
    samples = sound(media("audio/jfk.flac"), tmp_path)
    assert speech_regions(samples) == speech_regions(samples)
    assert len(speech_regions(samples, VadParams(min_silence_ms=2000))) < len(speech_regions(samples))


def by_the_library(samples: Audio, params: VadParams) -> list[tuple[float, float]]:
    """Regions of the whole sound at once, by the rules of the package that carries the model."""
    tail = np.zeros((params.min_silence_ms + 250) * 16, np.float32)
    options = faster_whisper.vad.VadOptions(
        threshold=params.threshold,
        min_speech_duration_ms=params.min_speech_ms,
        min_silence_duration_ms=params.min_silence_ms,
        speech_pad_ms=params.speech_pad_ms,
    )
    found = faster_whisper.vad.get_speech_timestamps(np.concatenate([samples, tail]), options)
    ends = [(region["start"], min(region["end"], len(samples))) for region in found]
    return [(start / 16_000, end / 16_000) for start, end in ends if end > start]


@pytest.mark.media
@pytest.mark.parametrize(
    "params", [VadParams(), VadParams(min_silence_ms=90, min_speech_ms=0, speech_pad_ms=400)]
)
def test_pieces_are_heard_as_the_whole_is(media: Media, tmp_path: Path, params: VadParams) -> None:
    names = [*SPOKEN, *(f"video/{name}" for name in UNSPOKEN), *(f"audio/emodb_{n}.wav" for n in EMODB)]
    everything = []
    for name in names:
        samples = sound(media(name), tmp_path)
        mine = [(region.start_s, region.end_s) for region in speech_regions(samples, params)]
        assert mine == by_the_library(samples, params), name
        everything.append(samples)
    long = np.concatenate(everything)
    assert len(long) > 3 * WINDOW * WINDOWS_AT_ONCE
    mine = [(region.start_s, region.end_s) for region in speech_regions(long, params)]
    assert mine == by_the_library(long, params)


@given(
    levels=st.lists(st.sampled_from([0.1, 0.4, 0.9]), min_size=1, max_size=80),
    min_silence_ms=st.integers(0, 300),
    pad_ms=st.integers(0, 200),
    min_speech_ms=st.integers(0, 200),
)
def test_regions_are_made_by_the_rules_of_the_library(
    levels: list[float], min_silence_ms: int, pad_ms: int, min_speech_ms: int
) -> None:
    params = VadParams(min_silence_ms=min_silence_ms, speech_pad_ms=pad_ms, min_speech_ms=min_speech_ms)
    total = len(levels) * WINDOW - 1
    options = faster_whisper.vad.VadOptions(
        min_speech_duration_ms=min_speech_ms, min_silence_duration_ms=min_silence_ms, speech_pad_ms=pad_ms
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(faster_whisper.vad, "get_vad_model", lambda: lambda _: np.array(levels))
        theirs = faster_whisper.vad.get_speech_timestamps(np.zeros(total, np.float32), options)
    mine = _padded(_runs(iter(levels), total, params), total, params)
    assert mine == [(region["start"], region["end"]) for region in theirs]


def test_sound_on_disk_is_heard_as_sound_in_memory(tmp_path: Path) -> None:
    samples = np.random.default_rng(3).uniform(-0.5, 0.5, 20_000).astype(np.float32)
    path = tmp_path / "sound.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes((samples * 32768).astype("<i2").tobytes())
    whole, lazy = read_audio(path), WavSound(path)
    assert len(lazy) == len(whole) == 20_000
    for asked in (slice(0, 5), slice(19_990, 30_000), slice(30_000, 40_000), slice(None), slice(5, 2)):
        assert np.array_equal(lazy[asked], whole[asked])
