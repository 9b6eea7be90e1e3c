"""A reviewer's way through the pages in a real Chromium, against the real server."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.browser.steps import clip_value, label_by_keys, reviews_of, start, wait_for_clip
from tests.review_ui.project import Project

pytestmark = pytest.mark.browser
if TYPE_CHECKING:
    from playwright import sync_api as playwright
else:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")


def test_two_items_by_keys_alone(page: playwright.Page, reviewer: str, project: Project) -> None:
    assert "token" not in page.url
    start(page, reviewer)
    page.keyboard.press("2")
    assert page.get_by_role("radio", name="joy").is_checked()
    page.keyboard.press("Enter")
    page.wait_for_url("**/reveal*")
    playwright.expect(page.get_by_role("status")).to_have_text("Saved.")
    page.keyboard.press("y")
    page.keyboard.press("n")
    page.keyboard.press("6")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(f"/item/{project.waiting[1].sample.id}"))
    blind, revealed = reviews_of(project, reviewer)
    assert [score.label for score in blind.labels] == ["joy"]
    assert [score.label for score in revealed.labels] == ["fear"]
    assert [mark.mark for mark in revealed.marks] == ["supported", "contradicted"]
    assert revealed.seconds is not None
    page.keyboard.press("s")
    page.wait_for_url(re.compile(f"/item/{project.waiting[2].sample.id}"))
    assert len(reviews_of(project, reviewer)) == 2


def test_the_clip_plays_and_obeys_the_keys(page: playwright.Page, reviewer: str) -> None:
    start(page, reviewer)
    wait_for_clip(page, "clip.readyState >= 3")
    assert clip_value(page, "videoWidth") == 320
    assert clip_value(page, "duration") == pytest.approx(2.0, abs=0.1)
    page.keyboard.press("Space")
    wait_for_clip(page, "clip.currentTime > 0.2")
    page.keyboard.press("Space")
    wait_for_clip(page, "clip.paused")
    page.evaluate("document.querySelector('#clip').currentTime = 0.5")
    wait_for_clip(page, "!clip.seeking")
    for key, by in ((".", 0.04), ("ArrowRight", 1.0), (",", -0.04), ("ArrowLeft", -1.0)):
        before = clip_value(page, "currentTime")
        page.keyboard.press(key)
        wait_for_clip(page, "!clip.seeking")
        assert clip_value(page, "currentTime") - before == pytest.approx(by, abs=1e-3)
    page.locator("#clip").hover()
    page.locator("#clip").focus()  # the browser's own player would seek and play a second time
    before = clip_value(page, "currentTime")
    page.keyboard.press("ArrowRight")
    wait_for_clip(page, "!clip.seeking")
    assert clip_value(page, "currentTime") - before == pytest.approx(1.0, abs=1e-3)
    assert page.locator("#target-box").is_visible()


def test_a_claim_plays_its_span_and_stops(page: playwright.Page, reviewer: str) -> None:
    start(page, reviewer)
    label_by_keys(page)
    wait_for_clip(page, "clip.readyState >= 3")
    page.keyboard.press("u")  # the first claim is marked, the second becomes the framed one
    page.keyboard.press("p")
    wait_for_clip(page, "!clip.paused && clip.currentTime >= 0.9")
    wait_for_clip(page, "clip.paused")
    assert 1.4 <= clip_value(page, "currentTime") < 1.8
    assert "signal supports" in page.locator("details[open]").inner_text()


def test_text_fields_keep_their_keys(page: playwright.Page, reviewer: str) -> None:
    start(page, reviewer)
    page.get_by_label("Comment").fill("")
    page.get_by_label("Comment").press_sequentially("s 1?")
    assert page.get_by_label("Comment").input_value() == "s 1?"
    assert page.get_by_role("radio", name="neutral").is_checked() is False
    assert page.get_by_role("dialog").count() == 0
    page.get_by_role("heading", name="What do you see").click()
    page.keyboard.press("?")
    shown = page.get_by_role("dialog").inner_text()
    for text in ("Play / pause", "neutral", "Save and reveal", "Skip for now", "Comment"):
        assert text in shown
    page.keyboard.press("2")  # keys rest while the help is open
    page.keyboard.press("Escape")
    assert page.get_by_role("radio", name="joy").is_checked() is False


def test_enter_without_a_label_stores_nothing(page: playwright.Page, reviewer: str, project: Project) -> None:
    start(page, reviewer)
    page.keyboard.press("Enter")
    assert page.evaluate("document.querySelector('#form').checkValidity()") is False
    assert reviews_of(project, reviewer) == []


def test_text_of_models_never_runs(page: playwright.Page, reviewer: str) -> None:
    start(page, reviewer)
    label_by_keys(page)
    assert "<img src=x onerror=" in page.locator(".steps").inner_text()
    assert "XSS" not in page.title()


def test_zoomed_to_200_percent_nothing_is_cut_off(page: playwright.Page, reviewer: str) -> None:
    start(page, reviewer)
    for suffix in ("", "/reveal"):
        if suffix:
            label_by_keys(page)
        page.set_viewport_size({"width": 640, "height": 400})  # 1280 x 800 at 200 %
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0
        page.set_viewport_size({"width": 1280, "height": 800})


def test_all_of_it_works_without_javascript(
    chromium: playwright.Browser, address: str, project: Project, reviewer: str
) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    page.get_by_label("Your name").fill(reviewer)
    page.get_by_role("button", name="Start").click()
    page.get_by_role("radio", name="joy").check()
    page.get_by_role("button", name="Save and reveal").click()
    page.get_by_role("radio", name="contradicted").first.check()
    page.get_by_role("button", name="Save and next").click()
    page.get_by_role("button", name="Skip").click()
    assert page.url.endswith(project.waiting[2].sample.id)
    assert [review.phase for review in reviews_of(project, reviewer)] == ["blind", "revealed"]
    context.close()
