"""Media: a browser-playable clip for every sample that a person has to look at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline.stages.base import Run, each
from schemas.parts import MediaRef
from schemas.records import Decision, Sample


class MediaStage:
    """Clips live in the cache; where it was deleted they are made again, and nothing else is."""

    name = "media"
    shard_size = 16

    def plan(self, run: Run) -> list[Any]:
        waiting = {
            (decision.segment_id, decision.target.key)
            for decision in run.project.store.live(Decision)
            if decision.status == "needs_review"
        }
        samples = [s for s in run.samples if (s.segment_id, s.target.key) in waiting and s.clip]
        return [
            sample
            for sample in samples
            if not run.media.has(_clip(sample))
            and not run.failed_before(self.name, sample.id, run.sources[_clip(sample).source_id])
        ]

    def work(self, run: Run, items: Sequence[Sample]) -> None:
        def make(sample: Sample) -> list[Any]:
            ref = _clip(sample)
            run.media.make(ref, run.sources[ref.source_id])
            return []

        each(
            run,
            self.name,
            items,
            make,
            name=lambda sample: sample.id,
            path=lambda sample: run.path_text(run.sources[_clip(sample).source_id]),
            remember=True,
        )

    def finish(self, run: Run) -> None:
        """Nothing stands in the store: clips are recomputable."""


def _clip(sample: Sample) -> MediaRef:
    assert sample.clip is not None
    return sample.clip
