"""The append-only store: SQLite in WAL mode by default, PostgreSQL by URL.

Everything that cannot be recomputed is here: records, raw answers, reviews, money, what people said. Writes
go through SQLAlchemy Core, one transaction a call (`synchronous=FULL`: a returned write survives a crash).
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

import sqlalchemy as sa
from sqlmodel import create_engine

from schemas.fields import fields_query
from schemas.migrations import migrate
from schemas.records import Record
from schemas.rows import CallRow, FactRow, LiveRow, OutcomeRow, PathRow, RecordRow, RunRow
from schemas.store_errors import DAMAGE, parsed, store_error

R = TypeVar("R", bound=Record)
BUSY_TIMEOUT_S = 60
IN_CHUNK = 900  # below SQLite's limit of bound variables

_records: sa.Table = RecordRow.__table__  # type: ignore[attr-defined]
_facts: sa.Table = FactRow.__table__  # type: ignore[attr-defined]
_paths: sa.Table = PathRow.__table__  # type: ignore[attr-defined]
_outcomes: sa.Table = OutcomeRow.__table__  # type: ignore[attr-defined]
_live: sa.Table = LiveRow.__table__  # type: ignore[attr-defined]
_calls: sa.Table = CallRow.__table__  # type: ignore[attr-defined]
_runs: sa.Table = RunRow.__table__  # type: ignore[attr-defined]


class StoredPath(NamedTuple):
    path: str
    size_bytes: int
    mtime_ns: int
    inode: int
    source_id: str


class ItemOutcome(NamedTuple):
    """How an item of a stage ended. `retry` is the command that tries it again."""

    stage: str
    item: str
    status: Literal["done", "failed"]
    path: str | None = None
    code: str = ""
    message: str = ""
    retry: str = ""


class CallEvent(NamedTuple):
    key: str
    event: Literal["intent", "receipt", "failure"]
    provider: str
    model: str
    annotator: str = ""
    raw: str | None = None
    model_version: str | None = None
    finish_reason: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = None
    message: str = ""


def utc_now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class Store:
    """All reads and writes of one project's memory. Safe for threads; several processes may share it."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._write_lock = threading.Lock()
        with self._writing() as connection:
            migrate(connection, now=utc_now())

    @classmethod
    def open(cls, url: str, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> Store:
        """Open or create a store by SQLAlchemy URL (`sqlite:///PATH`, `postgresql+psycopg://...`).

        Raises:
            UserError: cannot be opened, is not a database, the disk is full, or is newer than this program.
        """
        try:
            engine = create_engine(url)
            if engine.dialect.name == "sqlite":
                if engine.url.database:
                    Path(engine.url.database).parent.mkdir(parents=True, exist_ok=True)
                engine.dispose()
                arguments = {"timeout": busy_timeout_s, "check_same_thread": False}
                engine = create_engine(url, connect_args=arguments)
                sa.event.listen(engine, "connect", _sqlite_pragmas)
            return cls(engine)
        except (OSError, *DAMAGE, sa.exc.ArgumentError, ModuleNotFoundError) as error:
            raise store_error(error, parsed(url)) from error

    def close(self) -> None:
        self._engine.dispose()

    # --- records ---------------------------------------------------------------------------------------

    def add(self, records: Iterable[Record], outcomes: Iterable[ItemOutcome] = ()) -> None:
        """Append records and outcomes in one transaction; what an id's newest version says is left out."""
        now = utc_now()
        rows = [
            {
                "kind": _kind(type(record)),
                "id": record.id,
                "digest": record.digest,
                "parent": record.parent_id,
                "body": record.model_dump_json(),
                "created_at": now,
            }
            for record in records
        ]
        ends = [{**outcome._asdict(), "at": now} for outcome in outcomes]
        if not rows and not ends:
            return
        with self._writing() as connection:
            if new := _without_known(connection, rows):
                connection.execute(_records.insert(), new)
            if ends:
                connection.execute(_outcomes.insert(), ends)

    def get(self, cls: type[R], record_id: str) -> R | None:
        """The newest version of a record, None when there is none."""
        return next(iter(self.by_id(cls, [record_id])), None)

    def by_id(self, cls: type[R], ids: Sequence[str]) -> list[R]:
        """The newest version of each id that exists, in the order of `ids`."""
        found: dict[str, R] = {}
        for chunk in _chunks(list(dict.fromkeys(ids))):
            found |= {record.id: record for record in self._newest(cls, _records.c.id.in_(chunk))}
        return [found[record_id] for record_id in dict.fromkeys(ids) if record_id in found]

    def all(self, cls: type[R]) -> list[R]:
        """The newest version of every record of a kind, in the order in which they first came."""
        return self._newest(cls)

    def by_parent(self, cls: type[R], parents: Sequence[str]) -> dict[str, list[R]]:
        """Records by the id in their parent field: newest versions, in the order in which they came."""
        return self._of_parents(cls, parents)

    def _of_parents(
        self, cls: type[R], parents: Sequence[str], *conditions: sa.ColumnElement[bool]
    ) -> dict[str, list[R]]:
        found: dict[str, list[R]] = {parent: [] for parent in parents}
        for chunk in _chunks(list(found)):
            for record in self._newest(cls, _records.c.parent.in_(chunk), *conditions):
                if record.parent_id not in found:
                    raise store_error(ValueError(f"{record.id} is not what it was"), self._engine.url)
                found[record.parent_id].append(record)
        return found

    def _newest(self, cls: type[R], *conditions: sa.ColumnElement[bool]) -> list[R]:
        """Newest versions of a kind that meet the conditions, in the order in which their ids first came."""
        query = (
            sa.select(_records.c.id, _records.c.body)
            .where(_records.c.kind == _kind(cls), *conditions)
            .order_by(_records.c.seq)
        )
        with self._reading() as connection:
            bodies = {row.id: row.body for row in connection.execute(query)}
            return [cls.model_validate_json(body) for body in bodies.values()]

    def digests(self, cls: type[R]) -> dict[str, str]:
        """Id -> digest of the newest version, of every record of a kind, without reading bodies."""
        query = sa.select(_records.c.id, _records.c.digest).where(_records.c.kind == _kind(cls))
        with self._reading() as connection:
            return {row.id: row.digest for row in connection.execute(query.order_by(_records.c.seq))}

    def columns(
        self, cls: type[Record], names: Sequence[str] = (), *, after: int = 0
    ) -> list[tuple[Any, ...]]:
        """(seq, id, parent, top-level fields as texts) of the versions of a kind after `after`, oldest first."""
        query = fields_query(_records, self._engine.dialect.name, names)
        query = query.where(_records.c.kind == _kind(cls), _records.c.seq > after)
        with self._reading() as connection:
            return [tuple(row) for row in connection.execute(query.order_by(_records.c.seq))]

    def find_ids(self, prefix: str) -> list[tuple[str, str]]:
        """(kind, id) of the records whose id starts with `prefix`, at most 20."""
        query = (
            sa.select(_records.c.kind, _records.c.id)
            .where(_records.c.id.startswith(prefix, autoescape=True))
            .distinct()
            .limit(20)
        )
        with self._reading() as connection:
            return [(row.kind, row.id) for row in connection.execute(query)]

    # --- what stands now ---------------------------------------------------------------------------------

    def set_live(self, cls: type[Record], ids: Iterable[str]) -> None:
        """Say which records of a kind stand now; all others are history."""
        kind = _kind(cls)
        rows = [{"kind": kind, "id": record_id} for record_id in dict.fromkeys(ids)]
        with self._writing() as connection:
            connection.execute(_live.delete().where(_live.c.kind == kind))
            if rows:
                connection.execute(_live.insert(), rows)

    def live_ids(self, cls: type[Record]) -> set[str]:
        with self._reading() as connection:
            return set(connection.execute(sa.select(_live.c.id).where(_live.c.kind == _kind(cls))).scalars())

    def live(
        self, cls: type[R], parents: Sequence[str] | None = None, *, ids: Sequence[str] | None = None
    ) -> list[R]:
        """The records of a kind that stand now, in the order in which they came: all of them, those of some
        parents (parent by parent), or those among `ids`."""
        if parents is not None:
            found = self._of_parents(cls, parents, _stands())
            return [record for records in found.values() for record in records]
        if ids is not None:
            chunks = _chunks(list(dict.fromkeys(ids)))
            return [r for chunk in chunks for r in self._newest(cls, _records.c.id.in_(chunk), _stands())]
        return self._newest(cls, _stands())

    # --- outcomes --------------------------------------------------------------------------------------

    def outcomes(self, stage: str | None = None) -> dict[tuple[str, str], ItemOutcome]:
        """The latest outcome of every (stage, item)."""
        query = sa.select(_outcomes).order_by(_outcomes.c.seq)
        if stage is not None:
            query = query.where(_outcomes.c.stage == stage)
        with self._reading() as connection:
            rows = connection.execute(query).mappings()
            return {
                (row["stage"], row["item"]): ItemOutcome(**{name: row[name] for name in ItemOutcome._fields})
                for row in rows
            }

    # --- facts and paths -------------------------------------------------------------------------------

    def add_facts(self, facts: Iterable[tuple[str, str, Any]]) -> None:
        """Append (subject, key, value) facts; those that say what is already known are left out."""
        facts = list(facts)
        known = self.facts({subject for subject, _, _ in facts})
        new = {
            (subject, key): value
            for subject, key, value in facts
            if known.get(subject, {}).get(key, _ABSENT) != value
        }
        rows = [
            {"subject": subject, "key": key, "value": json.dumps(value, ensure_ascii=False), "at": utc_now()}
            for (subject, key), value in new.items()
        ]
        if rows:
            with self._writing() as connection:
                connection.execute(_facts.insert(), rows)

    def facts(self, subjects: Iterable[str] | None = None) -> dict[str, dict[str, Any]]:
        """Subject -> key -> latest value. Subjects are source ids and "speaker:NAME"."""
        found: dict[str, dict[str, Any]] = {}
        chunks: Iterable[list[str] | None] = [None] if subjects is None else _chunks(sorted(subjects))
        for chunk in chunks:
            query = sa.select(_facts.c.subject, _facts.c.key, _facts.c.value).order_by(_facts.c.seq)
            if chunk is not None:
                query = query.where(_facts.c.subject.in_(chunk))
            with self._reading() as connection:
                for row in connection.execute(query):
                    found.setdefault(row.subject, {})[row.key] = json.loads(row.value)
        return found

    def set_paths(self, paths: Iterable[StoredPath]) -> None:
        """Remember where sources are; what is said last of a path stands."""
        rows = list({path.path: path._asdict() for path in paths}.values())
        if not rows:
            return
        with self._writing() as connection:
            connection.execute(
                _paths.delete().where(_paths.c.path == sa.bindparam("p")), [{"p": r["path"]} for r in rows]
            )
            connection.execute(_paths.insert(), rows)

    def paths(self) -> dict[str, StoredPath]:
        with self._reading() as connection:
            rows = connection.execute(sa.select(_paths)).mappings()
            return {row["path"]: StoredPath(**row) for row in rows}

    # --- calls and runs --------------------------------------------------------------------------------

    def add_call(self, call: CallEvent) -> None:
        """Append one ledger event; durable when this returns."""
        with self._writing() as connection:
            connection.execute(_calls.insert(), [{**call._asdict(), "at": utc_now()}])

    def receipt(self, key: str) -> CallEvent | None:
        """The receipt of a call key, None when no answer was ever received."""
        query = sa.select(_calls).where(_calls.c.key == key, _calls.c.event == "receipt")
        query = query.order_by(_calls.c.seq.desc())
        with self._reading() as connection:
            row = connection.execute(query.limit(1)).mappings().first()
        return None if row is None else CallEvent(**{name: row[name] for name in CallEvent._fields})

    def call_totals(self) -> dict[str, float]:
        """Counts of ledger events and the money spent: {"intent", "receipt", "failure", "spent_usd"}."""
        counted = sa.select(_calls.c.event, sa.func.count(), sa.func.sum(_calls.c.cost_usd))
        query = counted.group_by(_calls.c.event)
        totals = {"intent": 0.0, "receipt": 0.0, "failure": 0.0, "spent_usd": 0.0}
        with self._reading() as connection:
            for event, count, cost in connection.execute(query):
                totals[event] = count
                totals["spent_usd"] += cost or 0.0
        return totals

    def add_run(
        self, started_at: str, wall_s: float, counts: Mapping[str, Any], *, finished: bool = True
    ) -> None:
        """Append what a run did; `finished` False: it was interrupted or stopped before its last stage."""
        row = {
            "started_at": started_at, "wall_s": wall_s, "counts": json.dumps(counts), "finished": finished
        }  # fmt: skip
        with self._writing() as connection:
            connection.execute(_runs.insert(), [row])

    def runs(self) -> list[dict[str, Any]]:
        """All runs in order: seq, started_at, wall_s, finished, counts."""
        with self._reading() as connection:
            rows = connection.execute(sa.select(_runs).order_by(_runs.c.seq)).mappings()
            return [{**row, "counts": json.loads(row["counts"])} for row in rows]

    # --- connections -----------------------------------------------------------------------------------

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        """A connection to read with. What is read is also made into values inside: damaged text shows there.

        Raises:
            UserError: the store is damaged, locked or gone, or the disk is full.
        """
        try:
            with self._engine.connect() as connection:
                yield connection
        except (*DAMAGE, ValueError) as error:
            raise store_error(error, self._engine.url) from error

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        """One transaction; SQLite takes its write lock at the start, so that writers queue and do not fail."""
        try:
            with self._write_lock, self._engine.connect() as connection:
                if self._engine.dialect.name == "sqlite":
                    connection.exec_driver_sql("BEGIN IMMEDIATE")
                yield connection
                connection.commit()
        except DAMAGE as error:
            raise store_error(error, self._engine.url) from error


_ABSENT = object()


def _kind(cls: type[Record]) -> str:
    return cls.__name__.lower()


def _stands() -> sa.ColumnElement[bool]:
    """Whether a record stands now. A look-up for each record: what it costs does not grow with the project."""
    return sa.exists().where(_live.c.kind == _records.c.kind, _live.c.id == _records.c.id)


def _sqlite_pragmas(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # transactions are begun by us
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")


def _without_known(connection: sa.Connection, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows that say something else than the version of their id before them, in the store or in `rows`."""
    newest: dict[str, str] = {}
    for chunk in _chunks(list({row["id"]: None for row in rows})):
        query = sa.select(_records.c.id, _records.c.digest).where(_records.c.id.in_(chunk))
        newest |= {row.id: row.digest for row in connection.execute(query.order_by(_records.c.seq))}
    new = []
    for row in rows:
        if newest.get(row["id"]) != row["digest"]:
            newest[row["id"]] = row["digest"]
            new.append(row)
    return new


def _chunks(items: Sequence[str]) -> Iterator[list[str]]:
    for start in range(0, len(items), IN_CHUNK):
        yield list(items[start : start + IN_CHUNK])
