"""A small project that goes through every stage, with two models on a wire, and what stands in it afterwards."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from schemas.records import RECORDS
from schemas.store import Store
from tests.conftest import REPO, data_dir
from tests.media_io.make import make_sound, make_video, tone
from tests.pipeline.project import clean_environment
from tests.wire.answers import answer_text
from tests.wire.server import FakeModels, Reply

CONCURRENCY = 2  # calls in flight: what one kill may repeat at most
TIMEOUT_S = 240
POLL_S = 0.005  # fine enough that a signal falls where it is meant

SETTINGS = """\
[project]
name = "faults"
language = "en"
[segment]
rule = "fixed"
window_s = 4.0
[select]
require = "any"
[[annotators]]
name = "one"
provider = "openai_compatible"
model = "model-one"
family = "one"
base_url = "{url}"
deployment = "any port"
concurrency = {concurrency}
[[annotators]]
name = "lexicon"
provider = "cues"
model = "lexicon"
[[annotators]]
name = "facial"
provider = "cues"
model = "facial"
[[judges]]
name = "judge"
provider = "openai_compatible"
model = "model-judge"
family = "judge"
base_url = "{url}"
deployment = "any port"
takes = ["text"]
concurrency = {concurrency}
[release]
license = "CC-BY-4.0"
split_policy = "single"
include_undecided = true
"""

TALK = "1\n00:00:00,200 --> 00:00:01,800\nI am so happy about this, and a little afraid\n"


class StampedModels(FakeModels):
    """Every answer carries the digest of its question, so that a receipt tells which request it is of."""

    def __enter__(self) -> StampedModels:
        super().__enter__()
        return self

    def take(self, path: str, headers: dict[str, str], raw: str) -> Reply:
        reply = super().take(path, headers, raw)
        answer = json.loads(answer_text(json.loads(raw)))
        digest = self.digest_of(raw)
        if "evidence" in answer:
            answer["evidence"][0]["description"] = f"asked {digest}"
        else:
            answer["reasons"] = [f"asked {digest}"]
        return reply.model_copy(update={"text": json.dumps(answer)})

    def digest_of(self, raw: str) -> str:
        with self.lock:
            return next(seen.digest for seen in reversed(self.requests) if seen.raw == raw)

    def asked(self) -> Counter[str]:
        """How often each question was put on the wire."""
        with self.lock:
            return Counter(request.digest for request in self.requests)


def make_recordings(folder: Path) -> Path:
    """A video without a face and a sound; a face and voices that give a baseline where the media are there."""
    folder.mkdir()
    make_video(folder / "a.mp4", frames=40, fps=20, tones=(tone(2.0, from_s=0.3, to_s=1.5),))
    make_sound(folder / "b.wav", tone(2.0, from_s=0.2, to_s=1.2))
    (folder / "a.srt").write_text(TALK, encoding="utf-8")
    (folder / "b.srt").write_text(TALK, encoding="utf-8")
    if has_media():
        voices = ("audio/jfk.flac", "audio/LJ050-0131.wav", "audio/librispeech_116-288045-0001.m4a")
        for name in ("video/wh_address_noaudio.mp4", *voices):
            path = Path(shutil.copy(data_dir() / "media" / name, folder))
            path.with_suffix(".srt").write_text(TALK, encoding="utf-8")
    return folder


def ingest_command(recordings: Path) -> tuple[str, ...]:
    return ("ingest", str(recordings), "--speaker", "x")


def has_media() -> bool:
    return (data_dir() / "media").is_dir()


def make_project(folder: Path, models: FakeModels) -> Path:
    folder.mkdir(parents=True)
    settings = SETTINGS.format(url=models.openai_url, concurrency=CONCURRENCY)
    (folder / "emotrace.toml").write_text(settings, encoding="utf-8")
    return folder


@dataclass
class Driven:
    """One project under `tests.faults.driver`: commands, kills, and where they hit."""

    root: Path
    models: StampedModels
    hits: list[tuple[str, str]] = field(default_factory=list)  # stage, barrier
    received: dict[str, int] = field(
        default_factory=dict
    )  # question -> times asked when its answer was there

    @property
    def trace(self) -> Path:
        return self.root / "trace.txt"

    @property
    def stdout(self) -> Path:
        return self.root / "stdout.txt"

    @property
    def stderr(self) -> Path:
        return self.root / "stderr.txt"

    def start(self, *command: str, kill: str = "-", **environment: str) -> subprocess.Popen[bytes]:
        """Begin a command in a process group of its own; it writes to files, which orphans cannot hold open."""
        self.trace.unlink(missing_ok=True)
        driver = [sys.executable, "-m", "tests.faults.driver", str(self.trace), kill]
        with self.stdout.open("wb") as stdout, self.stderr.open("wb") as stderr:
            return subprocess.Popen(
                [*driver, *command, "--project", str(self.root)],
                cwd=REPO,
                stdout=stdout,
                stderr=stderr,
                env=clean_environment(**environment),
                start_new_session=True,
            )

    def ended(self, process: subprocess.Popen[bytes]) -> tuple[int, str, str]:
        """(exit status, stdout, stderr) of a process that is waited for; a kill is noted, and what was received.

        What a killed process leaves running (Prefect's server) is ended with it.
        """
        try:
            process.wait(timeout=TIMEOUT_S)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if process.returncode == -signal.SIGKILL:
            self.hits.append(self.last_point())
        self.note_received()
        return process.returncode, self.stdout.read_text("utf-8"), self.stderr.read_text("utf-8")

    def finish(self, process: subprocess.Popen[bytes]) -> str:
        """Wait for a process; what it wrote, for messages."""
        return "exit {}\n{}\n{}".format(*self.ended(process))

    def run(self, *command: str, kill: str = "-") -> tuple[int, str]:
        process = self.start(*command, kill=kill)
        text = self.finish(process)
        return process.returncode, text

    def wait_for(self, process: subprocess.Popen[bytes], line: str) -> None:
        """Until the trace holds a line that starts so.

        Raises:
            AssertionError: the process ended before.
        """
        while not any(told.startswith(line) for told in self.told()):
            assert process.poll() is None, f"ended before {line}: {self.finish(process)}"
            time.sleep(POLL_S)

    def told(self) -> list[str]:
        return self.trace.read_text(encoding="utf-8").splitlines() if self.trace.exists() else []

    def last_point(self) -> tuple[str, str]:
        """(stage, barrier) of the newest line of the trace."""
        stage = "-"
        point = "start"
        for line in self.told():
            if line.startswith("stage "):
                stage, point = line.removeprefix("stage "), "start"
            else:
                point = line
        return stage, point

    def tell_hits(self, record_property: Callable[[str, object], None]) -> None:
        """Write every kill into the report of the tests, which `.ci/kills.py` counts and prints."""
        for stage, point in self.hits:
            record_property("kill", f"{stage}: {point}")

    def note_received(self) -> None:
        """Remember every question whose answer is in the store, with how often it was asked until now."""
        asked = self.models.asked()
        for raw in receipts(self.root):
            match = re.search(r"asked ([0-9a-f]{64})", raw)
            assert match is not None, raw
            self.received.setdefault(match[1], asked[match[1]])

    def asked_again(self) -> dict[str, int]:
        """Questions that were asked again although their answer had been received."""
        asked = self.models.asked()
        return {digest: asked[digest] - n for digest, n in self.received.items() if asked[digest] != n}


def receipts(project: Path) -> list[str]:
    """The raw text of every received answer, read beside the store's own code."""
    return [str(row[0]) for row in _rows(project, "SELECT raw FROM calls WHERE event = 'receipt'")]


def call_events(project: Path) -> list[tuple[str, str]]:
    """(key, event) of the ledger in the order in which they were written."""
    return [
        (str(key), str(event)) for key, event in _rows(project, "SELECT key, event FROM calls ORDER BY seq")
    ]


def _rows(project: Path, query: str) -> list[tuple[Any, ...]]:
    path = project / "emotrace.db"
    if not path.exists():
        return []
    with contextlib.closing(sqlite3.connect(path, timeout=60)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE name = 'calls'").fetchall()
        return connection.execute(query).fetchall() if tables else []


def snapshot(project: Path) -> dict[str, Any]:
    """All that a finished project holds and that does not depend on the clock."""
    store = Store.open(f"sqlite:///{project / 'emotrace.db'}")
    try:
        records = {
            kind: {(record.id, record.digest) for record in store.all(cls)} for kind, cls in RECORDS.items()
        }
        live = {kind: store.live_ids(cls) for kind, cls in RECORDS.items()}
        ends = {key: (end.status, end.code) for key, end in store.outcomes().items()}
        return {
            "records": records,
            "live": live,
            "facts": store.facts(),
            "ends": ends,
            "paths": store.paths(),
        }
    finally:
        store.close()


def same_records(driven: Driven, whole: Driven) -> None:
    """What stands is what stands in a project that nothing interrupted, whatever was done twice on the way."""
    found, expected = snapshot(driven.root), snapshot(whole.root)
    for kind, records in expected["records"].items():
        assert found["records"][kind] == records, kind
    for part, held in expected.items():
        assert found[part] == held, part


def cache_files(project: Path) -> set[str]:
    """Names of what the cache holds; half-made files would show here."""
    cache = project / "cache"
    return {str(path.relative_to(cache)) for path in cache.rglob("*") if path.is_file()}
