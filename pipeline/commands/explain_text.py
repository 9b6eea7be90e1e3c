"""What `emotrace explain` and `emotrace dead-letters` print: a line for each question."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pipeline.commands.hints import complete
from pipeline.outputs import DeadLetter, ExplainedQuestion, ExplainedSample, ExplainOutput
from pipeline.stages.base import RETRY


def explain_lines(found: ExplainOutput) -> Iterator[str]:
    """The lines of all samples; each question with what it was before, where it was another."""
    if found.budget is not None:
        yield f"no call is sent: {found.budget}"
    if not found.samples:
        yield "there is no sample yet, so nobody can be asked"
    for sample in found.samples:
        yield from _sample(sample)


def _sample(sample: ExplainedSample) -> Iterator[str]:
    yield f"{sample.span} s  {sample.segment}  {sample.target}"
    names = {question.id: question.asked for question in sample.questions}
    for question in sample.questions:
        again = "; asked by the next run" if question.will_be_asked else ""
        yield f"  {_who(question, names)}: {_state(question)}{again}"
        for before in question.before:
            changed = ", ".join(part.replace("_", " ") for part in before.changed) or "nothing that was noted"
            yield f"    before: {before.id} {before.outcome}; since then another: {changed}"


def _who(question: ExplainedQuestion, names: Mapping[str, str]) -> str:
    repetition = f" ({question.repetition + 1})" if question.repetition else ""
    about = f" about {names.get(question.about, question.about)}" if question.about else ""
    look = ", second look" if question.kind == "second_look" else ""
    return f"{question.asked}{repetition}{look}{about}"


def _state(question: ExplainedQuestion) -> str:
    state = question.state.replace("_", " ")
    parts = [f"{state}: {question.why}" if question.why not in ("", state) else state]
    if question.at:
        parts.append(question.at)
    if usage := question.usage:
        cost = f", {usage['cost_usd']:g} USD" if usage["cost_usd"] is not None else ""
        estimated = " at most" if usage["estimated"] else ""
        parts.append(f"{usage['input_tokens']} + {usage['output_tokens']} tokens{cost}{estimated}")
    if question.model_version:
        parts.append(question.model_version)
    told = ", ".join(parts)
    return f"{told} -> {complete(question.retry)}" if question.retry else told


def dead_letter_lines(letters: Sequence[DeadLetter]) -> Iterator[str]:
    """Each dead letter with its reason, and how all of them are sent again."""
    for letter in letters:
        yield f"{letter.stage} {letter.path}: {letter.message} ({letter.code}), {letter.since}, {letter.id}"
    if letters:
        found = (
            "1 dead letter; to send it" if len(letters) == 1 else f"{len(letters)} dead letters; to send them"
        )
        yield f"{found} once more: {complete(RETRY)}"
    else:
        yield "no dead letters"
