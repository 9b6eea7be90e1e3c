"""Pitch and voicing against Praat on real speech: python -m benchmarks.pitch [FOLDER_OF_MEDIA]

Praat's autocorrelation pitch (75-600 Hz, its defaults else) is the reference, not the truth: it also gives
fricatives a pitch. A gross error is a frame, voiced for both, more than 20 % off.
Reference: Boersma 1993, Proc. Institute of Phonetic Sciences Amsterdam 17, 97-110.
"""

from __future__ import annotations

import sys
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

import av
import numpy as np
import parselmouth

from benchmarks.paired import emit, emit_limited, paired
from pipeline.features.base import SAMPLE_RATE_HZ, Audio
from pipeline.features.prosody import ProsodyParams
from pipeline.features.prosody_signal import Curve, PitchTracker, frame_times, inside, intensity_db
from pipeline.media.vad import speech_regions
from tests.conftest import data_dir

PATTERNS = (
    "audio/jfk.flac", "audio/LJ*.wav", "audio/librispeech*.m4a", "audio/emodb_*.wav", "audio/ami_*.wav",
    "video/grid_*.mpg", "video/wh_address_[abcd].mp4",
)  # fmt: skip
LIMIT_CENTS, LIMIT_GROSS, LIMIT_DISAGREEMENT = 50.0, 0.03, 0.08
CPU_RUNS = 3


class Row(NamedTuple):
    name: str
    ours_hz: float
    praat_hz: float
    agreement: float  # share of frames with the same voicing decision
    missed: float  # of Praat's voiced frames
    added: float  # of Praat's unvoiced frames
    gross: float  # of the frames voiced for both


def load(path: Path) -> Audio:
    """The first audio stream as 16 kHz mono."""
    with av.open(str(path)) as container:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE_HZ)
        frames = [out for frame in container.decode(audio=0) for out in resampler.resample(frame)]
        frames += resampler.resample(None)
    return np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames]).astype(np.float32)


def praat_pitch(audio: Audio) -> Curve:
    """Praat's pitch in Hz on our grid, NaN where unvoiced."""
    sound: Any = parselmouth.Sound(audio.astype(np.float64), SAMPLE_RATE_HZ)
    pitch = sound.to_pitch_ac(time_step=0.01, pitch_floor=75.0, pitch_ceiling=600.0)
    return np.array([pitch.get_value_at_time(time_s) for time_s in frame_times(audio)])


def our_pitch(audio: Audio, tracker: PitchTracker) -> Curve:
    return tracker.track(audio, intensity_db(audio), inside(frame_times(audio), speech_regions(audio)))


def compare(name: str, audio: Audio, tracker: PitchTracker) -> Row:
    ours, praat = our_pitch(audio, tracker), praat_pitch(audio)
    voiced, reference = ~np.isnan(ours), ~np.isnan(praat)
    both = voiced & reference
    return Row(
        name,
        float(np.nanmedian(ours)),
        float(np.nanmedian(praat)),
        float(np.mean(voiced == reference)),
        float(np.mean(~voiced[reference])),
        float(np.mean(voiced[~reference])),
        float(np.mean(np.abs(ours[both] / praat[both] - 1) > 0.2)),
    )


def main(given: str | None = None) -> None:
    folder = Path(given) if given else data_dir() / "media"
    sounds = {path.name: load(path) for pattern in PATTERNS for path in sorted(folder.glob(pattern))}
    if not sounds:
        raise SystemExit(f"no test media in {folder}: set EMOTRACE_TEST_DATA or give their folder")
    p = ProsodyParams()
    tracker = PitchTracker(
        floor_hz=p.pitch_floor_hz, ceiling_hz=p.pitch_ceiling_hz, voicing=p.voicing, gate_db=p.gate_db
    )
    rows = [compare(name, audio, tracker) for name, audio in sounds.items()]
    print(f"{'recording':34} {'ours Hz':>8} {'Praat Hz':>8} {'cents':>6}  agree   miss    add  gross")
    for row in rows:
        rates = " ".join(f"{value:6.3f}" for value in row[3:])
        print(f"{row.name:34} {row.ours_hz:8.1f} {row.praat_hz:8.1f} {cents(row):6.0f} {rates}")
    cost = paired(
        lambda: [our_pitch(audio, tracker) for audio in sounds.values()],
        lambda: [praat_pitch(audio) for audio in sounds.values()],
        CPU_RUNS,
    )
    emit("pitch_cpu", cost.a_s, "CPU s", cost.ratio, None, True, CPU_RUNS)
    median_cents = float(np.median([abs(cents(row)) for row in rows]))
    emit_limited("pitch_median_difference", median_cents, "cents", LIMIT_CENTS, len(rows))
    emit_limited("pitch_gross_error", mean(row.gross for row in rows), "share", LIMIT_GROSS, len(rows))
    disagreement = 1 - mean(row.agreement for row in rows)
    emit_limited("voicing_disagreement", disagreement, "share", LIMIT_DISAGREEMENT, len(rows))


def cents(row: Row) -> float:
    """How far our median pitch lies above Praat's."""
    return float(1200 * np.log2(row.ours_hz / row.praat_hz))


if __name__ == "__main__":
    main(*sys.argv[1:])
