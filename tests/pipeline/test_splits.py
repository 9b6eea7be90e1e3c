"""Splits: no group in two of them, no machine label outside train, near the shares that were asked for."""

from __future__ import annotations

import contextlib
from collections import Counter, defaultdict

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from pipeline.splits import TRUST, SplitKey, assign_splits, placement
from schemas.errors import UserError
from schemas.settings import ReleaseSection

names = st.none() | st.sampled_from("ABCDEF")
key_fields = st.tuples(st.integers(0, 12), names, names, st.integers(0, 2))


def keys_of(fields: list) -> list[SplitKey]:
    return [
        SplitKey(f"row_{n}", f"src_{s}", speaker, group, t) for n, (s, speaker, group, t) in enumerate(fields)
    ]


@given(
    fields=st.lists(key_fields, min_size=1, max_size=40),
    policy=st.sampled_from(["source", "speaker", "single"]),
    seed=st.integers(0, 9),
    data=st.data(),
)
def test_nothing_leaks(fields: list, policy: str, seed: int, data: st.DataObject) -> None:
    keys = keys_of(fields)
    settings = ReleaseSection(split_policy=policy, validation_share=0.2, test_share=0.2)
    placed = None
    with contextlib.suppress(UserError):  # a giant group is refused: then nothing can leak
        placed = assign_splits(keys, settings, seed=seed)
    if placed is None:
        return
    assert set(placed) == {key.row_id for key in keys}
    assert assign_splits(data.draw(st.permutations(keys)), settings, seed=seed) == placed
    splits_of = defaultdict(set)
    for key in keys:
        split = placed[key.row_id].split
        splits_of["grp", placed[key.row_id].group].add(split)
        splits_of["source", key.source_id].add(split)
        splits_of["group", key.group].add(split)
        if policy == "speaker":
            splits_of["speaker", key.speaker].add(split)
        assert key.trust >= {"train": 0, "validation": 1, "test": 2}[split]
        assert policy != "single" or split == "train"
    assert all(len(splits) == 1 for (_, value), splits in splits_of.items() if value is not None)


wide = st.tuples(
    st.integers(0, 60), st.none() | st.sampled_from("ABCDEFGHIJ"), st.none() | st.just("g"), st.integers(0, 2)
)


@given(
    old=st.lists(wide, min_size=1, max_size=40),
    new=st.lists(wide, max_size=40),
    policies=st.tuples(*[st.sampled_from(["source", "speaker"])] * 2),
    seed=st.integers(0, 9),
)
def test_more_rows_move_no_row(old: list, new: list, policies: tuple[str, str], seed: int) -> None:
    first, then = (
        ReleaseSection(split_policy=policy, validation_share=0.2, test_share=0.2) for policy in policies
    )
    keys = keys_of([*old, *new])
    before = keys[: len(old)]
    try:
        placed = assign_splits(before, first, seed=seed)
        kept = placement(before, placed, first)
        again = assign_splits(keys, then, seed=seed, kept=kept)
    except UserError as error:  # then there is no second version in which a row could have moved
        event(error.code)
        return
    event(f"{len({place.split for place in placed.values()})} splits, then more rows: {bool(new)}")
    assert {row: again[row].split for row in placed} == {row: place.split for row, place in placed.items()}
    splits_of = defaultdict(set)
    for key in keys:
        if key.row_id not in again:
            continue
        split = again[key.row_id].split
        assert key.trust >= TRUST[split]
        splits_of["source", key.source_id].add(split)
        splits_of["group", key.group].add(split)
        if then.split_policy == "speaker":
            splits_of["speaker", key.speaker].add(split)
            assert kept.get(f"speaker:{key.speaker}", split) == split
    assert all(len(splits) == 1 for (_, value), splits in splits_of.items() if value is not None)


def test_shares_are_met_by_many_groups() -> None:
    keys = keys_of([(n, None, None, 2) for n in range(200)])
    placed = assign_splits(keys, ReleaseSection(split_policy="source"), seed=3)
    assert Counter(place.split for place in placed.values()) == {"train": 160, "validation": 20, "test": 20}


def test_people_labels_go_to_test_when_machines_fill_train() -> None:
    keys = keys_of([(n, None, None, 2 * (n < 20)) for n in range(100)])
    placed = assign_splits(keys, ReleaseSection(split_policy="source"), seed=0)
    assert Counter(place.split for place in placed.values()) == {"train": 80, "validation": 10, "test": 10}


def test_speakers_tie_sources_together_over_a_chain() -> None:
    fields = [(1, "A", None, 2), (2, "A", None, 2), (2, None, "g", 2), (3, None, "g", 2)]
    fields += [(n, None, None, 2) for n in range(4, 14)]
    placed = assign_splits(keys_of(fields), ReleaseSection(), seed=0)
    assert len({placed[f"row_{n}"].group for n in range(4)}) == 1
    apart = assign_splits(keys_of(fields), ReleaseSection(split_policy="source"), seed=0)
    assert apart["row_0"].group != apart["row_1"].group


def test_giant_group_is_refused_with_a_way_out() -> None:
    keys = keys_of([(n, "A", None, 2) for n in range(5)] + [(9, "B", None, 2)])
    with pytest.raises(UserError) as raised:
        assign_splits(keys, ReleaseSection(), seed=0)
    assert raised.value.code == "giant_group"
    assert '"single"' in raised.value.remedy
    assert '"source"' in raised.value.remedy
    single = assign_splits(keys, ReleaseSection(split_policy="single"), seed=0)
    assert {place.split for place in single.values()} == {"train"}


def test_giant_group_is_no_matter_when_all_must_be_train() -> None:
    placed = assign_splits(keys_of([(1, "A", None, 0)] * 3), ReleaseSection(), seed=0)
    assert {place.split for place in placed.values()} == {"train"}
