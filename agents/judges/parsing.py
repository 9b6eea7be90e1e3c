"""A judge's answer: a rating or a second look, or a stable reason why it is none. Pure."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from agents.answers.fields import DETAIL_CHARS, BadAnswerError, FieldReader, check_language, read_object
from agents.answers.parsing import REFUSALS, outcome_of
from schemas.taxonomy import Taxonomy, is_nothing

JUDGED = ("reasons", "s_rec", "s_reason", "s_cot", "implied_label")  # what a judge writes, reasons first


class ParsedJudgement(NamedTuple):
    """A judge's rating; the scores are None unless `outcome` is "scored".

    A second look is "answered". Flags of a model's answer are "repaired" and "answer_first" (before its reasons);
    only the rules name flags of their own and, in a rating, an implied label.
    """

    outcome: Literal["scored", "answered", "refused", "unparsed"]
    reason: str = ""
    detail: str = ""
    reasons: tuple[str, ...] = ()
    s_rec: float | None = None
    s_reason: float | None = None
    s_cot: float | None = None
    implied_label: str | None = None
    flags: tuple[str, ...] = ()


def parse_judgement(
    text: str,
    finish_reason: str | None,
    taxonomy: Taxonomy,
    *,
    by_rules: bool = False,
    language: str | None = None,
) -> ParsedJudgement:
    """The outcome of a judge's answer. A rating that cannot be read is "unparsed", never a zero.

    `by_rules`: the keyless judge may leave s_rec open, and its flags are taken.
    """
    if finish_reason in REFUSALS:
        return ParsedJudgement("refused", str(finish_reason), text[:DETAIL_CHARS])
    reader = FieldReader(taxonomy)
    try:
        data = read_object(text, finish_reason, reader)
        found = ParsedJudgement(
            "scored",
            reasons=_reasons(data, reader, language),
            s_rec=(reader.maybe_number if by_rules else reader.number)(data, "s_rec", 0, 1),
            s_reason=reader.number(data, "s_reason", 0, 1),
            s_cot=reader.number(data, "s_cot", 0, 1),
            implied_label=_implied(data, reader) if by_rules else None,
            flags=tuple(reader.texts(data, "flags")) if by_rules else (),
        )
        return found if by_rules else found._replace(flags=_marks(data, reader))
    except BadAnswerError as error:
        return ParsedJudgement(outcome_of(error), error.reason, error.detail)


def parse_second_look(
    text: str, finish_reason: str | None, taxonomy: Taxonomy, *, language: str | None = None
) -> ParsedJudgement:
    """The outcome of a second look: "answered", with the implied label or None where the reasons imply none."""
    if finish_reason in REFUSALS:
        return ParsedJudgement("refused", str(finish_reason), text[:DETAIL_CHARS])
    reader = FieldReader(taxonomy)
    try:
        data = read_object(text, finish_reason, reader)
        if "implied_label" not in data:
            raise BadAnswerError("wrong_shape", "implied_label is missing")
        reasons = _reasons(data, reader, language)
        implied = _implied(data, reader)
        return ParsedJudgement("answered", reasons=reasons, implied_label=implied, flags=_marks(data, reader))
    except BadAnswerError as error:
        return ParsedJudgement(outcome_of(error), error.reason, error.detail)


def _reasons(data: dict[str, Any], reader: FieldReader, language: str | None) -> tuple[str, ...]:
    reasons = tuple(text for text in reader.texts(data, "reasons") if not is_nothing(text))
    if not reasons:
        raise BadAnswerError("empty_rationale")
    check_language(reasons, language)
    return reasons


def _implied(data: dict[str, Any], reader: FieldReader) -> str | None:
    implied = data.get("implied_label")
    if isinstance(implied, str) and is_nothing(implied) and reader.taxonomy.match(implied) is None:
        implied, reader.repaired = None, True
    return None if implied is None else reader.label(implied)


def _marks(data: dict[str, Any], reader: FieldReader) -> tuple[str, ...]:
    """Flags of a judge's answer that was read, sorted."""
    first = next((key for key in data if key in JUDGED), "reasons")
    marks = {"answer_first": first != "reasons", "repaired": reader.repaired}
    return tuple(name for name, holds in marks.items() if holds)
