"""A costly annotator is asked where the cheap ones leave it open, over a real socket; and only there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from pipeline.project import Project
from pipeline.stages.annotate import AnnotateStage
from pipeline.stages.asking import AskStage
from pipeline.stages.base import Run, shards
from pipeline.stages.contested import ContestedStage
from pipeline.stages.samples import SampleRef, Samples
from schemas.errors import UserError
from schemas.parts import Word
from schemas.records import Annotation, Sample
from schemas.settings_file import load_settings
from tests.pipeline.project import write_settings
from tests.pipeline.records import make_run, project_in, segment, source
from tests.wire.material import make_sample
from tests.wire.server import FakeModels, Reply

MODEL = """[[annotators]]
name = "{name}"
provider = "openai_compatible"
model = "{name}"
base_url = "{url}"
takes = ["text"]
when = "{when}"
attempts = 1
"""
WORDS = ("agreed", "split", "unread")  # said in the three clips


class Servers(NamedTuple):
    one: FakeModels
    two: FakeModels
    costly: FakeModels

    def asked(self) -> dict[str, Counter[str]]:
        """Server -> clip -> how often it was asked about."""
        return {
            name: Counter(word for request in server.requests for word in WORDS if word in request.raw)
            for name, server in self._asdict().items()
        }


@pytest.fixture
def servers() -> Iterator[Servers]:
    """Both cheap models say joy, but one reads anger in "split" and neither can be read in "unread"."""
    with FakeModels() as one, FakeModels() as two, FakeModels() as costly:
        one.script(Reply(match="split", label="anger", times=0), Reply(match="unread", text="no", times=0))
        two.script(Reply(match="unread", text="no", times=0))
        for server in (one, two, costly):
            server.script(Reply(label="joy", times=0))
        yield Servers(one, two, costly)


def settings(servers: Servers) -> str:
    when = {"one": "always", "two": "always", "costly": "contested"}
    return "\n".join(
        MODEL.format(name=name, url=server.openai_url, when=when[name])
        for name, server in servers._asdict().items()
    )


def clips(project: Project) -> tuple[Run, list[Sample]]:
    run, of = make_run(project), source(1)
    run.sources[of.id] = of
    run.segments = [segment(of, n) for n in range(len(WORDS))]
    samples = [
        make_sample(segment_id=one.id, words=(Word(start_s=0.1, end_s=1.0, text=word),))
        for one, word in zip(run.segments, WORDS, strict=True)
    ]
    project.store.add(samples)
    run.samples = Samples(project.store, [SampleRef(one.id, one.segment_id, one.target) for one in samples])
    return run, samples


def ask(run: Run) -> None:
    for stage in (AnnotateStage(), ContestedStage()):
        ask_in(run, stage)


def ask_in(run: Run, stage: AskStage[Sample, Annotation]) -> None:
    for shard in shards(stage.plan(run), 2):
        stage.work(run, shard)
    stage.finish(run)


def test_the_costly_one_is_asked_about_what_the_others_leave_open(servers: Servers, tmp_path: Path) -> None:
    with project_in(tmp_path, settings(servers)) as project:
        run, _ = clips(project)
        ask(run)
        every = Counter(WORDS)
        once = {"one": every, "two": every, "costly": Counter(["split", "unread"])}
        assert servers.asked() == once
        standing = Counter(annotation.annotator for annotation in project.store.live(Annotation))
        assert standing == {"one": 3, "two": 3, "costly": 2}
        told = Counter(stage for stage, _ in run.failures)
        assert told == {"annotate": 2}  # the two that could not be read, once each

        again, _ = clips(project)
        ask(again)
        assert servers.asked() == once


def test_what_was_asked_stands_when_the_others_agree_later(servers: Servers, tmp_path: Path) -> None:
    with project_in(tmp_path, settings(servers)) as project:
        run, _ = clips(project)
        ask(run)
    settled = settings(servers) + "[policy]\nmin_margin = 0.0\naccept_probability = 0.0\n"
    with project_in(tmp_path, settled) as project:
        run, _ = clips(project)
        ask(run)
        standing = Counter(annotation.annotator for annotation in project.store.live(Annotation))
        assert standing["costly"] == 2


def test_a_server_that_is_away_contests_nothing(servers: Servers, tmp_path: Path) -> None:
    servers.one.replies.insert(0, Reply(status=503, times=0))
    with project_in(tmp_path, settings(servers)) as project:
        run, _ = clips(project)
        ask(run)
        assert servers.one.requests
        assert not servers.costly.requests


def test_somebody_has_to_be_asked_first(tmp_path: Path) -> None:
    text = MODEL.format(name="costly", url="http://127.0.0.1:1/v1", when="contested")
    with pytest.raises(UserError, match="always"):
        load_settings(write_settings(tmp_path, text))


def test_what_was_asked_stands_when_a_run_ends_before_its_stage(servers: Servers, tmp_path: Path) -> None:
    """A budget may end a run after the first annotators."""
    with project_in(tmp_path, settings(servers)) as project:
        run, _ = clips(project)
        ask(run)
        again, _ = clips(project)
        ask_in(again, AnnotateStage())
        standing = Counter(annotation.annotator for annotation in project.store.live(Annotation))
        assert standing == {"one": 3, "two": 3, "costly": 2}
