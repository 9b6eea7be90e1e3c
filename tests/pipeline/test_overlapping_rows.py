"""Rows of a manifest that name two people in one stretch of time: each is measured where they alone speak."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.ingest import ingest
from pipeline.live import live_items
from pipeline.run import run
from tests.pipeline.records import Quiet, project_in
from tests.pipeline.test_run import no_engine
from tests.pipeline.test_two_people import HIGH_HZ, LOW_HZ, SETTINGS, measure, talk, up_to_date

ROWS = """path,start,end,speaker
pair.wav,0,8.5,anna
pair.wav,4.5,8.5,ben
"""


def test_a_row_inside_another_is_no_part_of_its_voice_and_words(tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    folder.mkdir()
    talk(folder, "pair", "").with_suffix(".rttm").unlink()
    (folder / "rows.csv").write_text(ROWS)
    settings = SETTINGS.replace('rule = "whole"', 'rule = "given"') + "[features.au]\nenabled = false\n"
    with project_in(tmp_path / "project", settings) as project:
        ingest(project, [str(folder / "rows.csv")])
        up_to_date(project)
        found = {item.sample.target.speaker: item for item in live_items(project.store)}
        # What is known of who speaks in a recording is looked through once, whatever the number of its segments.
        assert len({id(item.cast) for item in found.values()}) == 1 < len(found)
        assert set(found) == {"anna", "ben"}
        (voice,) = [f for f in found["anna"].features if f.stage == "prosody"]
        assert voice.params["where"] == [[0.0, 4.5]]
        assert voice.summary["pitch_range_st"] < 8  # the two voices lie 13 semitones apart
        assert measure(found["anna"], "pitch_median_hz") == pytest.approx(LOW_HZ, rel=0.15)
        assert measure(found["ben"], "pitch_median_hz") == pytest.approx(HIGH_HZ, rel=0.15)
        said = {name: " ".join(w.text for w in item.sample.own_words) for name, item in found.items()}
        assert ("picnic" in said["anna"], "invoice" in said["anna"]) == (True, False)
        assert "invoice" in said["ben"]
        run(project, no_engine, progress=Quiet())
