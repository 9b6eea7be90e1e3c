"""Judge: every judge rates every labelled annotation that it may rate, and takes its second look."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence

from agents.asking import Asker, Question
from agents.judges.judge import Case
from agents.judges.panel import asked_about, panel
from pipeline.judging.cases import cases_of
from pipeline.stages.asking import AskStage
from pipeline.stages.base import Run
from schemas.briefs import EVALUATIONS
from schemas.records import Annotation, Judgement, Sample
from schemas.settings_models import JudgeSection


class JudgeStage(AskStage[Case, Judgement]):
    name = "judge"
    record_class = Judgement
    section_class = JudgeSection

    def __init__(self, only: Container[str] | None = None) -> None:
        """`only`: the annotations that are rated; None: all that stand."""
        super().__init__()
        self._only = only
        # Evaluating judges are told what was known at the plan: people may say more while a run goes on.
        self._references: dict[str, tuple[str, ...]] = {}

    def questions(self, run: Run) -> Iterator[tuple[Question[Case, Judgement], str]]:
        settings, self._references = run.project.settings, {}
        seed = settings.project.seed
        jurors = panel(settings.judges, settings.annotators, run.project.taxonomy, seed=seed)
        for page in run.samples.pages() if jurors else ():
            for case in cases_of(run.project, [ref.id for ref in page]):
                if case.reference:
                    self._references[case.annotation.id] = case.reference
                for question in asked_about(jurors, case) if self._rates(case) else ():
                    yield question, case.sample.segment_id

    def _rates(self, case: Case) -> bool:
        return self._only is None or case.annotation.id in self._only

    def key(self, item: Case) -> str:
        return item.annotation.id

    def sample(self, item: Case) -> Sample:
        return item.sample

    def load(self, run: Run, keys: Sequence[str]) -> dict[str, Case]:
        store = run.project.store
        sample_ids = dict.fromkeys(str(stub.parent) for stub in store.stubs(Annotation, keys).values())
        found = cases_of(run.project, list(sample_ids))
        as_planned = (case._replace(reference=self._references.get(self.key(case), ())) for case in found)
        return {self.key(case): case for case in as_planned}

    def counts(self, asker: Asker[Case, Judgement]) -> bool:
        return getattr(asker, "kind", None) not in EVALUATIONS

    def counted(self, record: Judgement) -> str:  # noqa: ARG002 - as for annotations
        return "judgements"
