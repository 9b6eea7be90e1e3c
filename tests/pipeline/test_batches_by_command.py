"""Vendors' batches by the command line: what waits is told, and `--wait` brings all of it, under Prefect."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pipeline.project import done_well, emotrace, ingested, talk
from tests.wire.server import FakeModels

pytestmark = [pytest.mark.worker, pytest.mark.slow]

SETTINGS = """
[project]
name = "batches"
language = "en"
[segment]
rule = "whole"
[[annotators]]
name = "lexicon"
provider = "cues"
model = "lexicon"
[release]
license = "cc-by-4.0"
split_policy = "single"
include_undecided = true
"""
IN_BATCHES = """
base_url = "{url}"
takes = ["text"]
mode = "batch"
gives = ["json_schema", "batches"]
"""
ADDED = f"""
[[annotators]]
name = "model"
provider = "openai_compatible"
model = "small"
{IN_BATCHES}
[[judges]]
name = "judge"
provider = "openai_compatible"
model = "large"
{IN_BATCHES}
"""


@pytest.mark.timeout(900)
def test_what_waits_for_jobs_is_told_until_wait_has_brought_all_of_it(tmp_path: Path) -> None:
    recordings = tmp_path / "recordings"
    recordings.mkdir()
    for seed, text in enumerate(("I am so happy, what a wonderful picnic!", "I am sad and lonely.")):
        talk(recordings / f"{seed}.mp4", text=text, seed=seed)
    project = ingested(tmp_path / "project", SETTINGS, recordings)
    done_well(emotrace("run", "--local", "--project", project, "--json"))

    with FakeModels() as models:
        models.batches.looks = 1000
        path = project / "emotrace.toml"
        path.write_text(path.read_text("utf-8") + ADDED.format(url=models.openai_url), encoding="utf-8")
        begun = emotrace("run", "--local", "--project", project)
        assert begun.status == 0, begun.stderr
        assert "2 batch jobs of 6 questions" in begun.stderr  # the judge rates and looks again
        told = done_well(emotrace("status", "--project", project, "--json"))
        assert {job["name"] for job in told["batches"]} == {"model", "judge"}
        assert all(job["size_bytes"] > 0 for job in told["batches"])
        refused = emotrace("release", "--project", project, "--version", "0.1.0")
        assert refused.status == 2
        assert "batch jobs are under way" in refused.stderr

        models.batches.looks = 0
        home = str(tmp_path / "prefect")
        waited = done_well(emotrace("run", "--wait", "--project", project, "--json", PREFECT_HOME=home))
        assert waited["batches"] == []
        # The judge is asked about the model's answers, too, once they are there.
        assert waited["batch_answers"] == waited["provider_calls"] == len(models.requests) > 6
        assert models.batches.seen["POST batches"] == 3
        assert waited["annotations"] == {**told["annotations"], "labelled": 4, "abstained": 0}
        assert waited["stages"]["annotate"]["items"] == 4  # not counted anew in each run that looks
        done_well(emotrace("release", "--project", project, "--version", "0.1.0", "--json"))
