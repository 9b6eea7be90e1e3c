"""The emotion wheel: which cell an emotion word falls into, over its word forms and its synonyms.

The tables are those of the MER2025 challenge, converted by `.ci/emotion_wheel.py`; of the five wheels of its
metric the first two are here.

Reference: Lian et al. 2025, arXiv 2501.16566 (metrics over emotion wheels); arXiv 2504.19423 (MER2025)
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from schemas.ids import content_digest

WHEEL_FILE = Path(__file__).parent / "data" / "emotion_wheel.json"
Level = Literal[1, 2]
LEVELS: tuple[Level, ...] = (1, 2)
Tree = dict[str, dict[str, tuple[str, ...]]]  # level 1 -> level 2 -> words


class Grouped(NamedTuple):
    """Words by cell, and those that are off the wheel; `drop_rate` is None without words."""

    cells: dict[str, tuple[str, ...]]
    off_wheel: tuple[str, ...]

    @property
    def drop_rate(self) -> float | None:
        words = len(self.off_wheel) + sum(map(len, self.cells.values()))
        return len(self.off_wheel) / words if words else None


class Wheel(BaseModel):
    """`forms`: root -> its word forms; `synonyms`: root -> words that stand on a wheel; `wheels`: the wheels."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    source: str
    forms: dict[str, tuple[str, ...]]
    synonyms: dict[str, tuple[str, ...]]
    wheels: dict[str, Tree]

    @cached_property
    def digest(self) -> str:
        return content_digest(self.model_dump(mode="json", exclude={"source"}))

    @cached_property
    def roots(self) -> dict[str, tuple[str, ...]]:
        """Word form -> the roots that it may be a form of."""
        found: dict[str, list[str]] = {}
        for root, forms in self.forms.items():
            for form in {root, *forms}:
                found.setdefault(form, []).append(root)
        return {form: tuple(roots) for form, roots in found.items()}

    def cell(self, word: str, wheel: str, level: Level, *, as_published: bool = False) -> str | None:
        """The cell that a word falls into; None when it is off the wheel.

        All wheel words of all roots of the word are sorted, and the first one on this wheel decides. That rule
        moves words that stand on the wheel themselves ("frustrated", there under "mad", to "sad"), so these stay
        where they are unless `as_published` asks for the figures of the published metric.
        """
        cells = self._cell_of[wheel, level]
        word = " ".join(word.lower().split())
        if not as_published and word in cells:
            return cells[word]
        meant = sorted(name for root in self.roots.get(word, ()) for name in self.synonyms[root])
        return next((cells[name] for name in meant if name in cells), None)

    def grouped(
        self, words: Iterable[str], wheel: str, level: Level, *, as_published: bool = False
    ) -> Grouped:
        """Words by the cell that they fall into, each word once; those off the wheel apart."""
        cells: dict[str, list[str]] = {}
        off_wheel = []
        for word in dict.fromkeys(words):
            cell = self.cell(word, wheel, level, as_published=as_published)
            if cell is None:
                off_wheel.append(word)
            else:
                cells.setdefault(cell, []).append(word)
        return Grouped({cell: tuple(found) for cell, found in cells.items()}, tuple(off_wheel))

    @staticmethod
    def cells(tree: Mapping[str, Mapping[str, tuple[str, ...]]], level: Level) -> tuple[str, ...]:
        """The cells of one level, in the order of the wheel."""
        return tuple(tree) if level == 1 else tuple(name for inner in tree.values() for name in inner)

    @cached_property
    def _cell_of(self) -> dict[tuple[str, Level], dict[str, str]]:
        """(wheel, level) -> wheel word -> cell. On level 2 a word of level 1 is its first cell by name."""
        return {(name, level): _cells(tree, level) for name, tree in self.wheels.items() for level in LEVELS}


def _cells(tree: Tree, level: Level) -> dict[str, str]:
    found: dict[str, str] = {}
    for first, inner in tree.items():
        found[first] = first if level == 1 else min(inner)
        for second, words in inner.items():
            found |= dict.fromkeys((second, *words), first if level == 1 else second)
    return found


@cache
def emotion_wheel() -> Wheel:
    return Wheel.model_validate(json.loads(WHEEL_FILE.read_text(encoding="utf-8")))
