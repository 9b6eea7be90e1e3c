"""Events in units of the speaker: how many of their usual deviations a movement of voice or face is. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.features.baseline import z_score
from schemas.parts import Event, Stat
from schemas.records import Baseline

# Cues whose size is a difference already (a movement, or a distance to the clip's own middle), and the quantity
# of the baseline whose spread it is told in.
DIFFERENCES = {
    "pitch_rise": "pitch_st",
    "pitch_fall": "pitch_st",
    "loud_burst": "intensity_db",
    "speed_up": "local_rate_syl_s",
    "slow_down": "local_rate_syl_s",
}
LEVELS = {"pause": "pause_s"}  # other cues whose size is compared with what is usual, as action units' are


def in_baseline_units(events: Iterable[Event], baseline: Baseline | None) -> tuple[Event, ...]:
    """The events, those that the baseline can tell with `z`; size and unit stay as measured.

    `z` of a difference is its size over the spread, so it has the sign of the size; `z` of a pause is how far its
    length lies above the speaker's usual pause, that of an action unit how far its apex lies above the usual
    intensity. Without a baseline, a stat or a spread it is None.
    """
    stats = baseline.stats if baseline is not None else {}
    return tuple(event.model_copy(update={"z": _z(event, stats)}) for event in events)


def _z(event: Event, stats: dict[str, Stat]) -> float | None:
    if event.size is None:
        return None
    if event.cue in DIFFERENCES:
        stat = stats.get(DIFFERENCES[event.cue])
        return None if stat is None or stat.sd == 0 else round(event.size / stat.sd, 3)
    return z_score(event.size, stats.get(LEVELS.get(event.cue, event.cue)))
