"""What must hold inside the rows of a release: splits, evidence, labels. Fed one row at a time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

from pipeline.policy import is_contradicted
from pipeline.splits import SPLITS
from schemas.parts import VerdictName

VERDICTS = frozenset(get_args(VerdictName))
PROBABILITY_TOLERANCE = 1e-6


@dataclass
class RowFaults:
    """The faults found so far, by check. `expect` comes before the first row."""

    splits: list[str] = field(default_factory=list)
    evidence: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    _taxonomy: frozenset[str] = frozenset()
    _ties: tuple[str, ...] = ()
    _split_of: dict[tuple[str, str], str] = field(default_factory=dict)  # (column, value) -> split
    _last_id: dict[str, str] = field(default_factory=dict)  # split -> id of its newest row
    _ids: set[str] = field(default_factory=set)

    def expect(self, labels: Iterable[str], release: Mapping[str, Any]) -> None:
        """The labels there may be, and by which columns the splits must be apart."""
        self._taxonomy = frozenset(labels)
        speaker = ("speaker",) if release["split_policy"] == "speaker" else ()
        self._ties = () if release["split_policy"] == "single" else ("group", "source_id", *speaker)

    def add(self, row: Mapping[str, Any], *, file_split: str) -> None:
        name = row["id"]
        self.splits += [f"{name}: {fault}" for fault in self._split_faults(row, file_split)]
        self.evidence += [f"{name}: {fault}" for fault in evidence_faults(row)]
        self.labels += [f"{name}: {fault}" for fault in label_faults(row, self._taxonomy)]

    def by_check(self) -> dict[str, list[str]]:
        return {"splits": self.splits, "evidence": self.evidence, "labels": self.labels}

    def _split_faults(self, row: Mapping[str, Any], file_split: str) -> list[str]:
        split, faults = row["split"], []
        if file_split != split or split not in SPLITS:
            faults.append(f"says split {split}, stands in {file_split}")
        if row["id"] in self._ids:
            faults.append("stands twice")
        if row["id"] < self._last_id.get(file_split, ""):
            faults.append("is out of order")
        for column in self._ties:
            if row[column] is None:
                continue
            other = self._split_of.setdefault((column, row[column]), file_split)
            if other != file_split:
                faults.append(f"{column} {row[column]} stands in {other} and in {file_split}")
        if file_split != "train" and row["status"] not in ("reviewed", "adjudicated"):
            faults.append(f"a label with status {row['status']} stands in {file_split}")
        if file_split == "test" and row["status"] != "adjudicated" and row["human"]["blind"] < 2:
            faults.append("a test row without two blind reviewers or an adjudication")
        self._ids.add(row["id"])
        self._last_id[file_split] = row["id"]
        return faults


def evidence_faults(row: Mapping[str, Any]) -> list[str]:
    """Every claim has a verdict; every citation leads to a claim; nothing contradicted carries a rationale."""
    faults = []
    claims = {claim["id"]: claim for claim in row["evidence"]}
    if len(claims) != len(row["evidence"]):
        faults.append("two claims have the same id")
    for name, claim in claims.items():
        if claim["verdict"] not in VERDICTS:
            faults.append(f"claim {name} has no verdict")
        if not 0 <= claim["start_s"] <= claim["end_s"]:
            faults.append(f"claim {name} has no span")
    for cited in (name for step in row["rationale"] for name in step["evidence_ids"]):
        if cited not in claims:
            faults.append(f"the rationale cites {cited}, which is not there")
        elif is_contradicted(claims[cited]["verdict"], claims[cited]["person_mark"]):
            faults.append(f"the rationale cites the contradicted claim {cited}")
    return faults


def label_faults(row: Mapping[str, Any], taxonomy: frozenset[str]) -> list[str]:
    """Labels of the taxonomy only, a distribution, a label that follows from the decision, no failure as one."""
    soft = {item["label"]: item["p"] for item in row["soft_labels"]}
    said = {row["label"], *soft, *(item["label"] for item in row["labels"])} - {None}
    said |= {item["label"] for item in row["annotations"]} - {None}
    faults = [f"{label!r} is not a label of the taxonomy" for label in sorted(said - taxonomy)]
    if soft and abs(math.fsum(soft.values()) - 1) > PROBABILITY_TOLERANCE:
        faults.append("the probabilities do not sum to 1")
    if any(not 0 <= p <= 1 for p in soft.values()):
        faults.append("a probability is outside [0, 1]")
    if (row["label"] is None) != (row["status"] == "needs_review"):
        faults.append(f"label {row['label']!r} with status {row['status']}")
    if row["label"] != (row["labels"][0]["label"] if row["labels"] else None):
        faults.append("the label is not the first of the labels")
    if row["status"] == "auto_accepted" and soft.get(row["label"], 0.0) < max(soft.values(), default=1.0):
        faults.append("the machine label is not the most probable one")
    if row["status"] == "reviewed" and row["human"]["reviewers"] == 0:
        faults.append("reviewed by nobody")
    faults += [
        f"{said_by['annotator']}: outcome {said_by['outcome']} with label {said_by['label']}"
        for said_by in row["annotations"]
        if (said_by["outcome"] == "labelled") != (said_by["label"] is not None)
    ]
    return faults
