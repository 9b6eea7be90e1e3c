"""The turns before a segment: what ended before it began, also where given stretches overlap."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.stages.before import turns_before
from schemas.records import Segment
from tests.pipeline.records import heard, make_run, place, project_in, source

Stretch = tuple[float, float]


def said_before(folder: Path, *stretches: Stretch, turns: int = 2) -> dict[Stretch, list[str]]:
    """Stretch -> its context, where each stretch says its own times."""
    with project_in(folder, f"[select]\ncontext_turns = {turns}\n") as project:
        run, of = make_run(project), source(1)
        parts = [
            Segment(source_id=of.id, rule="given", version="1", index=n, source_start_s=a, source_end_s=b)
            for n, (a, b) in enumerate(stretches)
        ]
        said = [(part, [heard(part, f"{part.source_start_s:g}-{part.source_end_s:g}")]) for part in parts]
        place(run, of, said, speaker="ann")
        found = turns_before(run, run.segments)
        return {
            (part.source_start_s, part.source_end_s): [turn.text for turn in found[part.id]] for part in parts
        }


def test_the_last_turns_in_order(tmp_path: Path) -> None:
    rows = [(0.0, 2.0), (2.0, 4.0), (4.0, 6.0), (7.0, 8.0)]
    found = said_before(tmp_path, *rows)
    assert list(found.values()) == [[], ["0-2"], ["0-2", "2-4"], ["2-4", "4-6"]]
    assert list(said_before(tmp_path / "none", *rows, turns=0).values()) == [[], [], [], []]


def test_what_goes_on_during_a_stretch_is_not_before_it(tmp_path: Path) -> None:
    found = said_before(tmp_path, (0.0, 10.0), (2.0, 4.0), (5.0, 8.0), (11.0, 12.0))
    assert found[2, 4] == []
    assert found[5, 8] == ["2-4"]
    assert found[11, 12] == ["0-10"]  # what is said inside of it is in it


@pytest.mark.parametrize(
    ("first", "second", "before"),
    [
        ((0.0, 4.2), (4.0, 8.0), ["0-4.2"]),  # cut by ear
        ((0.0, 5.0), (4.0, 8.0), []),
        ((3.9, 4.3), (4.0, 8.0), []),  # most of it is said during the second
    ],
)
def test_stretches_that_follow_each_other_may_overlap_a_little(
    first: Stretch, second: Stretch, before: list[str], tmp_path: Path
) -> None:
    assert said_before(tmp_path, first, second)[second] == before


def test_what_is_in_two_stretches_is_told_once(tmp_path: Path) -> None:
    found = said_before(tmp_path, (0.0, 10.0), (5.0, 15.0), (10.0, 20.0), (21.0, 22.0), turns=3)
    assert found[21, 22] == ["0-10", "10-20"]
