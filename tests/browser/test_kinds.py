"""The review page where there are numbers alone, typed words, or numbers beside the labels."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.conftest import opened, served
from tests.browser.steps import reviews_of, start
from tests.review_ui.project import Project, make_project

pytestmark = pytest.mark.browser
if TYPE_CHECKING:
    from playwright import sync_api as playwright
else:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

Shown = tuple["playwright.Page", Project]


@pytest.fixture
def shown(request: pytest.FixtureRequest, chromium: playwright.Browser, tmp_path: Path) -> Iterator[Shown]:
    """The first item of a project with this taxonomy, and what is stored of it."""
    project = make_project(tmp_path / "project", request.param)
    with served(project.path) as address, opened(chromium, address) as page:
        start(page, "kim")
        yield page, project
    project.store.close()


def pictured(page: playwright.Page, name: str) -> None:
    """A picture of the page for people, where a folder is named for them."""
    if folder := os.environ.get("EMOTRACE_TEST_PICTURES"):
        page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)


@pytest.mark.parametrize("shown", ["sentiment-continuous"], indirect=True)
def test_one_number_by_keys_alone(shown: Shown) -> None:
    page, project = shown
    page.keyboard.press("1")  # into the field
    page.keyboard.type("-1.5")
    pictured(page, "sentiment-blind")
    page.keyboard.press("Enter")
    page.wait_for_url("**/reveal*")
    assert "sentiment 0.75 ± 0.10 (of 3)" in page.locator("#form").inner_text()
    field = page.get_by_label(re.compile("^Sentiment"))
    assert field.input_value() == "-1.5"  # what was said blind
    pictured(page, "sentiment-reveal")
    page.keyboard.press("y")
    field.fill("-1")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(project.waiting[1].sample.id))
    blind, revealed = reviews_of(project, "kim")
    assert (blind.labels, blind.dimensions.given) == ((), {"sentiment": -1.5})
    assert revealed.dimensions.given == {"sentiment": -1.0}


@pytest.mark.parametrize("shown", ["vad"], indirect=True)
def test_three_numbers_survive_a_reload_and_one_may_stay_open(shown: Shown) -> None:
    page, project = shown
    page.get_by_label(re.compile("^Valence")).fill("0.5")
    page.get_by_label(re.compile("^Arousal")).fill("-0.25")
    page.reload()
    assert page.get_by_label(re.compile("^Valence")).input_value() == "0.5"
    assert "-1 submissive to 1 in control" in page.locator("#form").inner_text()
    pictured(page, "vad-blind")
    page.get_by_label(re.compile("^Valence")).fill("7")
    page.get_by_role("button", name="Save and reveal").click()
    assert reviews_of(project, "kim") == []  # the browser itself keeps to the scale
    page.get_by_label(re.compile("^Valence")).fill("1")
    page.get_by_role("button", name="Save and reveal").click()
    page.wait_for_url("**/reveal*")
    pictured(page, "vad-reveal")
    (blind,) = reviews_of(project, "kim")
    assert blind.dimensions.given == {"valence": 1.0, "arousal": -0.25}


@pytest.mark.parametrize("shown", ["vad"], indirect=True)
def test_one_may_not_be_able_to_tell_a_number(shown: Shown) -> None:
    page, project = shown
    page.keyboard.press("0")
    page.keyboard.press("Enter")
    page.wait_for_url("**/reveal*")
    (blind,) = reviews_of(project, "kim")
    assert (blind.cannot_tell, blind.dimensions.given) == (True, {})


@pytest.mark.parametrize("shown", ["open"], indirect=True)
def test_words_are_typed(shown: Shown) -> None:
    page, project = shown
    page.keyboard.press("1")
    page.keyboard.type("Nostalgic!")
    page.get_by_label(re.compile("^Mixed")).fill("sad")
    pictured(page, "open-blind")
    page.keyboard.press("Enter")
    page.wait_for_url("**/reveal*")
    assert page.get_by_label(re.compile("^Most prominent")).input_value() == "nostalgic"
    pictured(page, "open-reveal")
    (blind,) = reviews_of(project, "kim")
    assert [score.label for score in blind.labels] == ["nostalgic", "sad"]


@pytest.mark.parametrize("shown", ["ekman7"], indirect=True)
def test_numbers_beside_labels_are_out_of_the_way_until_they_are_wanted(shown: Shown) -> None:
    page, project = shown
    assert not page.get_by_label(re.compile("^Valence")).is_visible()
    page.get_by_text("Numbers (may stay open)").click()
    page.get_by_label(re.compile("^Valence")).fill("0.5")
    page.get_by_role("radio", name="joy").check()
    pictured(page, "ekman7-blind")
    page.get_by_role("button", name="Save and reveal").click()
    page.wait_for_url("**/reveal*")
    (blind,) = reviews_of(project, "kim")
    assert ([score.label for score in blind.labels], blind.dimensions.given) == (["joy"], {"valence": 0.5})
