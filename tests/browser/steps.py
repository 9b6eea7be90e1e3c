"""What a reviewer does in a page, and what is asked of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.records import Review
from tests.review_ui.project import Project

if TYPE_CHECKING:
    from playwright import sync_api as playwright


def start(page: playwright.Page, reviewer: str) -> None:
    page.get_by_label("Your name").fill(reviewer)
    page.get_by_role("button", name="Start").click()
    page.wait_for_url("**/item/*")


def label_by_keys(page: playwright.Page) -> None:
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    page.wait_for_url("**/reveal*")


def reviews_of(project: Project, reviewer: str) -> list[Review]:
    return [review for review in project.store.all(Review) if review.reviewer == reviewer]


def clip_value(page: playwright.Page, name: str) -> float:
    return float(page.evaluate(f"Number(document.querySelector('#clip').{name})"))


def wait_for_clip(page: playwright.Page, condition: str) -> None:
    """Asks again and again: the page's policy stops Playwright's own waiting, which evaluates text."""
    for _ in range(1000):
        if page.evaluate(
            f"(() => {{ const clip = document.querySelector('#clip'); return {condition}; }})()"
        ):
            return
        page.wait_for_timeout(20)
    raise AssertionError(f"never came true: {condition}")
