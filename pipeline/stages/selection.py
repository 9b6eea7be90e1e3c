"""Which samples are annotated, and the split that each of them is meant for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from pipeline.examples import pinned
from pipeline.facts import segment_facts, target_facts, withdrawn_names
from pipeline.splits import NOTHING_KEPT, SPLITS, Placed, Planned, Split, kept_splits, planned_splits
from pipeline.stages.select import drop_reasons
from schemas.errors import UserError
from schemas.records import Release, Sample, Segment
from schemas.settings import Settings
from schemas.store import Store


class Selection(NamedTuple):
    """`dropped`: sample -> why nobody is asked about it. `placed`: every other sample -> its planned split.

    `undivided` is the code of what keeps them from being divided at all; nothing is placed then.
    """

    dropped: dict[str, str]
    placed: dict[str, Placed]
    undivided: str | None

    def planned(self, kept: int) -> dict[str, int]:
        """How many of the `kept` samples are meant for each split; or all of them under `undivided`."""
        if self.undivided is not None:
            return {self.undivided: kept}
        count = Counter(place.split for place in self.placed.values())
        return {split: count[split] for split in SPLITS if count[split]}


def select(
    samples: Iterable[Sample],
    segments: Mapping[str, Segment],
    facts: Mapping[str, Any],
    settings: Settings,
    before: Release | None,
    pinned: Mapping[str, Split] = NOTHING_KEPT,
) -> Selection:
    """Choose among samples, and divide those that are kept as a release would; `samples` are gone through once.

    `segments` by id, `facts` by subject; `before` is the version that was released last; `pinned` are the nodes
    that are train, whatever is drawn (`pipeline.examples.pinned`).
    """
    targets: dict[str, Planned] = {}

    def noted() -> Iterator[Sample]:
        for sample in samples:
            segment = segments[sample.segment_id]
            said = target_facts(facts, segment, sample.target.speaker)
            targets[sample.id] = Planned(sample.id, segment.source_id, said)
            yield sample

    told = {name: segment_facts(facts, segment) for name, segment in segments.items()}
    dropped = drop_reasons(
        noted(),
        settings.select,
        seed=settings.project.seed,
        facts=told,
        withdrawn=withdrawn_names(facts),
    )
    kept = [target for name, target in targets.items() if name not in dropped]
    try:
        placed = planned_splits(kept, settings, kept=kept_splits(before, settings, pinned))
    except UserError as error:  # a release says it with its remedy; until then nothing needs the splits
        return Selection(dropped, {}, error.code)
    return Selection(dropped, placed, None)


def selection(store: Store, settings: Settings) -> Selection:
    """The choice among the samples that stand, by the settings and facts as they are now."""
    segments = store.live(Segment)
    facts = store.facts()  # of all speakers: a transcript may name who is named nowhere else
    by_id = {segment.id: segment for segment in segments}
    return select(store.live(Sample), by_id, facts, settings, last_release(store), pinned(store))


def last_release(store: Store) -> Release | None:
    """The version that was released last."""
    released = store.all(Release)
    return released[-1] if released else None
