"""Train, validation and test without leakage: whole groups only, people's labels only outside train."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import Literal, NamedTuple

from schemas.errors import UserError
from schemas.ids import content_id
from schemas.settings import ReleaseSection

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
MAX_GROUP_SHARE = 0.4  # a larger component leaves too little for the other splits to be of use
ORDER_SEED = "emotrace-split"


class SplitKey(NamedTuple):
    """What the split of a row depends on.

    `trust`: 0 a machine label or none, 1 a person's label, 2 an adjudication or two blind reviewers.
    """

    row_id: str
    source_id: str
    speaker: str | None
    group: str | None
    trust: int


class Placed(NamedTuple):
    split: Split
    group: str


def assign_splits(keys: Sequence[SplitKey], settings: ReleaseSection, *, seed: int) -> dict[str, Placed]:
    """Row id -> split and group. No group stands in two splits.

    A group may go to validation only when every row in it has a person's label, and to test only when every row
    was adjudicated or labelled blind by two people; all others are train. Those that may go elsewhere are taken
    in the order of sha256(seed|group) and go where most is lacking, unless that brings the split no nearer to
    its share.

    Raises:
        UserError: code "giant_group", one group holds more than 40% of the rows although a split is wanted.
    """
    groups = _components(keys, by_speaker=settings.split_policy == "speaker")
    sizes = Counter(groups.values())
    trust: dict[str, int] = {}
    for key in keys:
        trust[groups[key.row_id]] = min(key.trust, trust.get(groups[key.row_id], key.trust))
    open_to = {name: _open_splits(level, settings) for name, level in trust.items()}
    if any(open_to.values()):
        _refuse_giant(sizes, len(keys), settings)
    split_of = _greedy(sizes, open_to, settings, seed)
    return {row: Placed(split_of[group], group) for row, group in groups.items()}


def _components(keys: Sequence[SplitKey], *, by_speaker: bool) -> dict[str, str]:
    """Row id -> group: rows that share a source, a declared speaker or a declared group, over any chain."""
    parent: dict[str, str] = {}

    def root(node: str) -> str:
        parent.setdefault(node, node)
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for key in keys:
        for node in _ties(key, by_speaker=by_speaker):
            parent[root(node)] = root(f"source:{key.source_id}")
    members: dict[str, list[str]] = {}
    for node in sorted(parent):
        members.setdefault(root(node), []).append(node)
    names = {top: content_id("grp", nodes) for top, nodes in members.items()}
    return {key.row_id: names[root(f"source:{key.source_id}")] for key in keys}


def _ties(key: SplitKey, *, by_speaker: bool) -> list[str]:
    ties = [f"source:{key.source_id}"]
    if by_speaker and key.speaker is not None:
        ties.append(f"speaker:{key.speaker}")
    if key.group is not None:
        ties.append(f"group:{key.group}")
    return ties


def _open_splits(trust: int, settings: ReleaseSection) -> list[Split]:
    """Where beside train a group may go."""
    if settings.split_policy == "single":
        return []
    splits: list[Split] = []
    if trust >= 1 and settings.validation_share > 0:
        splits.append("validation")
    if trust >= 2 and settings.test_share > 0:
        splits.append("test")
    return splits


def _refuse_giant(sizes: Counter[str], rows: int, settings: ReleaseSection) -> None:
    group, size = sizes.most_common(1)[0]
    if size <= MAX_GROUP_SHARE * rows:
        return
    linked = "source, speaker or group" if settings.split_policy == "speaker" else "source or group"
    other = ' or "source" (recordings of one speaker may then stand in two splits)'
    raise UserError(
        "giant_group",
        f"{size} of {rows} rows are linked by {linked} into one split group ({group}): "
        "they cannot be divided into train, validation and test without leakage",
        f'set release.split_policy = "single"{other if settings.split_policy == "speaker" else ""}',
    )


def _greedy(
    sizes: Counter[str], open_to: dict[str, list[Split]], settings: ReleaseSection, seed: int
) -> dict[str, Split]:
    rows = sum(sizes.values())
    lacking: dict[Split, float] = {
        "train": rows * (1 - settings.validation_share - settings.test_share),
        "validation": rows * settings.validation_share,
        "test": rows * settings.test_share,
    }
    chosen: dict[str, Split] = {}
    # groups that can only be train come first, so that the others know what train still lacks
    for group in sorted(sizes, key=lambda name: (bool(open_to[name]), _order(seed, name))):
        fitting = [split for split in open_to[group] if sizes[group] < 2 * lacking[split]]
        split = max(("train", *fitting), key=lambda name: lacking[name])
        lacking[split] -= sizes[group]
        chosen[group] = split
    return chosen


def _order(seed: int, group: str) -> str:
    return hashlib.sha256(f"{ORDER_SEED}|{seed}|{group}".encode()).hexdigest()
