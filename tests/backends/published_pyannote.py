"""Run in the worker's environment: pyannote.audio as its own documentation uses it, the turns as JSON.

Usage: AUDIO.wav FOLDER SPEAKERS
"""

import json
import os
import sys
import wave

os.environ["PYANNOTE_METRICS_ENABLED"] = "0"

import numpy as np
import torch
from pyannote.audio import Pipeline

with wave.open(sys.argv[1], "rb") as file:
    sound = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768
pipeline = Pipeline.from_pretrained(sys.argv[2])
output = pipeline(
    {"waveform": torch.from_numpy(sound)[None], "sample_rate": 16_000}, num_speakers=int(sys.argv[3])
)
tracks = output.speaker_diarization.itertracks(yield_label=True)
print(json.dumps(sorted([round(turn.start, 3), round(turn.end, 3), who] for turn, _, who in tracks)))
