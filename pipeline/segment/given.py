"""Rule "given": the times that the manifest states, exactly."""

from __future__ import annotations

from pipeline.segment.base import Segmenter, SegmentParams, SourceView
from pipeline.segment.spans import span
from schemas.errors import ItemError
from schemas.parts import Span

# Manifests round their times: an end may pass the source's end by this much before it is called wrong.
ROUNDING_S = 0.5


def split(view: SourceView, params: SegmentParams) -> list[Span]:  # noqa: ARG001 - the contract
    """The given spans in order of time, ends cut to the source; they may overlap, and no length bounds apply.

    Raises:
        ItemError: no_given_times; given_outside, when a span is not inside the source.
    """
    if not view.given:
        raise ItemError(
            "no_given_times", "the rule is given times, but the manifest states none for this source"
        )
    for one in view.given:
        if one.start_s >= view.duration_s or one.end_s > view.duration_s + ROUNDING_S:
            raise ItemError(
                "given_outside",
                f"given time {one.start_s:g}-{one.end_s:g} s is outside the source ({view.duration_s:g} s long)",
            )
    ordered = sorted(view.given, key=lambda s: (s.start_s, s.end_s))
    return [span(s.start_s, min(s.end_s, view.duration_s)) for s in ordered]


SEGMENTER = Segmenter("given", "1", split)
