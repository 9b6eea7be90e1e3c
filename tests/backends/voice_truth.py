"""Voices whose perturbation is known because it was put in."""

from __future__ import annotations

import numpy as np

from pipeline.features.base import SAMPLE_RATE_HZ, Audio


def vowel(
    pitch_hz: float = 140.0,
    length_s: float = 2.0,
    *,
    jitter: float = 0.0,
    shimmer: float = 0.0,
    hnr_db: float = 60.0,
) -> Audio:
    """A vowel of periods that are longer and shorter, louder and softer in turn, in white noise.

    Two neighbours differ by `jitter` of the mean period and by `shimmer` of the mean amplitude, which is what
    local jitter and local shimmer are; `hnr_db` is the power of the voice over that of the noise.
    """
    count = int(length_s * pitch_hz)
    signs = np.where(np.arange(count) % 2 == 0, 1.0, -1.0)
    starts_s = np.cumsum((1 + signs * jitter / 2) / pitch_hz)
    times_s = np.arange(round(length_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    voice = np.zeros(len(times_s))
    for start_s, sign in zip(starts_s, signs, strict=True):
        since_s = times_s - start_s
        near = (since_s > -0.02) & (since_s < 0.02)
        # A smooth pulse without a mean: its spectrum ends far below half the sampling rate, so it may start
        # between two samples.
        width = since_s[near] / 0.0004
        voice[near] += (1 + sign * shimmer / 2) * (1 - width**2) * np.exp(-0.5 * width**2)
    power = float(np.mean(voice**2))
    noise = np.random.default_rng(1).normal(0, np.sqrt(power / 10 ** (hnr_db / 10)), len(voice))
    return np.asarray(0.3 * (voice + noise), dtype=np.float32)
