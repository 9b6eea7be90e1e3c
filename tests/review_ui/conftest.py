from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from review_ui.app import create_app
from tests.review_ui.project import Project, make_project

TOKEN = "a-token-for-tests"
ORIGIN = "http://127.0.0.1:8765"


class Browser(TestClient):
    """An ASGI client that fills in forms as a browser without JavaScript would."""

    def fields(self, path: str) -> dict[str, str]:
        """The hidden fields of a page's first form."""
        page = self.get(path)
        assert page.status_code == 200, page.text
        form = page.text.partition("<form")[2].partition("</form>")[0]
        return dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form))

    def submit(self, path: str, data: dict[str, str], **headers: str) -> Any:
        return self.post(path, data=data, headers={"origin": ORIGIN, **headers})

    def start(self, name: str = "ann") -> Any:
        return self.submit("/start", {**self.fields("/start"), "reviewer": name})

    def become(self, name: str) -> None:
        """Go on as another person in a browser of their own."""
        self.cookies.clear()
        self.get(f"/?token={TOKEN}")
        self.start(name)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    made = make_project(tmp_path / "project")
    yield made
    made.store.close()


@pytest.fixture
def stranger(project: Project) -> Iterator[Browser]:
    """A browser that has not shown the token."""
    app = create_app(project.path, token=TOKEN)
    with Browser(app, base_url=ORIGIN, follow_redirects=False) as browser:
        yield browser
    app.state.desk.store.close()


@pytest.fixture
def visitor(stranger: Browser) -> Browser:
    """A browser with a session, whose person has not given a name."""
    stranger.get(f"/?token={TOKEN}")
    return stranger


@pytest.fixture
def browser(visitor: Browser) -> Browser:
    """A browser of the reviewer "ann"."""
    visitor.start()
    return visitor
