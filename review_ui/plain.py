"""Cues in plain words, for raters who never learned the names of action units."""

from __future__ import annotations

from schemas.cues import Cue, cue_table
from schemas.parts import Evidence

PLAIN = {
    "quote": "Says the words",
    "AU01": "Inner ends of the eyebrows are raised",
    "AU02": "Outer ends of the eyebrows are raised",
    "AU04": "Eyebrows are drawn down or together",
    "AU05": "Eyes are opened wide",
    "AU06": "Cheeks are raised, with folds beside the eyes",
    "AU07": "Eyelids are tightened",
    "AU09": "Nose is wrinkled",
    "AU10": "Upper lip is raised",
    "AU12": "Corners of the mouth are pulled up",
    "AU14": "Corners of the mouth are pressed in, with dimples",
    "AU15": "Corners of the mouth are pulled down",
    "AU17": "Chin is pushed up",
    "AU20": "Lips are stretched to the sides",
    "AU23": "Lips are tightened",
    "AU24": "Lips are pressed together",
    "AU25": "Lips are parted",
    "AU26": "Jaw hangs open",
    "AU43": "Eyes are closed",
    "smile": "Smiles for a while",
    "pitch_high": "Speaks higher than usual",
    "pitch_low": "Speaks lower than usual",
    "pitch_rise": "The melody rises",
    "pitch_fall": "The melody falls",
    "pitch_varied": "Speaks with much variety in pitch",
    "pitch_flat": "Speaks with little variety in pitch",
    "loud": "Speaks louder than usual",
    "quiet": "Speaks more quietly than usual",
    "loud_burst": "The voice bursts out for a moment",
    "fast": "Speaks faster than usual",
    "slow": "Speaks more slowly than usual",
    "fast_rate": "Speaks fast: many syllables in a second",
    "slow_rate": "Speaks slowly: few syllables in a second",
    "speed_up": "Speeds up while speaking",
    "slow_down": "Slows down while speaking",
    "trembling_voice": "The voice trembles more than usual",
    "hoarse_voice": "The voice is rougher than usual",
    "pause": "Pauses",
    "long_pause": "Falls silent for long",
    "speech": "Speaks",
    "silence": "Says nothing",
}


def plain_words(evidence: Evidence) -> str:
    """What is claimed, as a sentence; empty when the cue table does not know the cue."""
    cue = claimed_cue(evidence)
    words = PLAIN.get(cue.cue, "") if cue is not None else ""
    return f"Not so: {words[:1].lower()}{words[1:]}" if words and evidence.direction == "absent" else words


def plain_measure(measured: float, unit: str, digits: int) -> str:
    """A measured number with its unit; deviations of a baseline in words."""
    if unit == "sd":
        return f"{measured:+.{digits}f} times this person's usual variation"
    return f"{measured:.{digits}f} {unit}".rstrip()


def claimed_cue(evidence: Evidence) -> Cue | None:
    table = cue_table()
    cue = table.find(evidence.cue, evidence.direction)
    return None if cue is None else table.claimed(cue, evidence.direction)
