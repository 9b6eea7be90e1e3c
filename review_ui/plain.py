"""Cues in plain words, for raters who never learned the names of action units."""

from __future__ import annotations

from schemas.cues import Cue, cue_table
from schemas.parts import Evidence


def plain_words(evidence: Evidence) -> str:
    """What is claimed, as a sentence; empty when the cue table does not know the cue."""
    cue = claimed_cue(evidence)
    words = cue.plain if cue is not None else ""
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
