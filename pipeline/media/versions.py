"""Versions of what every measurement rests on: raised when decoded sound or pictures, shots or regions change.

They stand apart so that the question of a measurement can name them without loading a decoder.
"""

DECODE_VERSION = "3"
VAD_VERSION = "silero_v6-2"  # the model in the faster-whisper wheel, and the version of the rules for regions
