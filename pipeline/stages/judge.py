"""Judge: every judge rates every labelled annotation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agents.engine import SystemClock
from agents.judge import Case, Judge, judge_all
from pipeline.stages.annotate import ASK_AGAIN, retry_of
from pipeline.stages.base import Run, Writer, run_async
from schemas.records import Check, Judgement
from schemas.store import ItemOutcome

Triple = tuple[Judge, Case, int]


class JudgeStage:
    name = "judge"
    shard_size = 500

    def __init__(self) -> None:
        self._expected: dict[str, Case] = {}

    def plan(self, run: Run) -> list[Any]:
        judges = [Judge(section, run.project.taxonomy) for section in run.project.settings.judges]
        triples: dict[str, Triple] = {}
        for case in self._cases(run):
            for judge in judges:
                for replicate in range(judge.section.replicates):
                    triples[judge.question_id(case, replicate)] = (judge, case, replicate)
        self._expected = {key: case for key, (_, case, _) in triples.items()}
        there = {j.id: j.outcome for j in run.project.store.by_id(Judgement, list(triples))}
        return [triple for key, triple in triples.items() if there.get(key, ASK_AGAIN) == ASK_AGAIN]

    def _cases(self, run: Run) -> list[Case]:
        samples = {sample.id: sample for sample in run.samples}
        labelled = [a for a in run.annotations if a.outcome == "labelled"]
        checks = {c.annotation_id: c for c in run.project.store.live(Check, [a.id for a in labelled])}
        return [Case(samples[a.sample_id], a, checks[a.id]) for a in labelled if a.id in checks]

    def work(self, run: Run, items: Sequence[Triple]) -> None:
        # `concurrency` is a promise to the provider: two shards at once would ask twice as many.
        with run.asking, Writer(run, self.name) as writer:

            def keep(judgement: Judgement) -> None:
                run.count("judgements")
                writer.add([judgement])
                run.progress.advance(self.name)

            run_async(
                run,
                judge_all(
                    items,
                    journal=run.ledger,
                    clock=SystemClock(),
                    load=run.media.load,
                    on_judgement=keep,
                    seed=run.project.settings.project.seed,
                ),
            )

    def finish(self, run: Run) -> None:
        there = run.project.store.by_id(Judgement, list(self._expected))
        run.project.store.set_live(Judgement, [judgement.id for judgement in there])
        for judgement in there:
            if judgement.outcome != "scored":
                segment_id = self._expected[judgement.id].sample.segment_id
                message = f"{judgement.judge}: {judgement.outcome}, {judgement.detail or judgement.reason}"
                run.failures["judge", judgement.id] = ItemOutcome(
                    "judge",
                    judgement.id,
                    "failed",
                    run.segment_text(segment_id),
                    judgement.reason,
                    message,
                    retry_of(judgement.outcome),
                )
