"""What must hold inside the rows of a release: splits, evidence, labels. Fed one row at a time."""

from __future__ import annotations

import math
from collections.abc import Mapping
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
    _taxonomy: Mapping[str, Any] = field(default_factory=dict)
    _ties: tuple[str, ...] = ()
    _split_of: dict[tuple[str, str], str] = field(default_factory=dict)  # (column, value) -> split
    _last_id: dict[str, str] = field(default_factory=dict)  # split -> id of its newest row
    _ids: set[str] = field(default_factory=set)

    def expect(self, taxonomy: Mapping[str, Any], release: Mapping[str, Any]) -> None:
        """What the manifest says of the label set, and by which columns the splits must be apart."""
        self._taxonomy = taxonomy
        speaker = ("speaker",) if release["split_policy"] == "speaker" else ()
        self._ties = () if release["split_policy"] == "single" else ("group", "source_id", *speaker)

    def add(self, row: Mapping[str, Any], *, file_split: str) -> None:
        name = row["id"]
        self.splits += [f"{name}: {fault}" for fault in self._split_faults(row, file_split)]
        self.evidence += [f"{name}: {fault}" for fault in evidence_faults(row)]
        faults = label_faults(row, self._taxonomy) + number_faults(row, self._taxonomy)
        self.labels += [f"{name}: {fault}" for fault in faults]

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


def label_faults(row: Mapping[str, Any], taxonomy: Mapping[str, Any]) -> list[str]:
    """Labels of the taxonomy only, a distribution, a label that follows from the decision, no failure as one.

    Of an open vocabulary every word must stand in `open_labels`; it counts as its cell, off the wheel as itself.
    """
    soft = {item["label"]: item["p"] for item in row["soft_labels"]}
    said = {row["label"], *soft, *(item["label"] for item in row["labels"])} - {None}
    words = {item["label"] for item in row["annotations"]} - {None}
    known = set(taxonomy["labels"])
    if taxonomy["kind"] == "open":
        known |= {item["word"] for item in row["open_labels"] if item["cell"] is None}
        words -= {item["word"] for item in row["open_labels"]}
        said |= {item["cell"] for item in row["open_labels"]} - {None}
    faults = [f"{label!r} is not a label of the taxonomy" for label in sorted((said | words) - known)]
    if soft and abs(math.fsum(soft.values()) - 1) > PROBABILITY_TOLERANCE:
        faults.append("the probabilities do not sum to 1")
    if any(not 0 <= p <= 1 for p in soft.values()):
        faults.append("a probability is outside [0, 1]")
    numbers_alone = taxonomy["kind"] == "dimensions"
    undecided = row["status"] == "needs_review"
    if (row["label"] is None) != (undecided or numbers_alone):
        faults.append(f"label {row['label']!r} with status {row['status']}")
    if row["label"] != (row["labels"][0]["label"] if row["labels"] else None):
        faults.append("the label is not the first of the labels")
    if (
        row["status"] == "auto_accepted"
        and not numbers_alone
        and soft.get(row["label"], 0.0) < max(soft.values(), default=1.0)
    ):
        faults.append("the machine label is not the most probable one")
    if row["status"] == "reviewed" and row["human"]["reviewers"] == 0:
        faults.append("reviewed by nobody")
    faults += [
        f"{said_by['annotator']}: outcome {said_by['outcome']} with label {said_by['label']}"
        for said_by in row["annotations"]
        if (said_by["outcome"] == "labelled")
        != bool(said_by["dimensions"] if numbers_alone else said_by["label"])
    ]
    return faults


def number_faults(row: Mapping[str, Any], taxonomy: Mapping[str, Any]) -> list[str]:
    """The declared dimensions and questions only, on their scales, with their labels, decided when the row is."""
    scales = {scale["name"]: scale for scale in taxonomy["dimensions"]}
    heads = {head["name"]: head["labels"] for head in taxonomy["heads"]}
    undecided = row["status"] == "needs_review"
    faults = []
    if [item["name"] for item in row["dimensions"]] != list(scales):
        faults.append("its dimensions are not those of the taxonomy")
    for item in row["dimensions"]:
        scale = scales.get(item["name"], {"low": -math.inf, "high": math.inf})
        values = [value for value in (item["value"], item["mean"]) if value is not None]
        if any(not scale["low"] <= value <= scale["high"] for value in values):
            faults.append(f"{item['name']} is not on its scale")
        if (item["value"] is None) != (item["by"] is None) or (undecided and item["value"] is not None):
            faults.append(f"{item['name']} has a value that nobody decided, or one without a maker")
    values = [item["value"] for item in row["dimensions"]]
    if taxonomy["kind"] == "dimensions" and not undecided and not any(value is not None for value in values):
        faults.append(f"no value with status {row['status']}")
    elif taxonomy["kind"] == "dimensions" and row["status"] == "auto_accepted" and None in values:
        faults.append("a dimension that nobody gave stands without a person")
    if [item["name"] for item in row["heads"]] != list(heads):
        faults.append("its further questions are not those of the taxonomy")
    for item in row["heads"]:
        said = {item["label"], *(soft["label"] for soft in item["soft_labels"])} - {None}
        faults += [
            f"{label!r} is no answer to {item['name']}"
            for label in sorted(said - set(heads.get(item["name"], ())))
        ]
        if (item["label"] is None) != (item["by"] is None) or (undecided and item["label"] is not None):
            faults.append(f"{item['name']} has an answer that nobody decided, or one without a maker")
    return faults
