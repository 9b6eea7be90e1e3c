"""Which family a model is of, and whether a judge would rate its own kin.

Models rate what they, or models trained like them, wrote more highly than people do.
Reference: Panickssery, Bowman & Feng 2024, "LLM Evaluators Recognize and Favor Their Own Generations",
https://arxiv.org/abs/2404.13076.
"""

from __future__ import annotations

import csv
import re
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

from schemas.settings_models import ModelSection

TABLE = Path(__file__).parent / "data" / "families.csv"
RULES = "rules"  # no model wrote it, so nothing is its kin
Kinship = Literal["same_family", "family_unknown", "other_family"]


class Family(NamedTuple):
    """A row of the table: which models it covers, its name, and what such models are called in running text."""

    pattern: re.Pattern[str]
    name: str
    names: tuple[str, ...]


@cache
def families() -> tuple[Family, ...]:
    """The rows in their order: the first whose pattern is found in a model's name counts."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        return tuple(
            Family(re.compile(row["pattern"]), row["family"], tuple(row["names"].split()))
            for row in csv.DictReader(file)
        )


def family_of(section: ModelSection) -> str | None:
    """The family as set, else by the model's name; `RULES` without a model; None: unknown."""
    if section.family is not None:
        return section.family.lower()
    if section.provider == "cues":
        return RULES
    name = section.model.lower()
    return next((family.name for family in families() if family.pattern.search(name)), None)


def kinship(judge: str | None, annotator: str | None) -> Kinship:
    """How the families of a judge and of an annotator stand to each other."""
    if RULES in (judge, annotator):
        return "other_family"
    if judge is None or annotator is None:
        return "family_unknown"
    return "same_family" if judge == annotator else "other_family"
