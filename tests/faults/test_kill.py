"""`kill -9` at write barriers and at random moments loses nothing and pays for nothing twice."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.driver import READY
from tests.faults.material import (
    CONCURRENCY,
    POLL_S,
    TIMEOUT_S,
    Driven,
    StampedModels,
    cache_files,
    call_events,
    has_media,
    ingest_command,
    make_project,
    same_records,
)
from tests.wire.server import Reply

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.timeout(1200)]

STAGES = (
    "segment", "diarize", "asr", "prosody", "au", "speakers", "compose", "annotate", "check", "judge",
    "aggregate", "decide", "media",
)  # fmt: skip
INGEST_KILLS = ("within store.source 1", "before paths 1")
RUN_KILLS = (
    ("segment", "within cache.frames.parquet 1"),
    ("segment", "within store.segment 1"),
    ("segment", "after live.segment 1"),
    ("diarize", "within store.diarize 1"),
    ("asr", "within store.asr 1"),
    ("prosody", "before store.prosody 1"),
    ("au", "after store.au 1"),
    ("speakers", "before store.speakers 1"),
    ("compose", "after store.baseline 1"),  # there is one only with the voices of the shared media
    ("compose", "within store.sample 1"),
    ("annotate", "before call.intent 1"),
    ("annotate", "after call.intent 2"),
    ("annotate", "before call.receipt 1"),  # received, and not written down
    ("annotate", "within call.receipt 1"),
    ("annotate", "after call.receipt 2"),
    ("annotate", "within store.annotation 2"),
    ("check", "within store.check 1"),
    ("judge", "before call.receipt 2"),
    ("judge", "after call.receipt 3"),
    ("judge", "before store.judgement 1"),
    ("aggregate", "within store.consensus 1"),
    ("decide", "within store.decision 1"),
    ("media", "within cache.clip.mp4 1"),
    ("media", "after cache.clip.mp4 1"),
)
RELEASE_KILLS = (
    "before release.place 1",
    "after release.place 1",
    "within store.release 1",
)
RANDOM_KILLS = 8
FIRST_WINDOW_S, WINDOW_GROWTH, LONGEST_WINDOW_S = 0.8, 1.4, 20.0


Recorder = Callable[[str, object], None]


def test_killed_at_write_barriers(
    driven: Driven, recordings: Path, whole: Driven, record_property: Recorder
) -> None:
    for kill in INGEST_KILLS:
        _killed(driven, "ingest", kill, *ingest_command(recordings))
    assert driven.run(*ingest_command(recordings))[0] == 0
    for stage, kill in RUN_KILLS:
        if kill.split()[1] == "store.baseline" and not has_media():
            continue
        _killed(driven, stage, kill, "run", "--local")
    _finish(driven)
    for kill in RELEASE_KILLS:
        _killed(driven, "release", kill, "release", "--version", "0.1.0")
    _release(driven)

    driven.tell_hits(record_property)
    assert len(driven.hits) >= 20
    assert {stage for stage, _ in driven.hits} >= {"ingest", *STAGES, "release"}
    _same_as_uninterrupted(driven, whole)


def test_killed_at_random_moments(
    tmp_path: Path, recordings: Path, whole: Driven, record_property: Recorder
) -> None:
    """A run that comes to its end before all kills fell is proved as it is, and the next project goes on."""
    rng, kills = random.Random(2509), 0
    while kills < RANDOM_KILLS:
        with StampedModels(delay_s=0.05) as models:
            driven = Driven(make_project(tmp_path / f"after_{kills}_kills", models), models)
            assert driven.run(*ingest_command(recordings))[0] == 0
            _kill_at_random(driven, rng, RANDOM_KILLS - kills)
            _finish(driven)
            _release(driven)
            driven.tell_hits(record_property)
            assert driven.hits, "the run ended before the first kill"
            _same_as_uninterrupted(driven, whole)
        kills += len(driven.hits)


def test_killed_with_calls_in_flight(driven: Driven, recordings: Path, whole: Driven) -> None:
    """The server has the questions and answers nobody: only these are asked again, no answer is lost."""
    assert driven.run(*ingest_command(recordings))[0] == 0
    hangs = Reply(match='"model-judge"', delay_s=TIMEOUT_S, times=0)
    driven.models.script(hangs)
    process = driven.start("run", "--local")
    while not (open_now := [r for r in driven.models.requests if hangs.match in r.raw]):
        assert process.poll() is None, driven.finish(process)
        time.sleep(POLL_S)
    process.kill()
    driven.finish(process)
    assert len(open_now) <= CONCURRENCY
    assert {event for _, event in call_events(driven.root)} == {"intent", "receipt"}
    driven.models.replies.clear()
    _finish(driven)
    _release(driven)
    _same_as_uninterrupted(driven, whole)


def _kill_at_random(driven: Driven, rng: random.Random, most: int) -> None:
    """Up to `most` kills in windows that grow, so that they reach the later stages too."""
    window_s = FIRST_WINDOW_S
    while len(driven.hits) < most:
        process = driven.start("run", "--local")
        driven.wait_for(process, READY)  # the kill shall fall into the work, not into the imports
        time.sleep(rng.uniform(0, window_s))
        process.kill()
        text = driven.finish(process)
        if process.returncode == 0:
            return
        assert process.returncode == -9, text
        window_s = min(window_s * WINDOW_GROWTH, LONGEST_WINDOW_S)


def _killed(driven: Driven, stage: str, kill: str, *command: str) -> None:
    status, text = driven.run(*command, kill=kill)
    assert status == -9, f"{kill} was not reached: {text}"
    assert driven.hits[-1] == (stage, kill.rpartition(" ")[0])


def _finish(driven: Driven) -> None:
    status, text = driven.run("run", "--local")
    assert status == 0, text


def _release(driven: Driven) -> None:
    status, text = driven.run("release", "--version", "0.1.0")
    assert status == 0, text
    assert [path.name for path in (driven.root / "releases").iterdir() if path.name[0] != "."] == ["0.1.0"]


def _same_as_uninterrupted(driven: Driven, whole: Driven) -> None:
    same_records(driven, whole)
    assert set(driven.models.asked()) == set(whole.models.asked())
    assert driven.asked_again() == {}
    _one_answer_each(driven)
    in_calls = sum(stage in ("annotate", "judge") for stage, _ in driven.hits)
    repeated = sum(driven.models.asked().values()) - len(driven.models.asked())
    assert repeated <= CONCURRENCY * in_calls
    assert cache_files(driven.root) >= cache_files(whole.root)
    assert _bytes(driven.root / "releases" / "0.1.0") == _bytes(whole.root / "releases" / "0.1.0")


def _one_answer_each(driven: Driven) -> None:
    """In the ledger every question ends with its one receipt."""
    ends: dict[str, list[str]] = {}
    for key, event in call_events(driven.root):
        ends.setdefault(key, []).append(event)
    assert all(events.count("receipt") == 1 and events[-1] == "receipt" for events in ends.values()), ends
    assert len(ends) == len(driven.models.asked())


def _bytes(release: Path) -> dict[str, bytes]:
    return {str(p.relative_to(release)): p.read_bytes() for p in release.rglob("*") if p.is_file()}
