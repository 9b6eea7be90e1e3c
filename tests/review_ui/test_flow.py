"""The way of a reviewer through the queue, without JavaScript."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.parts import Target
from schemas.record import Record
from schemas.records import Consensus, Decision, Review, Sample
from tests.review_ui.conftest import Browser
from tests.review_ui.project import Item, Project, set_live


def label(browser: Browser, sample_id: str, **answer: str) -> Any:
    path = f"/item/{sample_id}"
    return browser.submit(path, {**browser.fields(path), "label": "joy", **answer})


def check(browser: Browser, sample_id: str, **answer: str) -> Any:
    path = f"/item/{sample_id}/reveal"
    return browser.submit(path, {**browser.fields(path), "label": "joy", "mark-0": "supported", **answer})


def test_the_name_is_asked_once_and_must_be_a_name(visitor: Browser) -> None:
    assert visitor.get("/next").headers["location"] == "/start"
    assert 'name="reviewer" value=""' in visitor.get("/start").text  # two people must not share a proposal
    refused = visitor.start("two words")
    assert refused.status_code == 400
    assert "A name has" in refused.text
    assert "two words" in refused.text
    assert visitor.start("ann").headers["location"] == "/next"
    assert visitor.get("/").headers["location"] == "/next"


def test_items_come_by_priority_and_accepted_ones_never(browser: Browser, project: Project) -> None:
    seen, place = [], ""
    for _ in range(4):
        path = browser.get(f"/next{place}").headers["location"]
        seen.append(path.removeprefix("/item/"))
        skipped = browser.submit(f"{path}/skip", browser.fields(path))
        place = skipped.headers["location"].removeprefix("/next")
    waiting = [item.sample.id for item in project.waiting]
    assert seen == [*waiting, waiting[0]]  # skipping goes round; nothing is lost
    assert project.store.all(Review) == []
    accepted = project.accepted.sample.id
    assert browser.get(f"/item/{accepted}").status_code == 404
    assert browser.get(f"/media/{accepted}").status_code == 404


def test_blind_then_revealed_are_two_records(browser: Browser, project: Project) -> None:
    item = project.waiting[0]
    answer = label(
        browser, item.sample.id, second="surprise", certainty="0.75", comment=" smile\r\nlate ", flag="1"
    )
    assert answer.headers["location"] == f"/item/{item.sample.id}/reveal?note=saved"
    after = check(browser, item.sample.id, label="fear", **{"mark-0": "supported", "mark-1": "cannot_tell"})
    assert after.headers["location"] == f"/next?after={item.sample.id}&note=saved"
    blind, revealed = project.store.all(Review)
    assert (blind.phase, [s.label for s in blind.labels]) == ("blind", ["joy", "surprise"])
    assert (blind.certainty, blind.comment, blind.flagged) == (0.75, "smile\nlate", True)
    assert (blind.segment_id, blind.target) == (item.sample.segment_id, item.sample.target)
    assert (blind.reviewer, blind.taxonomy) == ("ann", "ekman7")
    assert blind.seconds is not None
    assert (revealed.phase, [s.label for s in revealed.labels]) == ("revealed", ["fear"])
    assert (revealed.blind_review_id, revealed.consensus_id) == (blind.id, item.consensus.id)
    assert [(m.evidence_id, m.mark) for m in revealed.marks] == [("e1", "supported"), ("e2", "cannot_tell")]
    assert (
        browser.get(after.headers["location"])
        .headers["location"]
        .startswith(f"/item/{project.waiting[1].sample.id}")
    )


def test_the_revealed_page_shows_what_the_models_said(browser: Browser, project: Project) -> None:
    sample_id = project.waiting[0].sample.id
    label(browser, sample_id)
    text = browser.get(f"/item/{sample_id}/reveal").text
    assert "canary conflict" in text
    assert "73 %" in text
    assert "canary reason" in text
    assert "A judge who was not told the label read these reasons as: canary &lt;script&gt;" in text
    assert f'href="/media/{sample_id}#t=0.2,0.7" data-start="0.2" data-end="0.7"' in text
    assert "The signal contradicts this." in text
    assert "measured 0.91 intensity, needs &gt;= 0.3" in text
    assert "measured 0.2977 canary/s, needs &gt;= 0.3" in text
    assert 'value="joy" required checked' in text  # one's own label stands until it is changed


def test_cannot_tell_is_stored_without_a_label(browser: Browser, project: Project) -> None:
    label(browser, project.waiting[0].sample.id, label="?")
    (blind,) = project.store.all(Review)
    assert (blind.labels, blind.cannot_tell) == ((), True)
    text = browser.get(f"/item/{project.waiting[0].sample.id}/reveal").text
    assert 'value="?" checked' in text


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"label": ""}, "Choose a label"),
        ({"label": "bliss"}, "not one of the set"),
        ({"label": "joy", "second": "joy"}, "same as the first"),
        ({"label": "?", "second": "joy"}, "stands alone"),
        ({"certainty": "nan"}, "certainty does not exist"),
        ({"comment": "x" * 4001}, "longer than 4000"),
        ({"form": "blind:x:1:y.0"}, "does not belong"),
    ],
)
def test_a_wrong_form_says_why_and_keeps_what_was_written(
    browser: Browser, project: Project, answer: dict[str, str], message: str
) -> None:
    response = label(browser, project.waiting[0].sample.id, **{"comment": "my note", **answer})
    assert response.status_code == 400
    assert message in response.text
    assert answer.get("comment", "my note") in response.text
    assert project.store.all(Review) == []


def test_a_wrong_mark_is_refused(browser: Browser, project: Project) -> None:
    label(browser, project.waiting[0].sample.id)
    assert check(browser, project.waiting[0].sample.id, **{"mark-0": "maybe"}).status_code == 400
    assert len(project.store.all(Review)) == 1


def test_sent_twice_is_stored_once(browser: Browser, project: Project) -> None:
    path = f"/item/{project.waiting[0].sample.id}"
    form = {**browser.fields(path), "label": "joy"}
    first, second = browser.submit(path, form), browser.submit(path, form)
    assert first.headers["location"] == second.headers["location"]
    assert browser.get(path).headers["location"] == f"{path}/reveal"  # no way back to a second blind label
    again = {**browser.fields(f"{path}/reveal"), "label": "joy", "mark-0": "supported"}
    browser.submit(f"{path}/reveal", again)
    browser.submit(f"{path}/reveal", again)
    assert [(r.phase, r.labels[0].label) for r in project.store.all(Review)] == [
        ("blind", "joy"),
        ("revealed", "joy"),
    ]
    assert browser.get(f"{path}/reveal").headers["location"].startswith("/next")


def test_a_form_of_another_item_is_refused(browser: Browser, project: Project) -> None:
    one, two = (f"/item/{item.sample.id}" for item in project.waiting[:2])
    assert browser.submit(two, {**browser.fields(one), "label": "joy"}).status_code == 400
    assert project.store.all(Review) == []


def test_everything_done_says_so_and_counts(browser: Browser, project: Project) -> None:
    for n, item in enumerate(project.waiting):
        assert f"{n} done, {3 - n} left" in browser.get(f"/item/{item.sample.id}").text
        label(browser, item.sample.id)
        assert f"{n} done, {3 - n} left" in browser.get(f"/item/{item.sample.id}/reveal").text
        check(browser, item.sample.id)
    done = browser.get("/next")
    assert done.status_code == 200
    assert "Nothing is left for you" in done.text
    assert f"emotrace run --project {project.path}" in done.text
    browser.become("bob")  # another reviewer has his own queue
    assert browser.get("/next").headers["location"] == f"/item/{project.waiting[0].sample.id}"


def test_without_a_clip_one_can_still_label(browser: Browser, project: Project) -> None:
    item = project.waiting[2]
    page = browser.get(f"/item/{item.sample.id}").text
    assert f"run: <code>emotrace run --project {project.path}</code>" in page
    assert "<video" not in page
    missing = browser.get(f"/media/{item.sample.id}")
    assert missing.status_code == 404
    assert "emotrace run" in missing.text
    assert label(browser, item.sample.id).status_code == 303


def test_sound_only_gets_a_sound_player(browser: Browser, project: Project) -> None:
    page = browser.get(f"/item/{project.waiting[1].sample.id}").text
    assert "<audio" in page
    assert "<video" not in page
    assert "visual: no video stream" in page


def test_a_new_run_in_between_loses_no_work(browser: Browser, project: Project) -> None:
    """The sample is composed anew, and the decision leaves the queue, while the form is open."""
    item = project.waiting[0]
    path = f"/item/{item.sample.id}"
    form = {**browser.fields(path), "label": "joy"}
    newer = Sample.model_validate({**item.sample.model_dump(), "view_version": "2"})
    set_live(project, sample=[newer, *(other.sample for other in project.items[1:])])
    reveal = browser.submit(path, form).headers["location"]
    assert reveal == f"/item/{newer.id}/reveal?note=saved"
    decided = Decision.model_validate({**item.decision.model_dump(), "version": "2", "status": "reviewed"})
    set_live(project, sample=[newer], decision=[decided])
    assert browser.get("/next").headers["location"] == f"/item/{newer.id}"
    assert check(browser, newer.id).status_code == 303
    assert [review.phase for review in project.store.all(Review)] == ["blind", "revealed"]


def renamed(item: Item, target: Target) -> dict[str, list[Record]]:
    """The records of an item after its target got another name, for `set_live`."""
    sample = Sample.model_validate({**item.sample.model_dump(), "target": target})
    consensus = Consensus.model_validate(
        {**item.consensus.model_dump(), "target": target, "sample_id": sample.id}
    )
    decision = Decision.model_validate(
        {**item.decision.model_dump(), "target": target, "consensus_id": consensus.id}
    )
    return {"sample": [sample], "consensus": [consensus], "decision": [decision]}


@pytest.mark.parametrize("target", [Target(), Target(speaker="named later"), Target(face_track="f1")])
def test_a_target_that_is_named_anew_orphans_no_review(
    browser: Browser, project: Project, target: Target
) -> None:
    item = project.waiting[0]
    label(browser, item.sample.id)
    form = {**browser.fields(f"/item/{item.sample.id}/reveal"), "label": "joy", "unmarked": "1"}
    now = renamed(item, target)
    set_live(project, **now)
    newer = now["sample"][0].id
    assert browser.get(f"/item/{newer}").headers["location"] == f"/item/{newer}/reveal"
    # The page that is still open can be saved; after that the item is done, under whatever name.
    assert browser.submit(f"/item/{item.sample.id}/reveal", form).status_code == 303
    assert "Nothing is left for you" in browser.get("/next").text
    assert [review.phase for review in project.store.all(Review)] == ["blind", "revealed"]
    browser.become("bob")  # a blind page again for whoever has not labelled it
    assert "canary" not in browser.get(f"/item/{newer}").text


def test_unknown_items_and_foreign_consensus_are_not_found(browser: Browser, project: Project) -> None:
    assert browser.get("/item/smp_000000000000000000000000").status_code == 404
    assert browser.get("/nowhere").status_code == 404
    one, two = project.waiting[:2]
    label(browser, one.sample.id)
    assert check(browser, one.sample.id, consensus=two.consensus.id).status_code == 404
    assert check(browser, one.sample.id, consensus=one.sample.id).status_code == 404
