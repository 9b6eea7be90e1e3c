"""What the stages that ask models share: which questions are missing, asking them, what failed, what waits."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import islice
from typing import Generic, NamedTuple

from agents.asking import Asker, Question, R, T, collect
from agents.calls.call import Outcome
from agents.calls.engine import SystemClock
from agents.calls.lines import FATAL_CODES, FORBIDDEN, MAY_BE_ITS_OWN
from agents.protocol import Request
from pipeline.batch_desk import BatchDesk
from pipeline.batches import asker_of
from pipeline.consent import Consent
from pipeline.estimate import Wanted
from pipeline.facts import Facts
from pipeline.ledger import used_up
from pipeline.stages.base import RETRY, Run, Writer, run_async
from pipeline.stages.samples import PAGE
from pipeline.status import FAILURES
from schemas.errors import ProviderError, UserError
from schemas.ports import BUDGET_REACHED
from schemas.records import Annotation, Judgement, Sample
from schemas.settings_models import ModelSection
from schemas.store import ItemOutcome, Store, Stub

# An answer never came: asked again by every run, until it is a dead letter. A refusal or an unreadable answer
# came and was paid for: asked again only on request, as a new replicate would be.
ASK_AGAIN = "failed"
ASK_REMEDY = "emotrace run"
KEEP = "raise replicates, or change the model or its settings"
LONGER = "raise max_output_tokens, which asks this model anew, or change the model"
AS_JSON = "say in gives what its server can hold an answer to, or change the model"
# By the reason of an answer that is no label; of all others: KEEP.
MENDS = {
    "truncated": LONGER,
    "empty_answer": LONGER,
    "not_json": AS_JSON,
    "several_answers": AS_JSON,
    "duplicate_key": AS_JSON,
    "wrong_shape": AS_JSON,
    "unknown_label": "make it a synonym in the taxonomy, or change the model",
    "several_labels": "set multi_label = true in the taxonomy, or change the model",
    "other_language": "set answer_language to that language, or change the model",
}
REMEDIES = {
    "unauthorized": "mend its key, then: emotrace run",
    "not_found": "mend its model or base_url, then: emotrace run",
    "quota_exhausted": "top up the account, then: emotrace run",
    FORBIDDEN: "look at its key, and at what is asked, then: emotrace run",
    BUDGET_REACHED: "raise it in [budget], then: emotrace run",
}

Pending = tuple[Asker[T, R], str, int]  # whom to ask, the key of the item, which repetition


class Expected(NamedTuple):
    """Of whom a record is or will be, and about what."""

    asked: str
    segment_id: str
    sample_id: str
    counts: bool = True  # for the consensus, which waits for it


class AskStage(ABC, Generic[T, R]):
    """A stage whose items are questions to models; each becomes a record."""

    name: str
    record_class: type[R]
    section_class: type[ModelSection]
    shard_size = 500

    def __init__(self) -> None:
        self._expected: dict[str, Expected] = {}  # by the id of a record
        self._dead: dict[str, ItemOutcome] = {}  # dead letters, by the id of a record
        self._tried: set[str] = set()  # ids of records that failed in runs before by their own fault
        self._suspects: set[str] = set()  # those that failed, be it that their server was away
        self._to_gather = 0  # questions that go into vendors' batches, and have not had their turn
        self._under_way: set[str] = set()  # ids of records whose questions a vendor's batch has
        self._ended_here: set[str] = set()  # ids of records whose questions came to an end in this run
        self._unclear: dict[str, ProviderError] = {}  # failures that a server which is away may have caused

    @abstractmethod
    def questions(self, run: Run) -> Iterator[tuple[Question[T, R], str]]:
        """Every question that there is, whether answered or not, and the segment it is about."""

    @abstractmethod
    def key(self, item: T) -> str:
        """By what an item that has to be asked about is remembered, until its turn comes."""

    @abstractmethod
    def sample(self, item: T) -> Sample:
        """What is shown with a question about the item."""

    @abstractmethod
    def load(self, run: Run, keys: Sequence[str]) -> dict[str, T]:
        """Items by their keys."""

    @abstractmethod
    def counted(self, record: R) -> str:
        """Under which name a new record is counted."""

    def plan(self, run: Run) -> list[Pending[T, R]]:
        pending: list[Pending[T, R]] = []
        again: list[Pending[T, R]] = []
        self._expected, self._suspects = {}, set()
        store = run.project.store
        letters = store.outcomes(self.name, status="dead")
        self._dead = {item: letter for (_, item), letter in letters.items()}
        self._tried = {item for _, item in store.outcomes(self.name, status="failed")}
        may_see = self.reader(run, run.facts)
        kept: set[tuple[str, str]] = set()  # of a judge's two questions about one item, too, each once
        questions = self.questions(run)
        while page := list(islice(questions, PAGE)):
            asked = dict(_identified(page))
            there = store.stubs(self.record_class, list(asked))
            self._suspects |= self._may_be_bad(store, there)
            wanted = []
            for record_id, ((asker, item, n), request, segment_id) in asked.items():
                known = there.get(record_id)
                missing = known is None or known.brief["outcome"] == ASK_AGAIN
                if missing and not may_see(asker, item):  # an answer that came before stays
                    kept.add((asker.section.name, self.key(item)))
                    continue
                self._expected[record_id] = Expected(
                    asker.section.name, segment_id, self.sample(item).id, self.counts(asker)
                )
                if missing and (run.retry_failed or record_id not in self._dead):
                    (again if record_id in self._suspects else pending).append((asker, self.key(item), n))
                    wanted.append(Wanted(asker, item, request, self.sample(item).id))
            run.meter.add(self.name, wanted)
        run.kept_here.update(name for name, _ in kept)
        # Bad questions in a row make a server count as away: what may be one comes after the others.
        pending += again
        # Those that take longest come first: their jobs are begun before the others are asked.
        pending.sort(key=lambda one: one[0].section.mode != "batch")
        self._to_gather = _for_batches(pending)
        return pending

    def _may_be_bad(self, store: Store, there: Mapping[str, Stub]) -> set[str]:
        """Ids of records that failed in a way that may be their questions' own fault, or may not."""
        failed = [record_id for record_id, stub in there.items() if stub.brief["outcome"] == ASK_AGAIN]
        found = store.by_id(self.record_class, failed)
        return {record.id for record in found if record.reason in MAY_BE_ITS_OWN | {FORBIDDEN}}

    def work(self, run: Run, items: Sequence[Pending[T, R]]) -> None:
        found = self.load(run, list(dict.fromkeys(key for _, key, _ in items)))
        # `concurrency` is a promise to the provider: two shards at once would ask twice as many.
        with run.asking, Writer(run, self.name) as writer:
            may_see = self.reader(run, run.facts_now())  # people may have said more since
            questions = [(asker, found[key], n) for asker, key, n in items if may_see(asker, found[key])]

            kept: set[str] = set()

            def keep(record: R, ends: Sequence[ItemOutcome] = ()) -> None:
                kept.add(record.id)
                self._ended_here.add(record.id)
                run.count(self.counted(record))
                writer.add([record], ends or self._mended(run, record))
                if record.usage.cost_usd or record.usage.output_tokens:
                    writer.commit()
                run.progress.advance(self.name)

            async def ask(questions: Sequence[Question[T, R]]) -> None:
                await collect(
                    questions,
                    journal=run.ledger,
                    clock=SystemClock(),
                    load=run.media.load,
                    on_record=keep,
                    on_failure=lambda record, outcome: keep(record, self._failed(run, record, outcome)),
                    on_wait=self._under_way.add,
                    lines=run.lines,
                    seed=run.project.settings.project.seed,
                    desk=BatchDesk(run.gathering),
                    failed_before=self._suspects,
                    blamed_before=self._tried,
                )

            try:
                run_async(run, ask(questions))
            except UserError as error:  # what was gathered before it goes its way
                self._submit(run)
                self._spent_up(run, error)
                free = (one for one in questions if not one[0].model.wire)
                run_async(run, ask([one for one in free if one[0].question_id(*one[1:]) not in kept]))
            self._to_gather -= _for_batches(items)
            if run.gathering and self._to_gather == 0:
                self._submit(run)
            run.came_to_an_end(len(kept))

    def _submit(self, run: Run) -> None:
        """Begin the jobs that were gathered."""
        try:
            run_async(run, run.gathering.submit_all())
        except UserError as error:
            self._spent_up(run, error)

    def _spent_up(self, run: Run, error: UserError) -> None:
        """A budget that ends leaves questions that wait; the run goes on with the answers that are there."""
        if error.code != BUDGET_REACHED:
            raise error
        run.spent_up = used_up(run.project.settings.budget, run.project.store.call_sums()) or error

    def reader(self, run: Run, facts: Mapping[str, Facts]) -> Callable[[Asker[T, R], T], bool]:
        """Whether an item may be shown to whom a question is put to, as consent has it."""
        consent = Consent(facts, run.project.settings.consent)
        segments = {segment.id: segment for segment in run.segments}

        def may_see(asker: Asker[T, R], item: T) -> bool:
            if not asker.model.third_party:
                return True
            sample = self.sample(item)
            return not consent.keeps_here(sample, segments[sample.segment_id])

        return may_see

    def _mended(self, run: Run, record: R) -> list[ItemOutcome]:
        """A question that failed before has come to another end."""
        if record.outcome == ASK_AGAIN or record.id not in self._tried | self._dead.keys():
            return []
        self._dead.pop(record.id, None)
        return [
            ItemOutcome(self.name, record.id, "done", run.segment_text(self._expected[record.id].segment_id))
        ]

    def _failed(self, run: Run, record: R, outcome: Outcome) -> list[ItemOutcome]:
        """What is remembered of a question that failed by its own fault."""
        error = outcome.error
        if error is None or outcome.calls == 0 or error.code in FATAL_CODES:
            return []
        asked = self._expected[record.id].asked
        there = error.usage is not None or run.lines.has_answered(self.section_class, asked)
        if error.transient or not there or error.code == FORBIDDEN:
            self._unclear[record.id] = error  # whose fault it was is known at the end
            return []
        return [self._blamed(run, record.id, error)]

    def _blamed(self, run: Run, record_id: str, error: ProviderError) -> ItemOutcome:
        """One more run in which a question failed; a dead letter, when it can never heal or this was the last."""
        of = self._expected[record_id]
        runs = run.project.store.failed_runs(self.name, record_id) + 1
        given_up = not error.transient or runs >= run.project.settings.run.dead_after_runs
        end = ItemOutcome(
            self.name,
            record_id,
            "dead" if given_up else "failed",
            run.segment_text(of.segment_id),
            error.code,
            f"{of.asked}: {error.message}",
            RETRY if given_up else ASK_REMEDY,
        )
        self._dead.pop(record_id, None)
        if given_up:
            self._dead[record_id] = end
        return end

    def finish(self, run: Run) -> None:
        store = run.project.store
        there = store.stubs(self.record_class, list(self._expected))
        self.stand(run, there)
        ended = self._ended(run)
        unclear = [
            (key, error) for key, error in self._unclear.items() if self._own_fault(run, key, error, ended)
        ]
        store.add([], [self._blamed(run, key, error) for key, error in unclear])
        coming = {key for key in self._under_way if self._expected[key].asked not in ended}
        # What was sent before a server was left alone failed by no fault of its own: it waits like the rest, and
        # so does what was not reached before the money was spent.
        away = {
            key
            for key, stub in there.items()
            if stub.brief["outcome"] == ASK_AGAIN
            and key not in self._dead
            and (self._expected[key].asked in ended or (run.spent_up and key not in self._ended_here))
        }
        waits = coming | away
        failed = [
            record_id
            for record_id, stub in there.items()
            if stub.brief["outcome"] in FAILURES and record_id not in waits
        ]
        for record in store.by_id(self.record_class, failed):
            run.failures[self.name, record.id] = self._failure(run, record)
        waiting = [
            of
            for key, of in self._expected.items()
            if (key not in there or key in away) and key not in coming and (of.asked in ended or run.spent_up)
        ]
        run.waiting.update(
            of.sample_id for of in (*waiting, *map(self._expected.__getitem__, coming)) if of.counts
        )
        for name, n in Counter(of.asked for of in waiting).items():
            if (why := ended.get(name, run.spent_up)) is not None:
                run.failures[self.name, name] = self._away(name, why, n)

    def _own_fault(self, run: Run, record_id: str, error: ProviderError, ended: Collection[str]) -> bool:
        """Not where its server was left alone; but a question that is forbidden a second time, beside others that
        are answered, is forbidden for what it asks."""
        asked = self._expected[record_id].asked
        if asked not in ended:
            return True
        again = error.code == FORBIDDEN and record_id in self._suspects
        return again and run.lines.has_answered(self.section_class, asked)

    def _ended(self, run: Run) -> dict[str, ProviderError]:
        """Who is not asked any more in this run, live or in batches."""
        refused = {
            of.asked: error
            for of in self._expected.values()
            if (error := run.batches.refused.get(asker_of(self.section_class, of.asked))) is not None
        }
        return {**refused, **run.lines.ended(self.section_class)}

    def stand(self, run: Run, ids: Collection[str]) -> None:
        """Say which records stand now."""
        run.project.store.set_live(self.record_class, [*ids, *self.beside(run)])

    def _away(self, name: str, error: ProviderError | UserError, waiting: int) -> ItemOutcome:
        """One line for a model that was not asked to the end, whatever number of questions waits for it."""
        wait = "1 question waits" if waiting == 1 else f"{waiting} questions wait"
        message = f"{error.message}; {wait} for it"
        retry = REMEDIES.get(error.code, ASK_REMEDY)
        return ItemOutcome(self.name, name, "failed", None, error.code, message, retry)

    def counts(self, asker: Asker[T, R]) -> bool:  # noqa: ARG002 - most answers do
        """Whether a consensus rests on the answers."""
        return True

    def beside(self, run: Run) -> Collection[str]:  # noqa: ARG002 - a stage that shares its kind of record
        """Records of the kind that stand beside those of this stage."""
        return ()

    def _failure(self, run: Run, record: R) -> ItemOutcome:
        of = self._expected[record.id]
        message = f"{of.asked}: {outcome_text(record)}"
        path = run.segment_text(of.segment_id)
        dead = record.outcome == ASK_AGAIN and record.id in self._dead
        mend = REMEDIES.get(record.reason) if record.outcome == ASK_AGAIN else None
        retry = RETRY if dead else mend or retry_of(record)
        return ItemOutcome(
            self.name, record.id, "dead" if dead else "failed", path, record.reason, message, retry
        )


def _for_batches(pending: Sequence[Pending[T, R]]) -> int:
    return sum(asker.section.mode == "batch" for asker, _, _ in pending)


def _identified(
    page: Sequence[tuple[Question[T, R], str]],
) -> Iterator[tuple[str, tuple[Question[T, R], Request, str]]]:
    """Id of the record -> whom to ask about what, the question as it is sent, and the segment."""
    for question, segment_id in page:
        asker, item, repetition = question
        request = asker.request(item, repetition)
        yield asker.id_of(item, request), (question, request, segment_id)


def replicated(asker: Asker[T, R], item: T) -> Iterator[Question[T, R]]:
    """The questions of one asker about one item."""
    for repetition in range(asker.repetitions):
        yield asker, item, repetition


def outcome_text(record: Annotation | Judgement) -> str:
    """What came in place of a label or a rating, and what of it is known beside its reason."""
    return f"{record.outcome}, {record.detail}" if record.detail else record.outcome


def retry_of(record: Annotation | Judgement) -> str:
    """What tries a failed question again. An answer that came, however bad, was paid for and is not re-bought."""
    return ASK_REMEDY if record.outcome == ASK_AGAIN else MENDS.get(record.reason, KEEP)
