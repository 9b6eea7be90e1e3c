"""Not one byte of model output leaves the server before the blind label is stored."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from fastapi.routing import APIRoute

from review_ui.pages import HERE
from review_ui.routes import items, media, start
from tests.review_ui.conftest import Browser
from tests.review_ui.project import CANARY, Item, Project

MODULES = (start, items, media)


def routes() -> Iterator[tuple[str, str]]:
    for module in MODULES:
        for route in module.router.routes:
            assert isinstance(route, APIRoute)
            for method in sorted(route.methods or ()):
                yield method, route.path


def secrets_of(item: Item) -> list[str]:
    """Ids of what the models said. The numbers and texts of all items are the same: see `leaks`."""
    return [
        item.consensus.id,
        item.decision.id,
        item.annotation.id,
        item.consensus.digest,
        item.annotation.digest,
    ]


def leaks(response: Any, project: Project) -> list[str]:
    """What of the models' output stands in a response: headers and body, as bytes."""
    sent = response.content + b"\n".join(name + b": " + value for name, value in response.headers.raw)
    wanted = [CANARY, "0.7319", "0.2681", "0.4638", "73 %", "needs_review", "priority"]
    wanted += [secret for item in project.items for secret in secrets_of(item)]
    return [text for text in wanted if text.lower().encode() in sent.lower()]


def every_answer(browser: Browser, item: Item, reviewer: str = "ann") -> Iterator[tuple[str, Any]]:
    """Each route with each of its methods, asked about one item in every way that a browser could."""
    for method, template in routes():
        path = template.replace("{sample_id}", item.sample.id)
        assert "{" not in path, f"{template}: this test does not know how to ask for it"
        if method == "GET":
            for query in ("", "?note=saved", f"?after={item.sample.id}", f"?after={item.consensus.id}"):
                yield f"GET {path}{query}", browser.get(path + query)
            yield f"GET {path} range", browser.get(path, headers={"range": "bytes=0-99"})
        else:
            csrf = browser.fields("/start")["csrf"]
            incomplete = {"csrf": csrf, "reviewer": reviewer, "consensus": item.consensus.id}
            yield f"{method} {path}", browser.submit(path, incomplete)
            yield f"{method} {path} without csrf", browser.submit(path, {"label": "joy"})
    for file in (HERE / "static").iterdir():
        yield file.name, browser.get(f"/static/{file.name}")
    for odd in (
        "/docs",
        "/openapi.json",
        "/item",
        f"/item/{item.consensus.id}",
        f"/media/{item.decision.id}/x",
    ):
        yield odd, browser.get(odd)


def test_nothing_of_a_model_before_the_blind_label(browser: Browser, project: Project) -> None:
    asked = 0
    for item in project.items:
        for name, response in every_answer(browser, item):
            assert leaks(response, project) == [], name
            asked += 1
    assert asked > 4 * len(list(routes()))


def test_the_scan_finds_model_output_where_it_is(browser: Browser, project: Project) -> None:
    sample_id = project.waiting[0].sample.id
    browser.submit(f"/item/{sample_id}", {**browser.fields(f"/item/{sample_id}"), "label": "joy"})
    found = leaks(browser.get(f"/item/{sample_id}/reveal"), project)
    assert {CANARY, "0.7319", "73 %", project.waiting[0].consensus.id} <= set(found)


def test_one_label_reveals_one_item_to_one_reviewer(browser: Browser, project: Project) -> None:
    first, second = project.waiting[:2]
    browser.submit(f"/item/{first.sample.id}", {**browser.fields(f"/item/{first.sample.id}"), "label": "joy"})
    for name, response in every_answer(browser, second):
        shown = response.headers.get("location", "")
        assert leaks(response, project) == [], f"{name} {shown}"
    browser.become("bob")
    for name, response in every_answer(browser, first, "bob"):
        assert leaks(response, project) == [], name


def test_the_form_is_the_same_whatever_the_models_said(browser: Browser, project: Project) -> None:
    """Ids and signatures aside, the form of one item is the form of every other."""
    one, two = project.waiting[0], project.waiting[2]
    pages = [browser.get(f"/item/{item.sample.id}").text for item in (one, two)]
    forms = [page.partition("<form")[2].partition("</form>")[0] for page in pages]
    neutral = [re.sub(r"smp_\w+|value=\"[^\"]*\.[0-9a-f]{64}\"", "", form) for form in forms]
    assert neutral[0] == neutral[1]
