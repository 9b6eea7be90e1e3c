"""An annotator: a provider, a model, a prompt and sampling. Samples in, annotations out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from functools import cached_property
from typing import Any

from agents.engine import Job, Outcome, ask_all
from agents.parsing import PARSER_VERSION, parse_annotation
from agents.prompting import annotation_request, keyless_request, measured_features, shown_features
from agents.protocol import MediaLoader, Provider, Request
from agents.providers import PROVIDERS
from schemas.ports import Clock, Journal
from schemas.records import Annotation, Sample
from schemas.registry import resolve
from schemas.settings import AnnotatorSection, ModelSection
from schemas.taxonomy import Taxonomy


class Asked:
    """What annotators and judges share: a section of the project file and the provider that it names."""

    def __init__(self, section: ModelSection) -> None:
        self.provider_class: Any = resolve(PROVIDERS, section.provider, what="provider")
        self.provider_name = section.provider
        self.wire: bool = self.provider_class.wire
        self._model = section

    def open_provider(self) -> Provider:
        """A provider for one event loop; whoever opens it closes it.

        Raises:
            UserError: the variable that holds its key is not set.
        """
        provider: Provider = self.provider_class(self._model)
        return provider

    @cached_property
    def own_inputs(self) -> tuple[str, ...]:
        """Digests of what a keyless provider itself brings: the version of its rules, its script."""
        return tuple(getattr(self.open_provider(), "inputs", ()))


class Annotator(Asked):
    """Asks one model about samples. Its identity is in the request, not in its name alone."""

    def __init__(self, section: AnnotatorSection, taxonomy: Taxonomy) -> None:
        super().__init__(section)
        self.section, self.taxonomy = section, taxonomy

    def request(self, sample: Sample, replicate: int = 0) -> Request:
        """The question. A keyless provider reads the sample itself, so its digest is part of the question."""
        if self.wire:
            return annotation_request(sample, self.taxonomy, self.section, replicate=replicate)
        return keyless_request(
            sample, self.taxonomy, self.section, replicate=replicate, inputs=self.own_inputs
        )

    def question_id(self, sample: Sample, replicate: int = 0) -> str:
        """The id that this annotation has or would get; nothing is asked."""
        request = self.request(sample, replicate)
        return Annotation(**self._question(sample, request), outcome="failed").id

    def annotation(self, sample: Sample, request: Request, outcome: Outcome) -> Annotation:
        """The record of an outcome; an error is the outcome "failed"."""
        question = self._question(sample, request)
        if outcome.response is None:
            error = outcome.error
            reason, detail = (error.code, error.message) if error else ("no_response", "")
            return Annotation(**question, outcome="failed", reason=reason, detail=detail)
        receipt = outcome.response
        shown = shown_features(sample, self.section) if self.wire else measured_features(sample)
        parsed = parse_annotation(receipt.raw, receipt.finish_reason, sample, self.taxonomy, shown=shown)
        return Annotation(
            **question,
            outcome=parsed.outcome,
            reason=parsed.reason,
            detail=parsed.detail,
            answer=parsed.answer,
            repaired=parsed.repaired,
            model_version=receipt.model_version,
            prob_source="stated" if self.wire else "rule",
            usage=receipt.usage,
        )

    def _question(self, sample: Sample, request: Request) -> dict[str, Any]:
        return {
            "sample_id": sample.id,
            "annotator": self.section.name,
            "request_digest": request.digest,
            "provider": self.provider_name,
            "model": self.section.model,
            "replicate": request.replicate,
            "parser_version": PARSER_VERSION,
        }


async def annotate(
    pairs: Sequence[tuple[Annotator, Sample, int]],
    *,
    journal: Journal | None,
    clock: Clock,
    load: MediaLoader,
    on_annotation: Callable[[Annotation], None],
    seed: int = 0,
) -> None:
    """Ask every (annotator, sample, replicate); `on_annotation` gets each record as it comes.

    `load` is called in worker threads, several at a time.

    Raises:
        UserError: a key is missing, or the budget is reached (finished annotations were handed over before).
    """
    async with AsyncExitStack() as stack:
        providers: dict[int, Provider] = {}
        for annotator in {id(annotator): annotator for annotator, _, _ in pairs}.values():
            providers[id(annotator)] = annotator.open_provider()
            stack.push_async_callback(providers[id(annotator)].close)

        def jobs() -> Iterator[tuple[tuple[Annotator, Sample, Request], Job]]:
            for annotator, sample, replicate in pairs:
                request = annotator.request(sample, replicate)
                yield (
                    (annotator, sample, request),
                    Job(request, providers[id(annotator)], annotator.section),
                )

        def record(item: tuple[Annotator, Sample, Request], outcome: Outcome) -> None:
            annotator, sample, request = item
            on_annotation(annotator.annotation(sample, request, outcome))

        await ask_all(jobs(), journal=journal, clock=clock, load=load, on_outcome=record, seed=seed)
