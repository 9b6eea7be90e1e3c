"""Which baselines a segment is measured against: those that stand for it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from pipeline.stages.targets import FACE
from schemas.ids import content_id
from schemas.parts import Target, Turn
from schemas.records import Sample
from schemas.settings import SelectSection

VIEW_VERSION = (
    "4"  # raised when what a sample holds changes, also its key frames and what is told of its sound
)
DEFAULT_METHOD = SelectSection().key_frame_method


@dataclass(frozen=True)
class View:
    """What would be shown of a segment now, whatever the baselines.

    `compared`: stage -> digest of what is measured against a baseline, the target's voice and its face;
    `subjects`: stage -> whose baseline that is.
    """

    segment_id: str
    target: Target
    feature_digests: tuple[str, ...]  # sorted
    context: tuple[Turn, ...]
    compared: Mapping[str, str] = field(default_factory=dict)
    subjects: Mapping[str, str | None] = field(default_factory=dict)
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
    baselines: Mapping[str, str]  # stage -> id
    subjects: Mapping[str, str | None]  # stage -> whose they are
    feature_digests: tuple[str, ...]
    speaker: str | None
    target: str  # its key
    live: bool

    @property
    def baseline_ids(self) -> tuple[str, ...]:
        return tuple(sorted(self.baselines.values()))


def kept_baselines(view: View, made: Sequence[Made]) -> dict[str, str | None]:
    """Stage -> the baseline that the segment keeps, None: none at all. Stages not there have to get one now.

    The baseline of the sample that stands is kept as long as the same person's voice (or the same face) was
    measured in the same way: other words change the sample, and never what its voice is compared with. Where
    nothing stands that could tell, the newest sample that was ever made of this view does. So later files move
    nothing; a trial of another backend, once taken back, leads to the sample from before it; and a change of
    all baselines that was cut off has changed none, because its samples do not stand yet.

    `made` in the order in which the samples came.
    """
    fitting = [one for one in made if view.sample_id(one.baseline_ids) == one.id]
    found: dict[str, str | None] = {}
    for stage in view.compared:
        standing = [one for one in made if one.live and (one in fitting or _same(view, one, stage))]
        if not (decided := [*standing[:1], *fitting[-1:]]):
            continue
        kept, whose = decided[0].baselines.get(stage), decided[0].subjects.get(stage)
        if kept is None or whose == view.subjects.get(stage):  # else the person is declared now, or no more
            found[stage] = kept
    return found


def _same(view: View, one: Made, stage: str) -> bool:
    """Whether a sample holds the same measurements of the same person; tracks are names within a measurement."""
    same_person = view.target.key == one.target if stage == FACE else view.target.speaker == one.speaker
    return same_person and view.compared[stage] in one.feature_digests
