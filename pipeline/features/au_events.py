"""Turn intensity curves into events with onset, apex and offset: smoothing and two thresholds (hysteresis).

An event starts where the smoothed curve leaves the clip's own resting level and ends where it is back; it counts
only when its apex is high enough, both absolutely and above rest. A curve that is high all the time has no rest
to leave: its event is the whole stretch ("already there"). docs/action-units.md says why.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from schemas.parts import Event

Array = npt.NDArray[np.float64]
DIGITS = 4


class EventRule(BaseModel):
    """When a rise of an intensity is an event. Levels are intensities in [0, 1]."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    apex_level: float = Field(default=0.30, gt=0, le=1)  # the apex reaches this ...
    apex_rise: float = Field(default=0.15, gt=0, le=1)  # ... and this much above rest
    edge_level: float = Field(default=0.10, ge=0, le=1)  # onset and offset: this much above rest
    max_rest: float = Field(default=0.30, ge=0, le=1)  # what lies above is not rest but a lasting expression
    smooth_s: float = Field(default=0.15, ge=0)  # full width of the running mean
    min_duration_s: float = Field(default=0.15, ge=0)
    min_samples: int = Field(default=2, ge=1)  # one sample alone may be a slip of the mesh (or a blink)
    bridge_s: float = Field(default=0.25, ge=0)  # a shorter dip between two runs does not part them
    max_gap_s: float = Field(default=0.50, gt=0)  # a longer hole in the curve ends an event


def au_events(
    times_s: Sequence[float],
    values: Sequence[float | None],
    cue: str,
    *,
    rule: EventRule | None = None,
    track: str | None = None,
    confidence: float | None = None,
    clip_end_s: float | None = None,
) -> tuple[Event, ...]:
    """Events of one curve in order of time, without overlap; `size` is the smoothed intensity at the apex.

    `times_s` rises strictly; None = not measured. Without `clip_end_s` the clip ends at the last time.
    """
    rule = rule or EventRule()
    if not any(value is not None for value in values):
        return ()
    times, levels, held_s = _samples(times_s, values, rule, clip_end_s)
    smooth = smoothed(times, levels, rule)
    rest = min(float(np.percentile(smooth, 20)), rule.max_rest)
    events = []
    runs = _stretches(times, smooth > rest + rule.edge_level, rule.max_gap_s)
    for first, last in _bridged(runs, times, held_s, rule.bridge_s):
        apex = first + int(np.argmax(smooth[first : last + 1]))
        tall = smooth[apex] >= max(rule.apex_level, rest + rule.apex_rise)
        long = held_s[last] - times[first] >= rule.min_duration_s and last - first + 1 >= rule.min_samples
        if tall and (long or len(times_s) == 1):  # a still is one sample and lasts as long as it is shown
            events.append(
                Event(
                    cue=cue,
                    modality="visual",
                    start_s=float(times[first]),
                    end_s=float(held_s[last]),
                    apex_s=float(times[apex]),
                    size=round(float(smooth[apex]), DIGITS),
                    unit="intensity",
                    confidence=confidence,
                    track=track,
                )
            )
    return tuple(events)


def _samples(
    times_s: Sequence[float], values: Sequence[float | None], rule: EventRule, clip_end_s: float | None
) -> tuple[Array, Array, Array]:
    """Times and levels of what was measured, and until when each sample holds.

    That is the next sample of the curve, measured or not; the last one holds to the end of the clip. None holds
    longer than `max_gap_s`.
    """
    times = np.asarray(times_s, dtype=np.float64)
    levels = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    end_s = float(times[-1]) if clip_end_s is None else max(clip_end_s, float(times[-1]))
    held_s = np.minimum(np.append(times[1:], end_s), times + rule.max_gap_s)
    measured = np.isfinite(levels)
    return times[measured], levels[measured], held_s[measured]


def smoothed(times: Array, levels: Array, rule: EventRule) -> Array:
    """Running mean over `smooth_s` (centred, by time, never across a hole), same shape."""
    half_s = rule.smooth_s / 2 + 1e-9
    group = np.concatenate([[0], np.cumsum(np.diff(times) > rule.max_gap_s)])
    result = np.empty_like(levels)
    for i, time in enumerate(times):
        near = (np.abs(times - time) <= half_s) & (group == group[i])
        result[i] = levels[near].mean()
    return result


def _stretches(times: Array, above: npt.NDArray[np.bool_], max_gap_s: float) -> Iterator[tuple[int, int]]:
    """First and last index of every run of True that no hole in time interrupts."""
    first: int | None = None
    for i, high in enumerate(above):
        if first is not None and (not high or times[i] - times[i - 1] > max_gap_s):
            yield first, i - 1
            first = None
        if high and first is None:
            first = i
    if first is not None:
        yield first, len(above) - 1


def _bridged(
    runs: Iterator[tuple[int, int]], times: Array, held_s: Array, bridge_s: float
) -> list[tuple[int, int]]:
    """Runs with the short measured dips between them filled: a lip sound does not end a smile."""
    joined: list[tuple[int, int]] = []
    for first, last in runs:
        dip = joined and joined[-1][1] + 1 < first  # next to each other: a hole parts them
        if dip and times[first] - held_s[joined[-1][1]] <= bridge_s:
            joined[-1] = (joined[-1][0], last)
        else:
            joined.append((first, last))
    return joined
