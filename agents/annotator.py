"""An annotator: a provider, a model, a prompt and sampling. Samples in, annotations out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agents.asking import Asker
from agents.parsing import parse_annotation
from agents.prompting import annotation_request, keyless_request, measured_features, shown_features
from agents.protocol import Request
from schemas.ports import Receipt
from schemas.records import Annotation, Sample
from schemas.settings_models import AnnotatorSection


class Annotator(Asker[Sample, Annotation]):
    """Labels samples, with reasons and evidence."""

    record_class = Annotation
    section: AnnotatorSection

    @property
    def repetitions(self) -> int:
        """Every instruction variant is asked `replicates` times."""
        return self.section.prompting.variants * self.section.replicates

    def request(self, item: Sample, repetition: int = 0) -> Request:
        model, section = self.model, self.section
        variant, replicate = divmod(repetition, section.replicates)
        if model.wire:
            return annotation_request(
                item,
                self.taxonomy,
                section,
                replicate=replicate,
                variant=variant,
                deployment=model.deployment,
            )
        return keyless_request(item, self.taxonomy, section, replicate=replicate, inputs=model.own_inputs)

    def _question(self, item: Sample, request: Request) -> dict[str, Any]:
        return {**super()._question(item, request), "variant": request.variant}

    def _about(self, item: Sample) -> dict[str, str]:
        return {"sample_id": item.id, "annotator": self.section.name}

    def _read(self, item: Sample, answers: Sequence[Receipt]) -> dict[str, Any]:
        (receipt,) = answers
        wire = self.model.wire
        shown = shown_features(item, self.section) if wire else measured_features(item)
        parsed = parse_annotation(receipt.raw, receipt.finish_reason, item, self.taxonomy, shown=shown)
        return {
            **parsed._asdict(),
            "model_version": receipt.model_version,
            "prob_source": "stated" if wire else "rule",
        }
