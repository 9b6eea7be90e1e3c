"""A judge's second look: which label do the reasons imply, when nobody says which one was claimed?

Right label with reasons for another, or the reverse: the rating, which sees the label, cannot find that out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agents.judges.judge import Case, Juror, neutral_answer, reasons_view
from agents.judges.label_words import OF_THE_SETS, hiding
from agents.judges.neutral import said_in, without_label
from agents.judges.parsing import parse_second_look
from agents.protocol import Request
from agents.questions.prompting import fill_judge_prompt, second_look_schema
from schemas.ports import Receipt

# Where the label set's words are not known in the language of the reasons they could not be hidden, and what the
# judge found says nothing.
NOT_BLIND = "not_blind"


class SecondLook(Juror):
    """Asks once about each annotation; repeating the rating repeats no look."""

    kind = "second_look"

    @property
    def repetitions(self) -> int:
        return 1

    def request(self, item: Case, repetition: int = 0) -> Request:
        """Evidence and rationale alone, the label's words and their like masked: no clip, verdicts or readings.

        Raises:
            ItemError: the annotation holds no answer.
        """
        alike = hiding(self.taxonomy, self._language(item))
        answer = without_label(neutral_answer(item), self.taxonomy, said_in(item.sample), alike)
        taxonomy = self.turned(self.label_order(item, repetition))
        view = reasons_view(answer, None)
        system, fenced = fill_judge_prompt(
            "second_look.md", view.text, taxonomy, self.section.answer_language
        )
        schema = second_look_schema(taxonomy)
        return self.asked(system, fenced, repetition, answer_schema=schema, left_out=view.left_out)

    def _read(self, item: Case, answers: Sequence[Receipt]) -> dict[str, Any]:
        (receipt,) = answers
        parsed = parse_second_look(
            receipt.raw, receipt.finish_reason, self.taxonomy, language=self.written_in
        )
        found: tuple[str, ...] = ()
        if parsed.outcome == "answered" and not self._is_blind(item):
            found = (NOT_BLIND,)
        elif parsed.outcome == "answered":
            claimed = item.annotation.answer.primary if item.annotation.answer else None
            found = self._flags(parsed.implied_label, claimed)
        return {**parsed._asdict(), "flags": (*parsed.flags, *found)}

    def _language(self, item: Case) -> str:
        return self.languages.get(item.annotation.annotator, OF_THE_SETS)

    def _is_blind(self, item: Case) -> bool:
        language = self._language(item)
        return language == OF_THE_SETS or hiding(self.taxonomy, language) is not None

    def _flags(self, implied: str | None, claimed: str | None) -> tuple[str, ...]:
        if implied is None:
            return ("no_label_implied",)
        return ("label_mismatch",) if self.taxonomy.differ(implied, claimed) else ()
