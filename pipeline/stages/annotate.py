"""Annotate: every annotator answers every sample that is worth it; failures are records, never labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from agents.annotator import Annotator
from agents.asking import Question
from pipeline.stages.asking import AskStage, replicated
from pipeline.stages.base import Run
from pipeline.stages.select import drop_reasons
from schemas.records import Annotation, Sample


class AnnotateStage(AskStage[Sample, Annotation]):
    name = "annotate"
    record_class = Annotation

    def questions(self, run: Run) -> Iterator[tuple[Question[Sample, Annotation], str]]:
        settings, taxonomy = run.project.settings, run.project.taxonomy
        annotators = [Annotator(section, taxonomy) for section in settings.annotators]
        facts = {segment.id: run.facts_of(segment) for segment in run.segments}
        dropped = drop_reasons(run.samples, settings.select, seed=settings.project.seed, facts=facts)
        run.dropped.update(dropped.values())
        # Clip by clip: annotators are asked side by side, and a budget that ends leaves whole clips.
        for sample in (sample for sample in run.samples if sample.id not in dropped):
            for annotator in annotators:
                for question in replicated(annotator, sample):
                    yield question, sample.segment_id

    def key(self, item: Sample) -> str:
        return item.id

    def load(self, run: Run, keys: Sequence[str]) -> dict[str, Sample]:
        return {sample.id: sample for sample in run.project.store.by_id(Sample, keys)}

    def counted(self, record: Annotation) -> str:
        return f"annotations.{record.outcome}"
