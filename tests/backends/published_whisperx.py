"""Run in the speech worker's environment: WhisperX as its own documentation uses it, the words as JSON.

Usage: AUDIO.npy WHISPER ALIGNER VAD NLTK_DATA; tells also which alignment models WhisperX names.
"""

import json
import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["NLTK_DATA"] = sys.argv[5]

import numpy as np
import whisperx
from whisperx.alignment import DEFAULT_ALIGN_MODELS_HF, DEFAULT_ALIGN_MODELS_TORCH

audio, whisper, aligner, vad = np.load(sys.argv[1]), *sys.argv[2:5]
model = whisperx.load_model(whisper, "cpu", compute_type="int8", vad_method=vad, local_files_only=True)
result = model.transcribe(audio, batch_size=4, language="en")
model_a, noted = whisperx.load_align_model("en", "cpu", model_name=aligner)
words = whisperx.align(result["segments"], model_a, noted, audio, "cpu")["word_segments"]
print(json.dumps({"words": words, "hub": DEFAULT_ALIGN_MODELS_HF, "torch": DEFAULT_ALIGN_MODELS_TORCH}))
