"""The contract of a segmenter: one file, one line in `pipeline/segment/__init__.py`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field, model_validator

from schemas.parts import Span

Given = tuple[float, float | None]  # start and end in seconds as a manifest states them; None: to the end


class SegmentParams(BaseModel):
    """Lengths in seconds; those that a rule reads are part of a segment's question.

    `min_s` and `max_s` bound a segment before padding; a source shorter than `min_s` is one segment.
    `merge_gap_s`: speech apart by less is one turn. `pad_s`: added on both sides of speech, never beyond the
    source, over a shot border, or into a neighbour. `window_s`: length of fixed windows; no other rule reads it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_s: float = Field(0.5, ge=0, allow_inf_nan=False)
    max_s: float = Field(30.0, gt=0, allow_inf_nan=False)
    pad_s: float = Field(0.0, ge=0, allow_inf_nan=False)
    merge_gap_s: float = Field(0.5, ge=0, allow_inf_nan=False)
    window_s: float = Field(5.0, gt=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _possible(self) -> SegmentParams:
        # With less room, a stretch a little longer than max_s could not be split into allowed parts.
        if self.max_s < 2 * self.min_s:
            raise ValueError(f"max_s ({self.max_s}) must be at least twice min_s ({self.min_s})")
        return self


@dataclass(frozen=True)
class SourceView:
    """What a segmenter knows of a source; all times are source times, spans ascending and apart.

    `shots` cover [0, duration_s] and are empty without video; `speech` is empty when nobody speaks;
    `given` are the times that manifests state, as they stand there: in any order, and perhaps wrong.
    """

    duration_s: float
    has_video: bool
    has_audio: bool
    shots: tuple[Span, ...] = ()
    speech: tuple[Span, ...] = ()
    given: tuple[Given, ...] = ()
    is_still: bool = False


@dataclass(frozen=True)
class Segmenter:
    """A rule. `split` gives spans inside [0, duration_s], ascending, and apart before padding.

    `reads` names the parameters that `split` looks at, `hears` says whether it looks at speech: nothing else may
    change what a segment is.
    """

    name: str
    version: str
    split: Callable[[SourceView, SegmentParams], list[Span]]
    reads: tuple[str, ...]
    hears: bool = False

    def params(self, all_params: SegmentParams) -> dict[str, float]:
        """What a segment of this rule states as its parameters."""
        return all_params.model_dump(mode="json", include=set(self.reads))
