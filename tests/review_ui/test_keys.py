"""Keys: one element a key on every page, printed on it."""

from __future__ import annotations

import re

from tests.review_ui.conftest import Browser
from tests.review_ui.project import Project


def test_no_key_is_taken_twice_and_each_is_printed(browser: Browser, project: Project) -> None:
    path = f"/item/{project.waiting[0].sample.id}"
    blind = browser.get(path).text
    browser.submit(path, {**browser.fields(path), "label": "joy"})
    reveal = browser.get(f"{path}/reveal").text
    for page in (blind, reveal):
        keys = re.findall(r'data-key="([^"]+)"', page)
        assert len(keys) == len(set(keys))
        assert {
            "Space",
            ",",
            ".",
            "ArrowLeft",
            "ArrowRight",
            "Enter",
            "s",
            "?",
            "1",
            "7",
            "l",
            "&lt;",
            "&gt;",
        } <= set(keys)
        printed = {text.lower() for text in re.findall(r"<kbd>([^<]+)</kbd>", page)} | {
            "arrowleft",
            "arrowright",
        }
        assert {key.lower() for key in keys} <= printed
    assert {"y", "n", "u", "p", "j", "k"} <= set(re.findall(r'data-key="([^"]+)"', reveal))
