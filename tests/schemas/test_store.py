"""The store appends, never changes, tells the newest version, and survives being shared."""

from __future__ import annotations

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from schemas.errors import UserError
from schemas.parts import MediaFacts
from schemas.records import Annotation, Source
from schemas.store import CallEvent, ItemOutcome, Store, StoredPath

FACTS = MediaFacts(kind="audio", container="wav", duration_s=1)


@pytest.fixture
def sqlite_file(tmp_path: Path) -> Path:
    return tmp_path / "emotrace.db"


def source(n: int) -> Source:
    return Source(sha256=f"{n:064x}", size_bytes=n, media=FACTS)


def annotation(outcome: str, sample: str = "smp_1") -> Annotation:
    return Annotation.model_validate(
        {
            "sample_id": sample,
            "annotator": "a",
            "request_digest": "d",
            "provider": "p",
            "model": "m",
            "outcome": outcome,
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
