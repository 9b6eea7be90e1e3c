"""How far the voice comes after the face: facial and vocal events that belong together, and the time between.

Rule: every event has one moment, its apex, or of a movement of the pitch the highest point. A facial and a vocal
event are a pair when each is the other's nearest one and they are at most WINDOW_S apart, which is a convention.
The mouth's own movements of speech (AU25, AU26), closed eyes and blinks (AU43, AU45) are no expression and are
left out, as are pauses and changes of the rate, which have no sharp moment.
"""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median
from typing import NamedTuple

from schemas.parts import Event, Measure

WINDOW_S = 1.0
NO_EXPRESSION = {"AU25", "AU26", "AU43", "AU45"}
HIGHEST_AT_END = {"pitch_rise": True, "pitch_fall": False}
LAG = "face_voice_lag_s"


class Pair(NamedTuple):
    """`lag_s` is the voice's moment minus the face's: positive when the face comes first."""

    face: Event
    voice: Event
    lag_s: float


def event_pairs(events: Iterable[Event]) -> tuple[Pair, ...]:
    """The pairs among the events of one target, in order of the face's moments."""
    events = list(events)
    faces = [
        e for e in events if e.modality == "visual" and e.apex_s is not None and e.cue not in NO_EXPRESSION
    ]
    voices = [e for e in events if e.cue == "loud_burst" or e.cue in HIGHEST_AT_END]
    pairs = []
    for face in sorted(faces, key=_order):
        voice = _nearest(face, voices)
        if voice is not None and _nearest(voice, faces) == face:
            lag_s = round(moment_s(voice) - moment_s(face), 3)
            if abs(lag_s) <= WINDOW_S:
                pairs.append(Pair(face, voice, lag_s))
    return tuple(pairs)


def lag_measures(events: Iterable[Event]) -> tuple[Measure, ...]:
    """The median lag in s as a measure of the sample; none when nothing belongs together."""
    pairs = event_pairs(events)
    if not pairs:
        return ()
    return (Measure(name=LAG, value=round(median(pair.lag_s for pair in pairs), 3), unit="s"),)


def moment_s(event: Event) -> float:
    """The one moment that stands for an event."""
    if event.apex_s is not None:
        return event.apex_s
    return event.end_s if HIGHEST_AT_END.get(event.cue, True) else event.start_s


def _nearest(event: Event, others: list[Event]) -> Event | None:
    return min(
        others, key=lambda other: (abs(moment_s(other) - moment_s(event)), *_order(other)), default=None
    )


def _order(event: Event) -> tuple[float, str, float, str]:
    return moment_s(event), event.cue, event.start_s, event.track or ""
