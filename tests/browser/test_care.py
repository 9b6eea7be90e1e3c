"""What the page does for somebody in a hurry, with two windows, on a telephone, or coming from elsewhere."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from tests.browser.steps import clip_value, label_by_keys, reviews_of, start, wait_for_clip
from tests.review_ui.project import Project

pytestmark = pytest.mark.browser
if TYPE_CHECKING:
    from playwright import sync_api as playwright
else:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")


def marks(page: playwright.Page) -> list[str]:
    """The mark on each claim, "" for none."""
    found = page.evaluate(
        "[...document.querySelectorAll('[data-claim]')].map("
        "(claim) => claim.querySelector('[data-mark]:checked')?.value ?? '')"
    )
    return list(found)


def framed(page: playwright.Page) -> int:
    """The place of the framed claim, -1 for none."""
    claims = "[...document.querySelectorAll('[data-claim]')]"
    return int(page.evaluate(f"{claims}.findIndex((claim) => claim.hasAttribute('aria-current'))"))


@pytest.fixture
def other_site(address: str) -> Iterator[str]:
    """A page of another site that links to the printed address."""

    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(f'<link rel="icon" href="data:,"><a href="{address}">label</a>'.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://localhost:{server.server_port}/"
    server.shutdown()
    server.server_close()


def test_a_link_on_another_site_opens_the_page(
    chromium: playwright.Browser, address: str, other_site: str
) -> None:
    context = chromium.new_context()
    page = context.new_page()
    page.goto(other_site)
    page.get_by_role("link", name="label").click()
    page.wait_for_url("**/start")
    playwright.expect(page.get_by_label("Your name")).to_be_visible()
    assert "token" not in page.url
    context.close()


def test_a_flag_survives_the_reveal(page: playwright.Page, reviewer: str, project: Project) -> None:
    start(page, reviewer)
    page.keyboard.press("f")
    page.get_by_label("Comment").fill("wrong person")
    page.get_by_role("heading", name="What do you see").click()
    label_by_keys(page)
    assert page.locator("[name=flag]").is_checked()
    assert page.get_by_label("Comment").input_value() == "wrong person"
    page.keyboard.press("y")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(project.waiting[1].sample.id))
    assert [review.flagged for review in reviews_of(project, reviewer)] == [True, True]


def test_two_enters_do_not_skip_the_claims(page: playwright.Page, reviewer: str, project: Project) -> None:
    start(page, reviewer)
    label_by_keys(page)
    page.keyboard.press("Enter")
    playwright.expect(page.get_by_role("alert")).to_contain_text("You marked no claim")
    page.wait_for_load_state()  # the keys are there
    assert len(reviews_of(project, reviewer)) == 1
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(project.waiting[1].sample.id))
    assert len(reviews_of(project, reviewer)) == 2


def test_a_second_window_is_told(page: playwright.Page, reviewer: str, project: Project) -> None:
    start(page, reviewer)
    second = page.context.new_page()
    second.goto(page.url)
    label_by_keys(page)
    second.keyboard.press("4")
    second.keyboard.press("Enter")
    second.wait_for_url("**/reveal*")
    playwright.expect(second.locator(".notice")).to_contain_text("that answer stands")
    assert "Saved." not in second.locator("main").inner_text()
    assert len(reviews_of(project, reviewer)) == 1


def test_saved_is_said_in_passing(page: playwright.Page, reviewer: str) -> None:
    start(page, reviewer)
    label_by_keys(page)
    playwright.expect(page.get_by_role("status")).to_have_text("Saved.")
    playwright.expect(page.get_by_role("status")).to_have_text("", timeout=15_000)


def test_mark_keys_mean_the_claim_that_is_framed_or_focused(page: playwright.Page, reviewer: str) -> None:
    start(page, reviewer)
    label_by_keys(page)
    assert framed(page) == 0
    page.keyboard.press("y")
    assert (marks(page), framed(page)) == (["supported", ""], 1)
    page.locator("[name=mark-0]").first.focus()
    assert framed(page) == 0
    page.keyboard.press("n")  # on the focused one, although it is marked: it was chosen
    assert (marks(page), framed(page)) == (["contradicted", ""], 1)
    page.keyboard.press("u")
    assert (marks(page), framed(page)) == (["contradicted", "cannot_tell"], -1)
    page.keyboard.press("y")  # one key too many
    assert marks(page) == ["contradicted", "cannot_tell"]
    playwright.expect(page.get_by_role("status")).to_contain_text("All claims are marked")
    page.keyboard.press("k")
    assert framed(page) == 1
    page.keyboard.press("k")
    page.keyboard.press("y")
    assert (marks(page), framed(page)) == (["supported", "cannot_tell"], -1)
    page.keyboard.press("j")
    assert framed(page) == 0


def test_a_draft_survives_a_reload_until_it_is_saved(
    page: playwright.Page, reviewer: str, project: Project
) -> None:
    start(page, reviewer)
    blind = page.url
    page.keyboard.press("2")
    page.locator("#second").select_option("sadness")
    page.get_by_label("Comment").fill("still writing")
    page.reload()
    assert page.get_by_role("radio", name="joy").is_checked()
    assert page.locator("#second").input_value() == "sadness"
    assert page.get_by_label("Comment").input_value() == "still writing"
    page.get_by_role("heading", name="What do you see").click()
    page.keyboard.press("Enter")
    page.wait_for_url("**/reveal*")
    page.keyboard.press("n")
    page.reload()
    assert marks(page) == ["contradicted", ""]
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(project.waiting[1].sample.id))
    assert page.evaluate("Object.keys(sessionStorage).length") == 0
    assert page.url != blind
    assert page.get_by_label("Comment").input_value() == ""


def test_a_field_is_left_by_esc_and_saved_by_ctrl_enter(page: playwright.Page, reviewer: str) -> None:
    start(page, reviewer)
    page.keyboard.press("c")
    page.keyboard.type("two lines")
    page.keyboard.press("Escape")
    page.keyboard.press("1")
    assert page.get_by_role("radio", name="neutral").is_checked()
    page.keyboard.press("c")
    page.keyboard.press("Control+Enter")
    page.wait_for_url("**/reveal*")
    assert "two lines" in page.get_by_label("Comment").input_value()


def test_speed_and_loop(page: playwright.Page, reviewer: str) -> None:
    start(page, reviewer)
    label_by_keys(page)
    wait_for_clip(page, "clip.readyState >= 3")
    page.keyboard.press("<")
    page.keyboard.press("<")
    assert clip_value(page, "playbackRate") == 0.5
    for _ in range(9):
        page.keyboard.press(">")
    assert clip_value(page, "playbackRate") == 2
    page.keyboard.press("l")
    page.keyboard.press("p")  # 0.2 s to 0.7 s, and again
    wait_for_clip(page, "clip.currentTime > 0.6")
    wait_for_clip(page, "clip.currentTime < 0.5 && !clip.paused")
    page.keyboard.press("l")
    wait_for_clip(page, "clip.paused")
    assert 0.7 <= clip_value(page, "currentTime") < 1.3


def test_on_a_telephone_the_picture_stays_in_sight(page: playwright.Page, reviewer: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    start(page, reviewer)
    label_by_keys(page)
    page.locator("[data-claim]").last.scroll_into_view_if_needed()
    page.keyboard.press("j")
    page.keyboard.press("p")
    box = page.locator("#clip").bounding_box()
    claim = page.locator("[data-claim]").last.bounding_box()
    assert box is not None
    assert claim is not None
    assert 0 <= box["y"] < 844 - box["height"]
    assert claim["y"] + claim["height"] > box["y"] + box["height"]  # not hidden behind the picture
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0
