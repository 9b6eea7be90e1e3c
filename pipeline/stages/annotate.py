"""Annotate: every annotator answers every sample that is worth it; failures are records, never labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agents.annotator import Annotator, annotate
from agents.engine import SystemClock
from pipeline.facts import is_withdrawn
from pipeline.stages.base import Run, Writer, run_async
from pipeline.stages.select import drop_reasons
from schemas.records import Annotation, Sample
from schemas.settings import AnnotatorSection
from schemas.store import ItemOutcome

# An answer never came: asked again by every run. A refusal or an unreadable answer came and was paid for:
# asked again only on request, as a new replicate would be.
ASK_AGAIN = "failed"
FAILURES = ("failed", "refused", "unparsed")

Pair = tuple[Annotator, Sample, int]


class AnnotateStage:
    name = "annotate"
    shard_size = 500

    def __init__(self) -> None:
        self._expected: dict[str, tuple[AnnotatorSection, Sample]] = {}

    def plan(self, run: Run) -> list[Any]:
        settings, taxonomy = run.project.settings, run.project.taxonomy
        annotators = [Annotator(section, taxonomy) for section in settings.annotators]
        withdrawn = {segment.id for segment in run.segments if is_withdrawn(run.facts_of(segment))}
        dropped = drop_reasons(run.samples, settings.select, seed=settings.project.seed, withdrawn=withdrawn)
        run.dropped.update(dropped.values())
        samples = [sample for sample in run.samples if sample.id not in dropped]
        pairs: dict[str, Pair] = {}
        for annotator in annotators:
            for sample in samples:
                for replicate in range(annotator.section.replicates):
                    pairs[annotator.question_id(sample, replicate)] = (annotator, sample, replicate)
        self._expected = {key: (annotator.section, sample) for key, (annotator, sample, _) in pairs.items()}
        there = {a.id: a.outcome for a in run.project.store.by_id(Annotation, list(pairs))}
        return [pair for key, pair in pairs.items() if there.get(key, ASK_AGAIN) == ASK_AGAIN]

    def work(self, run: Run, items: Sequence[Pair]) -> None:
        # `concurrency` is a promise to the provider: two shards at once would ask twice as many.
        with run.asking, Writer(run, self.name) as writer:

            def keep(annotation: Annotation) -> None:
                run.count(f"annotations.{annotation.outcome}")
                writer.add([annotation])
                if annotation.usage.cost_usd or annotation.usage.output_tokens:
                    writer.commit()
                run.progress.advance(self.name)

            run_async(
                run,
                annotate(
                    items,
                    journal=run.ledger,
                    clock=SystemClock(),
                    load=run.media.load,
                    on_annotation=keep,
                    seed=run.project.settings.project.seed,
                ),
            )

    def finish(self, run: Run) -> None:
        run.annotations = run.project.store.by_id(Annotation, list(self._expected))
        run.project.store.set_live(Annotation, [annotation.id for annotation in run.annotations])
        for annotation in run.annotations:
            if annotation.outcome in FAILURES:
                _, sample = self._expected[annotation.id]
                run.failures["annotate", annotation.id] = _failure(
                    annotation, run.segment_text(sample.segment_id)
                )


def _failure(annotation: Annotation, path: str) -> ItemOutcome:
    message = f"{annotation.annotator}: {annotation.outcome}, {annotation.detail or annotation.reason}"
    retry = retry_of(annotation.outcome)
    return ItemOutcome("annotate", annotation.id, "failed", path, annotation.reason, message, retry)


def retry_of(outcome: str) -> str:
    """What tries a failed question again. An answer that came, however bad, was paid for and is not re-bought."""
    return "emotrace run" if outcome == ASK_AGAIN else "raise replicates, or change the model or its settings"
