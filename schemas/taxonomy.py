"""Label sets as data: what is asked (labels, dimensions, further heads), in which words, on which scales."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from schemas.emotion_wheel import Level, Wheel, emotion_wheel
from schemas.errors import UserError
from schemas.ids import content_digest
from schemas.parts import Finite
from schemas.settings_file import line_of

TAXONOMY_DIR = Path(__file__).parent / "data" / "taxonomies"
REMEDY = "see docs/taxonomies.md"
MAX_OPEN_CHARS, MAX_OPEN_WORDS = 40, 4  # a longer text is a sentence, not a label
# What says that there is nothing to say.
NOTHING = frozenset(
    ("", "none", "null", "nil", "nothing", "n/a", "n.a", "na", "no", "not applicable", "not available")
)
# What says that no emotion could be told, which is no emotion.
UNTOLD = re.compile(
    r"\b(?:unknown|undetermined|indeterminate|undefined|unclear|unsure|unable|insufficient|can ?not|can't|can t"
    r"|(?:not|hard|impossible) (?:to (?:tell|say)|sure|clear|certain|enough|possible)"
    r"|no (?:\w+ )?(?:emotions?|evidence|label|answer))\b"
)

FieldName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
LabelName = Annotated[str, StringConstraints(pattern=r"[^\W_]")]


class _Declared(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LabelClass(_Declared):
    """Words that mean the same class. They are public: whoever sums probabilities over words reads them here."""

    verbalizers: tuple[LabelName, ...]


class Dimension(_Declared):
    """A number on a scale. What its ends mean is told to annotators and people, where it is said."""

    low: Finite
    high: Finite
    low_means: str = ""
    high_means: str = ""

    @model_validator(mode="after")
    def _is_a_range(self) -> Dimension:
        if self.high <= self.low:
            raise ValueError(f"high ({self.high:g}) must be above low ({self.low:g})")
        return self

    @property
    def width(self) -> float:
        return self.high - self.low

    def scaled(self, share: float) -> float:
        """A value in [-1, 1] on this scale."""
        return self.low + (share + 1) / 2 * self.width


class Head(_Declared):
    """A further question with a closed label set of its own, such as the intent beside the emotion."""

    question: str
    labels: Annotated[dict[LabelName, LabelClass], Field(min_length=2)]

    @model_validator(mode="after")
    def _words_mean_one_class(self) -> Head:
        _refuse_double_words(self.labels)
        return self


class Taxonomy(_Declared):
    """What annotators and people are asked about a clip. `digest` changes when anything that is shown changes.

    "closed": one of `labels`; "open": any word, grouped over `wheel`; "dimensions": numbers alone, no label.
    `multi_label`: several labels, each with an intensity from 0 to 3. `source` says where the set comes from and
    is shown to nobody who annotates.
    """

    name: str
    instruction: str
    kind: Literal["closed", "open", "dimensions"] = "closed"
    multi_label: bool = True
    labels: dict[LabelName, LabelClass] = {}
    dimensions: dict[FieldName, Dimension] = {}
    heads: dict[FieldName, Head] = {}
    wheel: str | None = None
    wheel_level: Level = 1
    source: str = ""

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Taxonomy:
        if self.kind == "closed" and not self.labels:
            raise ValueError('a closed taxonomy needs labels: add tables [labels.NAME], or set kind = "open"')
        if self.kind != "closed" and self.labels:
            raise ValueError(f'kind = "{self.kind}" has no labels: remove them, or set kind = "closed"')
        if self.kind == "dimensions" and not self.dimensions:
            raise ValueError('kind = "dimensions" needs dimensions: add tables [dimensions.NAME]')
        if (self.wheel is not None) != (self.kind == "open"):
            raise ValueError('kind = "open" needs a wheel (such as "wheel1"), and no other kind has one')
        if self.wheel is not None and self.wheel not in emotion_wheel().wheels:
            known = ", ".join(emotion_wheel().wheels)
            raise ValueError(f'no wheel "{self.wheel}": there are {known}')
        _refuse_double_words(self.labels)
        return self

    def __hash__(self) -> int:
        return hash(self.digest)

    @cached_property
    def digest(self) -> str:
        # Without what stands at its default: a field that is added later changes no question. The order of
        # classes is shown as well, and canonical JSON sorts keys.
        shown = self.model_dump(mode="json", exclude_defaults=True, exclude={"source"})
        heads = [[name, *head.labels] for name, head in self.heads.items()]
        order = [list(self.labels), list(self.dimensions), heads]
        wheel = None if self.wheel is None else emotion_wheel().digest
        return content_digest({**shown, "order": order, "wheel_digest": wheel})

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.labels)

    @property
    def asks_labels(self) -> bool:
        return self.kind != "dimensions"

    def words(self, label: str) -> tuple[str, ...]:
        """All words of a class, its name first, each once."""
        return tuple(dict.fromkeys((label, *self.labels[label].verbalizers)))

    def named_in(self, text: str) -> set[str]:
        """The classes of a closed set of which a word stands in `text`, and not right after a negation."""
        return {name for name in self.labels if any(stands_in(word, text) for word in self.words(name))}

    def match(self, text: str) -> str | None:
        """The class whose name or verbalizer equals `text` (case, blanks and punctuation aside), else None.

        With an open vocabulary any short text is a label, in small letters.
        """
        if self.kind == "open":
            return _open_label(text)
        return match_label(self.labels, text)

    def has(self, label: str) -> bool:
        """Whether `label`, as it is written, is one of this taxonomy."""
        return label == self.match(label) if self.kind == "open" else label in self.labels

    def group(self, label: str) -> str:
        """What a label counts as: its cell of the wheel with an open vocabulary, else itself.

        A word that is off the wheel counts as itself, so that no word is lost.
        """
        return self.cell(label) or label

    def differ(self, label: str | None, other: str | None) -> bool:
        """Whether two labels count as different ones; one that is not told differs from none."""
        return label is not None and other is not None and self.group(label) != self.group(other)

    def cell(self, label: str) -> str | None:
        """The cell of the wheel that an open label falls into; None off the wheel, and without one."""
        if self.wheel is None:
            return None
        return emotion_wheel().cell(label, self.wheel, self.wheel_level)

    @property
    def groups(self) -> tuple[str, ...]:
        """What a label can count as: the classes, or the cells of the wheel (a word off it counts as itself)."""
        if self.wheel is None:
            return self.names
        return Wheel.cells(emotion_wheel().wheels[self.wheel], self.wheel_level)


def match_label(labels: Mapping[str, LabelClass], text: str) -> str | None:
    """The class whose name or verbalizer equals `text` (case, blanks and punctuation aside), else None."""
    wanted = plain(text)
    for name, label in labels.items():
        if wanted == plain(name) or wanted in map(plain, label.verbalizers):
            return name
    return None


def plain(text: str) -> str:
    """A text as words are compared: without case and punctuation, one blank between words."""
    return re.sub(r"[\W_]+", " ", text).strip().lower()


def is_nothing(text: str) -> bool:
    """Whether a text is blank or says in so many words that there is nothing ("none", "N/A", "-")."""
    return text.strip(" \t\r\n.-\u2013\u2014_*\"'()").lower() in NOTHING


def _open_label(text: str) -> str | None:
    """A short text in small letters, without punctuation around its words; else None."""
    parts = (part.strip("'-") for part in re.sub(r"[^\w'-]+|_", " ", text).lower().split())
    word = " ".join(filter(None, parts))
    if not word or is_nothing(text) or UNTOLD.search(word):
        return None
    return word if len(word) <= MAX_OPEN_CHARS and len(word.split()) <= MAX_OPEN_WORDS else None


def _refuse_double_words(labels: Mapping[str, LabelClass]) -> None:
    """Raises ValueError for a word that would mean two classes."""
    meant: dict[str, str] = {}
    for name, label in labels.items():
        for word in (name, *label.verbalizers):
            other = meant.setdefault(plain(word), name)
            if other != name:
                raise ValueError(f'"{word}" means {other} and {name}: a word may stand in one class only')


# --- reading a file --------------------------------------------------------------------------------


def shipped_taxonomies() -> list[str]:
    """The names of the taxonomies that come with emotrace, sorted."""
    return sorted(file.stem for file in TAXONOMY_DIR.glob("*.toml"))


def load_taxonomy(name_or_path: str, project_dir: Path = Path()) -> Taxonomy:
    """A shipped taxonomy by name, or a project's own by the path of its TOML file, relative to the project.

    A head may take the labels of a shipped taxonomy: `labels_of = "mintrec20"`.

    Raises:
        UserError: no such taxonomy, or a file that does not hold one; with file, line and the nearest known key.
    """
    shipped = TAXONOMY_DIR / f"{name_or_path}.toml"
    path = shipped if name_or_path in shipped_taxonomies() else project_dir / name_or_path
    if not path.is_file():
        near = difflib.get_close_matches(name_or_path, shipped_taxonomies(), n=1)
        known = ", ".join(shipped_taxonomies())
        raise UserError(
            "unknown_taxonomy",
            f'no taxonomy "{name_or_path}"' + (f', did you mean "{near[0]}"?' if near else ""),
            f"set project.taxonomy to one of {known}, or to the path of a TOML file",
        )
    try:
        text = path.read_text(encoding="utf-8")
        data = tomllib.loads(text)
    except (ValueError, OSError) as error:
        line = re.search(r"line (\d+)", str(error))
        where = (str(path), int(line[1]) if line else None)
        raise UserError("bad_taxonomy", f"not readable as TOML: {error}", REMEDY, *where) from error
    _fill_heads(data, text, path)
    try:
        return Taxonomy.model_validate(data)
    except ValidationError as error:
        raise _user_error(error, text, path) from error


def _fill_heads(data: dict[str, Any], text: str, path: Path) -> None:
    """Put the labels of the named taxonomy into each head that says `labels_of`."""
    heads = data.get("heads")
    for name, head in heads.items() if isinstance(heads, dict) else ():
        if not isinstance(head, dict) or "labels_of" not in head:
            continue
        other, line = head.pop("labels_of"), line_of(("heads", name, "labels_of"), text)
        if "labels" in head:
            message = f"heads.{name} has labels of its own and labels_of"
            raise UserError("bad_taxonomy", message, "keep one of them", str(path), line)
        if other not in shipped_taxonomies() or not (labels := load_taxonomy(other).labels):
            message = f'heads.{name}.labels_of: "{other}" is no shipped taxonomy with labels'
            raise UserError("bad_taxonomy", message, REMEDY, str(path), line)
        head["labels"] = {label: words.model_dump() for label, words in labels.items()}


def _user_error(error: ValidationError, text: str, path: Path) -> UserError:
    """The first complaint as one line; an unknown key before a missing one, which it most often is, misspelt."""
    first = min(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
    loc = tuple(part for part in first["loc"] if part != "[key]")
    name, line = ".".join(map(str, loc)), line_of(loc, text) if loc else None
    if first["type"] == "extra_forbidden":
        known = _known_keys(loc)
        near = difflib.get_close_matches(str(loc[-1]), known, n=1, cutoff=0.5)
        remedy = f'did you mean "{near[0]}"?' if near else f"known here: {', '.join(known)}"
        return UserError("bad_taxonomy", f'unknown key "{name}"', remedy, str(path), line)
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "missing":
        message = "is missing"
    return UserError("bad_taxonomy", f"{name}: {message}" if name else message, REMEDY, str(path), line)


def _known_keys(loc: tuple[int | str, ...]) -> list[str]:
    """The keys of the table that the last part of `loc` stands in."""
    tables: dict[str, type[BaseModel]] = {"labels": LabelClass, "dimensions": Dimension, "heads": Head}
    if len(loc) == 1:
        return list(Taxonomy.model_fields)
    if loc[0] == "heads" and "labels" in loc[2:-1]:
        return list(LabelClass.model_fields)
    keys = list(tables[str(loc[0])].model_fields)
    return [*keys, "labels_of"] if loc[0] == "heads" else keys


def stands_in(word: str, text: str) -> bool:
    """Whether a word stands in `text` by itself, and not right after a negation."""
    pattern = rf"(?<!\w)(?<!not )(?<!no )(?<!non-){re.escape(word)}(?!\w)"
    return re.search(pattern, text, re.IGNORECASE) is not None
