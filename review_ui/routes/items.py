"""The way of one item: blind page, blind label, revealed page, marks and label, next item."""

from __future__ import annotations

from fastapi import APIRouter, Depends
from starlette.responses import RedirectResponse, Response

from review_ui.deps import Desk, RefusedError, TheDesk, TheForm, TheReviewer, TheSession, posted_form
from review_ui.forms import FormError, read_answer, read_marks, seconds_since_served
from review_ui.pages import page
from review_ui.queue import Entry, Kept, Person, stored
from review_ui.showing import Note, Shown, said_of, save_failed, show_blind, show_reveal
from schemas.errors import UserError
from schemas.records import Consensus, Review, Sample
from schemas.store import utc_now

router = APIRouter()


@router.get("/next")
def next_item(desk: TheDesk, reviewer: TheReviewer, after: str | None = None, note: str = "") -> Response:
    """The next open item; without one, the page that says so."""
    entry = desk.queue.after(reviewer, after)
    if entry is not None:
        return _see(f"/item/{entry.sample_id}", note)
    return page(
        "done.html",
        project=desk.project_name,
        reviewer=reviewer.name,
        progress=desk.queue.progress(reviewer),
        run_command=desk.run_command,
        note=said_of(note),
    )


@router.get("/item/{sample_id}")
def blind_page(
    sample_id: str, desk: TheDesk, session: TheSession, reviewer: TheReviewer, note: str = ""
) -> Response:
    entry = entry_of(desk, sample_id, reviewer)
    if desk.queue.said(entry, reviewer.name, "blind") is not None:
        return _see(f"/item/{entry.sample_id}/reveal")
    check_unseen(desk, entry, reviewer)
    return show_blind(Shown(desk, session, reviewer, entry, sample_of(desk, entry), note=note))


@router.post("/item/{sample_id}")
def save_blind(
    sample_id: str, desk: TheDesk, session: TheSession, reviewer: TheReviewer, form: TheForm
) -> Response:
    """Store the blind label; only then is there anything to reveal."""
    entry = entry_of(desk, sample_id, reviewer)
    check_unseen(desk, entry, reviewer)
    sample = sample_of(desk, entry)
    shown = Shown(desk, session, reviewer, entry, sample, form=form)
    try:
        seconds = seconds_since_served(desk.keyring, form, sample_id, "blind")
        answer = read_answer(form, desk.taxonomy)
    except FormError as error:
        return show_blind(shown.failed(str(error)))
    review = Review(
        segment_id=sample.segment_id,
        target=sample.target,
        taxonomy=desk.taxonomy.name,
        reviewer=reviewer.name,
        phase="blind",
        at=utc_now(),
        labels=answer.labels,
        dimensions=answer.dimensions,
        heads=answer.heads,
        cannot_tell=answer.cannot_tell,
        certainty=answer.certainty,
        comment=answer.comment,
        flagged=answer.flagged,
        seconds=seconds,
    )
    try:
        kept = desk.queue.store_once(entry, review, form["form"])
    except UserError as error:
        return show_blind(save_failed(shown, error))
    return _see(f"/item/{entry.sample_id}/reveal", _note(kept, "labelled"))


@router.get("/item/{sample_id}/reveal")
def reveal_page(
    sample_id: str, desk: TheDesk, session: TheSession, reviewer: TheReviewer, note: str = ""
) -> Response:
    entry = entry_of(desk, sample_id, reviewer)
    blind = desk.queue.said(entry, reviewer.name, "blind")
    if blind is None:
        return _see(f"/item/{entry.sample_id}")
    if desk.queue.said(entry, reviewer.name, "revealed") is not None:
        return _see(f"/next?after={entry.sample_id}", "checked" if note == "labelled" else "")
    shown = Shown(desk, session, reviewer, entry, sample_of(desk, entry), note=note)
    return show_reveal(shown, blind, _consensus(desk, entry, entry.consensus_id))


@router.post("/item/{sample_id}/reveal")
def save_revealed(
    sample_id: str, desk: TheDesk, session: TheSession, reviewer: TheReviewer, form: TheForm
) -> Response:
    """Store what the person says after seeing the claims; a changed label is anchoring drift."""
    entry = entry_of(desk, sample_id, reviewer)
    blind = desk.queue.said(entry, reviewer.name, "blind")
    if blind is None:
        return _see(f"/item/{entry.sample_id}")
    # A new run may have made a newer consensus since; the marks belong to the one that was shown.
    consensus = _consensus(desk, entry, form.get("consensus", ""))
    shown = Shown(desk, session, reviewer, entry, sample_of(desk, entry), form=form)
    try:
        seconds = seconds_since_served(desk.keyring, form, sample_id, "revealed")
        answer = read_answer(form, desk.taxonomy)
        marks = read_marks(form, consensus)
    except FormError as error:
        return show_reveal(shown.failed(str(error)), blind, consensus)
    if consensus.evidence and not marks and form.get("unmarked") != "1":
        return show_reveal(shown, blind, consensus, ask_for_marks=True)
    review = Review(
        segment_id=blind.segment_id,
        target=blind.target,
        taxonomy=desk.taxonomy.name,
        reviewer=reviewer.name,
        phase="revealed",
        at=utc_now(),
        labels=answer.labels,
        dimensions=answer.dimensions,
        heads=answer.heads,
        cannot_tell=answer.cannot_tell,
        certainty=answer.certainty,
        marks=marks,
        comment=answer.comment,
        flagged=answer.flagged,
        # Only who saw the flag and took it away has withdrawn it.
        flag_withdrawn=blind.flagged and not answer.flagged and form.get("flag_shown") == "1",
        seconds=seconds,
        blind_review_id=blind.id,
        consensus_id=consensus.id,
    )
    try:
        kept = desk.queue.store_once(entry, review, form["form"])
    except UserError as error:
        return show_reveal(save_failed(shown, error), blind, consensus)
    return _see(f"/next?after={entry.sample_id}", _note(kept, "checked"))


@router.post("/item/{sample_id}/skip", dependencies=[Depends(posted_form)])
def skip(sample_id: str, desk: TheDesk, reviewer: TheReviewer) -> Response:
    """On to the next item; nothing is stored, the item stays open."""
    return _see(f"/next?after={entry_of(desk, sample_id, reviewer).sample_id}")


def _see(path: str, note: str = "") -> RedirectResponse:
    joint = "&" if "?" in path else "?"
    return RedirectResponse(path + (f"{joint}note={note}" if said_of(note).text else ""), 303)


def _note(kept: Kept, otherwise: Note) -> Note:
    """What the next page says of a save; `otherwise` when another answer stood already."""
    return otherwise if kept.how == "stands" else "saved"


def entry_of(desk: Desk, sample_id: str, reviewer: Person) -> Entry:
    """The item, if it waits for a person or this reviewer began it."""
    return check_entry(desk, desk.queue.find(sample_id), reviewer)


def check_entry(desk: Desk, entry: Entry | None, reviewer: Person) -> Entry:
    """Refuses what this reviewer may not see, or nobody any more."""
    if entry is None or not (entry.needs_review or desk.queue.said(entry, reviewer.name, "blind")):
        raise RefusedError(404, "This item is not in the review queue (any more).")
    if desk.queue.is_withdrawn(entry):
        raise RefusedError(404, "This clip was withdrawn: it is not shown any more.")
    return entry


def check_unseen(desk: Desk, entry: Entry, reviewer: Person) -> None:
    """Refuses a blind page to whom this browser may have shown the claims, under another name."""
    if desk.queue.was_seen(entry, reviewer):
        raise RefusedError(
            409,
            "What the models say about this clip was open in this browser under another name, so a label given "
            "here would not be blind. Go on with the next item, or open the printed address in a browser of "
            "your own.",
        )


def sample_of(desk: Desk, entry: Entry) -> Sample:
    sample = stored(desk.store, Sample, entry.sample_id)
    if sample is None:
        raise RefusedError(404, f"This item is gone from the store: run: {desk.run_command}")
    return sample


def _consensus(desk: Desk, entry: Entry, consensus_id: str) -> Consensus:
    found = stored(desk.store, Consensus, consensus_id)
    if found is None or not desk.queue.is_about(entry, found.segment_id, found.target.key):
        raise RefusedError(404, f"There is no consensus to show for this item: run: {desk.run_command}")
    return found
