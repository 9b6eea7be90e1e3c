"""Planned splits: what the release will do once people have labelled everything, told before anybody is asked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.release.planned import planned_splits
from pipeline.release.rows import row_id
from pipeline.release.splits import SplitKey, assign_splits
from schemas.errors import UserError
from schemas.parts import Target
from schemas.records import Sample, Segment
from schemas.settings import Settings

Told = list[tuple[Segment, Sample, dict[str, str]]]
SETTINGS = Settings.model_validate({"release": {"test_share": 0.3, "validation_share": 0.2}})


def told(clips: list[tuple[int, str | None, str | None]]) -> Told:
    """A clip for each (source, speaker, group)."""
    found: Told = []
    for n, (source, speaker, group) in enumerate(clips):
        segment = Segment(
            source_id=f"src_{source}",
            rule="given",
            version="1",
            index=n,
            source_start_s=n,
            source_end_s=n + 1,
        )
        sample = Sample(
            segment_id=segment.id, target=Target(speaker=speaker), feature_digests=(), baseline_ids=(),
            view_version="1", duration_s=1.0,
        )  # fmt: skip
        said = {name: value for name, value in (("speaker", speaker), ("group", group)) if value}
        found.append((segment, sample, said))
    return found


names = st.none() | st.sampled_from("abcdefgh")


@given(clips=st.lists(st.tuples(st.integers(0, 30), names, names), min_size=1, max_size=30))
def test_the_plan_is_what_the_release_assigns_to_what_people_labelled(
    clips: list[tuple[int, str | None, str | None]],
) -> None:
    given_ = told(clips)
    keys = [
        SplitKey(
            row_id(segment.id, sample.target.key),
            segment.source_id,
            said.get("speaker"),
            said.get("group"),
            2,
        )
        for segment, sample, said in given_
    ]
    try:
        wanted = assign_splits(keys, SETTINGS.release, seed=0)
    except UserError as error:
        with pytest.raises(UserError, match=error.message[:20]):
            planned_splits(given_, SETTINGS)
        return
    planned = planned_splits(iter(given_), SETTINGS)
    assert [planned[sample.id] for _, sample, _ in given_] == [wanted[key.row_id] for key in keys]
    together = {
        (said["speaker"], planned[sample.id].split) for _, sample, said in given_ if "speaker" in said
    }
    assert len(together) == len({speaker for speaker, _ in together})


def test_what_a_release_placed_stays_and_an_example_can_be_kept_in_train() -> None:
    clips = told([(n, None, None) for n in range(20)])
    planned = planned_splits(clips, SETTINGS)
    tested = next(segment for segment, sample, _ in clips if planned[sample.id].split == "test")
    again = planned_splits(clips, SETTINGS, kept={f"source:{tested.source_id}": "train"})
    (place,) = [again[sample.id] for segment, sample, _ in clips if segment.id == tested.id]
    assert place.split == "train"
    assert {place.split for place in planned.values()} == {"train", "validation", "test"}
