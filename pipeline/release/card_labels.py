"""What the card says of the label set: dimensions with their scales, further questions, open words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Numbers:
    """Counts over what is not one label, fed one row at a time."""

    rows: Counter[str] = field(default_factory=Counter)  # dimension -> rows with a value
    sums: dict[str, float] = field(default_factory=dict)
    heads: dict[str, Counter[str]] = field(default_factory=dict)  # further question -> label -> rows
    words: int = 0  # words of an open vocabulary, each once a row
    off_wheel: int = 0

    def add(self, row: Mapping[str, Any]) -> None:
        for item in row["dimensions"]:
            if item["value"] is not None:
                self.rows[item["name"]] += 1
                self.sums[item["name"]] = self.sums.get(item["name"], 0.0) + item["value"]
        for item in row["heads"]:
            if item["label"] is not None:
                self.heads.setdefault(item["name"], Counter())[item["label"]] += 1
        self.words += len(row["open_labels"])
        self.off_wheel += sum(item["cell"] is None for item in row["open_labels"])

    def as_json(self) -> dict[str, Any]:
        return {
            "dimensions": {
                name: {"rows": rows, "mean": self.sums[name] / rows}
                for name, rows in sorted(self.rows.items())
            },
            "heads": {name: dict(sorted(counts.items())) for name, counts in sorted(self.heads.items())},
            "open_labels": {"words": self.words, "off_wheel": self.off_wheel, "drop_rate": self.drop_rate},
        }

    @property
    def drop_rate(self) -> float | None:
        """Share of the words that are on no cell of the wheel; None without words."""
        return self.off_wheel / self.words if self.words else None


def has_text(taxonomy: Mapping[str, Any]) -> str:
    """What each clip has, for the first sentence."""
    name = taxonomy["name"]
    if taxonomy["kind"] == "dimensions":
        return f"numbers on scales ({name})"
    if taxonomy["kind"] == "open":
        return f"emotion words of the annotators' own choice ({name}), counted over an emotion wheel"
    return f"a label ({name})"


def numbers_table(taxonomy: Mapping[str, Any], numbers: Numbers) -> list[list[Any]]:
    """One line a dimension: scale, rows with a value, their mean."""
    return [
        [
            f"{scale['name']} ({scale['low']:g} to {scale['high']:g})",
            numbers.rows[scale["name"]],
            f"{numbers.sums[scale['name']] / rows:.2f}" if (rows := numbers.rows[scale["name"]]) else "",
        ]
        for scale in taxonomy["dimensions"]
    ]


def open_text(taxonomy: Mapping[str, Any], numbers: Numbers) -> str:
    """How many words are off the wheel; empty without an open vocabulary."""
    if taxonomy["kind"] != "open":
        return ""
    share = "" if numbers.drop_rate is None else f" ({numbers.drop_rate:.1%})"
    return (
        f"`label` is the cell that a word falls into ({taxonomy['wheel']} of the emotion wheels of MER2025). "
        f"{numbers.off_wheel} of {numbers.words} words{share} are off the wheel: these count as "
        "themselves. `open_labels` holds all words."
    )
