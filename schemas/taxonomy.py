"""Label sets as data: classes, their verbalizers (synonyms), and the instruction shown to annotators."""

from __future__ import annotations

import re
import tomllib
from functools import cached_property
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from schemas.errors import UserError
from schemas.ids import content_digest

TAXONOMY_DIR = Path(__file__).parent / "data" / "taxonomies"


class LabelClass(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    verbalizers: tuple[str, ...]


class Taxonomy(BaseModel):
    """A closed label set. `digest` changes when anything an annotator may be shown changes."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    instruction: str
    labels: dict[str, LabelClass]

    @cached_property
    def digest(self) -> str:
        return content_digest(self.model_dump(mode="json"))

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.labels)

    def match(self, text: str) -> str | None:
        """The class whose name or verbalizer equals `text` (case, blanks and punctuation aside), else None."""
        wanted = _plain(text)
        for name, label in self.labels.items():
            if wanted == _plain(name) or wanted in map(_plain, label.verbalizers):
                return name
        return None


def _plain(text: str) -> str:
    return re.sub(r"[\W_]+", " ", text).strip().lower()


def load_taxonomy(name_or_path: str, project_dir: Path = Path()) -> Taxonomy:
    """A shipped taxonomy by name, or a project's own by the path of its TOML file, relative to the project.

    Raises:
        UserError: no such taxonomy, or a file that does not hold one.
    """
    shipped = TAXONOMY_DIR / f"{name_or_path}.toml"
    path = shipped if shipped.exists() else project_dir / name_or_path
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in TAXONOMY_DIR.glob("*.toml")))
        raise UserError(
            "unknown_taxonomy",
            f'no taxonomy "{name_or_path}"',
            f"set project.taxonomy to one of {known}, or to the path of a TOML file",
        )
    try:
        return Taxonomy.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        first = str(error).splitlines()[0]
        raise UserError("bad_taxonomy", first, "see docs/configuration.md, Taxonomies", str(path)) from error
