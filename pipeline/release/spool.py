"""The rows of a release before they are divided, on disk, with what is told of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import IO, Any

from pipeline.splits import SplitKey
from schemas.ids import canonical_json


@dataclass
class Spool:
    """Rows in the order in which they came, so that memory does not grow with the dataset."""

    file: IO[bytes]
    keys: list[SplitKey] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)  # reason -> clips
    random: Counter[str] = field(default_factory=Counter)  # of the share that goes to people by chance
    models: Counter[str] = field(default_factory=Counter)  # JSON of a model -> records, of the rows taken
    languages: set[str] = field(default_factory=set)  # of the rows taken
    _places: dict[str, tuple[int, int]] = field(default_factory=dict)  # row id -> offset, bytes

    def add(self, row: dict[str, Any], key: SplitKey, models: Sequence[str], language: str | None) -> None:
        line = canonical_json({"row": row, "models": models, "language": language}).encode()
        self._places[row["id"]] = (self.file.tell(), len(line))
        self.keys.append(key)
        self.file.write(line)

    def take(self, row_id: str) -> dict[str, Any]:
        """A row that is released; its models and language count from now on."""
        offset, size = self._places[row_id]
        self.file.seek(offset)
        found: dict[str, Any] = json.loads(self.file.read(size))
        self.models.update(found["models"])
        self.languages |= {found["language"]} - {None}
        row: dict[str, Any] = found["row"]
        return row
