"""A reviewer's first minute on a project that waits for people: check_review.py PROJECT.

From the address that `emotrace review` prints over the start page to the first item, and its recording played
from the middle, as a browser asks for it.
"""

from __future__ import annotations

import io
import json
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookiejar import CookieJar

import av
from calls import EMOTRACE

PATIENCE_S = 60
MIDDLE = (1000, 1999)


class Browser:
    def __init__(self, address: str) -> None:
        self.home, _, self.token = address.partition("/?")
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))

    def open(
        self, path: str, form: dict[str, str] | None = None, **headers: str
    ) -> tuple[int, str, dict[str, str], bytes]:
        """(status, path after redirections, headers, body)."""
        data = None if form is None else urllib.parse.urlencode(form).encode()
        request = urllib.request.Request(self.home + path, data, {"Origin": self.home, **headers})
        with self._opener.open(request, timeout=PATIENCE_S) as answer:
            told = {name.lower(): value for name, value in answer.headers.items()}
            return answer.status, urllib.parse.urlsplit(answer.url).path, told, answer.read()


@contextmanager
def review(project: str) -> Iterator[tuple[Browser, int]]:
    """The page being served, and how many items wait."""
    command = [EMOTRACE, "review", "--project", project, "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            told = json.loads(process.stdout.readline())
            yield Browser(told["url"]), told["waiting"]
        finally:
            process.send_signal(signal.SIGINT)
            status = process.wait(PATIENCE_S)
    assert status == 130, f"Ctrl-C ends the page with status {status}"


def until_up(browser: Browser) -> bytes:
    """The first page, as soon as it is served."""
    end_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            return browser.open(f"/?{browser.token}")[3]
        except (urllib.error.URLError, ConnectionError):
            if time.monotonic() > end_s:
                raise
            time.sleep(0.1)


def main(project: str) -> None:
    with review(project) as (browser, waiting):
        assert waiting > 0, "nothing waits for a person"
        start = until_up(browser).decode()
        (csrf,) = re.findall(r'name="csrf" value="([^"]+)"', start)
        status, place, _, page = browser.open("/start", {"csrf": csrf, "reviewer": "ann"})
        assert (status, place.split("/")[1]) == (200, "item"), f"the first item was expected, not {place}"
        clips = re.findall(r'<(?:video|audio) id="clip" src="(/media/[^"]+)"', page.decode())
        assert len(clips) == 1, f"the page of the first item has no recording: {place}"
        play(browser, clips[0])
    print(f"the review page holds: {waiting} wait, and the first one plays")


def play(browser: Browser, clip: str) -> None:
    status, _, headers, whole = browser.open(clip)
    assert status == 200
    assert headers["content-type"] in ("video/mp4", "audio/mp4"), headers["content-type"]
    with av.open(io.BytesIO(whole)) as recording:
        assert next(recording.decode(recording.streams[0])) is not None
    first, last = MIDDLE
    status, _, headers, part = browser.open(clip, Range=f"bytes={first}-{last}")
    assert (status, headers["content-range"]) == (206, f"bytes {first}-{last}/{len(whole)}")
    assert part == whole[first : last + 1]


if __name__ == "__main__":
    main(sys.argv[1])
