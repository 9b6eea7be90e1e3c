"""Which baseline a segment is measured against: the one that stands for it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from schemas.ids import content_id
from schemas.parts import Target, Turn
from schemas.records import Sample
from schemas.settings import SelectSection

VIEW_VERSION = (
    "2"  # raised when what a sample holds changes, also its key frames and what is told of its sound
)
DEFAULT_METHOD = SelectSection().key_frame_method


@dataclass(frozen=True)
class View:
    """What would be shown of a segment now, whatever the baseline. `voice` is the digest of its prosody."""

    segment_id: str
    target: Target
    feature_digests: tuple[str, ...]  # sorted
    context: tuple[Turn, ...]
    voice: str | None
    version: str = VIEW_VERSION

    def sample_id(self, baseline_ids: Sequence[str]) -> str:
        """The id that the sample with this baseline has or would get, without composing it."""
        question = {
            "segment_id": self.segment_id,
            "target": self.target.model_dump(mode="json"),
            "feature_digests": self.feature_digests,
            "baseline_ids": list(baseline_ids),
            "context": [turn.model_dump(mode="json") for turn in self.context],
            "view_version": self.version,
        }
        return content_id(Sample.PREFIX, question)


def view_version(select: SelectSection) -> str:
    """The version of the view: what is shown also depends on how key frames are chosen."""
    method = select.key_frame_method
    return VIEW_VERSION if method == DEFAULT_METHOD else f"{VIEW_VERSION}/{method}"


class Made(NamedTuple):
    """A sample that was composed of the segment before; `live` when it stands now."""

    id: str
    baseline_ids: tuple[str, ...]
    feature_digests: tuple[str, ...]
    speaker: str | None
    live: bool


def kept_baseline(view: View, made: Sequence[Made]) -> tuple[str, ...] | None:
    """The baseline (or none at all: an empty tuple) that the segment keeps; None: it has to get one now.

    The baseline of the sample that stands is kept as long as the same person's voice was measured in the same
    way: other words or another face change the sample, and never what its voice is compared with. Where nothing
    stands that could tell, the newest sample that was ever made of this view does. So later files move
    nothing; a trial of another backend, once taken back, leads to the sample from before it; and a change of
    all baselines that was cut off has changed none, because its samples do not stand yet.

    `made` in the order in which the samples came.
    """
    for one in made:
        if one.live and (_fits(view, one) or _same_voice(view, one)):
            return one.baseline_ids
    fitting = [one for one in made if _fits(view, one)]
    return fitting[-1].baseline_ids if fitting else None


def _fits(view: View, one: Made) -> bool:
    return view.sample_id(one.baseline_ids) == one.id


def _same_voice(view: View, one: Made) -> bool:
    return view.voice in one.feature_digests and view.target.speaker == one.speaker
