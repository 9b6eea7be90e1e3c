"""Rule "speech": one segment per turn of speech; what nobody says anything in is left out."""

from __future__ import annotations

import itertools

from pipeline.segment.base import Segmenter, SegmentParams, SourceView
from pipeline.segment.spans import grow_short, inside, merge_close, pad, span, split_long
from schemas.parts import Span


def turns(view: SourceView, params: SegmentParams) -> list[Span]:
    """Turns of speech of at least `min_s`: close regions joined, short ones widened; no speech is lost."""
    regions = inside(view.speech, view.duration_s)
    return grow_short(merge_close(regions, params.merge_gap_s), params.min_s, view.duration_s)


def pauses(view: SourceView) -> list[Span]:
    """The silences between the speech regions of a source: where a turn that is too long may be split."""
    regions = inside(view.speech, view.duration_s)
    return [span(a.end_s, b.start_s) for a, b in itertools.pairwise(regions) if b.start_s > a.end_s]


def split(view: SourceView, params: SegmentParams) -> list[Span]:
    """Turns longer than `max_s` are split at their widest pauses. Empty when nobody speaks."""
    quiet = pauses(view)
    parts = [p for t in turns(view, params) for p in split_long(t, quiet, params.min_s, params.max_s)]
    return pad(parts, params.pad_s, view.duration_s)


SEGMENTER = Segmenter("speech", "1", split, reads=("min_s", "max_s", "pad_s", "merge_gap_s"), hears=True)
