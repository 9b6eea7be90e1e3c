"""A Prefect server of one's own, named by PREFECT_API_URL: used when it answers, told in one line when not."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.media_io.make import make_sound, tone
from tests.pipeline.project import clean_environment, done_well, emotrace, write_settings

pytestmark = [pytest.mark.flow, pytest.mark.slow]

START_S = 120
SETTINGS = """
[project]
name = "served"
[segment]
rule = "whole"
[select]
require = "any"
[features.au]
enabled = false
"""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def asked(url: str, body: dict[str, Any] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.loads(answer.read())


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """The API address of a real Prefect server in a process of its own."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/api"
    process = subprocess.Popen(
        [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)],
        env=clean_environment(PREFECT_HOME=str(tmp_path / "home"), PREFECT_SERVER_ANALYTICS_ENABLED="false"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(START_S * 5):
            try:
                asked(f"{url}/health")
                break
            except (OSError, urllib.error.URLError):
                assert process.poll() is None
                time.sleep(0.2)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=30)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    project = write_settings(tmp_path / "project", SETTINGS)
    recordings = tmp_path / "recordings"
    recordings.mkdir()
    make_sound(recordings / "first.wav", tone(1.0, from_s=0.2))
    done_well(emotrace("ingest", recordings, "--project", project, "--json"))
    return project


def test_a_server_of_ones_own_sees_the_run(project: Path, server: str, tmp_path: Path) -> None:
    at = {"PREFECT_API_URL": server, "PREFECT_HOME": str(tmp_path / "client")}
    ran = done_well(emotrace("run", "--project", project, "--json", **at))
    assert ran["segments"] == 1
    runs = asked(f"{server}/flow_runs/filter", {})
    assert [(run["name"], run["state_type"]) for run in runs] == [("served", "COMPLETED")]
    tasks = {run["name"]: run["state"] for run in asked(f"{server}/task_runs/filter", {})}
    assert {f"{stage} 1 of 1" for stage in ("segment", "asr", "prosody", "annotate", "decide")} <= set(tasks)
    assert tasks["asr 1 of 1"]["message"].startswith("1 items, 0 failed, ")
    assert tasks["asr 1 of 1"]["message"].endswith("/s")
    assert asked(f"{server}/health") is True  # it is not ours to end


def test_what_failed_stands_on_prefects_page(project: Path, server: str, tmp_path: Path) -> None:
    at = {"PREFECT_API_URL": server, "PREFECT_HOME": str(tmp_path / "client")}
    (tmp_path / "recordings" / "first.wav").unlink()
    ran = emotrace("run", "--project", project, "--json", **at)
    assert ran.status == 1
    assert ran.json["this_run"]["stages"]["segment"]["failed"] == 1
    ended = {run["name"]: run["state"] for run in asked(f"{server}/task_runs/filter", {})}
    states = [(state["name"], state["message"][:16]) for state in ended.values()]
    assert ("Some failed", "1 items, 1 faile") in states


def test_a_server_that_does_not_answer_is_one_line(project: Path, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}/api"
    at = {"PREFECT_API_URL": url, "PREFECT_HOME": str(tmp_path / "client")}
    done = emotrace("run", "--project", project, "--json", **at)
    assert (done.status, done.stderr) == (2, "")
    error = done.json["error"]
    assert error["code"] == "prefect_unreachable"
    assert url in error["message"]
    assert error["remedy"].endswith(f"emotrace run --project {project} --local")
    assert done_well(emotrace("run", "--project", project, "--local", "--json"))["segments"] == 1
