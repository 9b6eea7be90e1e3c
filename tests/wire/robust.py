"""Runs of the asking stages against a model with a known habit, and what comes of them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.commands.show_text import item_lines
from pipeline.stages.aggregate import AggregateStage
from pipeline.stages.annotate import AnnotateStage
from pipeline.stages.base import Run, Stage
from pipeline.stages.calibrate import CalibrateStage
from pipeline.stages.samples import SampleRef, Samples
from pipeline.status import totals
from schemas.ports import TokenLogprob
from schemas.records import Annotation, Consensus, Sample
from tests.pipeline.records import make_run, project_in, segment, source
from tests.wire.answers import answer_text
from tests.wire.material import make_sample
from tests.wire.server import FakeModels
from tests.wire.vendors import Reply

LABEL = '"labels": [{"label": "'
MODEL = """[[annotators]]
name = "model"
provider = "openai_compatible"
model = "m1"
base_url = "{url}"
takes = ["text"]
{settings}
[annotators.prompting]
{prompting}
"""


class Told:
    """What stands after a run: the votes of the clips, and what became of them."""

    def __init__(self, run: Run) -> None:
        ids = [ref.id for ref in run.samples.refs]
        self.annotations = run.project.store.live(Annotation, ids)
        of_segment = {c.segment_id: c for c in run.project.store.live(Consensus)}
        self.failures, self.counts = run.failures, run.counts
        self.totals = totals(run.project.store)
        self.consensus = [of_segment[ref.segment_id] for ref in run.samples.refs]

        self.shown = [self._lines(run, n) for n in range(len(ids))]

    def _lines(self, run: Run, clip: int) -> list[str]:
        """What `emotrace show` prints of a clip."""
        (sample,) = run.project.store.by_id(Sample, [run.samples.refs[clip].id])
        nothing = dict.fromkeys(("not_annotated", "planned_split", "decision"))
        mine = [one for one in self.annotations if one.sample_id == sample.id]
        annotations = [{**one.as_json(), "judgements": []} for one in mine]
        records = {"segment": run.segments[clip].as_json(), "sample": sample.as_json()}
        consensus = self.consensus[clip].as_json()
        return list(
            item_lines(
                {
                    **nothing,
                    **records,
                    "third_parties": True,
                    "annotations": annotations,
                    "consensus": consensus,
                }
            )
        )

    @property
    def labels(self) -> list[str | None]:
        return [one.label for one in self.consensus]


def asking(
    models: FakeModels,
    folder: Path,
    prompting: str = "",
    *,
    settings: str = "",
    clips: int = 1,
    retry_failed: bool = False,
    stages: Sequence[type[Stage]] = (CalibrateStage, AnnotateStage, AggregateStage),
) -> Told:
    """Ask about so many clips, each of another length, and let the answers vote."""
    text = MODEL.format(url=models.openai_url, settings=settings, prompting=prompting)
    with project_in(folder, text) as project:
        run, of = make_run(project), source(1)
        run.retry_failed = retry_failed
        run.sources[of.id] = of
        run.segments = [segment(of, n) for n in range(clips)]
        samples = [make_sample(segment_id=one.id, duration_s=3.0 + n) for n, one in enumerate(run.segments)]
        project.store.add(samples)
        run.samples = Samples(project.store, [SampleRef(s.id, s.segment_id, s.target) for s in samples])
        for stage in (cls() for cls in stages):
            if items := stage.plan(run):
                stage.work(run, items)
            stage.finish(run)
        return Told(run)


def system_of(body: dict[str, Any]) -> str:
    return str(body["messages"][0]["content"])


def data_of(body: dict[str, Any]) -> str:
    return "\n".join(part["text"] for part in body["messages"][1]["content"] if part["type"] == "text")


def chance(*parts: Any) -> float:
    """A number in [0, 1) that is the same for the same question: chance that can be repeated."""
    digest = hashlib.sha256(repr(parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def thinks(body: dict[str, Any], words: dict[str, float], written: str | None = None) -> Reply:
    """An answer whose label is the likeliest of `words` (or `written`), with the probabilities of all of them."""
    word = written or max(words, key=lambda one: words[one])
    text = answer_text(body, label=word)
    start = text.index(LABEL) + len(LABEL)
    rows = [(one, math.log(p)) for one, p in sorted(words.items(), key=lambda pair: -pair[1])]
    places = [
        TokenLogprob(text[:start], -0.01),
        TokenLogprob(word, math.log(words[word]), tuple(rows)),
        TokenLogprob(text[start + len(word) :], -0.01),
    ]
    return Reply(text=text, logprobs=places)
