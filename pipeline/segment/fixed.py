"""Rule "fixed": windows of `window_s` from the start; they cover the source."""

from __future__ import annotations

from pipeline.segment.base import Segmenter, SegmentParams, SourceView
from pipeline.segment.spans import absorb_short, span, split_evenly
from schemas.parts import Span


def split(view: SourceView, params: SegmentParams) -> list[Span]:
    """A rest shorter than `min_s` joins the last window; if that is then too long, the two share evenly."""
    count = max(1, int(view.duration_s // params.window_s))
    starts = [n * params.window_s for n in range(count + 1) if n * params.window_s < view.duration_s]
    windows = [
        span(a, b) for a, b in zip(starts, [*starts[1:], view.duration_s], strict=True) if round(b - a, 6) > 0
    ]
    joined = absorb_short(windows, params.min_s)
    return [p for w in joined for p in split_evenly(w, params.max_s)]


SEGMENTER = Segmenter("fixed", "1", split, reads=("min_s", "max_s", "window_s"))
