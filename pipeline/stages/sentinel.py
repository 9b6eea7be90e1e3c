"""Sentinel: at intervals the models are asked again about a fixed set of clips; see `pipeline.sentinel`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from agents.annotators.annotator import Annotator
from agents.annotators.sentinel import SentinelAnnotator
from agents.asking import Model, Question
from pipeline.examples import annotators
from pipeline.facts import SENTINEL, Facts
from pipeline.sentinel import Book, begin, end
from pipeline.stages.annotate import MaySee, with_examples
from pipeline.stages.asking import ASK_AGAIN, AskStage, Pending
from pipeline.stages.base import Run
from schemas.records import Annotation, Sample
from schemas.settings_models import AnnotatorSection
from schemas.store import utc_now


class SentinelStage(AskStage[Sample, Annotation]):
    """The last stage: a budget that ends here has paid for all the rest."""

    name = "sentinel"
    record_class = Annotation
    section_class = AnnotatorSection

    def __init__(self) -> None:
        super().__init__()
        self._book, self._occasion = Book(), ""
        self._samples: tuple[str, ...] = ()
        self._asked: dict[
            str, str
        ] = {}  # id of the question at this occasion -> id of the one that it repeats

    def questions(self, run: Run) -> Iterator[tuple[Question[Sample, Annotation], str]]:
        settings = run.project.settings
        self._book, self._asked = Book.of(run.project.store.facts([SENTINEL])), {}
        self._samples = self._book.chosen(set(run.chosen), settings.sentinel, seed=settings.project.seed)
        self._occasion = self._book.occasion(settings.sentinel) or ""
        if self._occasion:
            may_see = self.reader(run, run.facts)
            repeated = list(self._repeated(run))
            answered = set(self._answered(run, list(self._asked.values())))  # only these are repeated
            for one in repeated:
                if self._asked[one[0].question_id(*one[1:])] in answered and may_see(one[0], one[1]):
                    yield one, one[1].segment_id

    def _repeated(self, run: Run) -> Iterator[Question[Sample, Annotation]]:
        for sample in run.project.store.by_id(Sample, self._samples):
            for annotator in _on_a_wire(run):
                again = SentinelAnnotator(
                    annotator.section, annotator.taxonomy, annotator.examples, occasion=self._occasion
                )
                for n in range(annotator.repetitions):
                    self._asked[again.question_id(sample, n)] = annotator.question_id(sample, n)
                    yield again, sample, n

    def reader(self, run: Run, facts: Mapping[str, Facts]) -> MaySee:
        return with_examples(run, facts, super().reader(run, facts))

    def key(self, item: Sample) -> str:
        return item.id

    def sample(self, item: Sample) -> Sample:
        return item

    def load(self, run: Run, keys: Sequence[str]) -> dict[str, Sample]:
        return {sample.id: sample for sample in run.project.store.by_id(Sample, keys)}

    def work(self, run: Run, items: Sequence[Pending[Sample, Annotation]]) -> None:
        begin(run.project.store, self._occasion, self._samples)
        super().work(run, items)

    def counted(self, record: Annotation) -> str:
        return f"sentinel.{record.outcome}"

    def stand(self, run: Run, ids: Collection[str]) -> None:
        """None of them stands; together they are one occasion, once no question waits any more."""
        store, settings = run.project.store, run.project.settings.sentinel
        if self._occasion and set(self._expected) <= set(ids):
            answered = self._answered(run, ids)
            end(store, self._occasion, self._samples, {self._asked[one]: one for one in answered})
        elif settings.size and not self._book.last and (first := self._first(run)):
            end(store, utc_now(), self._samples, {one: one for one in first})

    def _first(self, run: Run) -> list[str]:
        """What stands of these clips: the answers that later ones are compared with."""
        asked = [
            annotator.question_id(sample, n)
            for sample in run.project.store.by_id(Sample, self._samples)
            for annotator in _on_a_wire(run)
            for n in range(annotator.repetitions)
        ]
        return self._answered(run, asked)

    def _answered(self, run: Run, ids: Collection[str]) -> list[str]:
        """Those to which an answer came, however bad: one that never came tells nothing of the model."""
        stubs = run.project.store.stubs(Annotation, list(ids)).values()
        return [stub.id for stub in stubs if stub.brief["outcome"] != ASK_AGAIN]


def _on_a_wire(run: Run) -> list[Annotator]:
    """Rules change with this program alone, so they are not asked again."""
    project = run.project
    sections = [section for section in project.settings.annotators if Model(section).wire]
    return annotators(sections, project.taxonomy, lambda: run.banks)
