# /// script
# requires-python = ">=3.11,<3.13"
# dependencies = ["opensmile==2.6.0", "numpy<3"]
# ///
"""Pitch and the eGeMAPSv02 numbers by openSMILE, in an environment of its own.

openSMILE is free for private use, research and education; a commercial product needs a licence of audEERING.

Usage: uv run --script opensmile_prosody.py MANIFEST.json

The manifest is a list of clips: {"id", "audio" (.npy, float32, mono), "sample_rate_hz", "frame_s", "where_s"
([start, end] in s: what the numbers are of; null: all of the clip), "out" (.npz)}. Standard output carries JSON
lines as every worker's does (pipeline/features/worker.py).

The .npz holds pitch_hz, loudness (sone) and harmonicity_db at the middle of each frame, NaN where there is none.
"done" holds `numbers`: the 88 functionals under openSMILE's own names with "egemaps_" in front, of the stretches
laid end to end; None where openSMILE gives none, because they are too short.
"""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import opensmile
from caller import clips_and_lines, each_clip, end_with_caller, write_npz

LOWEST_HZ = 27.5  # 0 semitones; 0 itself stands for unvoiced
PITCH, LOUDNESS, HARMONICITY = "F0semitoneFrom27.5Hz_sma3nz", "Loudness_sma3", "HNRdBACF_sma3nz"
SHORTEST_S = 0.1  # of which openSMILE gives functionals


class Models:
    """The two levels of the set, made once per shard."""

    def __init__(self) -> None:
        levels = opensmile.FeatureLevel
        self.numbers, self.curves = (
            opensmile.Smile(feature_set=opensmile.FeatureSet.eGeMAPSv02, feature_level=level)
            for level in (levels.Functionals, levels.LowLevelDescriptors)
        )


def measure(clip: dict[str, Any], models: Models) -> tuple[dict[str, np.ndarray], dict[str, float | None]]:
    """The curves on the frames' grid, and the numbers."""
    audio = np.load(clip["audio"], allow_pickle=False).astype(np.float32)
    rate_hz, frame_s = clip["sample_rate_hz"], clip["frame_s"]
    count = max(1, int(len(audio) / rate_hz / frame_s + 1e-9))
    found = models.curves.process_signal(audio, rate_hz)
    starts_s = found.index.get_level_values("start").total_seconds().to_numpy()
    ends_s = found.index.get_level_values("end").total_seconds().to_numpy()
    rows = nearest((starts_s + ends_s) / 2, (np.arange(count) + 0.5) * frame_s)
    pitch_st, loudness, harmonicity_db = (
        found[name].to_numpy()[rows] for name in (PITCH, LOUDNESS, HARMONICITY)
    )
    voiced = pitch_st > 0
    curves = {
        "pitch_hz": np.where(voiced, LOWEST_HZ * 2 ** (pitch_st / 12), np.nan),
        "loudness": loudness,
        "harmonicity_db": np.where(voiced, harmonicity_db, np.nan),
    }
    return curves, functionals(audio, clip, models)


def nearest(rows_s: np.ndarray, moments_s: np.ndarray) -> np.ndarray:
    """For each moment the number of the nearest row, of two equally near ones the earlier. Both are in order."""
    after = np.clip(np.searchsorted(rows_s, moments_s), 0, len(rows_s) - 1)
    before = np.maximum(after - 1, 0)
    return np.where(np.abs(rows_s[before] - moments_s) <= np.abs(rows_s[after] - moments_s), before, after)


def functionals(audio: np.ndarray, clip: dict[str, Any], models: Models) -> dict[str, float | None]:
    rate_hz = clip["sample_rate_hz"]
    asked = audio
    if clip["where_s"] is not None:
        parts = [audio[round(a * rate_hz) : round(b * rate_hz)] for a, b in clip["where_s"]]
        asked = np.concatenate(parts)
    names = [f"egemaps_{name}" for name in models.numbers.feature_names]
    if len(asked) < SHORTEST_S * rate_hz:
        return dict.fromkeys(names)
    values = models.numbers.process_signal(asked, rate_hz).iloc[0].to_numpy()
    pairs = zip(names, map(float, values), strict=True)
    return {name: value if math.isfinite(value) else None for name, value in pairs}


def process_clip(clip: dict[str, Any], models: Models) -> dict[str, Any]:
    """Measure one clip, write its .npz and return the facts of its "done" message."""
    curves, numbers = measure(clip, models)
    write_npz(Path(clip["out"]), **curves)
    return {"out": clip["out"], "numbers": numbers, "program": f"opensmile:{opensmile.__version__}"}


def main() -> None:
    end_with_caller()
    clips, send = clips_and_lines()
    warnings.filterwarnings("ignore", message="Segment too short")
    models = Models()
    send({"type": "ready", "opensmile": opensmile.__version__})
    each_clip(clips, send, lambda clip: process_clip(clip, models))


if __name__ == "__main__":
    main()
