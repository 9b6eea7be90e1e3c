"""The way of one item: blind page, blind label, revealed page, marks and label, next item."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Depends
from starlette.responses import HTMLResponse, RedirectResponse, Response

from review_ui.auth import Session
from review_ui.deps import Desk, RefusedError, TheDesk, TheForm, TheReviewer, TheSession, posted_form
from review_ui.forms import (
    CANNOT_TELL,
    CERTAINTIES,
    MARKS,
    MAX_COMMENT_CHARS,
    FormError,
    form_id,
    read_answer,
    read_marks,
    seconds_since_served,
)
from review_ui.pages import page
from review_ui.queue import Entry, Phase, stored
from review_ui.views import blind_view, reveal_view
from schemas.records import Consensus, Review, Sample
from schemas.store import utc_now

router = APIRouter()
CLIP_NAME = "clip.mp4"


@router.get("/next")
def next_item(desk: TheDesk, reviewer: TheReviewer, after: str | None = None, saved: str = "") -> Response:
    """The next open item; without one, the page that says so."""
    entry = desk.queue.after(reviewer, after)
    if entry is not None:
        return _see(f"/item/{entry.sample_id}" + ("?saved=1" if saved else ""))
    return page(
        "done.html",
        project=desk.project_name,
        reviewer=reviewer,
        progress=desk.queue.progress(reviewer),
        run_command=desk.run_command,
    )


@router.get("/item/{sample_id}")
def blind_page(
    sample_id: str, desk: TheDesk, session: TheSession, reviewer: TheReviewer, saved: str = ""
) -> Response:
    entry = entry_of(desk, sample_id, reviewer)
    if desk.queue.said(entry, reviewer, "blind") is not None:
        return _see(f"/item/{entry.sample_id}/reveal")
    return _show_blind(desk, session, reviewer, entry, saved=bool(saved))


@router.post("/item/{sample_id}")
def save_blind(
    sample_id: str, desk: TheDesk, session: TheSession, reviewer: TheReviewer, form: TheForm
) -> Response:
    """Store the blind label; only then is there anything to reveal."""
    entry = entry_of(desk, sample_id, reviewer)
    try:
        seconds = seconds_since_served(desk.keyring, form, sample_id, "blind")
        answer = read_answer(form, desk.taxonomy)
    except FormError as error:
        return _show_blind(desk, session, reviewer, entry, form=form, error=str(error))
    sample = sample_of(desk, entry)
    review = Review(
        segment_id=sample.segment_id,
        target=sample.target,
        taxonomy=desk.taxonomy.name,
        reviewer=reviewer,
        phase="blind",
        at=utc_now(),
        labels=answer.labels,
        cannot_tell=answer.cannot_tell,
        certainty=answer.certainty,
        comment=answer.comment,
        flagged=answer.flagged,
        seconds=seconds,
    )
    desk.queue.store_once(entry, review)
    return _see(f"/item/{entry.sample_id}/reveal?saved=1")


@router.get("/item/{sample_id}/reveal")
def reveal_page(
    sample_id: str, desk: TheDesk, session: TheSession, reviewer: TheReviewer, saved: str = ""
) -> Response:
    entry = entry_of(desk, sample_id, reviewer)
    blind = desk.queue.said(entry, reviewer, "blind")
    if blind is None:
        return _see(f"/item/{entry.sample_id}")
    if desk.queue.said(entry, reviewer, "revealed") is not None:
        return _see(f"/next?after={entry.sample_id}")
    consensus = _consensus(desk, entry, entry.consensus_id)
    return _show_reveal(desk, session, reviewer, entry, blind, consensus, saved=bool(saved))


@router.post("/item/{sample_id}/reveal")
def save_revealed(
    sample_id: str, desk: TheDesk, session: TheSession, reviewer: TheReviewer, form: TheForm
) -> Response:
    """Store what the person says after seeing the claims; a changed label is anchoring drift."""
    entry = entry_of(desk, sample_id, reviewer)
    blind = desk.queue.said(entry, reviewer, "blind")
    if blind is None:
        return _see(f"/item/{entry.sample_id}")
    # A new run may have made a newer consensus since; the marks belong to the one that was shown.
    consensus = _consensus(desk, entry, form.get("consensus", ""))
    try:
        seconds = seconds_since_served(desk.keyring, form, sample_id, "revealed")
        answer = read_answer(form, desk.taxonomy)
        marks = read_marks(form, consensus)
    except FormError as error:
        return _show_reveal(desk, session, reviewer, entry, blind, consensus, form=form, error=str(error))
    review = Review(
        segment_id=blind.segment_id,
        target=blind.target,
        taxonomy=desk.taxonomy.name,
        reviewer=reviewer,
        phase="revealed",
        at=utc_now(),
        labels=answer.labels,
        cannot_tell=answer.cannot_tell,
        certainty=answer.certainty,
        marks=marks,
        comment=answer.comment,
        flagged=answer.flagged,
        seconds=seconds,
        blind_review_id=blind.id,
        consensus_id=consensus.id,
    )
    desk.queue.store_once(entry, review)
    return _see(f"/next?after={entry.sample_id}&saved=1")


@router.post("/item/{sample_id}/skip", dependencies=[Depends(posted_form)])
def skip(sample_id: str, desk: TheDesk, reviewer: TheReviewer) -> Response:
    """On to the next item; nothing is stored, the item stays open."""
    return _see(f"/next?after={entry_of(desk, sample_id, reviewer).sample_id}")


def _see(path: str) -> RedirectResponse:
    return RedirectResponse(path, 303)


def entry_of(desk: Desk, sample_id: str, reviewer: str) -> Entry:
    """The item, if it waits for a person or this reviewer began it."""
    entry = desk.queue.find(sample_id)
    if entry is None or not (entry.needs_review or desk.queue.said(entry, reviewer, "blind")):
        raise RefusedError(404, "This item is not in the review queue (any more).")
    return entry


def sample_of(desk: Desk, entry: Entry) -> Sample:
    sample = stored(desk.store, Sample, entry.sample_id)
    if sample is None:
        raise RefusedError(404, f"This item is gone from the store: run: {desk.run_command}")
    return sample


def _consensus(desk: Desk, entry: Entry, consensus_id: str) -> Consensus:
    found = stored(desk.store, Consensus, consensus_id)
    if found is None or found.segment_id != entry.segment_id:
        raise RefusedError(404, f"There is no consensus to show for this item: run: {desk.run_command}")
    return found


def _show_blind(
    desk: Desk,
    session: Session,
    reviewer: str,
    entry: Entry,
    *,
    form: Mapping[str, str] | None = None,
    error: str = "",
    saved: bool = False,
) -> HTMLResponse:
    return page(
        "item.html",
        status=400 if error else 200,
        **_common(desk, session, reviewer, entry, "blind", error=error, saved=saved),
        values=form or {},
    )


def _show_reveal(
    desk: Desk,
    session: Session,
    reviewer: str,
    entry: Entry,
    blind: Review,
    consensus: Consensus,
    *,
    form: Mapping[str, str] | None = None,
    error: str = "",
    saved: bool = False,
) -> HTMLResponse:
    said = [score.label for score in blind.labels]
    before = {"label": said[0] if said else CANNOT_TELL, "second": said[1] if len(said) > 1 else ""}
    return page(
        "reveal.html",
        status=400 if error else 200,
        **_common(desk, session, reviewer, entry, "revealed", error=error, saved=saved),
        values=form or before,
        blind_labels=said,
        reveal=reveal_view(consensus),
        marks=MARKS,
    )


def _common(
    desk: Desk, session: Session, reviewer: str, entry: Entry, phase: Phase, *, error: str, saved: bool
) -> dict[str, Any]:
    """What both pages need. Nothing here may come from a model: the blind page gets all of it."""
    sample = sample_of(desk, entry)
    has_clip = sample.clip is not None and desk.artifacts.has(sample.clip.key, CLIP_NAME)
    return {
        "project": desk.project_name,
        "reviewer": reviewer,
        "progress": desk.queue.progress(reviewer),
        "run_command": desk.run_command,
        "item": blind_view(sample, has_clip=has_clip),
        "labels": desk.taxonomy.names,
        "certainties": CERTAINTIES,
        "cannot_tell": CANNOT_TELL,
        "max_comment_chars": MAX_COMMENT_CHARS,
        "csrf": desk.keyring.csrf(session),
        "form_id": form_id(desk.keyring, entry.sample_id, phase),
        "error": error,
        "saved": saved,
    }
