"""What the stages that ask models share: which questions are missing, asking them, and what failed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import islice
from typing import Generic

from agents.asking import Asker, Question, R, T, collect
from agents.engine import SystemClock
from pipeline.consent import Consent
from pipeline.facts import Facts
from pipeline.stages.base import Run, Writer, run_async
from pipeline.stages.samples import PAGE
from schemas.errors import ProviderError
from schemas.records import Sample
from schemas.store import ItemOutcome

# An answer never came: asked again by every run. A refusal or an unreadable answer came and was paid for:
# asked again only on request, as a new replicate would be.
ASK_AGAIN = "failed"
FAILURES = ("failed", "refused", "unparsed")

Pending = tuple[Asker[T, R], str, int]  # whom to ask, the key of the item, which repetition


class AskStage(ABC, Generic[T, R]):
    """A stage whose items are questions to models; each becomes a record."""

    name: str
    record_class: type[R]
    shard_size = 500

    def __init__(self) -> None:
        self._expected: dict[str, tuple[str, str]] = {}  # id of a record -> name of the asked, segment
        self._refused: dict[str, ProviderError] = {}  # whose key was refused in this run

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
        self._expected = {}
        may_see = self._reader(run, run.facts)
        questions = self.questions(run)
        while page := list(islice(questions, PAGE)):
            asked = {one[0].question_id(*one[1:]): (one, segment_id) for one, segment_id in page}
            there = run.project.store.stubs(self.record_class, list(asked))
            for record_id, ((asker, item, n), segment_id) in asked.items():
                known = there.get(record_id)
                missing = known is None or known.brief["outcome"] == ASK_AGAIN
                if missing and not may_see(asker, item):
                    run.kept_here[asker.section.name] += n == 0
                    missing = False
                    if known is None:
                        continue
                self._expected[record_id] = (asker.section.name, segment_id)
                if missing:
                    pending.append((asker, self.key(item), n))
        return pending

    def work(self, run: Run, items: Sequence[Pending[T, R]]) -> None:
        found = self.load(run, list(dict.fromkeys(key for _, key, _ in items)))
        may_see = self._reader(run, run.project.store.facts())  # people may have said more since
        questions = [(asker, found[key], n) for asker, key, n in items if may_see(asker, found[key])]
        # `concurrency` is a promise to the provider: two shards at once would ask twice as many.
        with run.asking, Writer(run, self.name) as writer:

            def keep(record: R) -> None:
                run.count(self.counted(record))
                writer.add([record])
                if record.usage.cost_usd or record.usage.output_tokens:
                    writer.commit()
                run.progress.advance(self.name)

            run_async(
                run,
                collect(
                    questions,
                    journal=run.ledger,
                    clock=SystemClock(),
                    load=run.media.load,
                    on_record=keep,
                    refused=self._refused,
                    seed=run.project.settings.project.seed,
                ),
            )

    def _reader(self, run: Run, facts: Mapping[str, Facts]) -> Callable[[Asker[T, R], T], bool]:
        """Whether an item may be shown to whom a question is put to, as consent has it."""
        consent = Consent(facts, run.project.settings.consent)
        segments = {segment.id: segment for segment in run.segments}

        def may_see(asker: Asker[T, R], item: T) -> bool:
            if not asker.model.third_party:
                return True
            sample = self.sample(item)
            return not consent.keeps_here(sample, segments[sample.segment_id])

        return may_see

    def finish(self, run: Run) -> None:
        store = run.project.store
        there = store.stubs(self.record_class, list(self._expected))
        store.set_live(self.record_class, [*there, *self.beside(run)])
        failed = [record_id for record_id, stub in there.items() if stub.brief["outcome"] in FAILURES]
        for record in store.by_id(self.record_class, failed):
            run.failures[self.name, record.id] = self._failure(run, record)

    def beside(self, run: Run) -> Collection[str]:  # noqa: ARG002 - a stage that shares its kind of record
        """Records of the kind that stand beside those of this stage."""
        return ()

    def _failure(self, run: Run, record: R) -> ItemOutcome:
        asked, segment_id = self._expected[record.id]
        message = f"{asked}: {record.outcome}, {record.detail or record.reason}"
        path = run.segment_text(segment_id)
        retry = retry_of(record.outcome)
        return ItemOutcome(self.name, record.id, "failed", path, record.reason, message, retry)


def replicated(asker: Asker[T, R], item: T) -> Iterator[Question[T, R]]:
    """The questions of one asker about one item."""
    for repetition in range(asker.repetitions):
        yield asker, item, repetition


def retry_of(outcome: str) -> str:
    """What tries a failed question again. An answer that came, however bad, was paid for and is not re-bought."""
    return "emotrace run" if outcome == ASK_AGAIN else "raise replicates, or change the model or its settings"
