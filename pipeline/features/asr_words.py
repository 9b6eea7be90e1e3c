"""Words that a recogniser wrote, as a clip has them: inside the segment, and only where somebody speaks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pipeline.features.base import Clip
from schemas.parts import Word

OUTSIDE_SPEECH_TOLERANCE_S = 0.2
DIGITS = 3


def heard_words(heard: Iterable[Mapping[str, Any]], clip: Clip) -> tuple[Word, ...]:
    """`heard` has text, start_s, end_s (segment time) and score (None: unknown) of each word.

    A word whose middle lies outside speech is left out: Whisper writes whole sentences over silence.
    """
    length_s = clip.segment.duration_s
    words = []
    for one in heard:
        start_s = round(min(max(one["start_s"], 0.0), length_s), DIGITS)
        end_s = round(min(max(one["end_s"], start_s), length_s), DIGITS)
        text = one["text"].strip()
        if text and _in_speech((start_s + end_s) / 2, clip):
            score = one["score"]
            confidence = None if score is None else round(min(max(score, 0.0), 1.0), DIGITS)
            words.append(Word(text=text, start_s=start_s, end_s=end_s, confidence=confidence))
    return tuple(words)


def _in_speech(time_s: float, clip: Clip) -> bool:
    tolerance_s = OUTSIDE_SPEECH_TOLERANCE_S
    return any(r.start_s - tolerance_s <= time_s <= r.end_s + tolerance_s for r in clip.speech)
