"""What annotators and judges share: a model is asked about items, and what becomes of each is a record."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AsyncExitStack
from functools import cached_property
from typing import Any, Generic, TypeVar

from agents.answers.parsing import PARSER_VERSION
from agents.calls.batching import Desk
from agents.calls.call import Job, Outcome
from agents.calls.engine import ask_all
from agents.calls.lines import Lines
from agents.protocol import MediaLoader, Provider, Request
from agents.providers import PROVIDERS
from agents.providers.options import read_options
from agents.questions.prompting import media_shown, sampling
from agents.servers import deployment_of
from schemas.errors import ProviderError
from schemas.ids import content_digest
from schemas.parts import Usage
from schemas.ports import Clock, Journal, Receipt
from schemas.records import Annotation, Judgement
from schemas.registry import resolve
from schemas.settings_models import AnnotatorSection, JudgeSection, ModelSection
from schemas.taxonomy import Taxonomy

T = TypeVar("T")  # what is asked about: a sample, or a judge's case
R = TypeVar("R", bound=Annotation | Judgement)  # what comes of it


class Model:
    """The provider and model that a section of the project file names."""

    def __init__(self, section: ModelSection) -> None:
        self.section = section
        self._provider: Any = resolve(PROVIDERS, section.provider, what="provider")
        self.wire: bool = self._provider.wire

    @property
    def third_party(self) -> bool:
        """Whether what is asked leaves for somebody else."""
        return self.wire and not self.section.stays_here

    def refuse_impossible(self) -> None:
        """Raises UserError for what the provider does not know or has no place for; no key is needed."""
        read_options(self._provider.options, self.section)
        if hasattr(self._provider, "refuse"):
            self._provider.refuse(self.section)

    def open(self) -> Provider:
        """A provider for one event loop; whoever opens it closes it.

        Raises:
            UserError: the variable that holds its key is not set, or it knows no such model.
        """
        provider: Provider = self._provider(self.section)
        return provider

    @cached_property
    def deployment(self) -> str:
        """Which server is asked, as a question's identity tells it; empty for the vendor's own."""
        return deployment_of(self.section)

    @property
    def identity(self) -> str:
        """Digest of all that can change an answer, beside what is asked about: two with one are one voice."""
        section = self.section
        media = media_shown(section) if self.wire else None
        text = "text" in section.takes if self.wire else None
        style: str | None = None
        shown: tuple[Any, ...] = ()
        if isinstance(section, AnnotatorSection):
            prompting = section.prompting
            style = prompting.style
            shown = (prompting.examples, prompting.diversity) if prompting.examples else ()
        asked = (section.provider, section.model, self.deployment, sampling(section, 0), media, text, style)
        language = section.answer_language if self.wire else None
        rubric = section.rubric if isinstance(section, JudgeSection) else None
        return content_digest([*asked, language, rubric, self.own_inputs, *shown])

    @cached_property
    def own_inputs(self) -> tuple[str, ...]:
        """Digests of what a keyless provider itself brings: the version of its rules, its script."""
        return () if self.wire else tuple(getattr(self.open(), "inputs", ()))


def _together(usages: Sequence[Usage]) -> Usage:
    """What the calls of one question used; money and kinds of tokens only where all of them tell it."""
    if len(usages) == 1:
        return usages[0]
    modalities: Counter[str] = Counter()
    for usage in usages:
        modalities.update(usage.input_by_modality)
    cost = _sum([usage.cost_usd for usage in usages])
    cached = _sum([usage.cached_input_tokens for usage in usages])
    reasoning = _sum([usage.reasoning_tokens for usage in usages])
    return Usage(
        input_tokens=sum(usage.input_tokens for usage in usages),
        output_tokens=sum(usage.output_tokens for usage in usages),
        cost_usd=None if cost is None else round(cost, 9),
        estimated=any(usage.estimated for usage in usages),
        input_by_modality=dict(modalities) if all(usage.input_by_modality for usage in usages) else {},
        cached_input_tokens=None if cached is None else int(cached),
        reasoning_tokens=None if reasoning is None else int(reasoning),
    )


def _sum(values: Sequence[float | None]) -> float | None:
    """The sum, None when one of them is not told."""
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


class Asker(ABC, Generic[T, R]):
    """Asks one model about items. Its identity is in the requests, not in its name alone."""

    record_class: type[R]

    def __init__(self, section: ModelSection, taxonomy: Taxonomy) -> None:
        self.section, self.taxonomy, self.model = section, taxonomy, Model(section)

    @property
    def repetitions(self) -> int:
        """How often each item is asked about."""
        return self.section.replicates

    @property
    def written_in(self) -> str | None:
        """In which language the answer was asked for; None: nobody was told one."""
        return self.section.answer_language if self.model.wire else None

    def unasked(self, item: T) -> str | None:  # noqa: ARG002
        """Why it is not asked about an item; None: it is."""
        return None

    @abstractmethod
    def request(self, item: T, repetition: int = 0) -> Request:
        """The question about one item. A provider without a wire reads the records themselves, so their digests
        are part of its question."""

    @abstractmethod
    def _about(self, item: T) -> dict[str, str]:
        """Who is asked about what: these fields of the record."""

    @abstractmethod
    def _read(self, item: T, answers: Sequence[Receipt]) -> dict[str, Any]:
        """The fields of the record that an answer gives; a question in two steps has one or two."""

    def then(self, item: T, request: Request) -> Callable[[Receipt], Request | None] | None:  # noqa: ARG002
        """For a question in two steps: what is asked once `request` is answered."""
        return None

    def question_id(self, item: T, repetition: int = 0) -> str:
        """The id that the record has or would get; nothing is asked."""
        return self.id_of(item, self.request(item, repetition))

    def id_of(self, item: T, request: Request) -> str:
        """The id of the record of a question about an item."""
        return self.record_class(**self._question(item, request), outcome="failed").id

    def record(self, item: T, request: Request, outcome: Outcome) -> R:
        """The record of an outcome; an error is the outcome "failed"."""
        if outcome.response is not None:
            answers = [answer for answer in (outcome.before, outcome.response) if answer is not None]
            fields = {**self._read(item, answers), "usage": _together([answer.usage for answer in answers])}
        else:
            error = outcome.error or ProviderError("no_response", "", transient=False)
            fields = {"outcome": "failed", "reason": error.code, "detail": error.message}
        return self.record_class(**self._question(item, request), **fields, left_out=request.left_out)

    def _question(self, item: T, request: Request) -> dict[str, Any]:
        return {
            **self._about(item),
            "request_digest": request.question_digest,
            "provider": self.section.provider,
            "model": self.section.model,
            "replicate": request.replicate,
            "parser_version": PARSER_VERSION,
        }


Question = tuple[Asker[T, R], T, int]  # who is asked, about what, and which repetition it is


async def collect(
    questions: Sequence[Question[T, R]],
    *,
    journal: Journal | None,
    clock: Clock,
    load: MediaLoader,
    on_record: Callable[[R], None],
    on_failure: Callable[[R, Outcome], None] | None = None,
    on_wait: Callable[[str], None] = lambda _id: None,
    lines: Lines | None = None,
    seed: int = 0,
    desk: Desk | None = None,
    failed_before: Collection[str] = (),
    blamed_before: Collection[str] = (),
) -> None:
    """Ask every question; `on_record` gets each record as it comes.

    Where there is an `on_failure`, it gets those without an answer, with how that came. `load` is called in
    worker threads, several at a time. `lines` is what is known of the servers; the calls of one run share it.
    A question to a provider that is not asked any more gets no record: it waits. One that is left at the `desk`
    for a vendor's batch, or is under way in one, gets none either; `on_wait` is told the id it will have.
    `failed_before` are ids of records that failed in earlier runs, and it may have been their own fault;
    `blamed_before` of those where it was.

    Raises:
        UserError: a key is missing, or the budget is reached (finished records were handed over before).
    """
    async with AsyncExitStack() as stack:
        providers: dict[int, Provider] = {}
        for asker in {id(asker): asker for asker, _, _ in questions}.values():
            providers[id(asker)] = asker.model.open()
            stack.push_async_callback(providers[id(asker)].close)

        def jobs() -> Iterator[tuple[tuple[Asker[T, R], T, Request], Job]]:
            for asker, item, repetition in questions:
                request = asker.request(item, repetition)
                record_id = asker.id_of(item, request) if failed_before or blamed_before else ""
                job = Job(
                    request,
                    providers[id(asker)],
                    asker.section,
                    asker.then(item, request),
                    failed_before=record_id in failed_before,
                    blamed_before=record_id in blamed_before,
                )
                yield (asker, item, request), job

        def keep(asked: tuple[Asker[T, R], T, Request], outcome: Outcome) -> None:
            asker, item, request = asked
            if outcome.under_way:
                on_wait(asker.id_of(item, request))
                return
            record = asker.record(item, request, outcome)
            if outcome.error is not None and on_failure is not None:
                on_failure(record, outcome)
            else:
                on_record(record)

        await ask_all(
            jobs(),
            journal=journal,
            clock=clock,
            load=load,
            on_outcome=keep,
            lines=lines,
            seed=seed,
            desk=desk,
        )
