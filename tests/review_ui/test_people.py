"""Several windows, several names, flags, and what a rater reads when something goes wrong."""

from __future__ import annotations

import re
import sqlite3
import time
from pathlib import Path

import pytest

from pipeline.policy import decide
from review_ui.app import create_app
from schemas.errors import UserError
from schemas.records import Review
from schemas.settings import PolicySection
from schemas.settings_file import load_settings
from schemas.taxonomy import load_taxonomy
from tests.review_ui.conftest import ORIGIN, TOKEN, Browser
from tests.review_ui.project import Project
from tests.review_ui.test_flow import check, label

STANDS = "that answer stands"


def shown_after(browser: Browser, answer: object) -> str:
    """The page at the end of the redirects that follow a form."""
    page = answer
    while page.status_code == 303:  # type: ignore[attr-defined]
        page = browser.get(page.headers["location"])  # type: ignore[attr-defined]
    return str(page.text)  # type: ignore[attr-defined]


# --- flags -----------------------------------------------------------------------------------------


def test_a_flag_and_a_comment_go_along_to_the_reveal(browser: Browser, project: Project) -> None:
    item = project.waiting[0]
    label(browser, item.sample.id, flag="1", comment="wrong person")
    page = browser.get(f"/item/{item.sample.id}/reveal").text
    assert re.search(r'name="flag" value="1" checked', page)
    assert ">wrong person</textarea>" in page
    check(browser, item.sample.id)  # a form without the tick and without having shown it
    blind, revealed = project.store.all(Review)
    assert (blind.flagged, revealed.flagged, revealed.flag_withdrawn) == (True, False, True)


@pytest.mark.parametrize(("shown", "reasons"), [("0", ("flagged",)), ("1", ())])
def test_only_who_saw_the_flag_can_take_it_back(
    browser: Browser, project: Project, shown: str, reasons: tuple[str, ...]
) -> None:
    item = project.waiting[0]
    label(browser, item.sample.id, flag="1")
    check(browser, item.sample.id, flag_shown=shown)
    decision = decide(
        item.consensus.model_copy(update={"label": "joy", "margin": 1.0}),
        project.store.all(Review),
        {},
        PolicySection(),
        taxonomy=load_taxonomy("ekman7"),
        seed=0,
    )
    assert decision.reasons[:1] == reasons


# --- two windows -----------------------------------------------------------------------------------


def test_an_answer_that_was_thrown_away_is_not_called_saved(browser: Browser, project: Project) -> None:
    path = f"/item/{project.waiting[0].sample.id}"
    one, two = browser.fields(path), browser.fields(path)
    assert "Saved." in shown_after(browser, browser.submit(path, {**one, "label": "joy"}))
    page = shown_after(browser, browser.submit(path, {**two, "label": "anger"}))
    assert STANDS in page
    assert "Saved." not in page
    changed = shown_after(browser, browser.submit(path, {**one, "label": "anger"}))  # by the back button
    assert STANDS in changed
    assert "Saved." in shown_after(browser, browser.submit(path, {**one, "label": "joy"}))  # sent twice
    assert [review.labels[0].label for review in project.store.all(Review)] == ["joy"]


def test_the_same_holds_for_the_checked_claims(browser: Browser, project: Project) -> None:
    item = project.waiting[0]
    label(browser, item.sample.id)
    path = f"/item/{item.sample.id}/reveal"
    one, two = browser.fields(path), browser.fields(path)
    answer = {"label": "joy", "mark-0": "supported"}
    assert "Saved." in shown_after(browser, browser.submit(path, {**one, **answer}))
    page = shown_after(browser, browser.submit(path, {**two, **answer, "mark-1": "contradicted"}))
    assert STANDS in page
    assert "before this one" in page  # it is the next item's page that says so
    assert len(project.store.all(Review)) == 2
    late = browser.submit(f"/item/{item.sample.id}", {**two, "label": "anger"})
    assert late.status_code == 400  # a form of the other page


def test_a_blind_label_after_all_is_done_elsewhere_is_told(browser: Browser, project: Project) -> None:
    item = project.waiting[0]
    path = f"/item/{item.sample.id}"
    late = browser.fields(path)
    label(browser, item.sample.id)
    check(browser, item.sample.id)
    assert STANDS in shown_after(browser, browser.submit(path, {**late, "label": "anger"}))


# --- names -----------------------------------------------------------------------------------------


def test_the_start_page_proposes_the_name_given_last_in_this_browser(project: Project) -> None:
    names: list[str] = []
    cookies = None
    for token, given in (("one", "ann"), ("two", "bob"), ("three", "ann")):
        app = create_app(project.path, token=token)
        with Browser(app, base_url=ORIGIN, cookies=cookies, follow_redirects=False) as browser:
            browser.get(f"/?token={token}")
            names += re.findall(r'name="reviewer" value="([^"]*)"', browser.get("/start").text)
            browser.start(given)
            cookies = browser.cookies
        app.state.desk.store.close()
    assert names == ["", "ann", "bob"]


def test_a_cookie_that_is_no_name_proposes_nothing(visitor: Browser) -> None:
    desk = visitor.app.state.desk  # type: ignore[attr-defined]
    visitor.cookies.set(desk.names_cookie, '"><script>', domain="127.0.0.1")
    assert "<script>" not in visitor.get("/start").text


def test_the_setting_proposes_a_name(project: Project) -> None:
    file = project.path / "emotrace.toml"
    file.write_text(file.read_text() + '[review]\nreviewer = "zoe"\n', encoding="utf-8")
    app = create_app(project.path, token=TOKEN)
    with Browser(app, base_url=ORIGIN, follow_redirects=False) as browser:
        browser.get(f"/?token={TOKEN}")
        assert 'name="reviewer" value="zoe"' in browser.get("/start").text
    app.state.desk.store.close()


def test_another_spelling_is_the_same_person(browser: Browser, project: Project) -> None:
    item = project.waiting[0]
    label(browser, item.sample.id)
    check(browser, item.sample.id)
    browser.become("Ann")
    assert browser.get(f"/item/{item.sample.id}").headers["location"].endswith("/reveal")
    assert browser.get("/next").headers["location"] == f"/item/{project.waiting[1].sample.id}"
    assert "1 done, 2 left" in browser.get(f"/item/{project.waiting[1].sample.id}").text


def test_what_a_browser_has_seen_is_not_labelled_blind_in_it(browser: Browser, project: Project) -> None:
    seen, other = project.waiting[0], project.waiting[1]
    path = f"/item/{seen.sample.id}"
    form = {**browser.fields(path), "label": "anger"}
    label(browser, seen.sample.id)
    browser.start("bob")
    assert browser.get("/next").headers["location"] == f"/item/{other.sample.id}"
    refused = browser.get(path)
    assert (refused.status_code, "under another name" in refused.text) == (409, True)
    assert browser.submit(path, form).status_code == 409
    assert "0 done, 2 left" in browser.get(f"/item/{other.sample.id}").text
    for item in project.waiting[1:]:
        label(browser, item.sample.id)
        check(browser, item.sample.id)
    done = browser.get("/next").text
    assert "1 more was labelled in this browser under another name" in done
    browser.start("ann")  # whoever gave the label goes on with it
    assert browser.get("/next").headers["location"] == path
    browser.become("bob")  # in a browser of his own
    assert browser.get(path).status_code == 200


# --- claims, time ----------------------------------------------------------------------------------


def test_saving_without_a_mark_asks_once(browser: Browser, project: Project) -> None:
    item = project.waiting[0]
    label(browser, item.sample.id)
    path = f"/item/{item.sample.id}/reveal"
    form = {**browser.fields(path), "label": "fear", "comment": "in a hurry"}
    asked = browser.submit(path, form)
    assert asked.status_code == 200
    assert "You marked no claim" in asked.text
    assert 'value="fear" required checked' in asked.text
    assert len(project.store.all(Review)) == 1
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', asked.text))
    assert browser.submit(path, {**form, **hidden}).status_code == 303
    assert [review.marks for review in project.store.all(Review)] == [(), ()]


def test_the_time_goes_on_when_a_form_comes_back_with_an_error(browser: Browser, project: Project) -> None:
    path = f"/item/{project.waiting[0].sample.id}"
    first = browser.fields(path)
    wrong = browser.submit(path, {**first, "label": "joy", "second": "joy"}).text
    assert f'name="form" value="{first["form"]}"' in wrong
    forged = browser.submit(path, {**first, "form": "blind:x:1:y.0", "label": "joy"}).text
    assert "blind:x:1:y.0" not in forged


# --- when something goes wrong ------------------------------------------------------------------------


@pytest.mark.parametrize("phase", ["blind", "revealed"])
def test_a_busy_store_keeps_what_was_written(browser: Browser, project: Project, phase: str) -> None:
    item = project.waiting[0]
    path = f"/item/{item.sample.id}"
    if phase == "revealed":
        label(browser, item.sample.id)
        path += "/reveal"
    form = {**browser.fields(path), "label": "joy", "comment": "precious", "mark-0": "supported"}
    before = len(project.store.all(Review))
    writer = sqlite3.connect(project.path / "emotrace.db", isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    started = time.monotonic()
    answer = browser.submit(path, form)
    waited_s = time.monotonic() - started
    writer.execute("ROLLBACK")
    writer.close()
    assert (answer.status_code, waited_s < 30) == (503, True)
    assert "Your answers are still in the form" in answer.text
    assert ">precious</textarea>" in answer.text
    assert str(project.path) not in answer.text.replace(f"run --project {project.path}", "")
    assert len(project.store.all(Review)) == before
    assert browser.submit(path, form).status_code == 303


def test_a_store_that_cannot_be_read_is_the_operators_business(
    browser: Browser, project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    browser.get("/next")
    with sqlite3.connect(project.path / "emotrace.db") as damage:
        damage.execute("ALTER TABLE records RENAME TO lost")
    answer = browser.get("/next")
    assert answer.status_code == 503
    assert "tell the person who runs this review" in answer.text
    assert "emotrace.db" not in answer.text
    assert "emotrace.db" in capsys.readouterr().err


def test_a_refusal_offers_no_link_that_is_refused(stranger: Browser, project: Project) -> None:
    for path in ("/next", "/?token=wrong", f"/media/{project.waiting[0].sample.id}"):
        assert "<a " not in stranger.get(path).text
    stranger.become("ann")
    assert '<a href="/next">' in stranger.get("/item/smp_0").text


# --- what is served under which name --------------------------------------------------------------------


def test_all_addresses_need_a_name(tmp_path: Path) -> None:
    (tmp_path / "emotrace.toml").write_text('[review]\nhost = "0.0.0.0"\n', encoding="utf-8")
    with pytest.raises(UserError, match="under which names"):
        load_settings(tmp_path)


# --- withdrawn --------------------------------------------------------------------------------------


def test_a_withdrawn_clip_is_gone_at_once(browser: Browser, project: Project) -> None:
    first, second, third = project.waiting
    path = f"/item/{first.sample.id}"
    form = {**browser.fields(path), "label": "joy"}
    label(browser, second.sample.id)  # begun by this reviewer, and yet withdrawn
    assert browser.get(f"/media/{first.sample.id}").status_code == 200
    withdrawn = [(item.source.id, "consent", "withdrawn") for item in (first, second)]
    project.store.add_facts(withdrawn)
    for item in (first, second):
        for gone in (f"/item/{item.sample.id}", f"/media/{item.sample.id}", f"/item/{item.sample.id}/reveal"):
            answer = browser.get(gone)
            assert (answer.status_code, "withdrawn" in answer.text) == (404, True), gone
    assert browser.submit(path, form).status_code == 404
    assert browser.get("/next").headers["location"] == f"/item/{third.sample.id}"
    assert "0 done, 1 left" in browser.get(f"/item/{third.sample.id}").text
    project.store.add_facts([(first.source.id, "consent", "given")])
    assert browser.get("/next").headers["location"] == path


def test_what_a_speaker_withdraws_is_gone_too(browser: Browser, project: Project) -> None:
    item = project.waiting[0]
    project.store.add_facts([(item.source.id, "speaker", "kim"), ("speaker:kim", "consent", "withdrawn")])
    assert browser.get("/next").headers["location"] == f"/item/{project.waiting[1].sample.id}"
    assert browser.get(f"/media/{item.sample.id}").status_code == 404
