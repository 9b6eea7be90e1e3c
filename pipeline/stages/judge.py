"""Judge: every judge rates every labelled annotation."""

from __future__ import annotations

from collections.abc import Iterator

from agents.asking import Question
from agents.judge import Case, Judge
from pipeline.stages.asking import AskStage, replicated
from pipeline.stages.base import Run
from schemas.records import Check, Judgement


class JudgeStage(AskStage[Case, Judgement]):
    name = "judge"
    record_class = Judgement

    def questions(self, run: Run) -> Iterator[tuple[Question[Case, Judgement], str]]:
        judges = [Judge(section, run.project.taxonomy) for section in run.project.settings.judges]
        for case in _cases(run):
            for judge in judges:
                for question in replicated(judge, case):
                    yield question, case.sample.segment_id

    def stands(self, run: Run, records: list[Judgement]) -> None:
        """Judgements are read from the store by those who weigh them."""

    def counted(self, record: Judgement) -> str:  # noqa: ARG002 - as for annotations
        return "judgements"


def _cases(run: Run) -> Iterator[Case]:
    samples = {sample.id: sample for sample in run.samples}
    labelled = [a for a in run.annotations if a.outcome == "labelled"]
    checks = {c.annotation_id: c for c in run.project.store.live(Check, [a.id for a in labelled])}
    for annotation in labelled:
        if annotation.id in checks:
            yield Case(samples[annotation.sample_id], annotation, checks[annotation.id])
