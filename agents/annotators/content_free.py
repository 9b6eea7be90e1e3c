"""Questions without content: what a model answers to them is its prior, the habit that calibration takes away.

The same prompt and the same answer as for a clip, with a content-free text in place of every modality, and no
media.
Reference: Zhao et al. 2021, https://arxiv.org/abs/2102.09690, which averages over these three inputs.
"""

from __future__ import annotations

from typing import Any

from agents.annotators.annotator import Annotator
from agents.answers.fields import DETAIL_CHARS, BadAnswerError, FieldReader, read_object
from agents.answers.freetext import read_label_lines
from agents.answers.parsing import REFUSALS, object_or, outcome_of
from agents.protocol import Request
from agents.questions.prompting import annotation_request, may_answer_in_lines
from agents.questions.serialise import TAGS
from schemas.parts import LabelScore, Readings, Target, Triplet
from schemas.ports import Receipt
from schemas.records import Sample

INPUTS = ("N/A", "[MASK]", "")
CONTENT_FREE = "content_free"  # stands for the segment: there is none
VERSION = "1"


def content_free_samples() -> tuple[Sample, ...]:
    """One per input. They are no samples of a project, and are not stored: each run makes the same ones."""
    return tuple(
        Sample(
            segment_id=CONTENT_FREE,
            target=Target(),
            feature_digests=(f"{CONTENT_FREE}:{text}",),
            baseline_ids=(),
            view_version=f"{CONTENT_FREE}/{VERSION}",
            duration_s=0.0,
        )
        for text in INPUTS
    )


def content_free_text(sample: Sample) -> str:
    text = sample.feature_digests[0].removeprefix(f"{CONTENT_FREE}:")
    return "\n".join(f"<{tag}>\n{text}\n</{tag}>" for tag in ("Context", *TAGS.values()))


class ContentFreeAnnotator(Annotator):
    """Asks one annotator the questions without content."""

    def _whole(self, item: Sample, variant: int, replicate: int) -> Request:
        return annotation_request(
            item,
            self.taxonomy,
            self.section,
            replicate=replicate,
            variant=variant,
            deployment=self.model.deployment,
            instead=content_free_text(item),
        )

    def _parsed(self, item: Sample, receipt: Receipt) -> dict[str, Any]:  # noqa: ARG002 - it holds nothing
        """The label alone: where there is nothing to observe, evidence is not to be asked for."""
        if receipt.finish_reason in REFUSALS:
            return {
                "outcome": "refused",
                "reason": receipt.finish_reason,
                "detail": receipt.raw[:DETAIL_CHARS],
            }
        reader = FieldReader(self.taxonomy)
        try:
            label = self._label(reader, self._labels(reader, receipt))
            reader.stands([] if label is None else [label])
        except BadAnswerError as error:
            return {"outcome": outcome_of(error), "reason": error.reason, "detail": error.detail}
        if label is None:
            return {"outcome": "abstained", "reason": "abstained", "repaired": reader.repaired}
        answer = Triplet(
            evidence=(),
            rationale=(),
            readings=Readings(),
            labels=(LabelScore(label=label),),
            confidence=None,
        )
        return {"outcome": "labelled", "answer": answer, "repaired": reader.repaired}

    def _labels(self, reader: FieldReader, receipt: Receipt) -> Any:
        """The labels of an object, or of lines of text where the model was allowed them."""
        if not may_answer_in_lines(self.section):
            data = read_object(receipt.raw, receipt.finish_reason, reader)
        else:
            data = object_or(self._lines, receipt.raw, receipt.finish_reason, reader)
        return reader.listed(data.get("labels"))

    def _lines(self, text: str) -> dict[str, Any]:
        return {"labels": read_label_lines(text, self.taxonomy)}

    def _label(self, reader: FieldReader, labels: Any) -> str | None:
        if not isinstance(labels, list):
            raise BadAnswerError("wrong_shape", "labels is not a list")
        first = labels[0] if labels else None
        if first is None:
            return None
        return reader.label(first.get("label") if isinstance(first, dict) else first)
