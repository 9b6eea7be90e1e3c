"""Planned splits: what the release will do once people have labelled everything, told before anybody is asked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.splits import Planned, SplitKey, assign_splits, planned_splits
from schemas.errors import UserError
from schemas.settings import Settings

SETTINGS = Settings.model_validate({"release": {"test_share": 0.3, "validation_share": 0.2}})


def told(clips: list[tuple[int, str | None, str | None]]) -> list[Planned]:
    """A sample for each (source, speaker, group)."""
    return [
        Planned(
            f"smp_{n}",
            f"src_{source}",
            {name: value for name, value in (("speaker", speaker), ("group", group)) if value},
        )
        for n, (source, speaker, group) in enumerate(clips)
    ]


names = st.none() | st.sampled_from("abcdefgh")


@given(clips=st.lists(st.tuples(st.integers(0, 30), names, names), min_size=1, max_size=30))
def test_the_plan_is_what_the_release_assigns_to_what_people_labelled(
    clips: list[tuple[int, str | None, str | None]],
) -> None:
    given_ = told(clips)
    keys = [
        SplitKey(f"row_{n}", one.source_id, one.facts.get("speaker"), one.facts.get("group"), 2)
        for n, one in enumerate(given_)
    ]
    try:
        wanted = assign_splits(keys, SETTINGS.release, seed=0)
    except UserError as error:
        with pytest.raises(UserError, match=error.message[:20]):
            planned_splits(given_, SETTINGS)
        return
    planned = planned_splits(iter(given_), SETTINGS)
    assert [planned[one.sample_id] for one in given_] == [wanted[key.row_id] for key in keys]
    together = {
        (one.facts["speaker"], planned[one.sample_id].split) for one in given_ if "speaker" in one.facts
    }
    assert len(together) == len({speaker for speaker, _ in together})


def test_what_a_release_placed_stays_and_an_example_can_be_kept_in_train() -> None:
    clips = told([(n, None, None) for n in range(20)])
    planned = planned_splits(clips, SETTINGS)
    tested = next(one for one in clips if planned[one.sample_id].split == "test")
    again = planned_splits(clips, SETTINGS, kept={f"source:{tested.source_id}": "train"})
    assert again[tested.sample_id].split == "train"
    assert {place.split for place in planned.values()} == {"train", "validation", "test"}
