"""Judge: every judge rates every labelled annotation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from agents.asking import Question
from agents.judge import Case, Judge
from pipeline.stages.asking import AskStage, replicated
from pipeline.stages.base import Run
from pipeline.stages.samples import cases
from schemas.records import Annotation, Judgement, Sample


class JudgeStage(AskStage[Case, Judgement]):
    name = "judge"
    record_class = Judgement

    def questions(self, run: Run) -> Iterator[tuple[Question[Case, Judgement], str]]:
        judges = [Judge(section, run.project.taxonomy) for section in run.project.settings.judges]
        for page in run.samples.pages() if judges else ():
            for case in cases(run.project.store, [ref.id for ref in page]):
                for judge in judges:
                    for question in replicated(judge, case):
                        yield question, case.sample.segment_id

    def key(self, item: Case) -> str:
        return item.annotation.id

    def sample(self, item: Case) -> Sample:
        return item.sample

    def load(self, run: Run, keys: Sequence[str]) -> dict[str, Case]:
        store = run.project.store
        sample_ids = dict.fromkeys(str(stub.parent) for stub in store.stubs(Annotation, keys).values())
        return {case.annotation.id: case for case in cases(store, list(sample_ids))}

    def counted(self, record: Judgement) -> str:  # noqa: ARG002 - as for annotations
        return "judgements"
