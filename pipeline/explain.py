"""Why models will or will not be asked about something again: from what is stored and set, nothing is sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Generic, Literal

from agents.annotators.annotator import Annotator
from agents.annotators.ensemble import Hearing
from agents.answers.parsing import PARSER_VERSION
from agents.asking import Asker, Question, R, T
from agents.calls.call import call_key, key_of
from agents.judges.panel import panel
from agents.protocol import Request
from agents.questions.components import changed, components
from pipeline.commands.show import find_item
from pipeline.consent import Consent
from pipeline.examples import annotators, banks_now
from pipeline.judging.cases import cases_of
from pipeline.ledger import used_up
from pipeline.live import LiveItem, live_items
from pipeline.outputs import Before, ExplainedQuestion, ExplainedSample, ExplainOutput
from pipeline.project import Project
from pipeline.sentinel import asked_again
from pipeline.stages.asking import ASK_AGAIN, outcome_text, replicated, retry_of
from pipeline.stages.calibrate import heard
from pipeline.stages.contested import is_contested
from pipeline.stages.decide import bring_decisions_up_to_date
from pipeline.stages.selection import Selection, selection
from pipeline.status import ASKING, last_failures
from schemas.ports import BUDGET_REACHED, NOT_SENT
from schemas.records import Annotation, Judgement, Sample, Segment
from schemas.store import ItemOutcome, Store
from schemas.store_asked import LoggedEvent
from schemas.store_batches import BatchJob

MOST_BEFORE = 3  # earlier answers that are told, the newest
Stage = Literal["annotate", "contested", "judge"]
State = dict[str, Any]  # fields of an `ExplainedQuestion`


def explain(project: Project, what: str) -> ExplainOutput:
    """`what` is the path or name of a recording, or the (start of an) id of anything made from one.

    Raises:
        UserError: nothing of that name, or several.
    """
    bring_decisions_up_to_date(project)  # what people have verified may be shown as examples
    source_id, segment_id = find_item(project, what)
    segments = [s.id for s in project.store.live(Segment, [source_id]) if segment_id in (None, s.id)]
    known = _Known(project)
    return ExplainOutput(
        item=segment_id or source_id,
        budget=known.budget,
        samples=[_sample(known, item) for item in live_items(project.store, segments)],
    )


def _sample(known: _Known, item: LiveItem) -> ExplainedSample:
    segment = item.segment
    return ExplainedSample(
        segment=segment.id,
        span=f"{segment.source_start_s:.2f}-{segment.source_end_s:.2f}",
        sample=item.sample.id,
        target=item.sample.target.key,
        questions=[*_of_annotators(known, item), *_of_judges(known, item)],
    )


def _of_annotators(known: _Known, item: LiveItem) -> Iterator[ExplainedQuestion]:
    project, sample = known.project, item.sample
    # Other samples of the same person in the same segment: what was shown has changed since.
    of_segment = project.store.stubs_by_parent(Sample, [item.segment.id])[item.segment.id]
    samples = [stub.id for stub in of_segment if stub.brief["target"] == sample.target.key]
    found = (one for ones in project.store.by_parent(Annotation, samples).values() for one in ones)
    earlier = [one for one in found if one.id not in known.sentinel]  # its questions are no earlier forms
    for annotator in known.annotators:
        stage: Stage = "annotate" if annotator.section.when == "always" else "contested"
        own = [annotation for annotation in earlier if annotation.annotator == annotator.section.name]
        for question in replicated(annotator, sample):
            yield _Looked(known, stage, item, question, own).explained(None)


def _of_judges(known: _Known, item: LiveItem) -> Iterator[ExplainedQuestion]:
    project, settings = known.project, known.project.settings
    seed = settings.project.seed
    jurors = panel(settings.judges, settings.annotators, project.taxonomy, seed=seed)
    for case in cases_of(project, [item.sample.id]):
        earlier = project.store.by_parent(Judgement, [case.annotation.id])[case.annotation.id]
        for juror in jurors:
            own = [one for one in earlier if (one.judge, one.kind) == (juror.section.name, juror.kind)]
            for repetition in range(juror.repetitions):
                question = (juror, case, repetition)
                yield _Looked(known, "judge", item, question, own).explained(case.annotation.id)


@dataclass
class _Known:
    """What is known of the project as a whole."""

    project: Project

    @property
    def store(self) -> Store:
        return self.project.store

    @cached_property
    def budget(self) -> str | None:
        """Why no further call may be sent."""
        error = used_up(self.project.settings.budget, self.store.call_sums())
        return None if error is None else f"{error.message}; {error.remedy}"

    @cached_property
    def annotators(self) -> list[Annotator]:
        store, settings = self.store, self.project.settings
        bank = cache(lambda: banks_now(store, settings, lambda: self.selection.placed))
        return annotators(settings.annotators, self.project.taxonomy, bank)

    @cached_property
    def selection(self) -> Selection:
        return selection(self.store, self.project.settings)

    @property
    def dropped(self) -> Mapping[str, str]:
        return self.selection.dropped

    @cached_property
    def consent(self) -> Consent:
        return Consent(self.store.facts(), self.project.settings.consent)

    @cached_property
    def hearings(self) -> dict[str, Hearing]:
        return heard(self.store, self.project.settings, self.project.taxonomy)

    @cached_property
    def away(self) -> dict[tuple[str, str], str]:
        """(stage, who was not asked to the end by the last run) -> why; the budget is told apart."""
        names = {
            section.name for section in (*self.project.settings.annotators, *self.project.settings.judges)
        }
        found = (one for one in last_failures(self.store) if one.id in names and one.code != BUDGET_REACHED)
        return {(one.stage, one.id): one.message for one in found}

    @cached_property
    def sentinel(self) -> frozenset[str]:
        """What models answered when they were asked again to see whether they change."""
        return asked_again(self.store)

    @cached_property
    def in_jobs(self) -> dict[str, BatchJob]:
        return {key: job for job in self.store.open_batches() for key in job.sent_bytes}

    @cached_property
    def dead(self) -> dict[tuple[str, str], ItemOutcome]:
        return {(letter.stage, letter.item): letter for letter in self.store.dead_letters(ASKING)}


@dataclass
class _Looked(Generic[T, R]):
    """What one annotator or judge is asked about one item; `earlier`: its records about the same, of any form."""

    known: _Known
    stage: Stage
    item: LiveItem
    question: Question[T, R]
    earlier: Sequence[Annotation | Judgement]

    @property
    def asker(self) -> Asker[T, R]:
        return self.question[0]

    def explained(self, about: str | None) -> ExplainedQuestion:
        """`about`: the annotation that is judged."""
        asker, item, repetition = self.question
        request, record_id = asker.request(item, repetition), asker.question_id(item, repetition)
        state = self._state(record_id, request)
        if state["will_be_asked"] and asker.model.wire and self.known.budget is not None:
            state |= {"will_be_asked": False, "why": f"{state['why']}; {self.known.budget}"}
        return ExplainedQuestion(
            stage=self.stage,
            asked=asker.section.name,
            repetition=repetition,
            about=about,
            kind=getattr(asker, "kind", None),
            id=record_id,
            before=self._before(record_id, request),
            **state,
        )

    def _state(self, record_id: str, request: Request) -> State:
        store = self.known.store
        record = store.get(self.asker.record_class, record_id)
        if record is not None and record.outcome != ASK_AGAIN:
            return self._answered(record)
        if (never := self._never()) is not None:
            return {"state": "not_asked", "will_be_asked": False, "why": never}
        if (letter := self.known.dead.get((self.stage, record_id))) is not None:
            why = f"{letter.code}, {letter.message}"
            at = store.ended_at(self.stage, record_id)
            return {
                "state": "dead_letter",
                "will_be_asked": False,
                "why": why,
                "retry": letter.retry,
                "at": at,
                "outcome": ASK_AGAIN,
            }
        key = call_key(request, self.asker.section.provider, request.model)
        history = store.call_history(key)
        if (job := self.known.in_jobs.get(key)) is not None:
            questions = f"{len(job.sent_bytes)} question{'s' * (len(job.sent_bytes) > 1)}"
            why = f"the batch job {job.job or job.token} of {questions} has it; a later run collects it"
            return {"state": "waiting", "will_be_asked": False, "why": why, "at": job.at}
        if any(event.event == "receipt" for event in history):
            why = "the answer is there and is read by the next run, without a call"
            return {"state": "received", "will_be_asked": False, "why": why, "at": history[-1].at}
        if record is not None:
            runs, most = (
                store.failed_runs(self.stage, record_id),
                self.known.project.settings.run.dead_after_runs,
            )
            counted = f", in {runs} of {most} runs" if runs else ""
            why = f"{record.reason}, {record.detail}{counted}"
            return {"state": "failed", "will_be_asked": True, "why": why, "outcome": ASK_AGAIN}
        why = self.known.away.get((self.stage, self.asker.section.name), _cut_off(history))
        return {"state": "waiting", "will_be_asked": True, "why": why}

    def _answered(self, record: Annotation | Judgement) -> State:
        bad = record.outcome in ("refused", "unparsed")
        return {
            "state": "answered",
            "will_be_asked": False,
            "why": f"{outcome_text(record)} ({record.reason})" if bad else record.outcome,
            "retry": retry_of(record) if bad else None,
            "at": self.known.store.stored_at([record.id])[record.id],
            "outcome": record.outcome,
            "usage": record.usage.model_dump(mode="json") if self.asker.model.wire else None,
            "model_version": record.model_version,
        }

    def _never(self) -> str | None:
        """Why this is not asked of anybody, or not of this one."""
        sample = self.item.sample
        if (reason := self.known.dropped.get(sample.id)) is not None:
            return f"select drops the sample: {reason}"
        if self.asker.model.third_party and self.known.consent.keeps_here(sample, self.item.segment):
            return "consent keeps it from third parties"
        if self.stage == "contested" and not self._contested():
            return "it is asked only where the others leave the label open"
        asker, asked_of, _ = self.question
        return asker.unasked(asked_of)

    def _contested(self) -> bool:
        project = self.known.project
        always = {section.name for section in project.settings.annotators if section.when == "always"}
        said = [
            one
            for one in self.item.annotations
            if one.annotator in always and ("annotate", one.id) not in self.known.dead
        ]
        return is_contested(self.item.sample, said, project.settings, project.taxonomy, self.known.hearings)

    def _before(self, record_id: str, request: Request) -> list[Before]:
        """Earlier answers to another form of this question, the newest first, with what has changed since."""
        same = [
            record
            for record in self.earlier
            if record.id != record_id
            and record.outcome != ASK_AGAIN
            and (record.replicate, getattr(record, "variant", 0)) == (request.replicate, request.variant)
        ]
        newest = same[::-1][:MOST_BEFORE]
        keys = {record.id: _key(record) for record in newest}
        noted = self.known.store.call_components(list(keys.values()))
        return [
            Before(
                id=one.id, outcome=one.outcome, changed=self._changed(one, noted.get(keys[one.id]), request)
            )
            for one in newest
        ]

    def _changed(
        self, record: Annotation | Judgement, noted: dict[str, str] | None, request: Request
    ) -> list[str]:
        """Which parts of the question differ; of one whose parts were not noted, what its record tells."""
        parts = changed(noted, components(request)) if noted else []
        fields = {
            "provider": record.provider != self.asker.section.provider,
            "parser": record.parser_version != PARSER_VERSION,
            "model": not noted and record.model != request.model,
            "sample": not noted
            and isinstance(record, Annotation)
            and record.sample_id != self.item.sample.id,
        }
        return [*parts, *(name for name, differs in fields.items() if differs)]


def _cut_off(history: Sequence[LoggedEvent]) -> str:
    """How far a question came that has no record and no answer."""
    if not history:
        return "it was not asked yet"
    end = f"was not sent: {history[-1].message}" if history[-1].code == NOT_SENT else "got no answer"
    return f"a call of {history[-1].at} {end}"


def _key(record: Annotation | Judgement) -> str:
    """The call that the record was made of."""
    return key_of(record.request_digest, record.provider, record.model, record.replicate)
