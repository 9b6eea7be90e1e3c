"""Annotate: every annotator answers every sample that is worth it; failures are records, never labels."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from agents.annotators.annotator import Annotator
from agents.asking import Asker, Model, Question
from pipeline.consent import Consent
from pipeline.examples import annotators, pinned
from pipeline.facts import Facts
from pipeline.stages.asking import AskStage, Pending, replicated
from pipeline.stages.base import Run
from pipeline.stages.decide import bring_decisions_up_to_date
from pipeline.stages.selection import last_release, select
from schemas.records import Annotation, Sample, Segment
from schemas.settings import Settings
from schemas.settings_models import AnnotatorSection, ModelSection

MaySee = Callable[[Asker[Sample, Annotation], Sample], bool]


class AnnotateStage(AskStage[Sample, Annotation]):
    name = "annotate"
    record_class = Annotation
    section_class = AnnotatorSection

    def sections(self, settings: Settings) -> Sequence[AnnotatorSection]:
        """Who is asked by this stage."""
        return [section for section in settings.annotators if section.when == "always"]

    def annotators(self, run: Run) -> list[Annotator]:
        project = run.project
        if any(section.prompting.examples for section in project.settings.annotators) and run.lacks_bank:
            bring_decisions_up_to_date(project)  # what people have said since the last run counts
        return annotators(self.sections(project.settings), project.taxonomy, lambda: run.banks)

    def questions(self, run: Run) -> Iterator[tuple[Question[Sample, Annotation], str]]:
        settings = run.project.settings
        segments = {segment.id: segment for segment in run.segments}
        chosen = select(
            run.samples,
            segments,
            run.facts,
            settings,
            last_release(run.project.store),
            pinned(run.project.store),
        )
        run.dropped.update(chosen.dropped.values())
        run.planned.update(chosen.planned(len(run.samples) - len(chosen.dropped)))
        run.placed = chosen.placed
        asked = self.annotators(run)
        run.chosen = [ref.id for ref in run.samples.refs if ref.id not in chosen.dropped]
        # Clip by clip: annotators are asked side by side, and a budget that ends leaves whole clips.
        for sample in (sample for sample in run.samples if sample.id not in chosen.dropped):
            for annotator in asked:
                for question in replicated(annotator, sample):
                    yield question, sample.segment_id

    def beside(self, run: Run) -> Collection[str]:
        """What those said who are asked later: it stands until their own stage has looked."""
        later = {section.name for section in run.project.settings.annotators} - self._names(run)
        return said_by(run, later) if later else ()

    def _names(self, run: Run) -> set[str]:
        return {section.name for section in self.sections(run.project.settings)}

    def labelled(self, run: Run) -> list[str]:
        """Ids of the annotations with a label, of those that have been planned for and are there."""
        there = run.project.store.stubs(Annotation, list(self._expected))
        return [record_id for record_id, stub in there.items() if stub.brief["outcome"] == "labelled"]

    def key(self, item: Sample) -> str:
        return item.id

    def sample(self, item: Sample) -> Sample:
        return item

    def work(self, run: Run, items: Sequence[Pending[Sample, Annotation]]) -> None:
        run.freeze_bank()  # before the first question that shows something of it
        for asker in {id(asker): asker for asker, _, _ in items}.values():
            self._doubt_samples(run, asker.section)
        super().work(run, items)

    def _doubt_samples(self, run: Run, section: ModelSection) -> None:
        """Samples of a server whose temperature nobody has set may all be the same."""
        if section.replicates > 1 and section.temperature is None and Model(section).wire:
            message = f"temperature is not set: at 0 its {section.replicates} replicates are one answer"
            run.progress.note(self.name, f"{section.name}: {message}")

    def reader(self, run: Run, facts: Mapping[str, Facts]) -> MaySee:
        """Nor may a question show an example whose people do not allow it any more."""
        return with_examples(run, facts, super().reader(run, facts))

    def load(self, run: Run, keys: Sequence[str]) -> dict[str, Sample]:
        return {sample.id: sample for sample in run.project.store.by_id(Sample, keys)}

    def counted(self, record: Annotation) -> str:
        return f"annotations.{record.outcome}"


def with_examples(run: Run, facts: Mapping[str, Facts], may_see: MaySee) -> MaySee:
    """Whether a sample may be shown, and with it every example that stands in the question."""
    consent = Consent(facts, run.project.settings.consent)
    segments = {segment.id: segment for segment in run.segments}

    def segment_of(sample: Sample) -> Segment:  # an example's need not stand any more
        if sample.segment_id not in segments:
            segments[sample.segment_id] = run.project.store.by_id(Segment, [sample.segment_id])[0]
        return segments[sample.segment_id]

    def may_see_all(asker: Asker[Sample, Annotation], item: Sample) -> bool:
        choose = asker.examples if isinstance(asker, Annotator) else None
        shown = [] if choose is None else [example.sample for example in choose(item)]
        return may_see(asker, item) and all(
            consent.may_see(one, segment_of(one), third_party=asker.model.third_party) for one in shown
        )

    return may_see_all


def said_by(run: Run, names: Collection[str]) -> list[str]:
    """The annotations that stand of some annotators."""
    return run.project.store.live_by(Annotation, "annotator", names)
