"""The store appends, never changes, tells the newest version, and survives being shared."""

from __future__ import annotations

import random
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, event, text

from schemas.errors import UserError
from schemas.parts import MediaFacts
from schemas.records import Annotation, Segment, Source
from schemas.store import CallEvent, ItemOutcome, Store, StoredPath

FACTS = MediaFacts(kind="audio", container="wav", duration_s=1)


@pytest.fixture
def sqlite_file(tmp_path: Path) -> Path:
    return tmp_path / "emotrace.db"


def source(n: int) -> Source:
    return Source(sha256=f"{n:064x}", size_bytes=n, media=FACTS)


def segment(of: int, index: int) -> Segment:
    return Segment(
        source_id=source(of).id,
        rule="fixed",
        version="1",
        source_start_s=index,
        source_end_s=index + 1,
        index=index,
    )


def annotation(outcome: str, sample: str = "smp_1", reason: str = "") -> Annotation:
    return Annotation.model_validate(
        {
            "sample_id": sample,
            "annotator": "a",
            "request_digest": "d",
            "provider": "p",
            "model": "m",
            "outcome": outcome,
            "reason": reason,
        }
    )


def test_what_is_added_is_read_back_and_adding_it_again_changes_nothing(store: Store) -> None:
    records = [source(n) for n in range(3)]
    store.add(records)
    store.add(records)
    assert store.all(Source) == records
    assert store.get(Source, records[1].id) == records[1]
    assert store.digests(Source) == {record.id: record.digest for record in records}


def test_a_retried_failure_is_followed_by_its_newest_version(store: Store) -> None:
    store.add([annotation("failed")])
    store.add([annotation("abstained")])
    assert [record.outcome for record in store.all(Annotation)] == ["abstained"]
    assert [record.outcome for record in store.by_parent(Annotation, ["smp_1", "smp_2"])["smp_1"]] == [
        "abstained"
    ]
    assert store.digests(Annotation) == {annotation("failed").id: annotation("abstained").digest}


def test_the_newest_version_is_the_one_that_came_last_also_when_it_came_before(store: Store) -> None:
    for reason in ("timeout", "server_error", "timeout"):
        store.add([annotation("failed", reason=reason)])
    found = store.get(Annotation, annotation("failed").id)
    assert found is not None
    assert found.reason == "timeout"


def test_a_batch_may_hold_a_record_twice_and_its_last_version_stands(store: Store, url: str) -> None:
    first, last = annotation("failed", reason="timeout"), annotation("abstained")
    store.add([source(1), first, source(1), first, last, source(2)])
    store.add([last, source(1)])
    assert store.all(Annotation) == [last]
    assert store.all(Source) == [source(1), source(2)]
    engine = create_engine(url)
    with engine.connect() as connection:  # nothing was written twice: source 1, source 2, and two versions
        assert connection.execute(text("SELECT count(*) FROM records")).scalar_one() == 4
    engine.dispose()


def test_more_ids_than_sqlite_takes_at_once(store: Store) -> None:
    records = [source(n) for n in range(2500)]
    store.add(records)
    ids = [record.id for record in reversed(records)]
    assert [record.id for record in store.by_id(Source, ids)] == ids


def test_live_records_are_those_said_last(store: Store) -> None:
    records = [source(n) for n in range(3)]
    store.add(records)
    store.set_live(Source, [records[0].id, records[2].id])
    assert store.live(Source) == [records[0], records[2]]
    store.set_live(Source, [records[1].id])
    assert store.live(Source) == [records[1]]


def test_live_records_of_some_parents_and_of_some_ids(store: Store) -> None:
    parts = [segment(n % 3, n) for n in range(12)]
    store.add(parts)
    standing = [part for part in parts if part.index not in (0, 4)]
    store.set_live(Segment, [part.id for part in standing])
    parents = [source(2).id, source(0).id, "src_unknown", source(2).id]
    assert [part.index for part in store.live(Segment, parents)] == [2, 5, 8, 11, 3, 6, 9]
    assert [part.index for part in store.live(Segment, ids=[p.id for p in parts[:5]])] == [1, 2, 3]
    assert store.live(Segment, []) == []
    assert store.live(Segment, ids=[]) == []


def test_a_live_record_is_read_in_its_newest_version(store: Store) -> None:
    store.add([annotation("failed"), annotation("abstained")])
    store.set_live(Annotation, [annotation("failed").id])
    for found in (store.live(Annotation), store.live(Annotation, ["smp_1"])):
        assert [record.outcome for record in found] == ["abstained"]


def test_a_page_is_read_without_reading_all_that_stands(sqlite_file: Path) -> None:
    store = Store.open(f"sqlite:///{sqlite_file}")
    store.add([segment(0, n) for n in range(3)])
    store.set_live(Segment, [f"seg_{n}" for n in range(3000)])
    asked: list[tuple[str, Any]] = []
    event.listen(
        store._engine,
        "before_cursor_execute",
        lambda _connection, _cursor, statement, parameters, *_: asked.append((statement, parameters)),
    )
    store.live(Segment, [source(0).id])
    store.live(Segment, ids=[segment(0, 1).id])
    store.close()
    raw = sqlite3.connect(sqlite_file)
    plans = [raw.execute(f"EXPLAIN QUERY PLAN {statement}", values).fetchall() for statement, values in asked]
    raw.close()
    assert len(plans) == 2
    for plan in plans:
        steps = [step for *_, step in plan if step.startswith(("SCAN", "SEARCH"))]
        assert not [step for step in steps if step.startswith("SCAN")], steps
        assert [step for step in steps if step.startswith("SEARCH live") and "kind=? AND id=?" in step], steps


def test_the_latest_fact_wins_and_nothing_is_overwritten(store: Store) -> None:
    store.add_facts([("src_1", "speaker", "ann"), ("src_2", "speaker", "bob")])
    store.add_facts([("src_1", "speaker", "anne"), ("src_2", "speaker", "bob")])
    assert store.facts() == {"src_1": {"speaker": "anne"}, "src_2": {"speaker": "bob"}}
    assert store.facts(["src_2"]) == {"src_2": {"speaker": "bob"}}


def test_the_latest_outcome_of_an_item_stands(store: Store) -> None:
    store.add([], [ItemOutcome("asr", "x", "failed", code="boom"), ItemOutcome("au", "x", "done")])
    store.add([], [ItemOutcome("asr", "x", "done")])
    assert store.outcomes("asr")["asr", "x"].status == "done"
    assert len(store.outcomes()) == 2


def test_paths_move_with_their_files(store: Store) -> None:
    store.set_paths([StoredPath("/a", 1, 2, 3, "src_1")])
    store.set_paths([StoredPath("/a", 9, 9, 9, "src_2"), StoredPath("/b", 1, 2, 3, "src_1")])
    assert {path: stored.source_id for path, stored in store.paths().items()} == {
        "/a": "src_2",
        "/b": "src_1",
    }


def test_a_path_that_is_said_twice_is_where_it_was_said_last(store: Store) -> None:
    store.set_paths([StoredPath("/a", 1, 2, 3, "src_1"), StoredPath("/a", 1, 2, 3, "src_2")])
    assert store.paths() == {"/a": StoredPath("/a", 1, 2, 3, "src_2")}


def test_a_run_that_was_interrupted_says_so(store: Store) -> None:
    store.add_run("2026-01-01", 1.5, {"samples": 2})
    store.add_run("2026-01-02", 0.5, {"samples": 0}, finished=False)
    runs = store.runs()
    assert [(run["finished"], run["wall_s"], run["counts"]) for run in runs] == [
        (True, 1.5, {"samples": 2}),
        (False, 0.5, {"samples": 0}),
    ]


def test_the_ledger_adds_up_and_finds_receipts(store: Store) -> None:
    store.add_call(CallEvent("k", "intent", "p", "m"))
    assert store.receipt("k") is None
    store.add_call(CallEvent("k", "receipt", "p", "m", raw="{}", input_tokens=7, cost_usd=0.25))
    found = store.receipt("k")
    assert found is not None
    assert (found.raw, found.input_tokens) == ("{}", 7)
    assert store.call_totals() == {"intent": 1, "receipt": 1, "failure": 0, "spent_usd": 0.25}


def test_ids_are_found_by_their_start_and_wildcards_mean_themselves(store: Store) -> None:
    store.add([source(1)])
    assert store.find_ids(source(1).id[:9]) == [("source", source(1).id)]
    assert store.find_ids("%") == []


def test_many_threads_write_and_nothing_is_lost(store: Store) -> None:
    start = threading.Barrier(4)

    def write(part: int) -> None:
        start.wait()
        for n in range(25):
            store.add([source(part * 100 + n)])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    assert len(store.all(Source)) == 100


def test_two_openers_see_each_other(store: Store, url: str) -> None:
    other = Store.open(url)
    other.add([source(1)])
    assert store.get(Source, source(1).id) == source(1)
    other.close()


def test_a_file_that_is_no_database_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("hello " * 1000)
    with pytest.raises(UserError, match=r"not a database.*project\.store"):
        Store.open(f"sqlite:///{tmp_path / 'x.db'}")


READS: dict[str, Callable[[Store], object]] = {
    "all": lambda store: store.all(Source),
    "by_id": lambda store: store.by_id(Source, [source(n).id for n in range(150)]),
    "by_parent": lambda store: store.by_parent(Segment, [source(n).id for n in range(150)]),
    "digests": lambda store: store.digests(Source),
    "live": lambda store: store.live(Segment),
    "live_ids": lambda store: store.live_ids(Segment),
    "outcomes": lambda store: store.outcomes(),
    "facts": lambda store: store.facts(),
    "paths": lambda store: store.paths(),
    "runs": lambda store: store.runs(),
    "receipt": lambda store: store.receipt("k"),
}
WRITES: dict[str, Callable[[Store], object]] = {
    "add": lambda store: store.add([source(n) for n in range(140, 160)]),
    "set_live": lambda store: store.set_live(Segment, [segment(1, 1).id]),
    "add_facts": lambda store: store.add_facts([(source(1).id, "name", "b")]),
    "set_paths": lambda store: store.set_paths([StoredPath("/7", 1, 2, 3, "src_1")]),
}


def filled(path: Path) -> bytes:
    store = Store.open(f"sqlite:///{path}")
    parts = [segment(n, n) for n in range(150)]
    store.add([*(source(n) for n in range(150)), *parts], [ItemOutcome("asr", p.id, "done") for p in parts])
    store.set_live(Segment, [part.id for part in parts])
    store.add_facts((source(n).id, "name", f"{n}.wav") for n in range(150))
    store.set_paths(StoredPath(f"/{n}", 1, 2, 3, source(n).id) for n in range(150))
    store.add_run("2026-01-01", 1.5, {"samples": 2})
    store.add_call(CallEvent("k", "receipt", "p", "m", raw="{}"))
    store.close()  # the write-ahead log goes into the file
    return path.read_bytes()


def test_a_damaged_file_is_one_clear_line_wherever_it_shows(tmp_path: Path) -> None:
    whole, told = filled(tmp_path / "whole.db"), Counter[str]()
    for seed in range(25):
        draw, data = random.Random(seed), bytearray(whole)
        for _ in range(draw.choice((1, 5, 40))):
            start, length = draw.randrange(len(data)), draw.choice((1, 4, 200))
            data[start : start + length] = bytes([draw.randrange(256)]) * len(data[start : start + length])
        path = tmp_path / f"{seed}.db"
        path.write_bytes(data)
        told.update(told_by(f"sqlite:///{path}"))
    assert set(told) >= {"all", "by_id", "by_parent", "digests", "live", "facts", "outcomes"}, told


def told_by(url: str) -> list[str]:
    """The names of those calls that refuse a damaged store; any other error than a UserError comes through."""
    try:
        store = Store.open(url)
    except UserError as error:
        assert_bad_store(error)
        return ["open"]
    refused = []
    for name, call in {**READS, **WRITES}.items():
        try:
            call(store)
        except UserError as error:
            assert_bad_store(error)
            refused.append(name)
    store.close()
    return refused


def assert_bad_store(error: UserError) -> None:
    assert error.code == "bad_store"
    assert "\n" not in str(error)
    assert "project.store" in error.remedy


def test_a_record_that_cannot_be_read_is_one_clear_line(sqlite_file: Path) -> None:
    filled(sqlite_file)
    raw = sqlite3.connect(sqlite_file)
    raw.execute("UPDATE records SET body = substr(body, 1, 30) WHERE id = ?", [source(3).id])
    raw.commit()
    raw.close()
    store = Store.open(f"sqlite:///{sqlite_file}")
    assert store.get(Source, source(4).id) == source(4)
    with pytest.raises(UserError) as caught:
        store.all(Source)
    assert_bad_store(caught.value)
    store.close()


def test_a_store_that_another_program_holds_is_told_as_such(
    sqlite_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("schemas.store.BUSY_TIMEOUT_S", 0)
    store = Store.open(f"sqlite:///{sqlite_file}")
    other = sqlite3.connect(sqlite_file)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(UserError) as caught:
        store.add([source(1)])
    assert caught.value.code == "store_locked"
    other.rollback()
    other.close()
    store.add([source(1)])
    assert store.all(Source) == [source(1)]
    store.close()


def test_the_password_of_a_store_is_not_shown(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        Store.open("postgresql+psycopg://me:s3cret@127.0.0.1:1/none?connect_timeout=2")
    assert caught.value.code == "bad_store"
    assert "s3cret" not in str(caught.value)


def test_a_store_of_a_newer_program_is_refused(sqlite_file: Path) -> None:
    Store.open(f"sqlite:///{sqlite_file}").close()
    raw = sqlite3.connect(sqlite_file)
    raw.execute("INSERT INTO migrations VALUES ('9999_later', 'now')")
    raw.commit()
    raw.close()
    with pytest.raises(UserError, match="newer emotrace"):
        Store.open(f"sqlite:///{sqlite_file}")


def test_a_full_disk_is_one_clear_line_and_what_was_there_stays(sqlite_file: Path) -> None:
    store = Store.open(f"sqlite:///{sqlite_file}")
    store.add([source(1)])
    with store._engine.connect() as connection:  # SQLite's own limit stands in for a full disk
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        connection.rollback()
    with pytest.raises(UserError, match="no space left"):
        store.add([source(n) for n in range(2, 4000)])
    assert store.all(Source) == [source(1)]
    store.close()


def test_sqlite_writes_ahead_and_syncs_every_commit(sqlite_file: Path) -> None:
    store = Store.open(f"sqlite:///{sqlite_file}")
    with store._engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2
    store.close()


def test_columns_are_read_without_bodies(store: Store) -> None:
    segments = [segment(n, 7) for n in range(3)]
    store.add(segments)
    rows = store.columns(Segment, ("rule", "index"))
    assert [row[1:4] for row in rows] == [(s.id, s.source_id, "fixed") for s in segments]
    assert {int(row[4]) for row in rows} == {7}
    assert [row[1] for row in store.columns(Segment, after=rows[0][0])] == [s.id for s in segments[1:]]
    assert store.columns(Source) == []
