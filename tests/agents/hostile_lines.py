"""Hostile answers in lines of text, of a model that was allowed them."""

from __future__ import annotations

import random

from tests.agents.hostile_base import HIDDEN, LABELS, ODD, Case, bad, sentence


def lines(rng: random.Random, **changes: str) -> tuple[str, str]:
    label = rng.choice(LABELS)
    fields = {
        "claim": rng.choice(
            ["e1: visual, 0.5-1.5 s, AU12, present: the lips part", "Evidence: Visual: a smile at 2 s."]
        ),
        "steps": f"Step 1: {sentence(rng)}.\nStep 2: so it is.",
        "label": rng.choice(
            ["Label: @", "**Label:** @", "Final answer: @.", "# Label: @, intensity 2", "Emotion: @"]
        ),
        "confidence": rng.choice(["Confidence: 0.7", "Confidence: 70 %", "Confidence: 7/10", ""]),
    } | changes
    return "\n".join(fields.values()).replace("@", label), label


def in_lines(rng: random.Random) -> Case:
    text, label = lines(rng)
    return Case("in_lines", text, "labelled", labels=(label,), repaired=True, free_text=True)


def lines_spoiled(rng: random.Random) -> Case:
    changes, reason = rng.choice(
        [
            ({"label": "so it is joy"}, "no_label_line"),
            ({"label": "Label: jealousy"}, "unknown_label"),
            ({"label": "Label: joy\nFinal label: anger"}, "several_answers"),
            ({"label": "Label: joy, intensity 7"}, "out_of_range"),
            ({"confidence": "Confidence: high"}, "wrong_shape"),
            ({"confidence": "Confidence: 7"}, "out_of_range"),
            ({"claim": "e1: something"}, "wrong_shape"),
            ({"claim": ""}, "no_evidence"),
            ({"claim": "e1: visual, 50-60 s, AU12"}, "span_outside_clip"),
            ({"steps": ""}, "empty_rationale"),
            ({"steps": "Step 1: so [e9]"}, "bad_step_reference"),
        ]
    )  # fmt: skip
    return bad("lines_spoiled", lines(rng, **changes)[0], reason, free_text=True)


def lines_not_asked_for(rng: random.Random) -> Case:
    return bad("lines_not_asked_for", lines(rng)[0], "not_json")


def lines_noisy(rng: random.Random) -> Case:
    text, label = lines(rng)
    data = list(text)
    for _ in range(rng.randint(1, 3)):
        data[rng.randrange(len(data))] = rng.choice(ODD + HIDDEN + "\n\x00aZ9")
    return Case("lines_noisy", "".join(data), "any", labels=(label,), free_text=True)
