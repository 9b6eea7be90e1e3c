"""The worker boundary with real child processes, run by uv, that crash, hang, chatter and refuse to start."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pipeline.features.au_mediapipe import SCRIPT
from pipeline.features.host import Host, hosted
from pipeline.features.worker import build_environment, environment_is_built, run_worker
from schemas.errors import UserError

pytestmark = pytest.mark.worker

HEADER = """\
# /// script
# requires-python = ">=3.11,<3.13"
# dependencies = []
# ///
import json, os, sys, time
def send(**message):
    print(json.dumps(message), flush=True)
clips = json.load(open(sys.argv[1]))
"""
OBEDIENT = """
send(type="ready")
for clip in clips:
    send(type="start", id=clip["id"])
    if clip.get("do"):
        exec(clip["do"])
    send(type="done", id=clip["id"], pid=os.getpid())
"""


def script(folder: Path, body: str = OBEDIENT) -> Path:
    path = folder / "worker.py"
    path.write_text(HEADER + textwrap.dedent(body), encoding="utf-8")
    return path


def clips(*actions: str) -> list[dict[str, Any]]:
    return [{"id": f"c{number}", "do": action} for number, action in enumerate(actions)]


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended but was not reaped yet (a zombie) does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def gone(pid: int) -> bool:
    deadline = time.monotonic() + 20
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not alive(pid)


def test_one_process_does_a_shard_and_every_message_is_told(tmp_path: Path) -> None:
    told: list[dict[str, Any]] = []
    chatter = "print('noise'); print('[1]'); send(type='progress', id='c1'); send(type='done', id='other')"
    results = list(run_worker(script(tmp_path), clips("", chatter, ""), on_message=told.append))
    assert [(r["type"], r["id"]) for r in results] == [("done", "c0"), ("done", "c1"), ("done", "c2")]
    assert len({r["pid"] for r in results}) == 1
    kinds = [message["type"] for message in told if message["type"] != "building"]
    assert kinds == ["ready", "start", "done", "start", "progress", "done", "start", "done"]


def test_whether_an_environment_is_there_is_looked_up_without_making_it(tmp_path: Path) -> None:
    worker = script(tmp_path)
    header = worker.read_text()
    worker.write_text(header.replace("dependencies = []", 'dependencies = ["idna"]'))
    assert not environment_is_built(worker)
    assert not environment_is_built(worker)
    build_environment(worker)
    assert environment_is_built(worker)
    worker.write_text(header.replace("dependencies = []", 'dependencies = ["idna==0"]'))
    assert not environment_is_built(worker)
    with pytest.raises(UserError, match="cannot be made") as caught:
        build_environment(worker)
    assert "\n" not in str(caught.value)


def test_an_empty_shard_starts_nothing(tmp_path: Path) -> None:
    assert list(run_worker(tmp_path / "absent.py", [])) == []


def test_a_crash_costs_the_clip_in_hand_only(tmp_path: Path) -> None:
    crash = "sys.stderr.write('out of memory\\n'); sys.stderr.flush(); os.kill(os.getpid(), 9)"
    results = list(run_worker(script(tmp_path), clips("", crash, "", crash, "")))
    assert [(r["id"], r["type"]) for r in results] == [
        ("c0", "done"),
        ("c1", "error"),
        ("c2", "done"),
        ("c3", "error"),
        ("c4", "done"),
    ]
    assert results[1]["code"] == "worker_crashed"
    assert "out of memory" in results[1]["message"]


def test_after_a_crash_clips_that_shared_a_batch_go_alone(tmp_path: Path) -> None:
    together = """
    send(type="ready")
    groups = [[c] for c in clips if c.get("alone")] + [[c for c in clips if not c.get("alone")]]
    for group in groups:
        send(type="batch", ids=[clip["id"] for clip in group])
        for clip in group:
            send(type="start", id=clip["id"])
        for clip in group:
            if clip.get("do"):
                exec(clip["do"])
        for clip in group:
            send(type="done", id=clip["id"], alone=clip.get("alone", False))
    """
    results = list(run_worker(script(tmp_path, together), clips("", "os._exit(9)", "")))
    assert {r["id"]: r["type"] for r in results} == {"c0": "done", "c1": "error", "c2": "done"}
    assert [r["code"] for r in results if r["type"] == "error"] == ["worker_crashed"]
    assert all(r["alone"] for r in results if r["type"] == "done")


LOADS = """
with open(os.path.dirname(os.path.abspath(__file__)) + "/starts", "a") as file:
    file.write("x")
"""
KILL = "os.kill(os.getpid(), 9)"  # as the system does when memory runs out


@pytest.mark.parametrize(
    ("body", "told", "remedy"),
    [
        (f"send(type='ready')\n{KILL}", "status 137, probably out of memory", "a smaller model"),
        (
            f"send(type='ready')\nsend(type='loading', what='the model')\n{KILL}",
            "out of memory",
            "[run] workers",
        ),
        (
            f"send(type='ready')\nsend(type='start', id='c0')\nsend(type='loading', what='the model')\n{KILL}",
            "out of memory",
            "[run] workers",
        ),
        (KILL, "out of memory", "[run] workers"),
        ("send(type='ready')\nsys.exit(3)", "status 3", "uv run --script"),
    ],
)
def test_a_worker_that_dies_before_it_begins_a_clip_is_started_twice_and_no_more(
    tmp_path: Path, body: str, told: str, remedy: str
) -> None:
    with pytest.raises(UserError) as caught:
        list(run_worker(script(tmp_path, LOADS + body), clips(*[""] * 12)))
    assert (tmp_path / "starts").read_text(encoding="utf-8") == "xx"
    assert caught.value.code == "worker_crashed"
    assert told in str(caught.value)
    assert remedy in caught.value.remedy
    assert "\n" not in str(caught.value)


def test_a_death_between_clips_costs_none_of_them(tmp_path: Path) -> None:
    """Nor does one while a model is loaded that a later clip needs, as long as clips are done in between."""
    two = """
    send(type="ready")
    for clip in clips[:2]:
        send(type="start", id=clip["id"])
        send(type="loading", what="another model")
        send(type="progress", id=clip["id"])
        send(type="done", id=clip["id"])
    os.kill(os.getpid(), 9)
    """
    results = list(run_worker(script(tmp_path, two), clips(*[""] * 5)))
    assert [(r["id"], r["type"]) for r in results] == [(f"c{number}", "done") for number in range(5)]


def test_a_clip_that_kills_after_a_model_was_loaded_is_to_blame(tmp_path: Path) -> None:
    load = "send(type='loading', what='a model'); send(type='progress', id=clip['id']); "
    results = list(run_worker(script(tmp_path), clips(load + KILL, "", load + KILL)))
    assert [(r["id"], r["type"]) for r in results] == [("c0", "error"), ("c1", "done"), ("c2", "error")]
    assert "probably out of memory" in results[0]["message"]


def test_what_holds_for_every_clip_is_told_whatever_its_id(tmp_path: Path) -> None:
    fatal = "send(type='error', id='c0', code='full', message='m', remedy='r'); sys.exit()"
    results = run_worker(script(tmp_path), clips("", fatal))
    assert [next(results).get("remedy") for _ in range(2)] == [None, "r"]
    results.close()


def test_what_takes_long_is_told_to_the_host(tmp_path: Path) -> None:
    told: list[str] = []
    with hosted(Host(note=told.append)):
        list(run_worker(script(tmp_path, "send(type='loading', what='the model')\n" + OBEDIENT), clips("")))
    assert [text for text in told if not text.startswith("making")] == ["loading the model"]


def test_a_silent_worker_is_ended(tmp_path: Path) -> None:
    hang = f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    results = list(run_worker(script(tmp_path), clips(hang, ""), idle_timeout_s=2.0))
    assert [(r["id"], r.get("code")) for r in results] == [("c0", "worker_timeout"), ("c1", None)]
    assert gone(int((tmp_path / "pid").read_text(encoding="utf-8")))


@pytest.mark.parametrize("body", ["import no_such_module_of_ours", "sys.exit('the licence is missing')"])
def test_a_worker_that_cannot_start_is_one_user_error(tmp_path: Path, body: str) -> None:
    with pytest.raises(UserError) as caught:
        list(run_worker(script(tmp_path, body), clips("", "", "")))
    assert caught.value.code == "worker_unavailable"
    assert "\n" not in str(caught.value)
    assert "no_such_module_of_ours" in str(caught.value) or "the licence is missing" in str(caught.value)
    assert "uv run --script" in caught.value.remedy


def test_closing_early_ends_the_process(tmp_path: Path) -> None:
    results = run_worker(script(tmp_path), clips("", "time.sleep(600)"))
    pid = int(next(results)["pid"])
    assert alive(pid)
    results.close()
    assert gone(pid)


CALLER = """
import signal, sys, time
from pathlib import Path
from pipeline.features.worker import run_worker
{setup}
def told(message):
    print(message["type"], message.get("pid", ""), flush=True)
for message in run_worker(Path({script!r}), {clips!r}, on_message=told):
    pass
"""


@contextmanager
def calling(
    script: Path, clips: list[dict[str, Any]], folder: Path, setup: str = ""
) -> Iterator[subprocess.Popen[str]]:
    """A process of its own, and the leader of its group, that runs a worker and prints what it is told.

    Temporary files go to `folder`: a killed caller leaves its own behind.
    """
    repo = Path(__file__).resolve().parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", CALLER.format(setup=setup, script=str(script), clips=clips)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=repo,
        env={**os.environ, "PYTHONPATH": str(repo), "TMPDIR": str(folder)},
        start_new_session=True,
    ) as caller:
        yield caller
        caller.kill()


def told(caller: subprocess.Popen[str], kind: str) -> list[str]:
    """What the caller was told, up to the first message of a kind."""
    assert caller.stdout is not None
    seen: list[str] = []
    for line in caller.stdout:
        seen.append(line.strip())
        if line.split()[0] == kind:
            return seen
    raise AssertionError(f"no {kind}: {seen}")


@pytest.mark.parametrize(
    ("number", "setup"),
    [
        (signal.SIGINT, ""),
        (signal.SIGTERM, "signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))"),
    ],
)
def test_a_signal_that_raises_in_the_caller_ends_the_process(
    tmp_path: Path, number: signal.Signals, setup: str
) -> None:
    with calling(script(tmp_path), clips("", "time.sleep(600)"), tmp_path, setup) as caller:
        pid = int(told(caller, "done")[-1].split()[1])
        assert alive(pid)
        os.killpg(caller.pid, number)
        assert caller.wait(timeout=20) != 0
    assert gone(pid)


def test_ctrl_c_reaches_the_caller_only(tmp_path: Path) -> None:
    """A terminal sends it to the whole group; a caller that lets the clip in hand end gets it whole."""
    started = tmp_path / "started"
    wait = f"open({str(started)!r}, 'w').close(); time.sleep(1.0)"
    setup = "signal.signal(signal.SIGINT, lambda *_: print('interrupted', flush=True))"
    with calling(script(tmp_path), clips(wait), tmp_path, setup) as caller:
        told(caller, "start")
        os.killpg(caller.pid, signal.SIGINT)
        assert [line.split()[0] for line in told(caller, "done")] == ["interrupted", "done"]
        assert caller.wait(timeout=20) == 0


def descendants(pid: int) -> list[int]:
    """The running children of a process, and theirs."""
    lists = Path(f"/proc/{pid}/task").glob("*/children")
    children = [int(child) for one in lists for child in one.read_text(encoding="utf-8").split()]
    return children + [one for child in children for one in descendants(child)]


@pytest.mark.faults
def test_a_killed_caller_leaves_no_worker(tmp_path: Path) -> None:
    """The faces worker waits for a named pipe that nobody writes to: only its caller's end can end it."""
    blocked = tmp_path / "frames.parquet"
    os.mkfifo(blocked)
    row = {"id": "c0", "frames": str(blocked), "start_s": 0, "end_s": 1, "out": str(tmp_path / "out.npz")}
    with calling(SCRIPT, [row], tmp_path) as caller:
        told(caller, "start")
        family = descendants(caller.pid)
        assert len(family) >= 2  # uv and the worker
        assert all(map(alive, family))
        caller.kill()
        caller.wait(timeout=20)
    assert all(map(gone, family))


def test_the_callers_packages_do_not_leak_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "leaked.py").write_text("", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "elsewhere"))
    find = "from importlib.util import find_spec; "
    look = find + "send(type='progress', id='c0', numpy=bool(find_spec('numpy')), path=sys.path)"
    told: list[dict[str, Any]] = []
    list(run_worker(script(tmp_path), clips(look), on_message=told.append))
    (message,) = [message for message in told if message["type"] == "progress"]
    assert message["numpy"] is False
    assert str(tmp_path / "elsewhere") not in message["path"]
