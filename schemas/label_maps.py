"""Labels of one taxonomy in the words of another: by a table where the literature has one, else by their words.

Nothing is guessed. A class that may be several classes of the other set is said to be several, one without a
counterpart none; whoever maps decides what to do with these.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

from schemas.taxonomy import Taxonomy

MAP_FILE = Path(__file__).parent / "data" / "label_maps.toml"


class Mapped(NamedTuple):
    """The counterparts of a label, in the other set's order: one, several (which is not known), or none.

    `how`: "same" set, a "table" of the literature, the label's own "name", or its other "words".
    """

    labels: tuple[str, ...]
    how: Literal["same", "table", "name", "words"]

    @property
    def one(self) -> str | None:
        """The counterpart, where there is exactly one."""
        return self.labels[0] if len(self.labels) == 1 else None


class MappedDistribution(NamedTuple):
    """`distribution` sums to 1 less what could not be placed, which is told by the label that it had."""

    distribution: dict[str, float]
    several: dict[str, float]  # may be several classes of the other set
    none: dict[str, float]  # has no counterpart there


def map_label(label: str, source: Taxonomy, target: Taxonomy) -> Mapped:
    """A label of `source` in `target`.

    The name counts before the other words, so that "fear" stays fear where "worried", one of its words, is a
    class of its own. With an open vocabulary a word stands for itself alone.

    Raises:
        ValueError: `label` is not one of `source`, or one of the two has no labels.
    """
    if not (source.asks_labels and target.asks_labels):
        raise ValueError(f"{source.name} and {target.name}: dimensions have no labels to map")
    if not source.has(label):
        raise ValueError(f"{label!r} is not a label of {source.name}")
    if (source.name in _data()["intents"]) != (target.name in _data()["intents"]):
        return Mapped((), "table")
    if source == target:
        return Mapped((label,), "same")
    listed = _tables().get((source.name, target.name), {}).get(label)
    if listed is not None:
        return Mapped(tuple(name for name in target.names if name in listed), "table")
    named = target.match(label)
    if named is not None:
        return Mapped((named,), "name")
    words = source.words(label)[1:] if source.kind == "closed" else ()
    found = {target.match(word) for word in words}
    return Mapped(tuple(name for name in target.names if name in found), "words")


def map_distribution(
    distribution: Mapping[str, float], source: Taxonomy, target: Taxonomy
) -> MappedDistribution:
    """A distribution over the labels of `source` as one over those of `target`.

    Raises:
        ValueError: as `map_label`.
    """
    parts: dict[str, list[float]] = {}
    several: dict[str, float] = {}
    none: dict[str, float] = {}
    for label, p in distribution.items():
        mapped = map_label(label, source, target)
        if mapped.one is not None:
            parts.setdefault(mapped.one, []).append(p)
        else:
            (several if mapped.labels else none)[label] = p
    order = [name for name in target.names if name in parts] or sorted(parts)
    return MappedDistribution({name: math.fsum(parts[name]) for name in order}, several, none)


@cache
def _tables() -> dict[tuple[str, str], dict[str, list[str]]]:
    """(from, to) -> label -> its counterparts."""
    return {(table["from"], table["to"]): table["labels"] for table in _data()["maps"]}


@cache
def _data() -> dict[str, Any]:
    return tomllib.loads(MAP_FILE.read_text(encoding="utf-8"))
