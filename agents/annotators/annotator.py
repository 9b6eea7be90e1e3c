"""An annotator: a provider, a model, a prompt and sampling. Samples in, annotations out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from agents.annotators.two_steps import first_request, goes_on, joined, second_request
from agents.answers.parsing import parse_annotation
from agents.answers.verbalizer import label_probabilities
from agents.asking import Asker
from agents.protocol import Request
from agents.questions.examples import Choose
from agents.questions.prompting import (
    annotation_request,
    keyless_request,
    may_answer_in_lines,
    measured_features,
    shown_features,
)
from schemas.ports import Receipt
from schemas.records import Annotation, Sample
from schemas.settings_models import AnnotatorSection
from schemas.taxonomy import Taxonomy


class Annotator(Asker[Sample, Annotation]):
    """Labels samples, with reasons and evidence."""

    record_class = Annotation
    section: AnnotatorSection

    def __init__(self, section: AnnotatorSection, taxonomy: Taxonomy, examples: Choose | None = None) -> None:
        """`examples` chooses what is shown with a sample; a section that wants some must be given it."""
        if (examples is None) != (section.prompting.examples == 0):
            raise ValueError(f"{section.name}: examples are wanted or not, and given or not")
        super().__init__(section, taxonomy)
        self.examples = examples

    @property
    def repetitions(self) -> int:
        """Every instruction variant is asked `replicates` times."""
        return self.section.prompting.variants * self.section.replicates

    def request(self, item: Sample, repetition: int = 0) -> Request:
        whole = self._whole(item, *divmod(repetition, self.section.replicates))
        return first_request(whole, self.taxonomy) if self._two_steps else whole

    @property
    def _two_steps(self) -> bool:
        return self.section.prompting.style == "rationale_then_verbalizer"

    def _whole(self, item: Sample, variant: int, replicate: int) -> Request:
        model, section = self.model, self.section
        if model.wire:
            return annotation_request(
                item,
                self.taxonomy,
                section,
                replicate=replicate,
                variant=variant,
                deployment=model.deployment,
                examples=() if self.examples is None else self.examples(item),
            )
        return keyless_request(item, self.taxonomy, section, replicate=replicate, inputs=model.own_inputs)

    def then(self, item: Sample, request: Request) -> Callable[[Receipt], Request | None] | None:
        if not self._two_steps:
            return None

        def follow(receipt: Receipt) -> Request | None:
            first = goes_on(receipt)
            if first is None:
                return None
            whole = self._whole(item, request.variant, request.replicate)
            return second_request(whole, self.taxonomy, first)

        return follow

    def _question(self, item: Sample, request: Request) -> dict[str, Any]:
        return {**super()._question(item, request), "variant": request.variant}

    def _about(self, item: Sample) -> dict[str, str]:
        return {"sample_id": item.id, "annotator": self.section.name}

    def _read(self, item: Sample, answers: Sequence[Receipt]) -> dict[str, Any]:
        wire, last = self.model.wire, answers[-1]
        receipt = joined(answers[0], last if len(answers) > 1 else None) if self._two_steps else last
        parsed = self._parsed(item, receipt)
        labelled = parsed["outcome"] == "labelled"
        probabilities = label_probabilities(last.raw, last.logprobs, self.taxonomy) if labelled else {}
        told = "logprobs" if probabilities else "stated"
        return {
            **parsed,
            "model_version": last.model_version,
            "prob_source": told if wire else "rule",
            "probabilities": probabilities,
        }

    def _parsed(self, item: Sample, receipt: Receipt) -> dict[str, Any]:
        shown = shown_features(item, self.section) if self.model.wire else measured_features(item)
        parsed = parse_annotation(
            receipt.raw,
            receipt.finish_reason,
            item,
            self.taxonomy,
            shown=shown,
            free_text=may_answer_in_lines(self.section),
            language=self.written_in,
        )
        return parsed._asdict()
