"""openSMILE in its worker: the 88 numbers of eGeMAPSv02, and the events of every backend."""

from __future__ import annotations

import resource
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.features.base import Clip
from pipeline.features.prosody import CoreProsody
from pipeline.features.prosody_opensmile import OpensmileProsody
from pipeline.features.prosody_summary import SUMMARY_UNITS
from pipeline.features.worker import build_environment, uv_binary
from schemas.parts import Span
from schemas.records import Features
from tests.backends.voice_truth import vowel
from tests.features.voice_media import make_clip, recorded, silence, tone

pytestmark = pytest.mark.worker
Media = Callable[[str], Path]


def measure(*clips: Clip) -> list[Features]:
    found = {(clip.segment.id, clip.where): result for clip, result in OpensmileProsody().extract(clips)}
    results = [found[clip.segment.id, clip.where] for clip in clips]
    assert all(isinstance(result, Features) for result in results), results
    return [result for result in results if isinstance(result, Features)]


def number(result: Features, name: str) -> float:
    value = result.summary[f"egemaps_{name}"]
    assert value is not None
    return value


def test_known_pitch_jitter_and_shimmer_are_ordered() -> None:
    """openSMILE smooths over three frames and defines its perturbations by the frame, so the order is checked."""
    plain, jittery, shimmering, noisy = measure(
        *(
            make_clip(vowel(**kind), start_s=10.0 * n)
            for n, kind in enumerate(({}, {"jitter": 0.03}, {"shimmer": 0.2}, {"hnr_db": 8.0}))
        )
    )
    for result in (plain, jittery, shimmering, noisy):
        assert result.summary["pitch_median_hz"] == pytest.approx(140, abs=2)
        assert len([name for name in result.summary if name.startswith("egemaps_")]) == 88
        assert set(SUMMARY_UNITS) <= set(result.summary)
        assert result.notes == ("opensmile:2.6.0",)
    assert number(jittery, "jitterLocal_sma3nz_amean") > 5 * number(plain, "jitterLocal_sma3nz_amean")
    assert (
        number(shimmering, "shimmerLocaldB_sma3nz_amean") > number(plain, "shimmerLocaldB_sma3nz_amean") + 0.3
    )
    assert number(noisy, "HNRdBACF_sma3nz_amean") < number(plain, "HNRdBACF_sma3nz_amean") - 3


@pytest.mark.media
def test_a_recording_has_the_melody_and_the_pauses_of_the_core(media: Media) -> None:
    clip = recorded(media("audio/jfk.flac"))
    (result,), ((_, core),) = measure(clip), CoreProsody().extract([clip])
    assert isinstance(core, Features)
    assert result.summary["pitch_median_hz"] == pytest.approx(core.summary["pitch_median_hz"], rel=0.03)
    assert [e for e in result.events if e.cue == "pause"] == [e for e in core.events if e.cue == "pause"]
    assert {s.name: s.unit for s in result.series} == {
        "pitch_hz": "Hz", "intensity_db": "dB", "local_rate_syl_s": "syllable/s", "loudness": "sone",
        "harmonicity_db": "dB",
    }  # fmt: skip


def test_only_the_stretches_that_are_asked_about_are_judged() -> None:
    audio = np.concatenate([vowel(110), silence(0.5), vowel(220, jitter=0.03)])
    whole, alone = make_clip(audio), make_clip(audio[:32_000])
    first = replace(whole, where=(Span(start_s=0.0, end_s=2.0),))
    mixed, clear, cut = measure(whole, first, alone)
    assert clear.summary["pitch_median_hz"] == pytest.approx(110, abs=1)
    egemaps = [name for name in clear.summary if name.startswith("egemaps_")]
    assert [clear.summary[name] for name in egemaps] == [cut.summary[name] for name in egemaps]
    assert [mixed.summary[name] for name in egemaps] != [cut.summary[name] for name in egemaps]
    assert all(v is None for s in clear.series for t, v in zip(s.times_s, s.values, strict=True) if t > 2)


NEAREST = """
import sys
import numpy as np
sys.path.insert(0, sys.argv[1])
import opensmile_prosody as worker
curves, rng = worker.Models().curves, np.random.default_rng(0)
for length_s in (0.1, 0.27, 1.0, 3.013, 20.0):
    noise = rng.normal(0, 0.1, int(length_s * 16000)).astype(np.float32)
    index = curves.process_signal(noise, 16000).index
    edges_s = [index.get_level_values(edge).total_seconds().to_numpy() for edge in ("start", "end")]
    rows_s, moments_s = sum(edges_s) / 2, (np.arange(int(length_s / 0.02)) + 0.5) * 0.02
    every = np.abs(rows_s[:, None] - moments_s[None, :]).argmin(axis=0)
    assert (worker.nearest(rows_s, moments_s) == every).all(), length_s
"""


def test_each_frame_takes_the_nearest_of_all_rows() -> None:
    build_environment(OpensmileProsody.script)
    find = [uv_binary(), "python", "find", "--script", str(OpensmileProsody.script)]
    python = subprocess.run(find, capture_output=True, text=True, check=True).stdout.strip()
    command = [python, "-c", NEAREST, str(OpensmileProsody.script.parent)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def test_memory_does_not_grow_with_the_square_of_the_length() -> None:
    """Five minutes: all distances between rows and frames would be 3.6 GB."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (5 * 2**30, before[1]))  # holds for the worker too
    try:
        (result,) = measure(make_clip(tone(200, 300.0)))
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
    assert result.summary["pitch_median_hz"] == pytest.approx(200, abs=1)


def test_what_is_too_short_has_no_numbers() -> None:
    (short, quiet) = measure(make_clip(tone(200, 0.05)), make_clip(silence(1)))
    assert short.summary["egemaps_loudness_sma3_amean"] is None
    assert quiet.missing == "silence"
