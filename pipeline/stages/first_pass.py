"""A cheap first guess at the class of a sample, so that rare ones are not crowded out before anybody is asked."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from agents.cue_rules.answer import Answer, ekman7
from agents.providers.cues import ANNOTATORS
from schemas.records import Sample
from schemas.registry import resolve
from schemas.taxonomy import Taxonomy

UNCLEAR = "unclear"


def first_pass_class(sample: Sample) -> str:
    """The Ekman class of the surest of the keyless rules (words, voice, face); "unclear" when all abstain.

    Of equally sure ones the rule that stands first. The rules read the sample; nothing is asked or stored.
    """
    taxonomy, rules = _rules()
    answers = [answer for rule in rules if (answer := rule(sample, taxonomy))["labels"]]
    if not answers:
        return UNCLEAR
    return str(max(answers, key=lambda answer: answer["confidence"])["labels"][0]["label"])


@cache
def _rules() -> tuple[Taxonomy, list[Callable[[Sample, Taxonomy], Answer]]]:
    return ekman7(), [resolve(ANNOTATORS, name, what="cue annotator") for name in ANNOTATORS]
