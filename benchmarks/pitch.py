"""Pitch and voicing against Praat on real speech: python -m benchmarks.pitch FOLDER_OF_MEDIA

Praat's autocorrelation pitch (75-600 Hz, its defaults else) is the reference, not the truth: it also gives
fricatives a pitch. A gross error is a frame, voiced for both, more than 20 % off.
Reference: Boersma 1993, Proc. Institute of Phonetic Sciences Amsterdam 17, 97-110.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
import parselmouth

from benchmarks.paired import emit
from pipeline.features.base import SAMPLE_RATE_HZ, Audio
from pipeline.features.prosody import ProsodyParams
from pipeline.features.prosody_signal import Curve, PitchTracker, frame_times, inside, intensity_db
from pipeline.media.vad import speech_regions

PATTERNS = (
    "audio/jfk.flac", "audio/LJ*.wav", "audio/librispeech*.m4a", "audio/emodb_*.wav", "audio/ami_*.wav",
    "video/grid_*.mpg", "video/wh_address_[abcd].mp4",
)  # fmt: skip
TARGET_AGREEMENT = 0.92


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


def compare(path: Path, tracker: PitchTracker) -> Row:
    audio = load(path)
    level_db = intensity_db(audio)
    ours = tracker.track(audio, level_db, inside(frame_times(audio), speech_regions(audio)))
    praat = praat_pitch(audio)
    voiced, reference = ~np.isnan(ours), ~np.isnan(praat)
    both = voiced & reference
    return Row(
        path.name,
        float(np.nanmedian(ours)),
        float(np.nanmedian(praat)),
        float(np.mean(voiced == reference)),
        float(np.mean(~voiced[reference])),
        float(np.mean(voiced[~reference])),
        float(np.mean(np.abs(ours[both] / praat[both] - 1) > 0.2)),
    )


def main(folder: Path) -> None:
    p = ProsodyParams()
    tracker = PitchTracker(
        floor_hz=p.pitch_floor_hz, ceiling_hz=p.pitch_ceiling_hz, voicing=p.voicing, gate_db=p.gate_db
    )
    paths = [path for pattern in PATTERNS for path in sorted(folder.glob(pattern))]
    if not paths:
        raise SystemExit(f"no test media in {folder}")
    rows = [compare(path, tracker) for path in paths]
    print(f"{'recording':34} {'ours Hz':>8} {'Praat Hz':>8} {'cents':>6}  agree   miss    add  gross")
    for row in rows:
        cents = 1200 * np.log2(row.ours_hz / row.praat_hz)
        rates = " ".join(f"{value:6.3f}" for value in row[3:])
        print(f"{row.name:34} {row.ours_hz:8.1f} {row.praat_hz:8.1f} {cents:6.0f} {rates}")
    cents = [abs(1200 * np.log2(row.ours_hz / row.praat_hz)) for row in rows]
    emit(
        "pitch_median_difference",
        float(np.median(cents)),
        "cents",
        None,
        50,
        bool(np.median(cents) < 50),
        len(rows),
    )
    gross = float(np.mean([row.gross for row in rows]))
    emit("pitch_gross_error", gross, "share", None, 0.03, gross < 0.03, len(rows))
    agreement = float(np.mean([row.agreement for row in rows]))
    emit(
        "voicing_agreement",
        agreement,
        "share",
        None,
        TARGET_AGREEMENT,
        agreement >= TARGET_AGREEMENT,
        len(rows),
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
