"""Check: every claim of an annotation against the signal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from agents.evidence.check import CHECKER_VERSION, check_annotation
from pipeline.stages.base import Run, each
from pipeline.stages.samples import SampleRef
from schemas.cues import cue_table
from schemas.record import Record
from schemas.records import Annotation, Baseline, Check, Features, Sample
from schemas.store import Stub


class CheckStage:
    name = "check"
    shard_size = 500

    def __init__(self) -> None:
        self._expected: list[str] = []

    def plan(self, run: Run) -> list[Any]:
        self._expected, missing = [], []
        for page in run.samples.pages():
            wanted = self._wanted(run, page)
            there = run.project.store.stubs(Check, list(wanted))
            missing += [annotation_id for key, annotation_id in wanted.items() if key not in there]
            self._expected += wanted
        return missing

    def _wanted(self, run: Run, page: Sequence[SampleRef]) -> dict[str, str]:
        """Check id -> annotation id, of the labelled annotations of some samples."""
        store = run.project.store
        ids = [feature for ref in page for feature in ref.features]
        features = store.stubs(Features, ids)
        said = store.stubs_by_parent(Annotation, [ref.id for ref in page])
        wanted = {}
        for ref in page:
            digests = tuple(sorted(features[feature].digest for feature in ref.features))
            for annotation in said[ref.id]:
                if annotation.live and annotation.brief["outcome"] == "labelled":
                    wanted[_question_id(annotation, digests)] = annotation.id
        return wanted

    def work(self, run: Run, items: Sequence[str]) -> None:
        store = run.project.store
        annotations = store.by_id(Annotation, items)
        samples = {s.id: s for s in store.by_id(Sample, [a.sample_id for a in annotations])}
        pairs = [(annotation, samples[annotation.sample_id]) for annotation in annotations]
        compare = checker(run, list(samples.values()))

        def check(pair: tuple[Annotation, Sample]) -> list[Record]:
            found = compare(*pair)
            for verdict in found.verdicts:
                run.count(f"checks.{verdict.verdict}")
            return [found]

        each(
            run,
            self.name,
            pairs,
            check,
            name=lambda pair: pair[0].id,
            path=lambda pair: run.segment_text(pair[1].segment_id),
        )

    def finish(self, run: Run) -> None:
        run.project.store.set_live(Check, self._expected)


def checker(run: Run, samples: Sequence[Sample]) -> Callable[[Annotation, Sample], Check]:
    """How claims about these samples are compared with what was measured in them; nothing is stored."""
    store, table = run.project.store, cue_table()
    wanted = [feature for sample in samples for feature in run.samples.features[sample.id]]
    features = {feature.id: feature for feature in store.by_id(Features, wanted)}
    ids = sorted({i for sample in samples for i in sample.baseline_ids})
    baselines = {baseline.id: baseline for baseline in store.by_id(Baseline, ids)}

    def compare(annotation: Annotation, sample: Sample) -> Check:
        return check_annotation(
            annotation,
            [features[feature] for feature in run.samples.features[sample.id]],
            [baselines[i] for i in sample.baseline_ids if i in baselines],
            sample.duration_s,
            table,
            target=sample.target,
            words_of_others=sample.words_of_others,
        )

    return compare


def _question_id(annotation: Stub, feature_digests: tuple[str, ...]) -> str:
    return Check(
        annotation_id=annotation.id,
        annotation_digest=annotation.digest,
        feature_digests=feature_digests,
        cue_table_digest=cue_table().digest,
        checker_version=CHECKER_VERSION,
        verdicts=(),
    ).id
