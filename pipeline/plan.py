"""`plan(project)`: what the next run would ask, and what that costs. Nothing is sent to anybody. Read this first.

What is missing before the first question (samples) is made, as a run would make it. Annotators are priced by the
questions that would be sent; judges by those that are known already, and by the answers that are expected. Where
an answer was received and only its record is missing, what follows from it is known as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from agents.annotators.annotator import Annotator
from agents.asking import Asker, collect
from agents.calls.call import Outcome, call_key
from agents.calls.engine import SystemClock
from agents.judges.judge import Case
from agents.judges.panel import asked_about, panel
from agents.protocol import Request
from pipeline.estimate import ENOUGH_ANSWERS, JUDGED_SHARE, Wanted
from pipeline.judging.cases import references_of
from pipeline.ledger import receipt_of
from pipeline.outputs import PlanOutput
from pipeline.plan_totals import told
from pipeline.project import Project
from pipeline.run import up_to_samples
from pipeline.stages.annotate import AnnotateStage
from pipeline.stages.asking import ASK_AGAIN, replicated
from pipeline.stages.base import Progress, Run, run_async, shards
from pipeline.stages.calibrate import CalibrateStage
from pipeline.stages.check import checker
from pipeline.stages.contested import ContestedStage
from pipeline.stages.judge import JudgeStage
from pipeline.stages.sentinel import SentinelStage
from schemas.parts import LabelScore, Readings, Triplet
from schemas.ports import Receipt
from schemas.records import Annotation, Check, Sample
from schemas.store import Store

PAGE = 500


def plan(
    project: Project, *, progress: Progress, retry_failed: bool = False, rebaseline: bool = False
) -> PlanOutput:
    """Price what is missing, or what a run with `retry_failed` or `rebaseline` would ask. No baseline is moved.

    Raises:
        UserError: a wrong setting, or another run is going on.
        KeyboardInterrupt: interrupted while samples were made; they are kept.
    """
    with up_to_samples(project, progress=progress, retry_failed=retry_failed, rebaseline=rebaseline) as run:
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
            open_ = [
                (sample, n)
                for record_id, (_, sample, n) in asked.items()
                if record_id not in there or there[record_id].brief["outcome"] == ASK_AGAIN
            ]
            wanted = [Wanted(asker, sample, asker.request(sample, n), sample.id) for sample, n in open_]
            run.meter.add(stage.name, wanted, share)
            found += [_Asked(asker, sample.id, n, stage.name, share) for sample, n in open_]
    return found


def _share_contested(run: Run, asker: Annotator, known: Sequence[_Asked]) -> float:
    """In what share of the samples with first answers an annotator is asked too; all, before there are enough."""
    standing = sum(
        n for brief, n in run.project.store.tally(Annotation) if brief["annotator"] == asker.section.name
    )
    settled = (len(run.chosen) - len(run.waiting)) * asker.repetitions
    return min(1.0, (standing + len(known)) / settled) if settled >= ENOUGH_ANSWERS else 1.0


# --- judges: questions about answers that do not exist yet -------------------------------------------


class _Said(NamedTuple):
    """An answer that will be there with a likelihood; `tokens`: how much longer it is than what stands for it."""

    case: Case
    share: float = 1.0
    tokens: float = 0.0


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
        wanted = [
            Wanted(juror, case, juror.request(case, repetition), case.sample.id)
            for juror, case, repetition in asked_about(jurors, told)
            if juror.model.wire and may_see(juror, case)
        ]
        if not said.tokens:
            run.meter.add(judge.name, wanted, said.share)
            continue
        for one in wanted:
            run.meter.expect(judge.name, one, said.tokens, said.share)


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
        compare = checker(run, list(samples.values()))
        for annotation in annotations:
            sample = samples[annotation.sample_id]
            yield _Said(Case(sample, annotation, compare(annotation, sample)))


def _expected(run: Run, asked: Sequence[_Asked]) -> Iterator[_Said]:
    """Answers to what is about to be asked. Rules are asked in passing, models are taken to label."""
    shares = label_shares(run.project.store)
    for page in shards(asked, PAGE):
        found = run.project.store.by_id(Sample, list(dict.fromkeys(one.sample_id for one in page)))
        samples = {sample.id: sample for sample in found}
        compare = checker(run, found)
        often = {(one.asker.section.name, one.sample_id): one.share for one in page}
        keyless = [one for one in page if not one.asker.model.wire]
        received = _received(run, [one for one in page if one.asker.model.wire], samples)
        for annotation in (*_keyless_answers(run, keyless, samples), *filter(None, received.values())):
            if annotation.outcome == "labelled":
                sample = samples[annotation.sample_id]
                case = Case(sample, annotation, compare(annotation, sample))
                yield _Said(case, often[annotation.annotator, sample.id])
        for one, known in received.items():
            if known is None:
                yield _to_come(run, one, samples[one.sample_id], shares.get(one.asker.section.name, 1.0))


def _received(
    run: Run, asked: Sequence[_Asked], samples: Mapping[str, Sample]
) -> dict[_Asked, Annotation | None]:
    """What an answer says that the ledger has, though its record is missing; None: it is still to come."""
    store = run.project.store
    questions = {one: one.asker.request(samples[one.sample_id], one.replicate) for one in asked}
    keys = {one: _key(one.asker, request) for one, request in questions.items()}
    there = store.received(list(keys.values()))
    return {
        one: _as_recorded(store, one, samples[one.sample_id], questions[one]) if key in there else None
        for one, key in keys.items()
    }


def _as_recorded(store: Store, one: _Asked, sample: Sample, request: Request) -> Annotation | None:
    """The record of a question whose first answer was received; None where its second one is to come."""
    answer, before = _receipt(store, one.asker, request), None
    follow = one.asker.then(sample, request)
    if answer is not None and follow is not None and (second := follow(answer)) is not None:
        answer, before = _receipt(store, one.asker, second), answer
    if answer is None:
        return None
    return one.asker.record(sample, request, Outcome(answer, None, cached=True, calls=0, before=before))


def _receipt(store: Store, asker: Asker[Sample, Annotation], request: Request) -> Receipt | None:
    row = store.receipt(_key(asker, request))
    return None if row is None else receipt_of(row)


def _key(asker: Asker[Sample, Annotation], request: Request) -> str:
    return call_key(request, asker.section.provider, request.model)


def _to_come(run: Run, one: _Asked, sample: Sample, labels: float) -> _Said:
    request = one.asker.request(sample, one.replicate)
    tokens = JUDGED_SHARE * run.meter.line(one.stage, one.asker.section).text_tokens(request)
    annotation = _stand_in(one.asker, sample, request.digest)
    return _Said(Case(sample, annotation, _unchecked(annotation)), one.share * labels, tokens)


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
    known = asker.taxonomy.names or (
        "word",
    )  # of an open vocabulary any will do; of numbers alone there is none
    labels = (LabelScore(label=known[0]),) if asker.taxonomy.asks_labels else ()
    answer = Triplet(evidence=(), rationale=(), readings=Readings(), labels=labels, confidence=1.0)
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
