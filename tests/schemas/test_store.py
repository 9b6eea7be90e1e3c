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
from schemas.parts import MediaFacts, Target, Verdict
from schemas.records import RECORDS, Annotation, Check, Sample, Segment, Source
from schemas.store import CallEvent, ItemOutcome, Store, StoredPath, Stub

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


def checked(of: Annotation, *verdicts: Any) -> Check:
    return Check(
        annotation_id=of.id, annotation_digest=of.digest, feature_digests=(), cue_table_digest="c",
        checker_version="1",
        verdicts=tuple(Verdict(evidence_id=f"e{n}", verdict=one) for n, one in enumerate(verdicts)),
    )  # fmt: skip


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


MANY_SEGMENTS = """
INSERT INTO records (kind, id, digest, parent, brief, body, created_at)
SELECT 'segment', 'seg_' || n, 'd', 'src_' || n, '{}', repeat('x', 300), 'now' FROM generate_series(1, 100000) n
"""
READS_OF_SOME: dict[str, Callable[[Store], object]] = {
    "by_id": lambda store: store.by_id(Segment, [f"seg_{n}" for n in range(800)]),
    "by_parent": lambda store: store.by_parent(Segment, [f"src_{n}" for n in range(800)]),
    "live_of_parents": lambda store: store.live(Segment, [f"src_{n}" for n in range(800)]),
    "live_ids": lambda store: store.live(Segment, ids=[f"seg_{n}" for n in range(800)]),
    "stubs": lambda store: store.stubs(Segment, [f"seg_{n}" for n in range(800)]),
    "stubs_by_parent": lambda store: store.stubs_by_parent(Segment, [f"src_{n}" for n in range(800)]),
}


@pytest.mark.parametrize("read", READS_OF_SOME)
def test_some_records_are_read_without_reading_all_of_their_kind(read: str, store: Store) -> None:
    looked_up = "id" if read in ("by_id", "live_ids", "stubs") else "parent"
    steps = planned(store, READS_OF_SOME[read])
    if store._database.engine.dialect.name == "postgresql":
        assert not [step for step in steps if "Seq Scan" in step], steps
        assert [step for step in steps if f"{looked_up})::text = ANY" in step and "Index Cond" in step], steps
        return
    assert not [step for step in steps if step.startswith("SCAN")], steps
    assert [step for step in steps if step.startswith("SEARCH records") and f"{looked_up}=?" in step], steps
    for step in steps:
        if step.startswith("SEARCH live"):
            assert "kind=? AND id=?" in step, steps


def planned(store: Store, read: Callable[[Store], object]) -> list[str]:
    """How the database would answer the first query of a call; PostgreSQL, in a large table that it knows."""
    engine, asked = store._database.engine, list[tuple[str, Any]]()
    event.listen(
        engine,
        "before_cursor_execute",
        lambda _connection, _cursor, statement, parameters, *_: asked.append((statement, parameters)),
    )
    read(store)
    statement, parameters = asked[0]
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()
        else:
            connection.exec_driver_sql(MANY_SEGMENTS)
            connection.exec_driver_sql("INSERT INTO live SELECT kind, id FROM records")
            connection.exec_driver_sql("ANALYZE")
            plan = connection.exec_driver_sql(f"EXPLAIN {statement}", parameters).fetchall()
    return [str(row[-1]) for row in plan]


def test_a_prefix_tells_the_kind_and_an_id_of_another_kind_finds_nothing(store: Store) -> None:
    assert len({cls.PREFIX for cls in RECORDS.values()}) == len(RECORDS)
    store.add([source(1), segment(1, 1)])
    assert store.get(Segment, source(1).id) is None
    assert store.by_id(Source, [segment(1, 1).id, source(1).id]) == [source(1)]
    assert store.live(Source, ids=[segment(1, 1).id]) == []


def test_what_stands_is_written_as_a_difference(store: Store) -> None:
    store.set_live(Source, ["src_1", "src_2", "src_3"])
    written: list[str] = []
    event.listen(
        store._database.engine,
        "before_cursor_execute",
        lambda _connection, _cursor, statement, *_: written.append(statement.split()[0]),
    )
    store.set_live(Source, ["src_3", "src_1", "src_2"])
    assert not {"INSERT", "DELETE"} & set(written)
    store.set_live(Source, ["src_2", "src_4"])
    assert store.live_ids(Source) == {"src_2", "src_4"}
    store.set_live(Segment, ["seg_1"])
    store.set_live(Source, [])
    assert (store.live_ids(Source), store.live_ids(Segment)) == (set(), {"seg_1"})


def test_two_writers_of_what_stands_do_not_collide(store: Store, url: str) -> None:
    """`status` and `review` bring the decisions up to date while a run does."""
    other, start = Store.open(url), threading.Barrier(2)
    ids = [f"src_{n}" for n in range(3000)]

    def write(one: Store) -> None:
        start.wait()
        for n in range(8):
            one.set_live(Source, ids if n % 2 else ids[:5])

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, (store, other)))
    assert store.live_ids(Source) == set(ids)
    other.close()


def test_briefs_are_read_without_bodies(store: Store) -> None:
    first, second = annotation("failed"), annotation("labelled", sample="smp_2")
    store.add([first, second])
    store.add([annotation("abstained")])
    store.set_live(Annotation, [first.id])
    stub = Stub(
        first.id, annotation("abstained").digest, "smp_1", {"annotator": "a", "outcome": "abstained"}, True
    )
    assert store.stubs(Annotation, [second.id, first.id, "ann_none"])[first.id] == stub
    by_parent = store.stubs_by_parent(Annotation, ["smp_1", "smp_2", "smp_3"])
    assert by_parent["smp_1"] == [stub]
    assert [one.live for one in by_parent["smp_2"]] == [False]
    assert by_parent["smp_3"] == []


def test_what_stands_is_counted_by_its_newest_brief(store: Store) -> None:
    answers = [annotation("abstained", sample=f"smp_{n}") for n in range(3)]
    store.add([annotation("failed", sample="smp_0"), *answers, annotation("labelled", sample="smp_9")])
    store.set_live(Annotation, [answer.id for answer in answers] + ["ann_gone"])
    checks = [checked(answers[0], "supported", "supported", "contradicted"), checked(answers[1], "supported")]
    store.add([*checks, checked(answers[2], "contradicted")])
    store.set_live(Check, [one.id for one in checks])
    said = {"annotator": "a", "outcome": "abstained"}
    assert store.tally(Annotation) == [(said, 3)]
    found = sorted(store.tally_by_parent(Check), key=lambda row: sum(row[1]["not_shown"].values()))
    assert found == [
        (said, {"not_shown": {"supported": 1}}, 1),
        (said, {"not_shown": {"contradicted": 1, "supported": 2}}, 1),
    ]
    assert store.tally(Segment) == []


def test_an_older_store_gets_its_briefs(sqlite_file: Path) -> None:
    store = Store.open(f"sqlite:///{sqlite_file}")
    store.add([annotation("failed"), annotation("abstained"), source(1)])
    store.set_live(Annotation, [annotation("failed").id])
    store.add_run("2026-01-01", 1.5, {"samples": 2, "failed_items": [{"id": "x"}]})
    store.close()
    raw = sqlite3.connect(sqlite_file)
    raw.execute("ALTER TABLE records DROP COLUMN brief")
    raw.execute("ALTER TABLE runs DROP COLUMN failed_items")
    raw.execute("DELETE FROM migrations WHERE name > '0001_create_tables'")
    raw.commit()
    raw.close()
    store = Store.open(f"sqlite:///{sqlite_file}")
    assert store.tally(Annotation) == [({"annotator": "a", "outcome": "abstained"}, 1)]
    assert store.last_failed_items()[1] == [{"id": "x"}]
    assert store.runs()[0]["counts"] == {"samples": 2}
    store.close()


def test_an_older_store_keeps_its_receipts_and_takes_what_is_told_of_tokens(sqlite_file: Path) -> None:
    store = Store.open(f"sqlite:///{sqlite_file}")
    store.write_calls([CallEvent("old", "receipt", "p", "m", raw="{}", input_tokens=7)])
    store.close()
    raw = sqlite3.connect(sqlite_file)
    for column in ("usage_details", "logprobs"):
        raw.execute(f"ALTER TABLE calls DROP COLUMN {column}")
    raw.execute("DELETE FROM migrations WHERE name LIKE '%_add_call_details'")
    raw.commit()
    raw.close()
    store = Store.open(f"sqlite:///{sqlite_file}")
    new = CallEvent(
        "new", "receipt", "p", "m", raw="{}", usage_details='{"reasoning_tokens": 3}', logprobs="[]"
    )
    store.write_calls([new])
    assert store.receipt("old") == CallEvent("old", "receipt", "p", "m", raw="{}", input_tokens=7)
    assert store.receipt("new") == new
    store.close()


def test_briefs_of_an_older_program_are_made_anew(sqlite_file: Path) -> None:
    sample = Sample(
        segment_id="seg_1", target=Target(speaker="ann", face_track="f1"), feature_digests=(), baseline_ids=(),
        view_version="1", duration_s=1,
    )  # fmt: skip
    store = Store.open(f"sqlite:///{sqlite_file}")
    store.add([sample])
    store.close()
    raw = sqlite3.connect(sqlite_file)
    raw.execute("""UPDATE records SET brief = '{"speaker": "ann"}'""")
    raw.execute("DELETE FROM migrations WHERE name > '0003'")
    raw.commit()
    raw.close()
    store = Store.open(f"sqlite:///{sqlite_file}")
    brief = store.stubs(Sample, [sample.id])[sample.id].brief
    assert (brief["target"], brief["alone"]) == ("ann/f1", True)
    store.close()


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
    assert store.outcomes(status="failed") == {}
    store.add([], [ItemOutcome("asr", "y", "failed", code="boom")])
    assert set(store.outcomes(status="failed")) == {("asr", "y")}
    assert set(store.outcomes(status="done")) == {("asr", "x"), ("au", "x")}


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


def test_failed_items_are_those_of_the_last_whole_run_and_no_part_of_its_counts(store: Store) -> None:
    assert store.last_failed_items()[1] == []
    store.add_run("2026-01-01", 1.5, {"samples": 2}, failed_items=[{"id": "x"}])
    store.add_run("2026-01-02", 0.5, {"samples": 0}, failed_items=[{"id": "y"}], finished=False)
    assert store.last_failed_items()[1] == [{"id": "x"}]
    assert all("failed_items" not in {**run, **run["counts"]} for run in store.runs())
    store.add_run("2026-01-03", 0.5, {"samples": 0})
    assert store.last_failed_items()[1] == []


def test_the_ledger_adds_up_and_finds_receipts(store: Store) -> None:
    store.write_calls([CallEvent("k", "intent", "p", "m")])
    assert store.receipt("k") is None
    store.write_calls([CallEvent("k", "receipt", "p", "m", raw="{}", input_tokens=7, cost_usd=0.25)])
    found = store.receipt("k")
    assert found is not None
    assert (found.raw, found.input_tokens) == ("{}", 7)
    assert store.call_totals() == {"intent": 1, "receipt": 1, "failure": 0, "unpriced": 0, "spent_usd": 0.25}


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
    "stubs": lambda store: store.stubs(Source, [source(n).id for n in range(150)]),
    "stubs_by_parent": lambda store: store.stubs_by_parent(Segment, [source(n).id for n in range(150)]),
    "tally": lambda store: store.tally(Segment),
    "tally_by_parent": lambda store: store.tally_by_parent(Segment),
    "live_ids": lambda store: store.live_ids(Segment),
    "outcomes": lambda store: store.outcomes(),
    "facts": lambda store: store.facts(),
    "paths": lambda store: store.paths(),
    "runs": lambda store: store.runs(),
    "last_failed_items": lambda store: store.last_failed_items(),
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
    store.write_calls([CallEvent("k", "receipt", "p", "m", raw="{}")])
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
    monkeypatch.setattr("schemas.database.BUSY_TIMEOUT_S", 0)
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


@pytest.mark.parametrize("name", ["0001_creXte_tables", "\x00004_y", "zzz"])
def test_a_change_that_no_program_names_so_is_damage(sqlite_file: Path, name: str) -> None:
    Store.open(f"sqlite:///{sqlite_file}").close()
    raw = sqlite3.connect(sqlite_file)
    raw.execute("INSERT INTO migrations VALUES (?, 'now')", (name,))
    raw.commit()
    raw.close()
    with pytest.raises(UserError) as caught:
        Store.open(f"sqlite:///{sqlite_file}")
    assert caught.value.code == "bad_store"


def test_a_full_disk_is_one_clear_line_and_what_was_there_stays(sqlite_file: Path) -> None:
    store = Store.open(f"sqlite:///{sqlite_file}")
    store.add([source(1)])
    with store._database.engine.connect() as connection:  # SQLite's own limit stands in for a full disk
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        connection.rollback()
    with pytest.raises(UserError, match="no space left"):
        store.add([source(n) for n in range(2, 4000)])
    assert store.all(Source) == [source(1)]
    store.close()


def test_sqlite_writes_ahead_and_syncs_every_commit(sqlite_file: Path) -> None:
    store = Store.open(f"sqlite:///{sqlite_file}")
    with store._database.engine.connect() as connection:
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
