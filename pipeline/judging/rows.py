"""The rows of the report on judges, from the store."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipeline.facts import facts_around, target_facts
from pipeline.judging.people import Truth, rubric_of, truth_of
from pipeline.judging.row import Row, row_of, unread_row
from pipeline.project import Project
from pipeline.stages.base import shards
from pipeline.stages.samples import PAGE, reviews_by_item
from schemas.ids import canonical_json
from schemas.records import Annotation, Judgement, Sample, Segment
from schemas.store import Store
from schemas.taxonomy import Taxonomy

NO_ANSWER = ("refused", "unparsed")  # it came, and holds nothing; what never came (failed) says nothing


def judge_rows(project: Project) -> Iterator[Row]:
    """The rows of everything that stands, a page of segments at a time."""
    store, taxonomy = project.store, project.taxonomy
    evaluating = [judge for judge in project.settings.judges if judge.rubric == "mme_emotion"]
    for page in shards(sorted(store.live(Segment), key=lambda segment: segment.id), PAGE):
        segments = {segment.id: segment for segment in page}
        samples = store.live(Sample, list(segments))
        facts = facts_around(store, page)
        reviews = reviews_by_item(store, [(s.segment_id, s.target.key) for s in samples])
        said = _by(store.live(Annotation, [sample.id for sample in samples]), "sample_id")
        ids = [annotation.id for found in said.values() for annotation in found]
        judged = _by(store.live(Judgement, ids), "annotation_id")
        for sample in samples:
            segment, mine = segments[sample.segment_id], reviews[sample.segment_id, sample.target.key]
            of_target = target_facts(facts, segment, sample.target.speaker)
            truth = truth_of(mine, of_target, taxonomy)
            rubric = _of_same_answers(store, rubric_of(mine), said.get(sample.id, ()))
            speaker = str(of_target.get("speaker") or sample.target.speaker or segment.source_id)
            for annotation in said.get(sample.id, ()):
                where = {"source_id": segment.source_id, "speaker": speaker}
                if annotation.outcome in NO_ANSWER and truth.agreed:
                    for told in evaluating:
                        yield unread_row(told.name, annotation, len(truth.agreed), told.replicates, **where)
                human = _human(annotation, truth, rubric, taxonomy)
                for judge, judgements in _by(judged.get(annotation.id, ()), "judge").items():
                    yield row_of(judge, annotation, judgements, human=human, **where)


def true_labels(project: Project, samples: Sequence[Sample]) -> dict[str, tuple[str, ...]]:
    """Sample -> its true label: what people agree on, else the declared one; samples without are left out."""
    store = project.store
    segments = {one.id: one for one in store.by_id(Segment, list({s.segment_id: None for s in samples}))}
    facts = facts_around(store, list(segments.values()))
    reviews = reviews_by_item(store, [(s.segment_id, s.target.key) for s in samples])
    found = {}
    for sample in samples:
        said = target_facts(facts, segments[sample.segment_id], sample.target.speaker)
        mine = reviews[sample.segment_id, sample.target.key]
        found[sample.id] = truth_of(mine, said, project.taxonomy).agreed
    return {sample_id: labels for sample_id, labels in found.items() if labels}


def _of_same_answers(
    store: Store, rubric: dict[str, dict[str, float]], standing: Sequence[Annotation]
) -> dict[str, dict[str, float]]:
    """People's ratings by the annotations that stand.

    An answer that was read again, or given again word by word, is a new annotation; what people said of it holds.
    """
    found = {one.id: rubric[one.id] for one in standing if one.id in rubric}
    if gone := rubric.keys() - found.keys():
        earlier = {_words(old): rubric[old.id] for old in store.by_id(Annotation, sorted(gone))}
        found = {one.id: earlier[words] for one in standing if (words := _words(one)) in earlier} | found
    return found


def _words(annotation: Annotation) -> tuple[str, str]:
    """Whose answer, and what it says."""
    return annotation.annotator, canonical_json(annotation.model_dump(mode="json", include={"answer"}))


def _human(
    annotation: Annotation, truth: Truth, rubric: Mapping[str, Mapping[str, float]], taxonomy: Taxonomy
) -> dict[str, float]:
    found = dict(rubric.get(annotation.id, {}))
    agreement = truth.agreement(annotation, taxonomy)
    return found if agreement is None else {"label": agreement, **found}


def _by(records: Any, name: str) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = defaultdict(list)
    for record in records:
        found[getattr(record, name)].append(record)
    return found
