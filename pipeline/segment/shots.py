"""Rule "shots": one segment per shot; they cover the source."""

from __future__ import annotations

from pipeline.segment.base import Segmenter, SegmentParams, SourceView
from pipeline.segment.spans import absorb_short, inside, span, split_evenly
from schemas.parts import Span


def split(view: SourceView, params: SegmentParams) -> list[Span]:
    """A shot shorter than `min_s` joins its neighbour, one longer than `max_s` is split evenly.

    A source without shots (sound only) counts as one shot; a still is one segment. Shots are never padded:
    beyond a cut another picture begins.
    """
    shots = inside(view.shots, view.duration_s) or [span(0.0, view.duration_s)]
    if view.is_still:
        return [span(0.0, view.duration_s)]
    joined = absorb_short(shots, params.min_s)
    return [p for s in joined for p in split_evenly(s, params.max_s)]


SEGMENTER = Segmenter("shots", "1", split, reads=("min_s", "max_s"))
