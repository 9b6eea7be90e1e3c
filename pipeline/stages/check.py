"""Check: every claim of an annotation against the signal."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from agents.evidence import CHECKER_VERSION, check_annotation
from pipeline.stages.base import Run, each
from schemas.cues import cue_table
from schemas.records import Annotation, Baseline, Check, Features, Record, Sample


class CheckStage:
    name = "check"
    shard_size = 500

    def __init__(self) -> None:
        self._expected: dict[str, str] = {}  # annotation id -> check id

    def plan(self, run: Run) -> list[Any]:
        digests = run.project.store.digests(Features)
        samples = {sample.id: sample for sample in run.samples}
        self._expected = {}
        for annotation in run.annotations:
            if annotation.outcome == "labelled":
                segment_id = samples[annotation.sample_id].segment_id
                mine = tuple(sorted(digests[i] for i in run.feature_ids.get(segment_id, {}).values()))
                self._expected[annotation.id] = _question_id(annotation, mine)
        there = run.project.store.digests(Check)
        labelled = {annotation.id: annotation for annotation in run.annotations}
        missing = [key for key, check_id in self._expected.items() if check_id not in there]
        return [(labelled[key], samples[labelled[key].sample_id]) for key in missing]

    def work(self, run: Run, items: Sequence[tuple[Annotation, Sample]]) -> None:
        features, baselines = self._measured(run, items)
        table = cue_table()

        def check(pair: tuple[Annotation, Sample]) -> list[Record]:
            annotation, sample = pair
            known = [baselines[i] for i in sample.baseline_ids if i in baselines]
            mine = features[sample.segment_id]
            found = check_annotation(annotation, mine, known, sample.duration_s, table, target=sample.target)
            for verdict in found.verdicts:
                run.count(f"checks.{verdict.verdict}")
            return [found]

        each(
            run,
            self.name,
            items,
            check,
            name=lambda pair: pair[0].id,
            path=lambda pair: run.segment_text(pair[1].segment_id),
        )

    def _measured(
        self, run: Run, items: Sequence[tuple[Annotation, Sample]]
    ) -> tuple[dict[str, list[Features]], dict[str, Baseline]]:
        wanted = [i for _, s in items for i in run.feature_ids.get(s.segment_id, {}).values()]
        features: dict[str, list[Features]] = defaultdict(list)
        for feature in run.project.store.by_id(Features, wanted):
            features[feature.subject_id].append(feature)
        ids = sorted({i for _, sample in items for i in sample.baseline_ids})
        return features, {baseline.id: baseline for baseline in run.project.store.by_id(Baseline, ids)}

    def finish(self, run: Run) -> None:
        run.project.store.set_live(Check, self._expected.values())


def _question_id(annotation: Annotation, feature_digests: tuple[str, ...]) -> str:
    return Check(
        annotation_id=annotation.id,
        annotation_digest=annotation.digest,
        feature_digests=feature_digests,
        cue_table_digest=cue_table().digest,
        checker_version=CHECKER_VERSION,
        verdicts=(),
    ).id
