"""Operations on lists of spans that the segmenters share. Lists are ascending and their spans do not overlap."""

from __future__ import annotations

import itertools
import math

from schemas.parts import Span

TIME_DIGITS = 6
_SLACK_S = 1e-6  # times are kept to the microsecond: a length may miss a bound by that much


def span(start_s: float, end_s: float) -> Span:
    """A span with times to the microsecond."""
    return Span(start_s=round(start_s, TIME_DIGITS), end_s=round(end_s, TIME_DIGITS))


def merge_close(spans: list[Span], gap_s: float) -> list[Span]:
    """Joins neighbours that are less than `gap_s` apart, or that touch."""
    merged: list[Span] = []
    for one in spans:
        if merged and (one.start_s - merged[-1].end_s < gap_s or one.start_s <= merged[-1].end_s):
            merged[-1] = span(merged[-1].start_s, max(one.end_s, merged[-1].end_s))
        else:
            merged.append(one)
    return merged


def absorb_short(spans: list[Span], min_s: float) -> list[Span]:
    """Joins spans shorter than `min_s` with the one after them, the last with the one before.

    For touching spans that cover a stretch: what was covered stays covered.
    """
    joined: list[Span] = []
    for one in spans:
        if joined and joined[-1].length_s < min_s - _SLACK_S:
            joined[-1] = span(joined[-1].start_s, one.end_s)
        else:
            joined.append(one)
    if len(joined) > 1 and joined[-1].length_s < min_s - _SLACK_S:
        last = joined.pop()
        joined[-1] = span(joined[-1].start_s, last.end_s)
    return joined


def grow_short(spans: list[Span], min_s: float, duration_s: float) -> list[Span]:
    """Widens spans shorter than `min_s` into the room around them; joins neighbours where there is none."""
    grown: list[Span] = []
    for position, one in enumerate(spans):
        floor_s = grown[-1].end_s if grown else 0.0
        if one.start_s < floor_s:  # the one before had to grow over its start
            one = span(floor_s, max(floor_s, one.end_s))
        ceiling_s = spans[position + 1].start_s if position + 1 < len(spans) else duration_s
        lacking_s = min_s - one.length_s
        if lacking_s > _SLACK_S:
            start_s = max(floor_s, min(one.start_s - lacking_s / 2, ceiling_s - min_s))
            one = span(start_s, min(ceiling_s, max(one.end_s, start_s + min_s)))
        if grown and (one.length_s < min_s - _SLACK_S or one.length_s == 0):
            grown[-1] = span(grown[-1].start_s, one.end_s)
        else:
            grown.append(one)
    return absorb_first(grown, min_s)


def absorb_first(spans: list[Span], min_s: float) -> list[Span]:
    """Joins a first span that is still shorter than `min_s` with the one after it."""
    if len(spans) > 1 and spans[0].length_s < min_s - _SLACK_S:
        return [span(spans[0].start_s, spans[1].end_s), *spans[2:]]
    return spans


def cut_at(one: Span, borders_s: list[float], min_s: float) -> list[Span]:
    """Cuts a span at the borders that leave at least `min_s` on both sides; a sliver is not cut off."""
    points = [one.start_s]
    for border_s in borders_s:
        far_enough = border_s - points[-1] >= max(min_s, _SLACK_S)
        if far_enough and one.end_s - border_s >= max(min_s, _SLACK_S):
            points.append(border_s)
    points.append(one.end_s)
    return [span(a, b) for a, b in itertools.pairwise(points)]


def split_long(one: Span, pauses: list[Span], min_s: float, max_s: float) -> list[Span]:
    """Splits a span longer than `max_s` at its widest pause, again and again; evenly where it has none."""
    if one.length_s <= max_s + _SLACK_S:
        return [one]
    usable = [
        p
        for p in pauses
        if _middle(p) - one.start_s >= max(min_s, _SLACK_S) and one.end_s - _middle(p) >= max(min_s, _SLACK_S)
    ]
    if not usable:
        return split_evenly(one, max_s)
    widest = max(usable, key=lambda p: (p.length_s, -p.start_s))
    left, right = span(one.start_s, _middle(widest)), span(_middle(widest), one.end_s)
    return split_long(left, usable, min_s, max_s) + split_long(right, usable, min_s, max_s)


def split_evenly(one: Span, max_s: float) -> list[Span]:
    """The fewest equal parts that are not longer than `max_s`."""
    parts = max(1, math.ceil((one.length_s - _SLACK_S) / max_s))
    points = [one.start_s + one.length_s * n / parts for n in range(parts)] + [one.end_s]
    return [span(a, b) for a, b in itertools.pairwise(points)]


def pad(
    spans: list[Span], pad_s: float, duration_s: float, borders_s: list[float] | None = None
) -> list[Span]:
    """Widens every span by `pad_s` on both sides: inside [0, duration_s], not over a border beside it, and at
    most to the middle of the gap to its neighbour, so that nothing stands in two spans."""
    padded = []
    for position, one in enumerate(spans):
        floors = [0.0, *(border for border in borders_s or [] if border <= one.start_s + _SLACK_S)]
        ceilings = [duration_s, *(border for border in borders_s or [] if border >= one.end_s - _SLACK_S)]
        if position > 0:
            floors.append((spans[position - 1].end_s + one.start_s) / 2)
        if position + 1 < len(spans):
            ceilings.append((one.end_s + spans[position + 1].start_s) / 2)
        start_s = min(one.start_s, max(*floors, one.start_s - pad_s))
        padded.append(span(start_s, max(one.end_s, min(*ceilings, one.end_s + pad_s))))
    return padded


def inside(spans: tuple[Span, ...], duration_s: float) -> list[Span]:
    """The parts of `spans` inside [0, duration_s]; spans without length are left out."""
    cut = [span(s.start_s, min(s.end_s, duration_s)) for s in spans if s.start_s < duration_s]
    return [s for s in cut if s.length_s > 0]


def _middle(one: Span) -> float:
    return (one.start_s + one.end_s) / 2
