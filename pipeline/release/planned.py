"""Which split a sample is meant for before it is released, by the rule that the release itself applies. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pipeline.release.rows import row_id
from pipeline.release.splits import NOTHING_KEPT, TRUST, Placed, Split, SplitKey, assign_splits
from schemas.records import Sample, Segment
from schemas.settings import Settings


def planned_splits(
    samples: Iterable[tuple[Segment, Sample, Mapping[str, Any]]],
    settings: Settings,
    *,
    kept: Mapping[str, Split] = NOTHING_KEPT,
) -> dict[str, Placed]:
    """Sample id -> split and group, as `assign_splits` places them once people have labelled every sample.

    Each sample comes with its segment and with what holds for that (`pipeline.facts.segment_facts`). `kept` is
    the `placement` of the last release, whose groups stay where they are. Until people have labelled a group that
    is planned for validation or test, a release puts it into train, and fills its place from groups that they
    have labelled. So an example that is shown to a model must not be planned for test, and its source, speaker
    and group must then be `kept` in train.

    Raises:
        UserError: what `assign_splits` raises ("giant_group", "split_conflict").
    """
    keys = {sample.id: _key(segment, sample, said) for segment, sample, said in samples}
    placed = assign_splits(list(keys.values()), settings.release, seed=settings.project.seed, kept=kept)
    return {sample_id: placed[key.row_id] for sample_id, key in keys.items()}


def _key(segment: Segment, sample: Sample, said: Mapping[str, Any]) -> SplitKey:
    speaker, group = (None if said.get(name) is None else str(said[name]) for name in ("speaker", "group"))
    row = row_id(segment.id, sample.target.key)
    return SplitKey(row, segment.source_id, speaker, group, max(TRUST.values()))
