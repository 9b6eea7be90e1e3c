"""Whether what stands about an item is what a run would make of it now."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cached_property

from agents.annotators.annotator import Annotator
from agents.annotators.ensemble import Hearing
from agents.asking import Model
from agents.judges.judge import Case, Juror
from agents.judges.panel import asked_about, panel
from pipeline.aggregate.base import consensus_question
from pipeline.consent import Consent
from pipeline.examples import Banks, annotators
from pipeline.live import LiveItem
from pipeline.policy import decision_question
from pipeline.stages.asking import ASK_AGAIN
from pipeline.stages.contested import is_contested
from pipeline.stages.targets import faces_in, scene_of, targets_of
from schemas.briefs import EVALUATIONS, brief_of
from schemas.parts import Target
from schemas.records import Features, Judgement
from schemas.settings import Settings
from schemas.taxonomy import Taxonomy


class Today:
    """The questions that the settings of now ask; nothing is asked."""

    def __init__(
        self,
        settings: Settings,
        taxonomy: Taxonomy,
        consent: Consent,
        banks: Callable[[], Banks],
        hearings: Mapping[str, Hearing],
        given_up: Collection[str],
    ) -> None:
        self.settings, self.taxonomy, self.consent = settings, taxonomy, consent
        self.banks, self.hearings, self.given_up = banks, hearings, given_up

    @cached_property  # made when there is an item to look at: without one their names need not be right
    def _annotators(self) -> list[Annotator]:
        return annotators(self.settings.annotators, self.taxonomy, self.banks)

    @cached_property
    def _jurors(self) -> list[Juror]:
        settings = self.settings
        return panel(settings.judges, settings.annotators, self.taxonomy, seed=settings.project.seed)

    def newer_than(self, item: LiveItem) -> str | None:
        """What changed since the item was decided; None when nothing did."""
        if item.sample.target not in self._targets(item):
            return "what was said of its speaker, or the settings"
        if item.annotations and not (self._asked(item) and self._judged(item)):
            return "the annotators, the judges or their settings"
        if item.decision is None and self._waits(item):
            return "answers that are still to come"
        if item.consensus is None or item.decision is None or self._decided(item):
            return None
        return "its reviews, its annotations or the settings"

    def _targets(self, item: LiveItem) -> list[Target]:
        """Whom the segment would have samples of now."""
        heard = scene_of(item.segment, item.cast, self.settings.select)
        faces = faces_in([brief_of(features) for features in _joined_first(item.features)])
        return [aim.target for aim in targets_of(heard.voices, faces, self.settings.select)]

    def _asked(self, item: LiveItem) -> bool:
        there = {annotation.id for annotation in item.annotations}
        return there == {
            question
            for annotator in self._annotators
            for repetition in range(annotator.repetitions)
            if (question := annotator.question_id(item.sample, repetition)) in there
            or (self._has_its_turn(annotator, item) and self._may_see(annotator.model, item))
        }

    def _waits(self, item: LiveItem) -> bool:
        """Whether a server was away before it answered: such a question is asked again."""
        return any(one.outcome == ASK_AGAIN and one.id not in self.given_up for one in item.annotations)

    def _has_its_turn(self, annotator: Annotator, item: LiveItem) -> bool:
        """Whether a run would come to ask: some are asked only where the others leave it open."""
        if annotator.section.when == "always":
            return True
        always = {other.section.name for other in self._annotators if other.section.when == "always"}
        first = [one for one in item.annotations if one.annotator in always and one.id not in self.given_up]
        return is_contested(item.sample, first, self.settings, self.taxonomy, self.hearings)

    def _judged(self, item: LiveItem) -> bool:
        cases = [Case(item.sample, a, item.checks[a.id]) for a in item.annotations if a.id in item.checks]
        there = {rating.id for rating in _moving(item)}
        return there == {
            question
            for case in cases
            for juror, _, repetition in asked_about(self._jurors, case)
            if (question := juror.question_id(case, repetition)) in there or self._may_see(juror.model, item)
        }

    def _may_see(self, model: Model, item: LiveItem) -> bool:
        """Whether a run would ask: what consent keeps from a third party lacks nothing."""
        return not (model.third_party and self.consent.keeps_here(item.sample, item.segment))

    def _decided(self, item: LiveItem) -> bool:
        """Whether votes would be counted and decided as they were."""
        assert item.consensus is not None
        assert item.decision is not None
        sample, seed = item.sample, self.settings.project.seed
        said = (*item.annotations, *item.checks.values(), *_moving(item))
        params = self.settings.aggregate
        voted = consensus_question(
            sample.segment_id,
            sample.target,
            said,
            hearings=self.hearings,
            taxonomy=self.taxonomy,
            params=params,
            seed=seed,
        )
        inputs = (item.consensus, item.reviews, sample.missing, self.settings.policy)
        decided = decision_question(*inputs, taxonomy=self.taxonomy, seed=seed)
        return (item.consensus.id, item.decision.id) == (voted, decided)


def _moving(item: LiveItem) -> list[Judgement]:
    """The judgements that a consensus rests on: evaluations move nothing, and may be missing."""
    return [one for group in item.judgements.values() for one in group if one.kind not in EVALUATIONS]


def _joined_first(features: Iterable[Features]) -> list[Features]:
    """Those of the faces, and before them what they were joined with."""
    return sorted((f for f in features if f.stage in ("speakers", "au")), key=lambda f: f.stage, reverse=True)
