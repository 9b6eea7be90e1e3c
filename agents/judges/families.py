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

TABLE = Path(__file__).parents[1] / "data" / "families.csv"
RULES = "rules"  # no model wrote it, so nothing is its kin
Kinship = Literal["same_family", "family_unknown", "other_family"]


class Family(NamedTuple):
    """A row of the table: which models it covers, its name, and what such models are called in running text.

    A model that is made of another one is of both families: `name` holds both, with a blank between them. Facts
    are those of the makers: InternVL2 (https://huggingface.co/OpenGVLab/InternVL2-Llama3-76B), 2.5, 3 and 3.5
    (https://arxiv.org/abs/2412.05271, https://arxiv.org/abs/2504.10479, https://arxiv.org/abs/2508.18265),
    MiniCPM-V and -o (https://github.com/OpenBMB/MiniCPM-o; Ollama's "minicpm-v" is 2.6), Kimi-Audio
    (https://arxiv.org/abs/2504.18425), VideoLLaMA3 (https://arxiv.org/abs/2501.13106), DeepSeek-R1-Distill
    (https://arxiv.org/abs/2501.12948), LLaVA-1.5 (https://arxiv.org/abs/2310.03744), SmolVLM
    (https://arxiv.org/abs/2504.05299).
    """

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
    """How the families of a judge and of an annotator stand to each other; one in common is enough."""
    if RULES in (judge, annotator):
        return "other_family"
    if judge is None or annotator is None:
        return "family_unknown"
    return "other_family" if set(judge.split()).isdisjoint(annotator.split()) else "same_family"
