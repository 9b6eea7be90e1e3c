"""What a cue's statistic is of a measured curve inside a time span. No thresholds of verdicts here."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from schemas.cues import Cue
from schemas.parts import Series, Span

SPAN_TOLERANCE_S = 0.1  # stated times are seldom finer
EDGE_LEVEL = 0.1  # of an AU: where its movement begins, as in the events of the extractors
MAX_LEG_S = 1.0  # of a nod or a shake: what takes longer is a posture that changes
STEPS_MEASURED = 4  # of a series: 10 pictures a second of 25 are 0.08 and 0.12 s apart in turn
EDGE_SHARE = 0.1  # of a leg of a head movement: what moves less still rests

Values = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


class Measured(NamedTuple):
    """A number, or why there is none; `share` is the part of the span (0-1) in which it could be measured.

    `doubt` is why what does not reach its threshold may be there all the same.
    """

    value: float | None
    reason: str = ""
    share: float = 1.0
    doubt: str = ""


class Curve(NamedTuple):
    """A measured curve: times in s, values (NaN = not measured), the step in s (0 of a lone sample)."""

    times_s: Values
    values: Values
    step_s: float

    @classmethod
    def of(cls, series: Series) -> Curve:
        times_s = np.array(series.times_s, dtype=np.float64)
        values = np.array([np.nan if v is None else v for v in series.values], dtype=np.float64)
        steps = min(STEPS_MEASURED, len(times_s) - 1)
        step_s = float(np.median((times_s[steps:] - times_s[:-steps]) / steps)) if steps > 0 else 0.0
        return cls(times_s, values, max(step_s, 0.0))

    @property
    def still(self) -> bool:
        """One picture, which lasts as long as it is shown."""
        return len(self.times_s) == 1

    def mask(self, span: Span) -> Mask:
        """Which samples lie inside the span, widened by the tolerance."""
        tolerance_s = SPAN_TOLERANCE_S if self.still else min(SPAN_TOLERANCE_S, self.step_s / 2)
        after = self.times_s >= span.start_s - tolerance_s - 1e-9
        return after & (self.times_s <= span.end_s + tolerance_s + 1e-9)

    def inside(self, span: Span) -> Curve:
        mask = self.mask(span)
        return Curve(self.times_s[mask], self.values[mask], self.step_s)

    def known(self) -> Curve:
        """The samples that were measured."""
        there = ~np.isnan(self.values)
        return Curve(self.times_s[there], self.values[there], self.step_s)

    def seen_share(self, span: Span) -> float:
        """The share of the span in which the curve was measured; a sample holds until the next one."""
        if len(self.times_s) < 2 or not span.length_s:
            return 1.0  # a still lasts as long as it is shown, and an instant is seen or not
        held_s = np.minimum(self._ends_s(), span.end_s) - np.maximum(self.times_s, span.start_s)
        return float(held_s[(held_s > 0) & ~np.isnan(self.values)].sum() / span.length_s)

    def _ends_s(self) -> Values:
        return np.append(self.times_s[1:], self.times_s[-1] + self.step_s)

    def stretches_s(self, there: Mask) -> list[tuple[float, float]]:
        """Start and end of each run of samples that are `there`; a sample holds until the next one."""
        edges = np.flatnonzero(np.diff(np.concatenate(([0], there.astype(np.int8), [0]))))
        ends_s = self._ends_s()
        pairs = zip(edges[::2], edges[1::2], strict=True)
        return [(float(self.times_s[first]), float(ends_s[last - 1])) for first, last in pairs]


def without_slips(curve: Curve) -> Curve:
    """The curve of an AU with lone samples lowered: one that stands out is a slip of the mesh or a blink.

    A sample counts in full when one beside it is at least EDGE_LEVEL. A still has only one and is believed.
    """
    if len(curve.values) < 2:
        return curve
    known = np.concatenate(([0.0], np.nan_to_num(curve.values), [0.0]))
    alone = np.maximum(known[:-2], known[2:]) < EDGE_LEVEL
    lowered = np.where(alone, np.minimum(curve.values, EDGE_LEVEL), curve.values)
    return curve._replace(values=lowered)


def of_face(cue: Cue, curve: Curve, span: Span) -> Measured:
    """The statistic of a curve of the face or head, and how much of the span was seen."""
    measured = FACE_STATISTICS[cue.statistic](cue, curve, span)
    return measured if measured.value is None else measured._replace(share=curve.seen_share(span))


def reached(cue: Cue, value: float) -> bool:
    """Whether a number is one of the cue; what is not there at all is not brief."""
    there = value >= cue.threshold if cue.operator == ">=" else value <= cue.threshold
    return there and not (cue.statistic == "length" and value == 0)


def of_voice(cue: Cue, curve: Curve, span: Span) -> Measured:
    """Median, 5-95 % range or trend of the measured frames of a voice curve; pitch in semitones."""
    part = curve.inside(span).known()
    if cue.feature == "pitch":
        part = Curve(part.times_s[part.values > 0], part.values[part.values > 0], part.step_s)
        part = part._replace(values=12 * np.log2(part.values))
    voiced_s = len(part.values) * part.step_s
    if not len(part.values) or voiced_s < cue.min_duration_s - 1e-9:
        return Measured(None, f"only {voiced_s:.2f} s of measured voice in the span")
    if cue.statistic == "trend":
        return Measured(_trend(part))
    return Measured(_range(part.values) if cue.statistic == "range" else float(np.median(part.values)))


def _trend(part: Curve) -> float:
    """The change along the least-squares line from the first to the last measured frame."""
    length_s = float(part.times_s[-1] - part.times_s[0])
    if length_s <= 0:
        return 0.0
    return float(np.polyfit(part.times_s - part.times_s[0], part.values, 1)[0]) * length_s


def _range(values: Values) -> float:
    low, high = np.percentile(values, [5, 95])
    return float(high - low)


TOO_SHORT = Measured(None, "the face is not measured for long enough in the span")


def _held(cue: Cue, curve: Curve, span: Span) -> Measured:
    """The highest level ("min": lowest, "away": farthest from zero) that is held for `min_duration_s`.

    A part of the hold must lie in the span: in the middle of a smile, "smiles at 2.0 s" is true.
    """
    sign = -1.0 if cue.statistic == "min" else 1.0
    values = np.abs(curve.values) if cue.statistic == "away" else sign * curve.values
    first = np.arange(len(values))
    wanted_s = 0.0 if curve.still else cue.min_duration_s
    last = np.searchsorted(curve.times_s, curve.times_s + wanted_s - curve.step_s - 1e-9)
    last = np.maximum(last, first)
    whole = last < len(values)
    first, last = first[whole], last[whole]
    counted = np.concatenate(([0], np.cumsum(curve.mask(span))))
    touches = counted[last + 1] > counted[first]
    first, last = first[touches], last[touches]
    if not len(first):
        return TOO_SHORT
    borders = np.ravel(np.column_stack((first, last + 1)))
    levels = np.minimum.reduceat(np.append(values, np.inf), borders)[::2]  # NaN in a stretch makes it NaN
    if np.isnan(levels).all():
        return TOO_SHORT
    return Measured(sign * float(np.nanmax(levels)))


def _length(cue: Cue, curve: Curve, span: Span) -> Measured:
    """How long the curve stays at its level: the longest stretch that has a part in the span, in s.

    Of a short stretch that ends where the curve is not measured nobody knows how long it lasts.
    """
    if not len(curve.inside(span).known().values):
        return TOO_SHORT
    high = ~np.isnan(curve.values) & (curve.values >= (cue.level or 0.0))
    unknown = np.isnan(curve.values)
    inside = [
        (start_s, end_s)
        for start_s, end_s in curve.stretches_s(high)
        if start_s <= span.end_s + SPAN_TOLERANCE_S and end_s >= span.start_s - SPAN_TOLERANCE_S
    ]
    long = [part for part in inside if part[1] - part[0] >= cue.min_duration_s - 1e-9]
    if not long:
        return Measured(0.0)
    start_s, end_s = max(long, key=lambda part: part[1] - part[0])
    if cue.operator == "<=" and any(start_s == b or end_s == a for a, b in curve.stretches_s(unknown)):
        return Measured(None, "where it begins or ends the face was not measured")
    return Measured(end_s - start_s)


def _share(cue: Cue, curve: Curve, span: Span) -> Measured:
    """The share of the measured samples in the span that reach the level.

    Of a span that is shorter than `min_duration_s` most must be measured.
    """
    part = curve.inside(span).known()
    wanted_s = 0.0 if curve.still else min(cue.min_duration_s, 0.8 * span.length_s)
    if not len(part.values) or len(part.values) * curve.step_s < wanted_s - 1e-9:
        return TOO_SHORT
    return Measured(float(np.mean(part.values >= (cue.level or 0.0))))


def _moved(cue: Cue, curve: Curve, span: Span) -> Measured:
    """How far a curve goes in the span: 95th minus 5th percentile."""
    part = curve.inside(span).known()
    if len(part.values) < 3 or len(part.values) * curve.step_s < cue.min_duration_s - 1e-9:
        return TOO_SHORT
    return Measured(_range(part.values))


LEGS = {"there_and_back": 2, "back_and_forth": 3}


def _legs(cue: Cue, curve: Curve, span: Span) -> Measured:
    """The best movement of two ("there and back") or three legs: its smallest leg. Each leg takes 1 s at most."""
    part = curve.inside(span).known()
    legs = LEGS[cue.statistic]
    if len(part.values) < legs + 1:
        return TOO_SHORT
    return Measured(largest_movement(part, legs, MAX_LEG_S))


def largest_movement(part: Curve, legs: int, longest_s: float, least: float = np.inf) -> float:
    """The smallest leg of the best movement of so many legs, each of `longest_s` at most; 0 without one.

    Turns by `least` count, however far the curve goes elsewhere. A rest before and after belongs to no leg.
    """
    turns = _turning_points(part.values, least)
    best = 0.0
    for first in range(len(turns) - legs):
        points = turns[first : first + legs + 1]
        sizes = np.abs(np.diff(part.values[points]))
        times_s = part.times_s[_without_rest(part.values, points)]
        if np.diff(times_s).max() <= longest_s + 1e-9:
            best = max(best, float(sizes.min()))
    return best


def _without_rest(values: Values, points: list[int]) -> list[int]:
    """The turning points with the outer ones moved inwards, to where a tenth of their leg is done."""
    begin, second, before, end = points[0], points[1], points[-2], points[-1]
    leaving = np.abs(values[begin:second] - values[begin]) <= EDGE_SHARE * abs(values[second] - values[begin])
    arriving = np.abs(values[before : end + 1] - values[end]) <= EDGE_SHARE * abs(
        values[before] - values[end]
    )
    return [begin + int(np.flatnonzero(leaving)[-1]), *points[1:-1], before + int(np.argmax(arriving))]


def _turning_points(values: Values, least: float = np.inf) -> list[int]:
    """First, last and every sample between where the curve turns round by `least` or a quarter of its range."""
    if not len(values):
        return []
    least = max(1e-9, min(least, 0.25 * float(values.max() - values.min())))
    turns, extreme, direction = [0], 0, 0
    for at in range(1, len(values)):
        step = values[at] - values[extreme]
        if direction == 0:
            if abs(values[at] - values[0]) >= least:
                direction, extreme = (1 if values[at] > values[0] else -1), at
        elif direction * step >= 0:
            extreme = at
        elif -direction * step >= least:
            turns.append(extreme)
            extreme, direction = at, -direction
    return [*turns, extreme] if extreme != turns[-1] else turns


Statistic = Callable[[Cue, Curve, Span], Measured]
FACE_STATISTICS: dict[str, Statistic] = {
    "max": _held,
    "min": _held,
    "away": _held,
    "length": _length,
    "share": _share,
    "range": _moved,
    "there_and_back": _legs,
    "back_and_forth": _legs,
}
