"""Posted forms: what a person said, checked, and how long it took."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from pydantic import TypeAdapter, ValidationError

from review_ui.auth import Keyring
from review_ui.queue import Phase
from review_ui.views import mark_field
from schemas.parts import ClaimMark, LabelScore
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
    cannot_tell: bool
    certainty: float | None
    comment: str
    flagged: bool


def read_answer(form: Mapping[str, str], taxonomy: Taxonomy) -> Answer:
    """The label part, the same in both phases.

    Raises:
        FormError: no label, an unknown one, the same one twice, or a comment that is too long.
    """
    label, second = form.get("label", ""), form.get("second", "")
    if not label:
        raise FormError('Choose a label, or "cannot tell".')
    cannot_tell = label == CANNOT_TELL
    chosen = [name for name in (label, second) if name and name != CANNOT_TELL]
    if cannot_tell and second:
        raise FormError('A second label needs a first one: "cannot tell" stands alone.')
    if any(name not in taxonomy.names for name in chosen):
        raise FormError("This label is not one of the set: choose again.")
    if len(set(chosen)) != len(chosen):
        raise FormError("The second label is the same as the first: choose another or none.")
    return Answer(
        labels=tuple(LabelScore(label=name) for name in chosen),
        cannot_tell=cannot_tell,
        certainty=_certainty(form.get("certainty", "")),
        comment=_comment(form.get("comment", "")),
        flagged=form.get("flag", "") == "1",
    )


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
