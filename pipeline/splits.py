"""Train, validation and test without leakage: whole groups only, people's labels only outside train. Pure.

A release assigns splits to its rows; before that, every sample that is chosen has a planned one by the same rule.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from schemas.errors import UserError
from schemas.ids import content_id
from schemas.records import Release
from schemas.settings import ReleaseSection, Settings

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
MAX_GROUP_SHARE = 0.4  # a larger component leaves too little for the other splits to be of use
ORDER_SEED = "emotrace-split"
TRUST: dict[Split, int] = {"train": 0, "validation": 1, "test": 2}  # what a row there needs: see `SplitKey`
NOTHING_KEPT: Mapping[str, Split] = MappingProxyType({})
DRAW_ANEW = (
    "draw all splits anew with release.keep_splits = false "
    "(who trained on an earlier version must not test on this one)"
)


class SplitKey(NamedTuple):
    """What the split of a row depends on.

    `trust`: 0 a machine label or none, 1 a person's label, 2 an adjudication or two blind reviewers.
    """

    row_id: str
    source_id: str
    speaker: str | None
    group: str | None
    trust: int

    @classmethod
    def planned(cls, row_id: str, source_id: str, facts: Mapping[str, Any]) -> SplitKey:
        """The key of a row as if people had labelled it already; `facts` are those of its target."""
        speaker, group = (
            None if facts.get(name) is None else str(facts[name]) for name in ("speaker", "group")
        )
        return cls(row_id, source_id, speaker, group, max(TRUST.values()))


class Placed(NamedTuple):
    split: Split
    group: str


class Planned(NamedTuple):
    """What a split is planned from: a sample, its source, and what holds for its target."""

    sample_id: str
    source_id: str
    facts: Mapping[str, Any]


class Groups(NamedTuple):
    """What belongs together: the group of each row, and what each group is made of."""

    of_row: dict[str, str]
    nodes: dict[str, list[str]]  # "source:ID", "speaker:NAME", "group:NAME", sorted


def assign_splits(
    keys: Sequence[SplitKey],
    settings: ReleaseSection,
    *,
    seed: int,
    kept: Mapping[str, Split] = NOTHING_KEPT,
) -> dict[str, Placed]:
    """Row id -> split and group. No group stands in two splits.

    `kept` is the `placement` of an earlier version: a group with something of it stays where that stands, and
    its rows that too few people have labelled for that split are left out of the result. A new group may go to
    validation only when every row in it has a person's label, and to test only when every row was adjudicated
    or labelled blind by two people; all others are train. Those that may go elsewhere are taken in the order
    of sha256(seed|group) and go where most is lacking, unless that brings the split no nearer to its share.

    Raises:
        UserError: code "giant_group", one new group holds more than 40% of the rows although a split is wanted;
            code "split_conflict", what stood in two splits of an earlier version would now stand in one.
    """
    groups = _groups(keys, by_speaker=settings.split_policy == "speaker")
    split_of = _kept_splits(groups, kept)
    if settings.split_policy == "single":
        _refuse_division(keys, kept)
    rows = [key for key in keys if key.trust >= TRUST[split_of.get(groups.of_row[key.row_id], "train")]]
    sizes = Counter(groups.of_row[key.row_id] for key in rows)
    trust: dict[str, int] = {}
    for key in rows:
        group = groups.of_row[key.row_id]
        trust[group] = min(key.trust, trust.get(group, key.trust))
    open_to = {group: _open_splits(trust[group], settings) for group in sizes if group not in split_of}
    if any(open_to.values()):
        _refuse_giant({group: sizes[group] for group in open_to}, len(rows), settings)
    split_of |= _greedy(sizes, open_to, split_of, settings, seed)
    return {
        key.row_id: Placed(split_of[group], group) for key in rows for group in [groups.of_row[key.row_id]]
    }


def placement(
    keys: Sequence[SplitKey], placed: Mapping[str, Placed], settings: ReleaseSection
) -> dict[str, Split]:
    """What a version pins for those after it: each source, group and speaker in it -> its split.

    Under the policy "source" a speaker may stand in two splits and is not pinned.
    """
    return {
        node: placed[key.row_id].split
        for key in keys
        if key.row_id in placed
        for node in ties_of(key, by_speaker=settings.split_policy != "source")
    }


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
    return assign_splits(
        [SplitKey.planned(*sample) for sample in samples],
        settings.release,
        seed=settings.project.seed,
        kept=kept,
    )


def kept_splits(
    before: Release | None, settings: Settings, pinned: Mapping[str, Split] = NOTHING_KEPT
) -> Mapping[str, Split]:
    """What the version `before` placed and the next one leaves there, and what is `pinned` whatever is drawn."""
    placed = before.placement if before and settings.release.keep_splits else NOTHING_KEPT
    return {**pinned, **placed}


def _kept_splits(groups: Groups, kept: Mapping[str, Split]) -> dict[str, Split]:
    """Group -> the split in which something of it stood."""
    found: dict[str, Split] = {}
    for group, nodes in groups.nodes.items():
        known = {kept[node]: node for node in nodes if node in kept}
        if len(known) > 1:
            (one, here), (other, there), *_ = sorted(known.items())
            raise UserError(
                "split_conflict",
                f"{_named(here)} stood in {one} and {_named(there)} in {other} in an earlier version, but now "
                "they are linked into one group",
                f"correct what links them (speaker, group), or {DRAW_ANEW}",
            )
        if known:
            found[group] = next(iter(known))
    return found


def _refuse_division(keys: Sequence[SplitKey], kept: Mapping[str, Split]) -> None:
    """Everything in train would take what was tested on into it."""
    for node in (node for key in keys for node in ties_of(key, by_speaker=True)):
        if kept.get(node, "train") != "train":
            raise UserError(
                "split_conflict",
                f"{_named(node)} stood in {kept[node]} in an earlier version, "
                'but release.split_policy is "single"',
                f"choose the policy of that version, or {DRAW_ANEW}",
            )


def _named(node: str) -> str:
    kind, _, name = node.partition(":")
    return f"{'recording' if kind == 'source' else kind} {name}"


def _groups(keys: Sequence[SplitKey], *, by_speaker: bool) -> Groups:
    """Rows that share a source, a declared speaker or a declared group, over any chain, are in one group."""
    parent: dict[str, str] = {}

    def root(node: str) -> str:
        parent.setdefault(node, node)
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for key in keys:
        for node in ties_of(key, by_speaker=by_speaker):
            parent[root(node)] = root(f"source:{key.source_id}")
    members: dict[str, list[str]] = {}
    for node in sorted(parent):
        members.setdefault(root(node), []).append(node)
    names = {top: content_id("grp", nodes) for top, nodes in members.items()}
    return Groups(
        {key.row_id: names[root(f"source:{key.source_id}")] for key in keys},
        {names[top]: nodes for top, nodes in members.items()},
    )


def ties_of(key: SplitKey, *, by_speaker: bool = True) -> list[str]:
    """The nodes that a row is tied to: its source, and its declared speaker and group."""
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
    shares: dict[Split, float] = {"validation": settings.validation_share, "test": settings.test_share}
    return [split for split, share in shares.items() if share > 0 and trust >= TRUST[split]]


def _refuse_giant(sizes: Mapping[str, int], rows: int, settings: ReleaseSection) -> None:
    group, size = max(sizes.items(), key=lambda item: item[1])
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
    sizes: Mapping[str, int],
    open_to: Mapping[str, list[Split]],
    kept: Mapping[str, Split],
    settings: ReleaseSection,
    seed: int,
) -> dict[str, Split]:
    """The splits of the groups in `open_to`, around those that are `kept`."""
    rows = sum(sizes.values())
    lacking: dict[Split, float] = {
        "train": rows * (1 - settings.validation_share - settings.test_share),
        "validation": rows * settings.validation_share,
        "test": rows * settings.test_share,
    }
    for group, split in kept.items():
        lacking[split] -= sizes.get(group, 0)
    chosen: dict[str, Split] = {}
    # groups that can only be train come first, so that the others know what train still lacks
    for group in sorted(open_to, key=lambda name: (bool(open_to[name]), _order(seed, name))):
        fitting = [split for split in open_to[group] if sizes[group] < 2 * lacking[split]]
        split = max(("train", *fitting), key=lambda name: lacking[name])
        lacking[split] -= sizes[group]
        chosen[group] = split
    return chosen


def _order(seed: int, group: str) -> str:
    return hashlib.sha256(f"{ORDER_SEED}|{seed}|{group}".encode()).hexdigest()
