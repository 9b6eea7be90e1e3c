"""The two pages of an item, as they are shown the first time, after an error, or after a save that failed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple, TypeVar, get_args

from starlette.responses import HTMLResponse

from review_ui.auth import Session
from review_ui.deps import Desk, tell_operator
from review_ui.forms import CANNOT_TELL, CERTAINTIES, MARKS, MAX_COMMENT_CHARS, form_id
from review_ui.pages import page
from review_ui.queue import Entry, Person, Phase
from review_ui.views import asked_view, blind_view, dimension_field, head_field, reveal_view
from schemas.errors import UserError
from schemas.record import Record
from schemas.records import Annotation, Consensus, Judgement, Review, Sample

R = TypeVar("R", bound=Record)
CLIP_NAME = "clip.mp4"
Note = Literal["saved", "labelled", "checked"]
SENTENCES: dict[Note, str] = {
    "saved": "Saved.",
    "labelled": "You labelled this already in another window; that answer stands.",
    "checked": "You checked the clip before this one already in another window; that answer stands.",
}
BUSY = "This could not be saved just now. Your answers are still in the form: try again in a moment."
FAILED = "This could not be saved. Your answers are still in the form: tell the person who runs this review."


@dataclass(frozen=True)
class Shown:
    """An item on its way to a page: for whom, with which form, and what to say of it."""

    desk: Desk
    session: Session
    reviewer: Person
    entry: Entry
    sample: Sample
    form: Mapping[str, str] | None = None
    note: str = ""
    error: str = ""
    status: int = 200

    def failed(self, error: str, status: int = 400) -> Shown:
        return replace(self, error=error, status=status)


class Said(NamedTuple):
    """What a page says of the save before it."""

    text: str
    saved: bool  # said in passing; anything else stays in sight


def said_of(note: str) -> Said:
    """The sentence of a note in the address; nothing for what is none."""
    return Said(next((SENTENCES[name] for name in get_args(Note) if name == note), ""), note == "saved")


def save_failed(shown: Shown, error: UserError) -> Shown:
    """The page of a form that the store did not take. What to do about it is told in the terminal."""
    if error.code == "store_locked":
        return shown.failed(BUSY, 503)
    tell_operator(error)
    return shown.failed(FAILED, 503)


def show_blind(shown: Shown) -> HTMLResponse:
    return page("item.html", status=shown.status, **_common(shown, "blind"), values=shown.form or {})


def show_reveal(
    shown: Shown, blind: Review, consensus: Consensus, *, ask_for_marks: bool = False
) -> HTMLResponse:
    """`ask_for_marks`: no claim was marked; saving once more is taken as meant."""
    said = [score.label for score in blind.labels]
    before = {
        "label": said[0] if said else CANNOT_TELL if blind.cannot_tell else "",
        "second": said[1] if len(said) > 1 else "",
        "cannot_tell": CANNOT_TELL if blind.cannot_tell else "",
        **{dimension_field(name): f"{value:g}" for name, value in blind.dimensions.given.items()},
        **{head_field(name): label for name, label in blind.heads.items()},
        "comment": blind.comment,
        "flag": "1" if blind.flagged else "",
    }
    return page(
        "reveal.html",
        status=shown.status,
        **_common(shown, "revealed"),
        values=shown.form or before,
        blind_labels=[*said, *(f"{name} {value:g}" for name, value in blind.dimensions.given.items())],
        blind_flagged=blind.flagged,
        reveal=reveal_view(
            consensus,
            _made_of(shown.desk, consensus, Annotation),
            shown.desk.taxonomy,
            _made_of(shown.desk, consensus, Judgement),
        ),
        marks=MARKS,
        ask_for_marks=ask_for_marks,
    )


def _made_of(desk: Desk, consensus: Consensus, kind: type[R]) -> list[R]:
    """The records of a kind that the consensus was made of."""
    ids = [name for name, _, _ in (part.partition(":") for part in consensus.input_digests)]
    return desk.store.by_id(kind, [name for name in ids if name.startswith(f"{kind.PREFIX}_")])


def _common(shown: Shown, phase: Phase) -> dict[str, Any]:
    """What both pages need. Nothing here may come from a model: the blind page gets all of it."""
    desk, sample = shown.desk, shown.sample
    has_clip = sample.clip is not None and desk.artifacts.has(sample.clip.key, CLIP_NAME)
    return {
        "project": desk.project_name,
        "reviewer": shown.reviewer.name,
        "progress": desk.queue.progress(shown.reviewer),
        "run_command": desk.run_command,
        "item": blind_view(sample, has_clip=has_clip),
        "asked": asked_view(desk.taxonomy),
        "certainties": CERTAINTIES,
        "cannot_tell": CANNOT_TELL,
        "max_comment_chars": MAX_COMMENT_CHARS,
        "csrf": desk.keyring.csrf(shown.session),
        "form_id": form_id(desk.keyring, shown.entry.sample_id, phase, shown.form),
        "error": shown.error,
        "note": said_of(shown.note),
    }
