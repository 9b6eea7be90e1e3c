"""Rule "both": turns of speech, cut where the shot changes; shots alone where nobody speaks at all."""

from __future__ import annotations

from pipeline.segment import shots
from pipeline.segment.base import Segmenter, SegmentParams, SourceView
from pipeline.segment.spans import cut_at, inside, pad, split_long
from pipeline.segment.speech import pauses, turns
from schemas.parts import Span


def split(view: SourceView, params: SegmentParams) -> list[Span]:
    """A shot border closer than `min_s` to a turn's edge does not cut it: no slivers, and no speech is lost."""
    if view.is_still or not inside(view.speech, view.duration_s):
        return shots.split(view, params)
    borders_s = [s.start_s for s in inside(view.shots, view.duration_s)]
    quiet = pauses(view)
    parts = [
        part
        for turn in turns(view, params)
        for piece in cut_at(turn, borders_s, params.min_s)
        for part in split_long(piece, quiet, params.min_s, params.max_s)
    ]
    return pad(parts, params.pad_s, view.duration_s, borders_s)


SEGMENTER = Segmenter("both", "1", split, reads=("min_s", "max_s", "pad_s", "merge_gap_s"), hears=True)
