"""Contested: annotators with `when = "contested"` are asked where the first ones leave it open.

What is contested follows from the answers of the others alone: those that it causes do not change it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from agents.annotators.ensemble import Hearing
from agents.asking import Question
from pipeline.aggregate import AGGREGATORS
from pipeline.aggregate.base import Ballot
from pipeline.policy import review_reasons
from pipeline.stages.annotate import AnnotateStage, said_by
from pipeline.stages.asking import ASK_AGAIN, replicated
from pipeline.stages.base import Run, shards
from pipeline.stages.calibrate import heard
from pipeline.stages.samples import PAGE
from schemas.records import Annotation, Sample
from schemas.registry import resolve
from schemas.settings import Settings
from schemas.settings_models import AnnotatorSection
from schemas.store import Store
from schemas.taxonomy import Taxonomy

# Of the reasons why people must look those that another answer may settle. That only one annotator was asked
# first contests nothing, nor does what only judges can say.
OPEN = frozenset(
    {
        *("no_label", "open_tie", "conflict", "low_margin", "low_probability", "low_confidence"),
        *("no_number", "wide_spread"),
    }
)


class ContestedStage(AnnotateStage):
    name = "contested"

    def sections(self, settings: Settings) -> Sequence[AnnotatorSection]:
        return [section for section in settings.annotators if section.when == "contested"]

    def questions(self, run: Run) -> Iterator[tuple[Question[Sample, Annotation], str]]:
        annotators, project = self.annotators(run), run.project
        dead = given_up(project.store)
        hearings = heard(project.store, project.settings, project.taxonomy)
        for page in shards(run.chosen if annotators else (), PAGE):
            samples = run.project.store.by_id(Sample, page)
            said = _first(run, page, dead)
            asked = {
                one[0].question_id(*one[1:]): one
                for sample in samples
                for annotator in annotators
                for one in replicated(annotator, sample)
            }
            there = run.project.store.stubs(Annotation, list(asked))
            settled = {
                sample.id
                for sample in samples
                if sample.id in run.waiting
                or not is_contested(sample, said[sample.id], project.settings, project.taxonomy, hearings)
            }
            for record_id, one in asked.items():
                answered = record_id in there and there[record_id].brief["outcome"] != ASK_AGAIN
                if answered or one[1].id not in settled:
                    yield one, one[1].segment_id

    def beside(self, run: Run) -> Collection[str]:
        """What those said who are always asked."""
        own = self._names(run)
        others = {section.name for section in run.project.settings.annotators} - own
        return said_by(run, others) if own else run.project.store.live_ids(Annotation)


def given_up(store: Store) -> set[str]:
    """Ids of first answers that are not waited for: their questions are dead letters."""
    return {record_id for _, record_id in store.outcomes(AnnotateStage.name, status="dead")}


def _first(run: Run, sample_ids: Sequence[str], dead: Collection[str]) -> dict[str, list[Annotation]]:
    """What those said of samples who are always asked; dead letters are not waited for."""
    names = {section.name for section in run.project.settings.annotators if section.when == "always"}
    said: dict[str, list[Annotation]] = {sample_id: [] for sample_id in sample_ids}
    for annotation in run.project.store.live(Annotation, sample_ids):
        if annotation.annotator in names and annotation.id not in dead:
            said[annotation.sample_id].append(annotation)
    return said


def is_contested(
    sample: Sample,
    first: Sequence[Annotation],
    settings: Settings,
    taxonomy: Taxonomy,
    hearings: Mapping[str, Hearing],
) -> bool:
    """Whether the answers of those who are always asked leave the label open.

    They are counted as they would be without anybody else, before judges. While one of them is still to come
    (the outcome "failed" is asked again) nothing is contested yet: a server that is away must not send everything
    to the costly one.
    """
    if any(annotation.outcome == ASK_AGAIN for annotation in first):
        return False
    aggregate = resolve(AGGREGATORS, settings.aggregate.method, what="aggregation method")
    ballot = Ballot(sample.segment_id, sample.target, sample.id, tuple(first), (), (), hearings)
    seed = settings.project.seed
    (consensus,) = aggregate([ballot], taxonomy=taxonomy, params=settings.aggregate, seed=seed)
    reasons = review_reasons(consensus, sample.missing, settings.policy, taxonomy=taxonomy, seed=seed)
    return not OPEN.isdisjoint(reasons)
