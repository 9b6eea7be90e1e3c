"""Speech is found wherever somebody speaks in the test recordings, and nowhere else."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.features.base import Audio
from pipeline.media.cut import cut_audio
from pipeline.media.probe import probe
from pipeline.media.reading import read_audio
from pipeline.media.vad import VadParams, speech_regions
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
