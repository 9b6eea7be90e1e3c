"""Rule "whole": the source is one segment, however long it is."""

from __future__ import annotations

from pipeline.segment.base import Segmenter, SegmentParams, SourceView
from pipeline.segment.spans import span
from schemas.parts import Span


def split(view: SourceView, params: SegmentParams) -> list[Span]:  # noqa: ARG001 - the contract
    return [span(0.0, view.duration_s)]


SEGMENTER = Segmenter("whole", "1", split, reads=())
