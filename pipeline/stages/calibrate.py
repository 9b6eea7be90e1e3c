"""Calibrate: annotators that are calibrated answer the questions without content, before any clip.

Their answers are annotations that stand nowhere: no clip is theirs, and nothing counts, judges, shows or releases
them. They are found again by the ids of their questions.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

from agents.annotators.content_free import CONTENT_FREE, ContentFreeAnnotator, content_free_samples
from agents.annotators.ensemble import Hearing, hearings
from agents.asking import Asker, Question
from pipeline.facts import Facts
from pipeline.stages.asking import AskStage, replicated
from pipeline.stages.base import Run
from schemas.records import Annotation, Sample
from schemas.settings import Settings
from schemas.settings_models import AnnotatorSection
from schemas.store import Store
from schemas.taxonomy import Taxonomy


class CalibrateStage(AskStage[Sample, Annotation]):
    name = "calibrate"
    record_class = Annotation
    section_class = AnnotatorSection

    def questions(self, run: Run) -> Iterator[tuple[Question[Sample, Annotation], str]]:
        if len(run.samples):
            for question in _questions(run.project.settings, run.project.taxonomy):
                yield question, CONTENT_FREE

    def key(self, item: Sample) -> str:
        return item.id

    def sample(self, item: Sample) -> Sample:
        return item

    def load(self, run: Run, keys: Sequence[str]) -> dict[str, Sample]:  # noqa: ARG002 - they are always there
        return {sample.id: sample for sample in content_free_samples()}

    def counted(self, record: Annotation) -> str:
        return f"{CONTENT_FREE}.{record.outcome}"

    def reader(
        self,
        run: Run,  # noqa: ARG002 - nobody is shown
        facts: Mapping[str, Facts],  # noqa: ARG002
    ) -> Callable[[Asker[Sample, Annotation], Sample], bool]:
        return lambda *_: True

    def stand(self, run: Run, ids: Collection[str]) -> None:
        """None of them stands."""


def heard(store: Store, settings: Settings, taxonomy: Taxonomy) -> dict[str, Hearing]:
    """How the answers of the annotators are combined, with what is known of their priors."""
    asked: dict[str, list[str]] = {}
    for asker, sample, repetition in _questions(settings, taxonomy):
        asked.setdefault(asker.section.name, []).append(asker.question_id(sample, repetition))
    priors = {name: store.by_id(Annotation, ids) for name, ids in asked.items()}
    return hearings(settings.annotators, priors)


def _questions(settings: Settings, taxonomy: Taxonomy) -> Iterable[Question[Sample, Annotation]]:
    for section in settings.annotators:
        if section.prompting.calibrate:
            asker = ContentFreeAnnotator(section, taxonomy)
            for sample in content_free_samples():
                yield from replicated(asker, sample)
