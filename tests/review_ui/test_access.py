"""Who gets in, what a form must carry, and what every response says to the browser."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from review_ui.app import create_app
from review_ui.auth import SECURITY_HEADERS, Keyring, Session
from schemas.records import Review
from tests.review_ui.conftest import ORIGIN, TOKEN, Browser
from tests.review_ui.project import Project


def paths(project: Project) -> list[str]:
    sample_id = project.waiting[0].sample.id
    return ["/", "/start", "/next", f"/item/{sample_id}", f"/item/{sample_id}/reveal", f"/media/{sample_id}",
            "/static/review.js", "/nowhere"]  # fmt: skip


def test_nothing_without_the_token(stranger: Browser, project: Project) -> None:
    for path in paths(project):
        answer = stranger.get(path)
        assert answer.status_code == 403, path
        assert "No access" in answer.text
        assert stranger.submit(path, {}).status_code == 403
    assert stranger.get("/?token=wrong").status_code == 403
    assert stranger.get("/?token=").status_code == 403
    assert stranger.get("/?token=%ff%fe").status_code == 403
    assert "set-cookie" not in stranger.get("/?token=wrong").headers


def test_the_token_leaves_the_address(stranger: Browser) -> None:
    answer = stranger.get(f"/next?token={TOKEN}&note=saved")
    assert (answer.status_code, answer.headers["location"]) == (303, "/next?note=saved")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert TOKEN not in cookie
    elsewhere = stranger.get(f"{ORIGIN}//evil.example?token={TOKEN}")
    assert elsewhere.headers["location"] == "/evil.example"  # not "//evil.example", which is another host


def test_a_cookie_is_of_one_token_and_cannot_be_written(project: Project, visitor: Browser) -> None:
    keyring = Keyring(TOKEN)
    good = visitor.cookies[keyring.cookie_name]
    for forged in (
        good[:-1] + ("0" if good[-1] != "0" else "1"),
        good.replace(":", ":admin", 1),
        "x",
        "é",
        "",
    ):
        visitor.cookies.clear()
        assert (
            visitor.get("/start", headers={b"cookie": f"{keyring.cookie_name}={forged}".encode()}).status_code
            == 403
        )
    other = create_app(project.path, token="another token")
    with TestClient(other, base_url=ORIGIN) as client:
        name = Keyring("another token").cookie_name
        assert client.get("/start", headers={"cookie": f"{name}={good}"}).status_code == 403
    other.state.desk.store.close()
    assert keyring.read_session(keyring.sign("form", "s:ann")) is None  # a signature is good for one purpose
    assert keyring.read_session(keyring.sign("session", "s:ann")) == Session("s", "ann")


def test_a_server_without_a_token_does_not_start(project: Project) -> None:
    with pytest.raises(ValueError, match="needs a token"):
        create_app(project.path, token="")


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8765", "127.0.0.1.evil.example", "10.0.0.1", "[", ""]
)
def test_foreign_hosts_are_refused(visitor: Browser, host: str) -> None:
    answer = visitor.get(f"/start?token={TOKEN}", headers={"host": host})
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("host", ["localhost:9", "127.0.0.1", "[::1]:8765"])
def test_loopback_hosts_are_served(visitor: Browser, host: str) -> None:
    assert visitor.get(f"/start?token={TOKEN}", headers={"host": host}).status_code == 303


def test_a_server_for_others_answers_to_its_own_names_only(project: Project) -> None:
    file = project.path / "emotrace.toml"
    served = '[review]\nhost = "0.0.0.0"\nnames = ["review.example", "10.0.0.5"]\n'
    file.write_text(file.read_text() + served, encoding="utf-8")
    app = create_app(project.path, token=TOKEN)
    # What listens on all addresses is still read by DNS rebinding, if it answers to every name.
    for host, status in (
        ("review.example", 303),
        ("REVIEW.example:8765", 303),
        ("10.0.0.5", 303),
        ("127.0.0.1", 303),
        ("evil.example", 403),
        ("10.0.0.6", 403),
        ("0.0.0.0", 403),
    ):
        with TestClient(app, base_url="http://review.example:80", follow_redirects=False) as client:
            assert client.get(f"/start?token={TOKEN}", headers={"host": host}).status_code == status, host
    app.state.desk.store.close()


def test_a_form_needs_the_csrf_token_and_the_origin(browser: Browser, project: Project) -> None:
    path = f"/item/{project.waiting[0].sample.id}"
    form = {**browser.fields(path), "label": "joy"}
    foreign_csrf = Keyring(TOKEN).csrf(Session("another session"))
    for csrf in ("", "x", foreign_csrf):
        for post in (path, f"{path}/skip", f"{path}/reveal", "/start"):
            assert browser.submit(post, {**form, "csrf": csrf}).status_code == 403, post
    for origin in ("https://evil.example", "null", "http://127.0.0.1:9999"):
        assert browser.submit(path, form, origin=origin).status_code == 403
    assert browser.post(path, data=form).status_code == 403  # no origin at all
    assert project.store.all(Review) == []
    assert browser.submit(path, form).status_code == 303


def test_a_form_is_bounded(browser: Browser, project: Project) -> None:
    path = f"/item/{project.waiting[0].sample.id}"
    assert browser.submit(path, {"comment": "x" * 300_000}).status_code == 413
    chunked = browser.post(path, content=iter([b"label=joy"]), headers={"origin": ORIGIN})
    assert chunked.status_code == 411


def test_every_response_carries_the_headers(browser: Browser, stranger: Browser, project: Project) -> None:
    for path in [*paths(project), "/?token=wrong"]:
        headers = browser.get(path).headers
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'self';"), path
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"


def test_one_address_serves_the_pages_and_no_other(browser: Browser, project: Project) -> None:
    """No page points anywhere else, and none holds inline script or style, which the policy would stop."""
    sample_id = project.waiting[0].sample.id
    browser.submit(f"/item/{sample_id}", {**browser.fields(f"/item/{sample_id}"), "label": "joy"})
    for path in ("/start", f"/item/{project.waiting[1].sample.id}", f"/item/{sample_id}/reveal"):
        text = browser.get(path).text
        assert "http://" not in text
        assert "https://" not in text
        assert 'src="//' not in text
        assert "<style" not in text
        assert ' style="' not in text
        assert text.count("<script") == text.count('<script type="module" src="/static/')


def test_untrusted_text_is_text(browser: Browser, project: Project) -> None:
    sample_id = project.waiting[0].sample.id
    blind = browser.get(f"/item/{sample_id}").text
    browser.submit(
        f"/item/{sample_id}", {**browser.fields(f"/item/{sample_id}"), "label": "joy", "comment": "<b>"}
    )
    wrong = browser.submit(f"/item/{sample_id}/reveal", {
        **browser.fields(f"/item/{sample_id}/reveal"), "comment": "</textarea><script>1</script>"})  # fmt: skip
    assert wrong.status_code == 400
    for text in (blind, browser.get(f"/item/{sample_id}/reveal").text, wrong.text):
        for tag in ("<img", "<svg", "<script>", 'onerror="', 'href="javascript'):
            assert tag not in text
        assert "&lt;" in text


def test_a_clip_comes_whole_or_in_ranges(browser: Browser, project: Project) -> None:
    path = f"/media/{project.waiting[0].sample.id}"
    whole = browser.get(path)
    assert (whole.status_code, whole.headers["content-type"]) == (200, "video/mp4")
    assert whole.headers["accept-ranges"] == "bytes"
    size = len(whole.content)
    assert whole.content[4:8] == b"ftyp"
    part = browser.get(path, headers={"range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, whole.content[100:200])
    assert part.headers["content-range"] == f"bytes 100-199/{size}"
    assert browser.get(path, headers={"range": "bytes=-10"}).content == whole.content[-10:]
    assert (
        browser.get(path, headers={"range": f"bytes={size - 5}-{size + 500}"}).content == whole.content[-5:]
    )
    assert browser.get(path, headers={"range": f"bytes={size}-"}).status_code == 416
    many = browser.get(path, headers={"range": "bytes=0-1,5-6,9-10"})
    assert many.content == whole.content or many.status_code in (400, 416)


@pytest.mark.parametrize(
    "name", ["..%2f..%2femotrace.db", "%2e%2e/emotrace.db", "../emotrace.toml", "clip.mp4"]
)
def test_a_path_is_never_a_file(browser: Browser, name: str) -> None:
    for start in ("/media/", "/static/", "/item/"):
        assert browser.get(start + name).status_code == 404


def test_the_server_stays_light() -> None:
    """The review page runs where no model and no media library is needed."""
    code = (
        "import sys, review_ui.app\n"
        "heavy = ['prefect', 'av', 'openai', 'google.genai', 'pipeline.live', 'pipeline.cli', 'torch']\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_program_says_a_wrong_project_in_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "review_ui", "--project", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("no emotrace.toml in")
    assert done.stderr.count("\n") == 1


def test_a_defect_of_ours_also_answers_with_the_security_headers(project: Project) -> None:
    app = create_app(project.path, token=TOKEN)
    with Browser(app, base_url=ORIGIN, raise_server_exceptions=False, follow_redirects=False) as browser:
        browser.get(f"/?token={TOKEN}")
        browser.start()
        for clip in project.path.rglob("clip.mp4"):
            clip.unlink()
            clip.mkdir()
        answer = browser.get(f"/media/{project.waiting[0].sample.id}")
    app.state.desk.store.close()
    assert (answer.status_code, "clip.mp4" in answer.text) == (500, False)
    assert {name: answer.headers.get(name) for name in SECURITY_HEADERS} == SECURITY_HEADERS
