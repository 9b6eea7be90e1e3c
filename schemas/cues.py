"""The cue vocabulary: which words stand for which measurement. Data in `data/cues.csv`, one row a cue."""

from __future__ import annotations

import csv
import re
from functools import cache, cached_property
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, model_validator

from schemas.ids import content_digest
from schemas.parts import Modality

CUE_FILE = Path(__file__).parent / "data" / "cues.csv"
_DENIAL = re.compile(r"\b(no|not|non|never|without|absent|absence|lack|lacks|lacking|missing|inactive)\b")
Statistic = Literal[
    "max", "min", "away", "length", "there_and_back", "back_and_forth",
    "median", "range", "trend", "share", "gap", "clip", "quote",
]  # fmt: skip


class Cue(BaseModel):
    """One row: the cue is there when `statistic` of `feature` in the claimed span, `operator`, `threshold`.

    `scale` "z" compares deviations of the speaker's baseline and needs one; `opposite` names the cue at the
    other pole of the same measure; `synonyms` are words that stand for this cue, `undirected` those that
    name the measure ("pitch"), and this cue or its opposite only together with "up" or "down"; `plain` says
    it to people who never learned such names. Statistics: "range" is the 95th minus the 5th percentile,
    "trend" the change along the least-squares line through the span, "share" the part of the frames (with a
    `level`: that reach it), "gap" the longest stretch without voice, "length" how long a curve stays at its
    `level`, "away" the largest distance from zero to either side, "there_and_back" and "back_and_forth"
    movements of two and three legs (the smallest leg counts), "clip" the one number of the whole clip (it
    cannot be measured in a part), "quote" the share of the quoted words that were said. With "max", "min"
    or "away" of a curve, `min_duration_s` is how long the level must be held, with "length" the shortest
    that counts at all; else it is the least amount of measured signal (of a pitch movement: of voice) that
    the span must hold.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    cue: str
    modality: Modality
    feature: str
    statistic: Statistic
    scale: Literal["absolute", "z"]
    operator: Literal[">=", "<="]
    threshold: float
    unit: str
    level: float | None = None
    min_duration_s: float = 0.0
    opposite: str | None = None
    synonyms: tuple[str, ...] = ()
    undirected: tuple[str, ...] = ()
    plain: str = ""
    reference: str = ""

    @model_validator(mode="after")
    def _has_its_level(self) -> Cue:
        needs = self.statistic == "length" or (self.statistic == "share" and self.modality == "visual")
        if needs != (self.level is not None):
            raise ValueError(
                f"{self.cue}: {self.statistic} of {self.feature} {'needs a' if needs else 'has no'} level"
            )
        return self


class CueTable(BaseModel):
    model_config = ConfigDict(frozen=True)
    cues: dict[str, Cue]

    @cached_property
    def digest(self) -> str:
        return content_digest(self.model_dump(mode="json"))

    def find(self, word: str, direction: str = "present") -> Cue | None:
        """The cue with this name or synonym (case, blanks and punctuation aside), else None.

        The name of a measure alone ("pitch") says nothing that could be present: it is found with "up" and
        "down" only. One action unit may also be written "AU 12" or "AU12 (lip corner puller)"; a combination of
        several is no cue, because one verdict could not say which of them was meant, nor is "no AU12", which
        claims the reverse.
        """
        if word in self.cues:
            return self.cues[word]
        units = re.findall(r"\bau[\s_-]*(\d{1,2})(?!\d)", word.lower())
        if len(units) == 1 and len(re.findall(r"\d+", word)) == 1 and not _DENIAL.search(_plain(word)):
            return self.cues.get(f"AU{int(units[0]):02d}")
        found = self._by_synonym.get(_plain(word))
        return self._by_measure.get(_plain(word)) if found is None and direction in ("up", "down") else found

    def claimed(self, cue: Cue, direction: str) -> Cue | None:
        """The cue that a direction makes of a cue: "up" and "down" name a pole of its measure, else itself.

        "pitch_high down" and "pitch_low down" both claim a low pitch, because the cue of the high pole also
        stands for the measure. The cue of the low pole does not: "quiet up" may mean louder or more quiet, and
        is None.
        """
        if direction == "up":
            return cue if cue.operator == ">=" else None
        if direction == "down" and cue.operator == ">=":
            return self.cues.get(cue.opposite) if cue.opposite else None
        return cue

    def as_markdown(self) -> str:
        """The table of docs/cues.md, one row a cue."""
        head = [
            "cue",
            "modality",
            "holds when, in the claimed span",
            "held or at least",
            "opposite",
            "also called",
            "with up or down",
        ]
        rows = [
            [
                f"`{cue.cue}`",
                cue.modality,
                _measure(cue),
                f"{cue.min_duration_s:g} s" if cue.min_duration_s else "",
                f"`{cue.opposite}`" if cue.opposite else "",
                ", ".join(cue.synonyms),
                ", ".join(cue.undirected),
            ]
            for cue in self.cues.values()
        ]
        return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows])

    @cached_property
    def _by_synonym(self) -> dict[str, Cue]:
        return {_plain(name): cue for cue in self.cues.values() for name in (cue.cue, *cue.synonyms)}

    @cached_property
    def _by_measure(self) -> dict[str, Cue]:
        return {_plain(name): cue for cue in self.cues.values() for name in cue.undirected}


def _measure(cue: Cue) -> str:
    at = "" if cue.level is None else f" at {cue.level:g} or more"
    statistic = cue.statistic.replace("_", " ")
    return f"{statistic} of `{cue.feature}`{at} {cue.operator} {cue.threshold:g} {cue.unit}"


def _plain(text: str) -> str:
    return re.sub(r"[\W_]+", " ", text).strip().lower()


@cache
def cue_table() -> CueTable:
    """The shipped cue table."""
    return read_cue_table(CUE_FILE)


def read_cue_table(file: Path) -> CueTable:
    """The cue table in a file of the form of `data/cues.csv`."""
    with file.open(encoding="utf-8", newline="") as rows:
        cues = [_parse(row) for row in csv.DictReader(rows)]
    return CueTable(cues={cue.cue: cue for cue in cues})


def _parse(row: dict[str, str]) -> Cue:
    values: dict[str, object] = {key: value for key, value in row.items() if value != ""}
    for column in ("synonyms", "undirected"):
        values[column] = tuple(word for word in row[column].split("|") if word)
    return Cue.model_validate(values)
