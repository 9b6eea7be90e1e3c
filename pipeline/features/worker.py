"""Run a heavy backend as a child process in an environment of its own: the one boundary for all workers.

A worker is a single-file script with inline dependency metadata (PEP 723). It gets the path of a JSON manifest
(a list of clips, each with a unique "id") and writes JSON lines: "ready" once, then per clip "start", any number
of "progress", and "done" or "error". Before it loads a model it says "loading" with "what"; until its next line
of a clip no clip is to blame when it dies. A worker that has several clips in hand at a time names them before,
in a "batch" with "ids"; after a crash they come again, each marked "alone". Other lines on standard output are
ignored. Its standard input says nothing and stays open as long as the caller lives: a worker should leave at its
end, for after a `kill -9` of the caller nobody else ends it.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import uv

from pipeline.features.devices import turn
from pipeline.features.host import host
from schemas.errors import UserError

Message = dict[str, Any]

WORKERS = Path(__file__).resolve().parents[1] / "workers"
BUILD_TIMEOUT_S = 3600.0  # a first build may download gigabytes over a slow line
IDLE_TIMEOUT_S = 600.0  # a worker says something for every clip and every few frames
STOP_GRACE_S = 5.0
STDERR_TAIL_CHARS = 400
MAX_IDLE_DEATHS = 2  # in a row, of processes that began no clip
KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)  # uv tells its child's end as a shell does
# Variables of the caller's environment that would leak its packages into the worker's.
FOREIGN_VARIABLES = ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP")


def uv_binary() -> str:
    """Path of the uv that was installed with the core, or else the one on PATH."""
    try:
        return str(uv.find_uv_bin())
    except FileNotFoundError:
        beside = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    if beside is None:
        raise UserError("uv_missing", "the program uv was not found", "install it: pip install uv")
    return beside


def environment_is_ready(script: Path) -> bool:
    """Whether a worker can start without the network; its environment is laid out where all parts are cached."""
    command = [
        uv_binary(),
        "sync",
        "--quiet",
        "--offline",
        "--python",
        sys.executable,
        "--script",
        str(script),
    ]
    return subprocess.run(command, capture_output=True, env=_own_environment(), check=False).returncode == 0


def environment_is_built(script: Path) -> bool:
    """Whether a worker's environment lies here as its script wants it; nothing is laid out or fetched."""
    command = [uv_binary(), "sync", "--quiet", "--offline", "--check", "--python", sys.executable]
    command += ["--script", str(script)]
    return subprocess.run(command, capture_output=True, env=_own_environment(), check=False).returncode == 0


def build_environment(script: Path) -> None:
    """Make a worker's environment, from the network where parts are missing.

    Raises:
        UserError: "worker_unavailable".
    """
    command = [uv_binary(), "sync", "--quiet", "--python", sys.executable, "--script", str(script)]
    done = subprocess.run(command, capture_output=True, text=True, env=_own_environment(), check=False)
    if done.returncode != 0:
        detail = " ".join(done.stderr[-STDERR_TAIL_CHARS:].split())
        message = f"the environment of {script.name} cannot be made: {detail}"
        raise UserError("worker_unavailable", message, "check the network and the free space, then run again")


def _own_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in FOREIGN_VARIABLES}


def run_worker(
    script: Path,
    manifest: list[Message],
    *,
    device: str = "cpu",
    on_message: Callable[[Message], None] | None = None,
    idle_timeout_s: float = IDLE_TIMEOUT_S,
) -> Generator[Message, None, None]:
    """Yield one "done" or "error" message per clip of `manifest`; `on_message` sees all messages as they come.

    When the process dies, the clip in hand gets an "error" message with code "worker_crashed" (silent for
    longer than `idle_timeout_s`: "worker_timeout") and a new process takes the rest. With several clips in hand
    none is blamed yet: the new process gets each of them alone. With none in hand no clip is blamed. An "error"
    with a "remedy" holds for every clip and is yielded whatever its id. Closing the iterator, or an exception
    such as Ctrl-C, ends the process with its children.

    `device` is what the worker is told to compute on: of those on a GPU one runs at a time.

    Raises:
        UserError: "worker_unavailable", when the worker cannot start at all; "worker_crashed", when it ends
            again and again before it begins a clip.
    """
    if manifest:
        with turn(device):
            yield from _all_clips(script, manifest, on_message or (lambda _: None), idle_timeout_s)


def _all_clips(
    script: Path, manifest: list[Message], tell: Callable[[Message], None], idle_timeout_s: float
) -> Generator[Message, None, None]:
    rest = list(manifest)
    offline = True  # a cached environment needs no network, and asking none makes the start fast
    idle_deaths = 0
    while rest:
        before = len(rest)
        with _Process(script, rest, offline=offline, idle_timeout_s=idle_timeout_s) as process:
            for message in process.messages():
                tell(message)
                if message["type"] in ("done", "error"):
                    rest = [clip for clip in rest if clip["id"] != message["id"]]
                    yield message
            process.stop()
            ending, suspects = process.ending(), process.suspects
        if not process.ready and not process.killed:
            if not offline:
                raise _cannot_start(script, ending)
            offline = False
            tell({"type": "building", "worker": script.name})
            host().note(f"making the environment of {script.name}")
        elif len(suspects) > 1:
            rest = [clip | {"alone": True} if clip["id"] in suspects else clip for clip in rest]
        elif suspects:
            failure = {"type": "error", "id": suspects.pop(), "code": process.code, "message": ending}
            rest = [clip for clip in rest if clip["id"] != failure["id"]]
            tell(failure)
            yield failure
        else:
            idle_deaths = 0 if len(rest) < before else idle_deaths + 1
            if rest and idle_deaths == MAX_IDLE_DEATHS:
                raise _gives_up(script, process, ending)


def _cannot_start(script: Path, ending: str) -> UserError:
    return UserError(
        "worker_unavailable",
        f"the worker {script.name} cannot start: {ending}",
        f"its first start downloads packages, so check the network; to see more: uv run --script {script}",
    )


def _gives_up(script: Path, process: _Process, ending: str) -> UserError:
    message = f"the worker {script.name} ended {MAX_IDLE_DEATHS} times before it began a clip: {ending}"
    remedy = "give it more memory: take a smaller model, set fewer `[run] workers`, or end other programs"
    if not process.killed:
        remedy = f"to see more: uv run --script {script}; where memory is short, set fewer `[run] workers`"
    return UserError(process.code, message, remedy)


class _Process:
    """One run of a worker script; its manifest and standard error live in a temporary folder."""

    def __init__(self, script: Path, clips: list[Message], *, offline: bool, idle_timeout_s: float) -> None:
        self.ready = False
        self.timed_out = False
        self.in_hand: str | None = None
        self.batch: set[str] = set()
        self.loading = False
        self.exit_status: int | None = None
        self.idle_timeout_s = idle_timeout_s
        self._offline = offline
        self._killed = False
        self._open_ids = {clip["id"] for clip in clips}
        self._folder = tempfile.TemporaryDirectory(prefix="emotrace-worker-")
        self._stderr = Path(self._folder.name) / "stderr.txt"
        manifest = Path(self._folder.name) / "manifest.json"
        manifest.write_text(json.dumps(clips), encoding="utf-8")
        command = [uv_binary(), "run", "--quiet", "--python", sys.executable]
        command += [*(["--offline"] if offline else []), "--script", str(script), str(manifest)]
        with self._stderr.open("wb") as stderr:
            self._child = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,  # never written to: it closes when this process ends, however it ends
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=_own_environment(),
                # A process group of its own: uv and its child end together, and Ctrl-C reaches the caller only.
                start_new_session=True,
            )
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._pump, daemon=True)
        self._reader.start()

    def __enter__(self) -> _Process:
        return self

    def __exit__(self, *_: object) -> None:
        self._kill()
        self._folder.cleanup()

    def messages(self) -> Iterator[Message]:
        """The worker's messages until it ends or is silent for too long."""
        while True:
            building = not self.ready and not self._offline
            timeout_s = max(self.idle_timeout_s, BUILD_TIMEOUT_S if building else 0.0)
            try:
                line = self._lines.get(timeout=timeout_s)
            except queue.Empty:
                self.timed_out = True
                return
            if line is None:
                return
            message = _parse(line)
            if message is not None and self._note(message):
                yield message

    def stop(self) -> None:
        """End the process, its children included, and note its exit status."""
        if not self.timed_out:
            try:  # its output has ended: it is on its way out
                self.exit_status = self._child.wait(timeout=STOP_GRACE_S)
            except subprocess.TimeoutExpired:
                self.timed_out = True
        self._kill()

    @property
    def killed(self) -> bool:
        """Whether somebody else ended it at once, as the system does when memory runs out."""
        return self.exit_status in KILLED

    @property
    def code(self) -> str:
        return "worker_timeout" if self.timed_out else "worker_crashed"

    @property
    def suspects(self) -> set[str]:
        """The clips of which one may be what it died of."""
        if self.loading:
            return set()
        return set(self.batch) or ({self.in_hand} if self.in_hand is not None else set())

    def ending(self) -> str:
        """How it ended, and the end of what it wrote to standard error, as one line."""
        tail = " ".join(self._stderr.read_bytes().decode("utf-8", "replace")[-STDERR_TAIL_CHARS:].split())
        text = f"the worker ended with status {self.exit_status}"
        if self.timed_out:
            text = f"the worker was silent for {self.idle_timeout_s:g} s"
        elif self.killed:
            text += ", probably out of memory"
        return f"{text}: {tail}" if tail else text

    def _note(self, message: Message) -> bool:
        """Keep track of the clip in hand; False for messages about clips that are not open."""
        kind = message["type"]
        if kind == "ready":
            self.ready = True
            return True
        if kind == "loading":
            self.loading = True
            host().note(f"loading {message['what']}")
            return True
        if kind == "batch":
            self.loading = False
            self.batch = self._open_ids & set(message["ids"])
            return False
        if kind == "error" and "remedy" in message:
            return True
        if message.get("id") not in self._open_ids:
            return False
        self.loading = False
        if kind == "start":
            self.in_hand = message["id"]
        elif kind in ("done", "error"):
            self.in_hand = None
            self._open_ids.discard(message["id"])
            self.batch.discard(message["id"])
        return True

    def _kill(self) -> None:
        if self._killed:
            return
        self._killed = True
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()
        self._reader.join(timeout=STOP_GRACE_S)
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                pipe.close()

    def _pump(self) -> None:
        """Move lines into the queue, None at the end: reading a pipe has no timeout of its own."""
        assert self._child.stdout is not None
        for line in self._child.stdout:
            self._lines.put(line)
        self._lines.put(None)


def _parse(line: bytes) -> Message | None:
    """A message, or None for a line that is none (some library's own print)."""
    try:
        message = json.loads(line)
    except ValueError:
        return None
    return message if isinstance(message, dict) and isinstance(message.get("type"), str) else None
