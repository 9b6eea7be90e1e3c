"""Rule "given": the times that the manifest states, exactly."""

from __future__ import annotations

from pipeline.segment.base import Given, Segmenter, SegmentParams, SourceView
from pipeline.segment.spans import span
from schemas.errors import ItemError
from schemas.parts import Span

# Manifests round their times: an end may pass the source's end by this much before it is called wrong.
ROUNDING_S = 0.5
TIME_DIGITS = 3  # segments are told apart to the millisecond


def split(view: SourceView, params: SegmentParams) -> list[Span]:  # noqa: ARG001 - the contract
    """The given times in order, ends cut to the source; they may overlap, and no length bounds apply.

    Those that are `wrong` are left out.

    Raises:
        ItemError: no_given_times.
    """
    if not view.given:
        raise ItemError(
            "no_given_times",
            'segment.rule is "given", but no manifest gives times of this recording',
            "ingest a manifest with its start and end, or set another segment.rule; then: emotrace run",
        )
    return [span(start_s, end_s) for start_s, end_s in sorted(_placed(view)[0])]


def wrong(view: SourceView) -> dict[Given, ItemError]:
    """The given times that cannot be cut, each with its reason.

    Codes: given_outside; given_twice, when the source's end makes two of them the same stretch.
    """
    return _placed(view)[1]


def _placed(view: SourceView) -> tuple[set[tuple[float, float]], dict[Given, ItemError]]:
    places: set[tuple[float, float]] = set()
    unfit: dict[Given, ItemError] = {}
    for start_s, end_s in view.given:
        last_s = view.duration_s if end_s is None else end_s
        cut_s = round(min(last_s, view.duration_s), TIME_DIGITS)
        if start_s >= cut_s or last_s > view.duration_s + ROUNDING_S:
            why = f"outside the recording, which is {view.duration_s:g} s long"
            unfit[start_s, end_s] = ItemError("given_outside", why)
        elif (start_s, cut_s) in places:
            why = f"{start_s:g} s to the end of the recording, as another row gives it"
            unfit[start_s, end_s] = ItemError("given_twice", why)
        else:
            places.add((start_s, cut_s))
    return places, unfit


SEGMENTER = Segmenter("given", "2", split, reads=())
