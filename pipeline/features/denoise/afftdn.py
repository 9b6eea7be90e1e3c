"""Denoising in the frequency domain by FFmpeg's filter afftdn, with the noise floor of the clip itself.

Reference: https://ffmpeg.org/ffmpeg-filters.html#afftdn
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np
from av.filter import Graph

from pipeline.features.base import SAMPLE_RATE_HZ, Audio
from pipeline.features.denoise.base import QUIET_PERCENTILE, Denoiser, level_db

REDUCTION_DB = 12  # the filter's own default
# The filter's floor is a level re full scale: 5 % of the frames of a clip lie under it. Its own tracking of the
# floor does not reach it within a clip.
FLOOR_RANGE_DB = (-80.0, -20.0)
DELAY_SAMPLES = SAMPLE_RATE_HZ // 40  # what goes in comes out so much later
BLOCK_SAMPLES = 4096


def clean(audio: Audio) -> Audio:
    """The denoised sound, as long as the original and in step with it."""
    late = np.concatenate([audio, np.zeros(DELAY_SAMPLES, dtype=np.float32)])
    floor_db = float(np.clip(level_db(audio, QUIET_PERCENTILE), *FLOOR_RANGE_DB))
    filtered = np.concatenate(list(_filtered(late, floor_db)))
    return np.asarray(filtered[DELAY_SAMPLES : DELAY_SAMPLES + len(audio)], dtype=np.float32)


def _filtered(audio: Audio, floor_db: float) -> Iterator[Audio]:
    graph, rate = Graph(), Fraction(1, SAMPLE_RATE_HZ)
    source = graph.add_abuffer(sample_rate=SAMPLE_RATE_HZ, format="flt", layout="mono", time_base=rate)
    options = f"nr={REDUCTION_DB}:nf={floor_db:.2f}"
    reducer, sink = graph.add("afftdn", options), graph.add("abuffersink")
    source.link_to(reducer)
    reducer.link_to(sink)
    graph.configure()
    for first in range(0, len(audio), BLOCK_SAMPLES):
        block = np.ascontiguousarray(audio[None, first : first + BLOCK_SAMPLES])
        frame = av.AudioFrame.from_ndarray(block, format="flt", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE_HZ, first, rate
        source.push(frame)
        yield from _ready(graph)
    source.push(None)
    yield from _ready(graph)


def _ready(graph: Graph) -> Iterator[Audio]:
    """All that the graph gives without more sound."""
    while True:
        try:
            frame = graph.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return
        assert isinstance(frame, av.AudioFrame)
        yield frame.to_ndarray().reshape(-1).astype(np.float32)


AFFTDN = Denoiser("afftdn", "1", clean)
