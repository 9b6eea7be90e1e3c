"""Which split a sample is meant for before it is released, by the rule that the release itself applies. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from pipeline.release.splits import NOTHING_KEPT, TRUST, Placed, Split, SplitKey, assign_splits
from schemas.records import Release
from schemas.settings import Settings


class Planned(NamedTuple):
    """What a split is planned from: a sample, its source, and what holds for its target."""

    sample_id: str
    source_id: str
    facts: Mapping[str, Any]


def planned_splits(
    samples: Iterable[Planned], settings: Settings, *, kept: Mapping[str, Split] = NOTHING_KEPT
) -> dict[str, Placed]:
    """Sample id -> split and group, as `assign_splits` places them once people have labelled every sample.

    `kept` is the `placement` of the last release, whose groups stay where they are. Until people have labelled a
    group that is planned for validation or test, a release puts it into train, and fills its place from groups
    that they have labelled. So an example that is shown to a model must not be planned for test, and its source,
    speaker and group must then be `kept` in train.

    Raises:
        UserError: what `assign_splits` raises ("giant_group", "split_conflict").
    """
    return assign_splits(list(map(_key, samples)), settings.release, seed=settings.project.seed, kept=kept)


def kept_splits(before: Release | None, settings: Settings) -> Mapping[str, Split]:
    """What the version `before` placed and the next one leaves there."""
    return before.placement if before and settings.release.keep_splits else NOTHING_KEPT


def _key(sample: Planned) -> SplitKey:
    said = sample.facts
    speaker, group = (None if said.get(name) is None else str(said[name]) for name in ("speaker", "group"))
    return SplitKey(sample.sample_id, sample.source_id, speaker, group, max(TRUST.values()))
