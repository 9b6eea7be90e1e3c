# /// script
# requires-python = ">=3.11,<3.13"
# dependencies = ["praat-parselmouth==0.4.7", "numpy<3"]
# ///
"""Pitch, level and voice quality by Praat, in an environment of its own (Praat is GPL-3.0-or-later).

Usage: uv run --script praat_prosody.py MANIFEST.json

The manifest is a list of clips: {"id", "audio" (.npy, float32, mono), "sample_rate_hz", "frame_s", "stretches_s"
([start, end] in s: where the voice is judged), "pitch_floor_hz", "pitch_ceiling_hz", "out" (.npz)}. Standard
output carries JSON lines as every worker's does (pipeline/features/worker.py).

The .npz holds pitch_hz (NaN unvoiced) and level_db (re full scale) at the middle of each frame. "done" holds
`numbers`: jitter_local, jitter_rap, shimmer_local, shimmer_apq3 (shares, mean of the stretches by their periods)
and hnr_db (mean over the voiced frames); None without periods.

Praat's settings: pitch by autocorrelation, a value every 10 ms; periods by cross-correlation, 0.1 to 20 ms long,
neighbours at most a factor of 1.3 apart, amplitudes 1.6; harmonicity by cross-correlation, every 10 ms, silence
threshold 0.1, one period per window; level with a lowest pitch of 100 Hz. All but steps are Praat's defaults.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import parselmouth
from caller import clips_and_lines, each_clip, end_with_caller, write_npz
from parselmouth.praat import call

STEP_S = 0.01
PERIODS = (0.0001, 0.02, 1.3)  # shortest and longest period in s, largest factor between neighbours
MAX_AMPLITUDE_FACTOR = 1.6
LEVEL_LOWEST_HZ = 100.0
SILENCE_THRESHOLD, PERIODS_PER_WINDOW = 0.1, 1.0
SHORTEST_S = 0.1  # Praat refuses sounds that hold too few periods; shorter ones get silence at their end
FULL_SCALE_DB = 20 * math.log10(1 / 2e-5)  # Praat takes samples for Pa and tells dB re 20 micropascal
FLOOR_DB = -100.0


def measure(clip: dict[str, Any]) -> tuple[dict[str, np.ndarray], dict[str, float | None]]:
    """The curves on the frames' grid, and the numbers."""
    audio = np.load(clip["audio"], allow_pickle=False).astype(np.float64)
    rate_hz, frame_s = clip["sample_rate_hz"], clip["frame_s"]
    count = max(1, int(len(audio) / rate_hz / frame_s + 1e-9))
    times_s = (np.arange(count) + 0.5) * frame_s
    padded = np.pad(audio, (0, max(0, math.ceil(SHORTEST_S * rate_hz) - len(audio))))
    sound = parselmouth.Sound(padded, rate_hz)
    pitch = sound.to_pitch_ac(
        time_step=STEP_S, pitch_floor=clip["pitch_floor_hz"], pitch_ceiling=clip["pitch_ceiling_hz"]
    )
    curves = {
        "pitch_hz": np.array([pitch.get_value_at_time(time_s) for time_s in times_s]),
        "level_db": level_db(sound, times_s),
    }
    stretches = [(a, min(b, len(audio) / rate_hz)) for a, b in clip["stretches_s"]]
    numbers = perturbation(sound, pitch, stretches)
    return curves, numbers | {"hnr_db": harmonicity_db(sound, clip["pitch_floor_hz"], stretches)}


def level_db(sound: Any, times_s: np.ndarray) -> np.ndarray:
    """Praat's intensity, re full scale; its first and last half window hold the nearest value."""
    intensity = sound.to_intensity(minimum_pitch=LEVEL_LOWEST_HZ, time_step=STEP_S, subtract_mean=False)
    values = np.asarray(intensity.values[0])
    held = np.interp(times_s, intensity.xs(), values)
    return np.maximum(held - FULL_SCALE_DB, FLOOR_DB)


def perturbation(sound: Any, pitch: Any, stretches: list[tuple[float, float]]) -> dict[str, float | None]:
    """Jitter and shimmer: each stretch counts as much as it has periods."""
    points = call([sound, pitch], "To PointProcess (cc)")
    asked = {
        "jitter_local": (points, "Get jitter (local)", PERIODS),
        "jitter_rap": (points, "Get jitter (rap)", PERIODS),
        "shimmer_local": ([sound, points], "Get shimmer (local)", (*PERIODS, MAX_AMPLITUDE_FACTOR)),
        "shimmer_apq3": ([sound, points], "Get shimmer (apq3)", (*PERIODS, MAX_AMPLITUDE_FACTOR)),
    }
    weights = [call(points, "Get number of periods", a, b, *PERIODS) for a, b in stretches]
    numbers: dict[str, float | None] = {}
    for name, (objects, command, settings) in asked.items():
        values = [call(objects, command, a, b, *settings) for a, b in stretches]
        known = [(v, w) for v, w in zip(values, weights, strict=True) if w > 0 and not math.isnan(v)]
        total = sum(weight for _, weight in known)
        numbers[name] = sum(value * weight for value, weight in known) / total if total else None
    return numbers


def harmonicity_db(sound: Any, lowest_hz: float, stretches: list[tuple[float, float]]) -> float | None:
    found = sound.to_harmonicity_cc(
        time_step=STEP_S,
        minimum_pitch=lowest_hz,
        silence_threshold=SILENCE_THRESHOLD,
        periods_per_window=PERIODS_PER_WINDOW,
    )
    times_s, values = np.asarray(found.xs()), np.asarray(found.values[0])
    inside = np.zeros(len(times_s), dtype=bool)
    for start_s, end_s in stretches:
        inside |= (times_s >= start_s) & (times_s < end_s)
    known = values[inside & (values > -200)]  # -200 stands for unvoiced
    return float(known.mean()) if len(known) else None


def process_clip(clip: dict[str, Any]) -> dict[str, Any]:
    """Measure one clip, write its .npz and return the facts of its "done" message."""
    curves, numbers = measure(clip)
    write_npz(Path(clip["out"]), **curves)
    return {"out": clip["out"], "numbers": numbers, "program": f"praat:{parselmouth.PRAAT_VERSION}"}


def main() -> None:
    end_with_caller()
    clips, send = clips_and_lines()
    send({"type": "ready", "praat": parselmouth.PRAAT_VERSION})
    each_clip(clips, send, process_clip)


if __name__ == "__main__":
    main()
