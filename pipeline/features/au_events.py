"""Turn intensity curves into events with onset, apex and offset: smoothing and two thresholds (hysteresis).

An event starts where the smoothed curve leaves the curve's own resting level and ends where it is back; it counts
only when its apex is high enough, both absolutely and above rest. A curve that is high all the time has no rest
to leave: its event is the whole stretch ("already there"). The curve may reach beyond the clip on both sides to
show what rest is; the events are cut at the clip's borders. docs/action-units.md says why.
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
    wanted: tuple[int, int] | None = None,
) -> tuple[Event, ...]:
    """Events of one curve in order of time, without overlap; `size` is the smoothed intensity at the apex.

    `times_s` rises strictly and counts from the clip's start; None = not measured. Without `clip_end_s` the clip
    ends at the last time. `wanted` = (first, last): the samples first..last-1 lie in the clip, the others only
    tell what rest is. An event that began before the clip starts at 0. What is left of an event in the clip must
    itself be high and long enough.
    """
    rule = rule or EventRule()
    if not any(value is not None for value in values):
        return ()
    first, last = wanted or (0, len(times_s))
    if first == last:
        return ()
    end_s = max(clip_end_s or 0.0, times_s[last - 1])
    times, levels, held_s, place = _samples(times_s, values, rule, end_s)
    smooth = smoothed(times, levels, rule)
    rest = min(float(np.percentile(smooth, 20)), rule.max_rest)
    smooth = _without_slips(smooth, place, rest + rule.edge_level)
    runs = _stretches(times, smooth > rest + rule.edge_level, rule.max_gap_s)
    events = []
    for begin, stop in _bridged(runs, times, held_s, rule.bridge_s):
        inside = [i for i in range(begin, stop + 1) if first <= place[i] < last]
        if not inside:
            continue
        apex = inside[int(np.argmax(smooth[inside]))]
        start_s = float(times[begin]) if inside[0] == begin else 0.0
        stop_s = min(float(held_s[inside[-1]]), end_s)
        tall = smooth[apex] >= max(rule.apex_level, rest + rule.apex_rise)
        long = stop_s - start_s >= rule.min_duration_s and len(inside) >= rule.min_samples
        if tall and (long or last - first == 1):  # a still is one sample and lasts as long as it is shown
            events.append(
                Event(
                    cue=cue,
                    modality="visual",
                    start_s=start_s,
                    end_s=stop_s,
                    apex_s=float(times[apex]),
                    size=round(float(smooth[apex]), DIGITS),
                    unit="intensity",
                    confidence=confidence,
                    track=track,
                )
            )
    return tuple(events)


def _samples(
    times_s: Sequence[float], values: Sequence[float | None], rule: EventRule, end_s: float
) -> tuple[Array, Array, Array, npt.NDArray[np.int64]]:
    """Times and levels of what was measured, until when each sample holds, and its place in the curve.

    It holds to the next sample of the curve, measured or not; the last one to the end of the clip. None holds
    longer than `max_gap_s`.
    """
    times = np.asarray(times_s, dtype=np.float64)
    levels = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    held_s = np.minimum(np.append(times[1:], max(end_s, times[-1])), times + rule.max_gap_s)
    measured = np.isfinite(levels)
    return times[measured], levels[measured], held_s[measured], np.flatnonzero(measured)


def smoothed(times: Array, levels: Array, rule: EventRule) -> Array:
    """Running mean over `smooth_s` (centred, by time, never across a hole), same shape."""
    half_s = rule.smooth_s / 2 + 1e-9
    group = np.concatenate([[0], np.cumsum(np.diff(times) > rule.max_gap_s)])
    result = np.empty_like(levels)
    for i, time in enumerate(times):
        near = (np.abs(times - time) <= half_s) & (group == group[i])
        result[i] = levels[near].mean()
    return result


def _without_slips(levels: Array, place: npt.NDArray[np.int64], edge: float) -> Array:
    """Samples that stand out alone lowered to the edge: such a one is a slip of the mesh or a blink.

    A sample counts in full when one right beside it reaches the edge. A still has only one and is believed.
    """
    if len(levels) < 2:
        return levels
    joined = np.diff(place) == 1
    before = np.concatenate([[-np.inf], np.where(joined, levels[:-1], -np.inf)])
    after = np.concatenate([np.where(joined, levels[1:], -np.inf), [-np.inf]])
    return np.where(np.maximum(before, after) < edge, np.minimum(levels, edge), levels)


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
