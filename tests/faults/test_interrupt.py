"""Ctrl-C and SIGTERM leave a resumable state: status 130, one line, nothing failed because of it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from schemas.store import Store
from tests.faults.material import Driven, ingest_command, same_records
from tests.wire.server import Reply

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.timeout(600)]

PLANNED = re.compile(r"(annotate|judge): \d+ calls planned, nobody knows what they cost")
LINE = "emotrace: interrupted; what is done is kept, run it again to go on"
SLOW_ANSWER = Reply(times=0, delay_s=120)

STOPS = (
    ("before cache.decode.json", signal.SIGINT),
    ("stage au", signal.SIGTERM),
    ("after call.receipt", signal.SIGINT),
    ("after store.annotation", signal.SIGTERM),
)


PREFECT_KILLS = (
    "within store.asr 1",
    "after call.receipt 2",
    "before store.judgement 1",
    "within store.decision 1",
)


def test_interrupted_and_resumed(driven: Driven, recordings: Path, whole: Driven) -> None:
    _ingest(driven, recordings)
    for moment, stop in STOPS:
        process = driven.start("run", "--local")
        _interrupted(driven, process, moment, stop)
    _finished(driven, whole, "run", "--local")


def test_calls_in_flight_are_not_waited_for(driven: Driven, recordings: Path, whole: Driven) -> None:
    _ingest(driven, recordings)
    driven.models.script(SLOW_ANSWER)
    process = driven.start("run", "--local", "--json")
    driven.wait_for(process, "after call.intent")
    process.send_signal(signal.SIGINT)
    status, out, err = driven.ended(process)
    assert (status, err) == (130, "")
    assert json.loads(out)["error"]["code"] == "interrupted"
    assert driven.received == {}
    assert _failed_outcomes(driven) == []


@pytest.mark.flow
def test_killed_and_interrupted_under_prefect(
    driven: Driven,
    recordings: Path,
    whole: Driven,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    home = {"PREFECT_HOME": str(tmp_path / "prefect")}
    _ingest(driven, recordings)
    _interrupted(driven, driven.start("run", **home), "after store.segment", signal.SIGINT)
    for kill in PREFECT_KILLS:
        process = driven.start("run", kill=kill, **home)
        text = driven.finish(process)
        assert process.returncode == -signal.SIGKILL, text
    driven.tell_hits(record_property)
    assert len(driven.hits) == len(PREFECT_KILLS)
    _finished(driven, whole, "run", **home)


def _ingest(driven: Driven, recordings: Path) -> None:
    status, text = driven.run(*ingest_command(recordings))
    assert status == 0, text


def _interrupted(driven: Driven, process: subprocess.Popen[bytes], moment: str, stop: signal.Signals) -> None:
    driven.wait_for(process, moment)
    process.send_signal(stop)
    status, out, err = driven.ended(process)
    told = [line for line in err.splitlines() if not PLANNED.fullmatch(line)]
    assert (status, out, told) == (130, "", [LINE]), moment
    assert _failed_outcomes(driven) == []


def _finished(driven: Driven, whole: Driven, *command: str, **environment: str) -> None:
    """Bring the project to its end: it holds what an uninterrupted one holds."""
    process = driven.start(*command, **environment)
    text = driven.finish(process)
    assert process.returncode == 0, text
    status, text = driven.run("release", "--version", "0.1.0")
    assert status == 0, text
    assert driven.asked_again() == {}
    same_records(driven, whole)


def _failed_outcomes(driven: Driven) -> list[str]:
    store = Store.open(f"sqlite:///{driven.root / 'emotrace.db'}")
    try:
        return [str(end) for end in store.outcomes().values() if end.status == "failed"]
    finally:
        store.close()
