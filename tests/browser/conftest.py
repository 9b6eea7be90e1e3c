"""A real Chromium, the real server, and what a reviewer does in them."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.review_ui.project import Project, make_project

if TYPE_CHECKING:
    from playwright import sync_api as playwright
else:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def chromium() -> Iterator[playwright.Browser]:
    if not CHROMIUM.exists():
        pytest.skip(f"no browser: install chromium ({CHROMIUM})")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """One project for all tests: each of them is another reviewer, who has a queue of his own."""
    made = make_project(tmp_path_factory.mktemp("review") / "project")
    yield made
    made.store.close()


@pytest.fixture(scope="module")
def address(project: Project) -> Iterator[str]:
    """The address that the server prints, token and all."""
    with served(project.path) as found:
        yield found


@contextlib.contextmanager
def served(path: Path) -> Iterator[str]:
    """The review page of a project, by a server of its own."""
    command = [sys.executable, "-m", "review_ui", "--project", str(path), "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        yield server.stdout.readline().strip()
    finally:
        server.terminate()
        server.wait(timeout=20)
        server.stdout.close()


class Watch:
    """What a page must never do: complain, or ask another host."""

    def __init__(self, page: playwright.Page, address: str) -> None:
        host = address.partition("/?")[0]
        self.complaints: list[str] = []
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda message: self._said(message))
        page.on("request", lambda request: self._asked(request.url, host))

    def _said(self, message: playwright.ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def _asked(self, url: str, host: str) -> None:
        if not url.startswith((host, "data:", "blob:")):
            self.complaints.append(f"asked {url}")


@pytest.fixture
def page(chromium: playwright.Browser, address: str) -> Iterator[playwright.Page]:
    with opened(chromium, address) as found:
        yield found


@contextlib.contextmanager
def opened(chromium: playwright.Browser, address: str) -> Iterator[playwright.Page]:
    """A page at this address; what it complains of is a failure."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    watch = Watch(page, address)
    page.goto(address)
    yield page
    context.close()
    assert watch.complaints == []


@pytest.fixture
def reviewer(request: pytest.FixtureRequest) -> str:
    return str(request.node.name)
