"""Posted forms: what a person said, checked, and how long it took."""

from __future__ import annotations

import math
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from pydantic import TypeAdapter, ValidationError

from review_ui.auth import Keyring
from review_ui.queue import Phase
from review_ui.views import dimension_field, head_field, mark_field
from schemas.parts import ClaimMark, Dimensions, LabelScore
from schemas.records import Consensus
from schemas.settings_types import Name
from schemas.taxonomy import Taxonomy

CANNOT_TELL = "?"  # no class of a taxonomy is called that
MAX_COMMENT_CHARS = 4000
CERTAINTIES: tuple[tuple[str, str], ...] = (
    ("0.25", "a guess"),
    ("0.5", "unsure"),
    ("0.75", "fairly sure"),
    ("1", "sure"),
)
Mark = Literal["supported", "contradicted", "cannot_tell"]
MARKS: tuple[tuple[Mark, str, str], ...] = (
    ("supported", "supported", "y"),
    ("contradicted", "contradicted", "n"),
    ("cannot_tell", "cannot tell", "u"),
)
_NAME: TypeAdapter[str] = TypeAdapter(Name)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class FormError(Exception):
    """The form cannot be stored as it is; the message says what to change."""


@dataclass(frozen=True)
class Answer:
    labels: tuple[LabelScore, ...]
    dimensions: Dimensions
    heads: dict[str, str]
    cannot_tell: bool
    certainty: float | None
    comment: str
    flagged: bool


def read_answer(form: Mapping[str, str], taxonomy: Taxonomy) -> Answer:
    """The label part, the same in both phases.

    Raises:
        FormError: no label, an unknown one, the same one twice, a number off its scale, or a comment that is too
            long; where numbers alone are asked, none of them.
    """
    # Words that are typed leave the radio button of "cannot tell" a field of its own.
    cannot_tell = CANNOT_TELL in (form.get("label"), form.get("cannot_tell"))
    chosen = _labels(form, taxonomy, cannot_tell=cannot_tell) if taxonomy.asks_labels else []
    numbers = _numbers(form, taxonomy)
    if not (taxonomy.asks_labels or numbers or cannot_tell):
        raise FormError('Give a number, or choose "cannot tell".')
    if cannot_tell and numbers:
        raise FormError('"Cannot tell" stands alone: take the numbers away, or choose another answer.')
    return Answer(
        labels=tuple(LabelScore(label=name) for name in chosen),
        dimensions=Dimensions.of(numbers),
        heads=_heads(form, taxonomy),
        cannot_tell=cannot_tell,
        certainty=_certainty(form.get("certainty", "")),
        comment=_comment(form.get("comment", "")),
        flagged=form.get("flag", "") == "1",
    )


def _labels(form: Mapping[str, str], taxonomy: Taxonomy, *, cannot_tell: bool) -> list[str]:
    label, second = form.get("label", "").strip(), form.get("second", "").strip()
    given = [name for name in (label, second) if name and name != CANNOT_TELL]
    if cannot_tell and given:
        raise FormError('A second label needs a first one: "cannot tell" stands alone.')
    if not (cannot_tell or label):
        raise FormError('Choose a label, or "cannot tell".')
    # Typed words are put into the form that they are counted in; a class must be one of the set.
    chosen = [taxonomy.match(name) if taxonomy.kind == "open" else name for name in given]
    known = [name for name in chosen if name is not None and taxonomy.has(name)]
    if len(known) < len(given):
        one = "a word or two for an emotion" if taxonomy.kind == "open" else "one of the set"
        raise FormError(f"This label is not {one}: choose again.")
    if len(set(known)) != len(known):
        raise FormError("The second label is the same as the first: choose another or none.")
    return known


def _numbers(form: Mapping[str, str], taxonomy: Taxonomy) -> dict[str, float]:
    """The numbers given, by dimension."""
    found = {}
    for name, scale in taxonomy.dimensions.items():
        text = form.get(dimension_field(name), "").strip().replace(",", ".")
        if not text:
            continue
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not scale.low <= value <= scale.high:
            raise FormError(f"{name.capitalize()} is a number from {scale.low:g} to {scale.high:g}.")
        found[name] = value
    return found


def _heads(form: Mapping[str, str], taxonomy: Taxonomy) -> dict[str, str]:
    """The answers to the further questions; one may stay open."""
    said = {name: form.get(head_field(name), "") for name in taxonomy.heads}
    if any(label and label not in taxonomy.heads[name].labels for name, label in said.items()):
        raise FormError("This answer is not one of the set: choose again.")
    return {name: label for name, label in said.items() if label}


def read_marks(form: Mapping[str, str], consensus: Consensus) -> tuple[ClaimMark, ...]:
    """The marks on the claims of the consensus that was shown; a claim may be left unmarked.

    Raises:
        FormError: a mark that does not exist.
    """
    marks = []
    for n, merged in enumerate(consensus.evidence):
        mark = form.get(mark_field(n), "")
        if not mark:
            continue
        known = next((name for name in get_args(Mark) if name == mark), None)
        if known is None:
            raise FormError("This mark does not exist: choose again.")
        marks.append(ClaimMark(evidence_id=merged.evidence.id, mark=known))
    return tuple(marks)


def read_name(form: Mapping[str, str]) -> str:
    """A reviewer's name.

    Raises:
        FormError: not a name as the settings want it.
    """
    try:
        return _NAME.validate_python(form.get("reviewer", "").strip())
    except ValidationError as error:
        raise FormError(
            "A name has 1 to 64 letters, digits, dots, dashes or underscores, and starts with a letter or digit."
        ) from error


def form_id(keyring: Keyring, sample_id: str, phase: Phase, form: Mapping[str, str] | None = None) -> str:
    """A signed note of what was served and when; it comes back with the form.

    A `form` that is shown once more, with what was wrong, keeps its own: the time goes on.
    """
    if form is not None and _served(keyring, form, sample_id, phase):
        return form["form"]
    return keyring.sign("form", f"{phase}:{sample_id}:{time.time():.3f}:{secrets.token_urlsafe(6)}")


def seconds_since_served(keyring: Keyring, form: Mapping[str, str], sample_id: str, phase: Phase) -> float:
    """Seconds between the page and its form.

    Raises:
        FormError: the form was not served by us for this item and phase.
    """
    parts = _served(keyring, form, sample_id, phase)
    if not parts:
        raise FormError("This form does not belong to this item: open the item again.")
    return round(max(0.0, time.time() - float(parts[2])), 1)


def _served(keyring: Keyring, form: Mapping[str, str], sample_id: str, phase: Phase) -> list[str]:
    """The parts of the form's signed note; empty when we did not serve it for this item and phase."""
    text = keyring.verify("form", form.get("form", ""))
    parts = text.split(":") if text is not None else []
    return parts if parts[:2] == [phase, sample_id] else []


def _certainty(text: str) -> float | None:
    if not text:
        return None
    if text not in dict(CERTAINTIES):
        raise FormError("This certainty does not exist: choose again.")
    return float(text)


def _comment(text: str) -> str:
    comment = _CONTROL.sub("", text.replace("\r\n", "\n")).strip()
    if len(comment) > MAX_COMMENT_CHARS:
        raise FormError(f"The comment is longer than {MAX_COMMENT_CHARS} characters: shorten it.")
    return comment
