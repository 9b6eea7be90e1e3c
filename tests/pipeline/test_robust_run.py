"""An annotator with every kind of robust prompting in a whole run: asked once, and only clips are counted."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

from pipeline.ingest import ingest
from pipeline.live import live_items
from pipeline.plan import plan
from pipeline.project import open_project
from pipeline.release.build import current_items
from pipeline.run import local_engine, run
from schemas.records import Annotation
from tests.media_io.make import make_sound, tone
from tests.pipeline.project import CLI_TIMEOUT_S, REPO, clean_environment
from tests.pipeline.records import Quiet, project_in
from tests.pipeline.test_run import no_engine, run_local
from tests.wire.robust import thinks
from tests.wire.server import FakeModels
from tests.wire.vendors import Reply

SETTINGS = """
[segment]
rule = "whole"
[select]
require = "any"
[features.au]
enabled = false
[features.asr]
enabled = false
[[annotators]]
name = "model"
provider = "openai_compatible"
model = "m"
base_url = "{url}"
takes = ["text"]
gives = ["json_schema", "logprobs"]
top_logprobs = 10
seed = 1
replicates = 2
[annotators.prompting]
variants = 2
style = "rationale_then_verbalizer"
combine = "mean"
calibrate = {calibrate}
"""
CLIPS, ASKED = 2, 2 * 2


def is_second(body: dict[str, Any]) -> bool:
    return "labels" in body["response_format"]["json_schema"]["schema"]["properties"]


def mind(body: dict[str, Any]) -> Reply:
    if not is_second(body):
        return Reply()  # the reasons
    shown = "length of the clip" in body["messages"][1]["content"][0]["text"]
    words = {"joy": 0.6, "happy": 0.2, "anger": 0.2}
    return thinks(body, words if shown else {"joy": 0.8, "neutral": 0.1, "anger": 0.1})


class Noting(Quiet):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, stage: str, text: str) -> None:
        self.notes.append(f"{stage}: {text}")


def test_all_of_it_together_is_asked_once_and_only_clips_are_counted(tmp_path: Path) -> None:
    sounds = tmp_path / "sounds"
    sounds.mkdir()
    for number in range(CLIPS):
        make_sound(sounds / f"{number}.wav", tone(1.0 + number, from_s=0.2))
    root = tmp_path / "project"
    with FakeModels(mind=mind) as models:
        text = SETTINGS.format(url=models.openai_url, calibrate="true")
        with project_in(root, text) as project:
            ingest(project, [str(sounds)])
            planned = plan(project, progress=Quiet())
            told = Noting()
            first = run(project, local_engine(), progress=told)
            again = run(project, no_engine, progress=Quiet())
            released = list(current_items(project.store, project.settings, project.taxonomy))
            items = list(live_items(project.store))
            stored = {a.sample_id for a in project.store.all(Annotation)}
        calls = 2 * (CLIPS * ASKED + 3 * ASKED)  # two steps; the clips, and three questions without content
        assert (len(models.requests), first.this_run.provider_calls) == (calls, calls)
        doubt = "annotate: model: temperature is not set: at 0 its 2 replicates are one answer"
        assert doubt in told.notes
        assert planned.total.calls == calls
        assert again.this_run.provider_calls == 0
        with project_in(root, text.replace("calibrate = true", "calibrate = false")) as project:
            raw = run_local(project)
            plain = list(live_items(project.store))
        assert len(models.requests) == calls
    for found in (first, again, raw):
        assert (found.samples, found.annotations.labelled) == (CLIPS, CLIPS * ASKED)
        assert (found.voices["model"].clips, found.voices["model"].asked) == (CLIPS, CLIPS * ASKED)
    assert len(stored) == CLIPS + 3
    assert len(released) == len(items) == CLIPS
    assert {a.sample_id for item in items for a in item.annotations} == {item.sample.id for item in items}
    labels = [item.consensus.label if item.consensus else None for item in (*items, *plain)]
    assert labels == ["anger"] * CLIPS + ["joy"] * CLIPS  # joy is what it always says


def test_a_kill_between_the_two_steps_pays_no_first_answer_twice(tmp_path: Path) -> None:
    held = threading.Event()

    def slow(body: dict[str, Any]) -> Reply:
        if is_second(body) and not held.is_set():
            held.set()
            return Reply(delay_s=30)
        return mind(body)

    make_sound(tmp_path / "sound.wav", tone(1.0, from_s=0.2))
    root = tmp_path / "project"
    with FakeModels(mind=slow) as models:
        text = SETTINGS.format(url=models.openai_url, calibrate="false")
        one = text.replace("variants = 2", "variants = 1").replace("replicates = 2", "replicates = 1")
        with project_in(root, one.replace('combine = "mean"', "")) as project:
            ingest(project, [str(tmp_path / "sound.wav")])
        command = [sys.executable, "-m", "pipeline", "run", "--project", str(root), "--local"]
        with subprocess.Popen(command, cwd=REPO, env=clean_environment()) as run_in_flight:
            assert held.wait(CLI_TIMEOUT_S)
            run_in_flight.kill()
        with open_project(root) as project:
            healed = run_local(project)
        steps = Counter(is_second(request.body) for request in models.requests)
    assert (healed.annotations.labelled, steps) == (1, {False: 1, True: 2})
    assert healed.this_run.provider_calls == 1
