"""`plan(project)`: what the next run would ask, and what that costs. Nothing is sent to anybody. Read this first.

What is missing before the first question (samples) is made, as a run would make it. Annotators are priced by the
questions that would be sent; judges by those that are known already, and by the answers that are expected.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from agents.annotator import Annotator
from agents.asking import Asker, collect
from agents.engine import SystemClock
from agents.judge import Case
from agents.panel import asked_about, panel
from pipeline.estimate import ENOUGH_ANSWERS, JUDGED_SHARE, Wanted
from pipeline.judging.cases import references_of
from pipeline.outputs import PlanOutput
from pipeline.plan_totals import told
from pipeline.project import Project
from pipeline.run import up_to_samples
from pipeline.stages.annotate import AnnotateStage
from pipeline.stages.asking import ASK_AGAIN, replicated
from pipeline.stages.base import Progress, Run, run_async, shards
from pipeline.stages.calibrate import CalibrateStage
from pipeline.stages.contested import ContestedStage
from pipeline.stages.judge import JudgeStage
from pipeline.stages.sentinel import SentinelStage
from schemas.parts import LabelScore, Readings, Triplet
from schemas.records import Annotation, Check, Sample
from schemas.store import Store

PAGE = 500


def plan(project: Project, *, progress: Progress) -> PlanOutput:
    """Price what is missing.

    Raises:
        UserError: a wrong setting, or another run is going on.
        KeyboardInterrupt: interrupted while samples were made; they are kept.
    """
    with up_to_samples(project, progress=progress) as run:
        CalibrateStage().plan(run)
        annotate, contested = AnnotateStage(), ContestedStage()
        asked = [_Asked(*one, annotate.name) for one in annotate.plan(run)]
        asked += _contested(run, contested, {one.sample_id for one in asked})
        _judged(run, [*annotate.labelled(run), *contested.labelled(run)], asked)
        SentinelStage().plan(run)
        return told(run)


class _Asked(NamedTuple):
    """A question to an annotator that this run will ask, or is expected to ask in `share` of the cases."""

    asker: Asker[Sample, Annotation]
    sample_id: str
    replicate: int
    stage: str
    share: float = 1.0


def _contested(run: Run, stage: ContestedStage, waiting: set[str]) -> list[_Asked]:
    """Whom a cascade asks further: about samples whose first answers are there, and, as often as that was so far,
    about those that are `waiting` for them."""
    run.waiting |= waiting
    known = [_Asked(*one, stage.name) for one in stage.plan(run)]
    found, may_see = list(known), stage.reader(run, run.facts)
    for asker in stage.annotators(run):
        share = _share_contested(run, asker, [one for one in known if one.asker.section == asker.section])
        for page in shards([name for name in run.chosen if name in waiting], PAGE):
            samples = [one for one in run.project.store.by_id(Sample, page) if may_see(asker, one)]
            asked = {asker.question_id(*one[1:]): one for s in samples for one in replicated(asker, s)}
            there = run.project.store.stubs(Annotation, list(asked))
            for record_id, (_, sample, n) in asked.items():
                if record_id in there and there[record_id].brief["outcome"] != ASK_AGAIN:
                    continue
                wanted = Wanted(asker, sample, asker.request(sample, n), sample.id)
                run.meter.expect(stage.name, wanted, 0.0, share)
                found.append(_Asked(asker, sample.id, n, stage.name, share))
    return found


def _share_contested(run: Run, asker: Annotator, known: Sequence[_Asked]) -> float:
    """In what share of the samples with first answers an annotator is asked too; all, before there are enough."""
    standing = sum(
        n for brief, n in run.project.store.tally(Annotation) if brief["annotator"] == asker.section.name
    )
    settled = (len(run.chosen) - len(run.waiting)) * asker.repetitions
    return min(1.0, (standing + len(known)) / settled) if settled >= ENOUGH_ANSWERS else 1.0


# --- judges: questions about answers that do not exist yet -------------------------------------------


class _Said:
    """An answer that is there, or is to be expected with a likelihood."""

    def __init__(self, sample: Sample, annotation: Annotation, share: float, tokens: float) -> None:
        self.case = Case(sample, annotation, _unchecked(annotation))
        self.share, self.tokens = share, tokens


def _judged(run: Run, labelled: Sequence[str], asked: Sequence[_Asked]) -> None:
    """Add the judges' questions: those that are known, then those about answers that are still to come."""
    settings = run.project.settings
    jurors = panel(settings.judges, settings.annotators, run.project.taxonomy, seed=settings.project.seed)
    if not any(juror.model.wire for juror in jurors):
        return
    judge = JudgeStage(only=frozenset(labelled))
    judge.plan(run)
    may_see, truths = judge.reader(run, run.facts), _truths(run)
    for said in chain(_unchecked_ones(run, labelled), _expected(run, asked)):
        told = said.case._replace(reference=truths.get(said.case.sample.id, ()))
        for juror, case, repetition in asked_about(jurors, told):
            if juror.model.wire and may_see(juror, case):
                wanted = Wanted(juror, case, juror.request(case, repetition), case.sample.id)
                run.meter.expect(judge.name, wanted, said.tokens, said.share)


def _truths(run: Run) -> dict[str, tuple[str, ...]]:
    """The true labels that judges which evaluate are told, by sample."""
    found: dict[str, tuple[str, ...]] = {}
    for page in shards(list(run.chosen), PAGE):
        found |= references_of(run.project, page)
    return found


def _unchecked_ones(run: Run, labelled: Sequence[str]) -> Iterator[_Said]:
    """Answers that an earlier run had received when it ended, and had not compared with the signal yet."""
    store = run.project.store
    for page in shards(labelled, PAGE):
        checks = store.stubs_by_parent(Check, page)
        left = [name for name in page if not any(stub.live for stub in checks[name])]
        annotations = store.by_id(Annotation, left)
        samples = {sample.id: sample for sample in store.by_id(Sample, [a.sample_id for a in annotations])}
        for annotation in annotations:
            yield _Said(samples[annotation.sample_id], annotation, 1.0, 0.0)


def _expected(run: Run, asked: Sequence[_Asked]) -> Iterator[_Said]:
    """Answers to what is about to be asked. Rules are asked in passing, models are taken to label."""
    shares = label_shares(run.project.store)
    for page in shards(asked, PAGE):
        found = run.project.store.by_id(Sample, list(dict.fromkeys(one.sample_id for one in page)))
        samples = {sample.id: sample for sample in found}
        keyless = [one for one in page if not one.asker.model.wire]
        often = {(one.asker.section.name, one.sample_id): one.share for one in keyless}
        for annotation in _keyless_answers(run, keyless, samples):
            if annotation.outcome == "labelled":
                share = often[annotation.annotator, annotation.sample_id]
                yield _Said(samples[annotation.sample_id], annotation, share, 0.0)
        for one in page:
            if one.asker.model.wire:
                yield _to_come(run, one, samples[one.sample_id], shares.get(one.asker.section.name, 1.0))


def _to_come(run: Run, one: _Asked, sample: Sample, labels: float) -> _Said:
    request = one.asker.request(sample, one.replicate)
    tokens = JUDGED_SHARE * run.meter.line(one.stage, one.asker.section).text_tokens(request)
    return _Said(sample, _stand_in(one.asker, sample, request.digest), one.share * labels, tokens)


def _keyless_answers(run: Run, asked: Sequence[_Asked], samples: Mapping[str, Sample]) -> list[Annotation]:
    """What the rules say: they are asked in passing, cost nothing, and nothing of it is kept."""
    found: list[Annotation] = []
    questions = [(one.asker, samples[one.sample_id], one.replicate) for one in asked]
    load = run.media.load
    run_async(run, collect(questions, journal=None, clock=SystemClock(), load=load, on_record=found.append))
    return found


def label_shares(store: Store) -> dict[str, float]:
    """Annotator -> the share of its answers that is a label, where there are enough of them."""
    answers: Counter[str] = Counter()
    labels: Counter[str] = Counter()
    for brief, count in store.tally(Annotation):
        if brief["outcome"] != "failed":
            answers[brief["annotator"]] += count
            labels[brief["annotator"]] += count if brief["outcome"] == "labelled" else 0
    return {name: labels[name] / count for name, count in answers.items() if count >= ENOUGH_ANSWERS}


def _stand_in(asker: Asker[Sample, Annotation], sample: Sample, request_digest: str) -> Annotation:
    """An annotation without content in place of one that is still to come: its length is added apart."""
    label = next(iter(asker.taxonomy.labels))
    answer = Triplet(
        evidence=(), rationale=(), readings=Readings(), labels=(LabelScore(label=label),), confidence=1.0
    )
    return Annotation(
        sample_id=sample.id,
        annotator=asker.section.name,
        request_digest=request_digest,
        provider=asker.section.provider,
        model=asker.section.model,
        outcome="labelled",
        answer=answer,
    )


def _unchecked(annotation: Annotation) -> Check:
    return Check(
        annotation_id=annotation.id,
        annotation_digest=annotation.digest,
        feature_digests=(),
        cue_table_digest="",
        checker_version="",
        verdicts=(),
    )
