"""Whether a movement of the face may have been there although its samples do not show it."""

from __future__ import annotations

import numpy as np

from agents.evidence.curves import (
    EDGE_LEVEL,
    FACE_STATISTICS,
    LEGS,
    Curve,
    largest_movement,
    reached,
)
from schemas.cues import Cue
from schemas.parts import Span

FAST_S = (
    0.3  # from rest to rest: a fast nod (3 Hz and more, Hadar et al. 1983), a blink, a twitch of the lips
)
STEPS = 3  # samples that what is refuted must fill
STEP_TOLERANCE = 0.01  # of a step: cameras film 29.97 pictures a second where 30 are meant
BLINK_S = (
    0.2  # Caffier et al. 2003, DOI 10.1007/s00421-003-0807-5; at longer steps it may leave no sample at all
)
MOMENTARY = {"AU45": BLINK_S}  # from shut to open again


def hidden(cue: Cue, curve: Curve, span: Span, value: float) -> str:
    """Why a cue whose measured `value` does not reach its threshold may be there; "" when it is surely not.

    `curve` is the one that was measured, with its lone samples. n samples in a row are of something that took
    more than n - 1 and less than n + 1 steps.
    """
    shortest_s = MOMENTARY.get(cue.feature) or cue.min_duration_s or FAST_S
    enough_s = STEPS * (1 - STEP_TOLERANCE) * curve.step_s
    if curve.still or shortest_s >= enough_s or not _may_hide(cue, curve, span, value):
        return ""
    return f"sampled too coarsely: every {curve.step_s:.2g} s"


def _may_hide(cue: Cue, curve: Curve, span: Span, value: float) -> bool:
    if cue.statistic in LEGS:
        return _fast_movement(cue, curve, span)
    if cue.statistic == "length":
        return value == 0 and _held_for_less(cue, curve, span)
    if cue.statistic in ("max", "min", "away"):
        return _held_for_less(cue, curve, span) if cue.min_duration_s else _twitch(cue, curve, span)
    return False  # shares and ranges are of the span, however finely it is sampled


def _held_for_less(cue: Cue, curve: Curve, span: Span) -> bool:
    """Whether the level is seen in as many samples as the least time may leave."""
    samples = int(cue.min_duration_s / curve.step_s + STEP_TOLERANCE)
    if samples == 0:
        return True
    shorter = cue.model_copy(update={"min_duration_s": samples * curve.step_s})
    found = FACE_STATISTICS[cue.statistic](shorter, curve, span)
    return found.value is not None and reached(shorter, found.value)


def _twitch(cue: Cue, curve: Curve, span: Span) -> bool:
    """Whether one or two samples stand out: the top of a fast movement may lie between them."""
    if curve.step_s > MOMENTARY.get(cue.feature, np.inf) / 2 * (1 + STEP_TOLERANCE):
        return True
    edges = np.flatnonzero(np.diff(np.concatenate(([False], curve.values >= EDGE_LEVEL, [False]))))
    inside = curve.mask(span)
    return any(b - a <= 2 and inside[a:b].any() for a, b in zip(edges[::2], edges[1::2], strict=True))


def _fast_movement(cue: Cue, curve: Curve, span: Span) -> bool:
    """Whether the span is too short for slower legs, or holds what a fast movement leaves when it is hit badly.

    Badly: two samples lie evenly about its top, of which (as a raised cosine) they show `share`.
    """
    legs = LEGS[cue.statistic]
    if span.length_s < legs * STEPS / 2 * curve.step_s:
        return True
    share = (1 + np.cos(np.pi * min(1.0, curve.step_s / FAST_S))) / 2
    part = curve.inside(span).known()
    trace = largest_movement(part, legs, 2 * curve.step_s, share * cue.threshold)
    return bool(trace >= share * cue.threshold)
