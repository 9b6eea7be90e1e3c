"""Examples as text of a prompt, before the question: context, then rationale, then label.

The order is that of the survey (https://arxiv.org/abs/2509.24322, section 3.1): task, examples, question.
"""

from __future__ import annotations

from agents.questions.datatext import clean, short, within
from agents.questions.examples import Example
from agents.questions.serialise import sample_text

HEADING = "Example {number} of {count}: the data of another clip, and the reasons that people verified."
LABEL = "The verified label of example {number}: {label}"


def example_data(example: Example, *, measurements: bool) -> str:
    """What was recorded, and what people wrote of it: data, so it belongs in a fence.

    Without the turns before it: they are the words of people whom nobody asked whether they are shown here.
    """
    steps = [f"Step {number}: {short(step.text)}" for number, step in enumerate(example.rationale, start=1)]
    alone = example.sample.model_copy(update={"context": ()})
    view = sample_text(alone, measurements=measurements)
    return "\n".join([view, "<Rationale>", *within(steps).lines, "</Rationale>"])


def example_text(example: Example, fenced: str, number: int, count: int) -> str:
    """One example as it stands in a prompt; `fenced` is its data."""
    heading = HEADING.format(number=number, count=count)
    return f"{heading}\n{fenced}\n{LABEL.format(number=number, label=clean(example.label))}"
