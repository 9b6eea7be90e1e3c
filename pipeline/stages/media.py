"""Media: a browser-playable clip for every segment that a person has to look at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from pipeline.stages.base import Run, each
from schemas.parts import MediaRef
from schemas.records import Decision, Sample
from schemas.store import Stub


class _Item(NamedTuple):
    sample_id: str
    clip: MediaRef


class MediaStage:
    """Clips live in the cache; where it was deleted they are made again, and nothing else is."""

    name = "media"
    shard_size = 16

    def plan(self, run: Run) -> list[Any]:
        store, missing = run.project.store, []
        for page in run.samples.pages():
            decisions = store.stubs_by_parent(Decision, [ref.segment_id for ref in page])
            # One clip shows all the people of a segment.
            first = {ref.segment_id: ref.id for ref in reversed(page)}
            waiting = [sample_id for segment_id, sample_id in first.items() if _waits(decisions[segment_id])]
            missing += [_Item(s.id, s.clip) for s in store.by_id(Sample, waiting[::-1]) if s.clip]
        run.clips = [item.clip for item in missing]
        return [
            item
            for item in missing
            if not self._stands(run, item)
            and not run.failed_before(self.name, item.sample_id, run.sources[item.clip.source_id])
        ]

    def _stands(self, run: Run, item: _Item) -> bool:
        """Made and noted: of a run that was killed between the two the note is still missing."""
        return run.media.has(item.clip) and run.done_before(self.name, item.sample_id)

    def work(self, run: Run, items: Sequence[_Item]) -> None:
        def make(item: _Item) -> list[Any]:
            run.media.make(item.clip, run.sources[item.clip.source_id])
            return []

        each(
            run,
            self.name,
            items,
            make,
            name=lambda item: item.sample_id,
            path=lambda item: run.path_text(run.sources[item.clip.source_id]),
            remember=True,
        )

    def finish(self, run: Run) -> None:
        """Nothing stands in the store: clips are recomputable."""


def _waits(decisions: list[Stub]) -> bool:
    return any(one.live and one.brief["status"] == "needs_review" for one in decisions)
