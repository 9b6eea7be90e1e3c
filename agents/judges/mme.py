"""A judge by MME-Emotion's rubric: each step of an annotation right or wrong, knowing the true label.

It evaluates; no score of it enters a consensus. An annotation has its steps already, so that none have to be
extracted from prose; its label is the last one. How the reply is read is in `pipeline/metrics/mme_emotion.py`.

Reference: Zhang et al. 2025, https://arxiv.org/abs/2508.09210
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agents.answers.fields import REFUSAL_IN_WORDS, BadAnswerError, FieldReader, read_object
from agents.answers.parsing import REFUSALS
from agents.judges.judge import Case, Juror, neutral_answer
from agents.protocol import AnswerSchema, Request, TextPart
from agents.questions.answer_schema import strict
from agents.questions.datatext import clean, short
from agents.questions.prompting import fill_judge_prompt, media_parts
from agents.questions.serialise import sample_text
from schemas.parts import Triplet
from schemas.ports import Receipt

REPLY = AnswerSchema(strict(score={"type": "string"}))


def held_labels(answer: Triplet, reference: Sequence[str]) -> tuple[str, ...]:
    """What of an answer is held against the true labels: where one is true, the first label alone."""
    named = tuple(score.label for score in answer.labels)
    return named[:1] if len(reference) == 1 else named


class MmeJudge(Juror):
    """Asked only where the true label is known: what people decided, or the declared one."""

    kind = "mme_emotion"

    def unasked(self, case: Case) -> str | None:
        return super().unasked(case) if case.reference else "nobody knows the true label of the clip"

    def label_order(self, item: Case, replicate: int) -> tuple[str, ...]:  # noqa: ARG002 - there is nothing to choose
        return ()

    def request(self, item: Case, repetition: int = 0) -> Request:
        """Frames, what was said and heard, the true label, the steps.

        Raises:
            ItemError: the annotation holds no answer.
        """
        answer = neutral_answer(item)
        labels = ", ".join(clean(label) for label in held_labels(answer, item.reference))
        steps = [short(step.text) for step in answer.rationale]
        truth = f"{'labels' if len(item.reference) > 1 else 'label'}: {', '.join(item.reference)}"
        lines = ["<Truth>", truth, "</Truth>", "<Steps>"]
        lines += [
            f"Step {n}: {text}" for n, text in enumerate([*steps, f"So the label is: {labels}."], start=1)
        ]
        data = sample_text(item.sample, measurements="text" in self.section.takes)
        text = "\n".join([data, *lines, "</Steps>"])
        system, fenced = fill_judge_prompt(
            "mme_emotion.md", text, self.taxonomy, self.section.answer_language
        )
        parts = (TextPart(text=fenced), *media_parts(item.sample, self.section))
        return self.asked(system, fenced, repetition, parts=parts, answer_schema=REPLY)

    def _read(self, item: Case, answers: Sequence[Receipt]) -> dict[str, Any]:  # noqa: ARG002 - as declared
        (receipt,) = answers
        if receipt.finish_reason in REFUSALS:
            return {"outcome": "refused", "reason": str(receipt.finish_reason)}
        try:
            reader = FieldReader(self.taxonomy)
            reply = reader.text(read_object(receipt.raw, receipt.finish_reason, reader), "score")
        except BadAnswerError as error:
            if "<score>" in receipt.raw:  # as the published judge answers
                return {"outcome": "answered", "reply": receipt.raw}
            outcome = "refused" if error.reason == REFUSAL_IN_WORDS else "unparsed"
            return {"outcome": outcome, "reason": error.reason, "detail": error.detail}
        return {"outcome": "answered", "reply": reply}
