"""The append-only store: SQLite in WAL mode by default, PostgreSQL by URL.

Everything that cannot be recomputed is here: records, raw answers, reviews, money, what people said. Writes
go through SQLAlchemy Core, one transaction a call (`synchronous=FULL`: a returned write survives a crash).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

import sqlalchemy as sa

from schemas.briefs import Brief, brief_of
from schemas.database import BUSY_TIMEOUT_S, Database
from schemas.fields import field_of, fields_query
from schemas.ids import canonical_json
from schemas.migrations import migrate
from schemas.record import Record
from schemas.rows import LiveRow, OutcomeRow, RecordRow, table_of
from schemas.store_batches import Batched
from schemas.store_errors import store_error
from schemas.store_notes import CallEvent, ItemOutcome, StoredPath, chunks, utc_now

__all__ = ["CallEvent", "ItemOutcome", "Store", "StoredPath", "Stub", "utc_now"]
R = TypeVar("R", bound=Record)
T = TypeVar("T")

_records = table_of(RecordRow)
_outcomes = table_of(OutcomeRow)
_live = table_of(LiveRow)


class Stub(NamedTuple):
    """A record without its body: `brief` as `schemas.briefs` makes it; `live` when it stands now."""

    id: str
    digest: str
    parent: str | None
    brief: Brief
    live: bool


class Store(Batched):
    """All reads and writes of one project's memory. Safe for threads; several processes may share it."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        with database.writing() as connection:
            migrate(connection, now=utc_now())

    @classmethod
    def open(cls, url: str, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> Store:
        """Open or create a store by SQLAlchemy URL (`sqlite:///PATH`, `postgresql+psycopg://...`).

        Raises:
            UserError: cannot be opened, is not a database, the disk is full, or is newer than this program.
        """
        return cls(Database(url, busy_timeout_s=busy_timeout_s))

    def close(self) -> None:
        self._database.close()

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
                "brief": canonical_json(brief_of(record)),
                "body": record.model_dump_json(),
                "created_at": now,
            }
            for record in records
        ]
        ends = [{**outcome._asdict(), "at": now} for outcome in outcomes]
        if not rows and not ends:
            return
        with self._database.writing() as connection:
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
        for chunk in chunks(list(dict.fromkeys(ids))):
            found |= {record.id: record for record in self._newest(cls, _among(cls, chunk))}
        return [found[record_id] for record_id in dict.fromkeys(ids) if record_id in found]

    def all(self, cls: type[R]) -> list[R]:
        """The newest version of every record of a kind, in the order in which they first came."""
        return self._newest(cls, _of_kind(cls))

    def by_parent(self, cls: type[R], parents: Sequence[str]) -> dict[str, list[R]]:
        """Records by the id in their parent field: newest versions, in the order in which they came."""
        return self._of_parents(cls, parents)

    def _of_parents(
        self, cls: type[R], parents: Sequence[str], *conditions: sa.ColumnElement[bool]
    ) -> dict[str, list[R]]:
        found: dict[str, list[R]] = {parent: [] for parent in parents}
        for chunk in chunks(list(found)):
            for record in self._newest(cls, _of_kind(cls), _records.c.parent.in_(chunk), *conditions):
                if record.parent_id not in found:
                    raise store_error(
                        ValueError(f"{record.id} is not what it was"), self._database.engine.url
                    )
                found[record.parent_id].append(record)
        return found

    def _newest(self, cls: type[R], *conditions: sa.ColumnElement[bool]) -> list[R]:
        """Newest versions of what meets the conditions, in the order in which their ids first came."""
        query = sa.select(_records.c.id, _records.c.body).where(*conditions).order_by(_records.c.seq)
        with self._database.reading() as connection:
            bodies = {row.id: row.body for row in connection.execute(query)}
            return [cls.model_validate_json(body) for body in bodies.values()]

    def stubs(self, cls: type[Record], ids: Sequence[str]) -> dict[str, Stub]:
        """Id -> the newest version of a record without its body, of those ids that exist."""
        found: dict[str, Stub] = {}
        for chunk in chunks(list(dict.fromkeys(ids))):
            found |= self._stubs(_among(cls, chunk))
        return found

    def stubs_by_parent(self, cls: type[Record], parents: Sequence[str]) -> dict[str, list[Stub]]:
        """Records without their bodies by the id in their parent field, in the order in which they came."""
        found: dict[str, list[Stub]] = {parent: [] for parent in parents}
        for chunk in chunks(list(found)):
            for stub in self._stubs(_of_kind(cls), _records.c.parent.in_(chunk)).values():
                self._of(found, stub.parent).append(stub)
        return found

    def _of(self, found: dict[str, list[T]], parent: str | None) -> list[T]:
        if parent is None or parent not in found:  # the index of a damaged file leads to another record
            raise store_error(ValueError(f"{parent} was not asked for"), self._database.engine.url)
        return found[parent]

    def _stubs(self, *conditions: sa.ColumnElement[bool]) -> dict[str, Stub]:
        columns = (_records.c.id, _records.c.digest, _records.c.parent, _records.c.brief)
        query = sa.select(*columns, _stands()).where(*conditions).order_by(_records.c.seq)
        with self._database.reading() as connection:
            return {
                id_: Stub(id_, digest, parent, json.loads(brief), bool(live))
                for id_, digest, parent, brief, live in connection.execute(query)
            }

    def digests(self, cls: type[R]) -> dict[str, str]:
        """Id -> digest of the newest version, of every record of a kind, without reading bodies."""
        query = sa.select(_records.c.id, _records.c.digest).where(_of_kind(cls))
        with self._database.reading() as connection:
            return {row.id: row.digest for row in connection.execute(query.order_by(_records.c.seq))}

    def columns(
        self, cls: type[Record], names: Sequence[str] = (), *, after: int = 0
    ) -> list[tuple[Any, ...]]:
        """(seq, id, parent, top-level fields as texts) of the versions of a kind after `after`, oldest first."""
        query = fields_query(_records, self._database.engine.dialect.name, names)
        query = query.where(_records.c.kind == _kind(cls), _records.c.seq > after)
        with self._database.reading() as connection:
            return [tuple(row) for row in connection.execute(query.order_by(_records.c.seq))]

    def find_ids(self, prefix: str) -> list[tuple[str, str]]:
        """(kind, id) of the records whose id starts with `prefix`, at most 20."""
        query = (
            sa.select(_records.c.kind, _records.c.id)
            .where(_records.c.id.startswith(prefix, autoescape=True))
            .distinct()
            .limit(20)
        )
        with self._database.reading() as connection:
            return [(row.kind, row.id) for row in connection.execute(query)]

    # --- what stands now ---------------------------------------------------------------------------------

    def set_live(self, cls: type[Record], ids: Iterable[str]) -> None:
        """Say which records of a kind stand now; all others are history."""
        kind, wanted = _kind(cls), dict.fromkeys(ids)
        with self._database.writing(alone_on=_live) as connection:
            there = set(connection.execute(_live_of(kind)).scalars())
            for chunk in chunks([record_id for record_id in there if record_id not in wanted]):
                connection.execute(_live.delete().where(_live.c.kind == kind, _live.c.id.in_(chunk)))
            if new := [{"kind": kind, "id": record_id} for record_id in wanted if record_id not in there]:
                connection.execute(_live.insert(), new)

    def live_ids(self, cls: type[Record]) -> set[str]:
        with self._database.reading() as connection:
            return set(connection.execute(_live_of(_kind(cls))).scalars())

    def live_by(self, cls: type[Record], name: str, words: Collection[str]) -> list[str]:
        """Ids of the records that stand now in whose briefs `name` is one of some words; no brief is sent."""
        said = field_of(_records.c.brief, self._database.engine.dialect.name, name)
        query = sa.select(_records.c.id).select_from(_standing(_kind(cls)))
        query = query.where(_is_newest(_records), said.in_(sorted(words))).order_by(_records.c.seq)
        with self._database.reading() as connection:
            return list(connection.execute(query).scalars())

    def live(
        self, cls: type[R], parents: Sequence[str] | None = None, *, ids: Sequence[str] | None = None
    ) -> list[R]:
        """The records of a kind that stand now, in the order in which they came: all of them, those of some
        parents (parent by parent), or those among `ids`."""
        if parents is not None:
            found = self._of_parents(cls, parents, _stands())
            return [record for records in found.values() for record in records]
        if ids is not None:
            pieces = chunks(list(dict.fromkeys(ids)))
            return [r for chunk in pieces for r in self._newest(cls, _among(cls, chunk), _stands())]
        return self._newest(cls, _of_kind(cls), _stands())

    def standing_digest(self) -> str:
        """SHA-256 of which records stand now, of all kinds."""
        with self._database.reading() as connection:
            rows = connection.execute(sa.select(_live.c.kind, _live.c.id)).all()
        return hashlib.sha256("\n".join(sorted(f"{kind} {id_}" for kind, id_ in rows)).encode()).hexdigest()

    def newest_by_kind(self, leave_out: Iterable[type[Record]] = ()) -> dict[str, int]:
        """Kind -> the number of its newest row; it grows with every record that is added."""
        query = sa.select(_records.c.kind, sa.func.max(_records.c.seq)).group_by(_records.c.kind)
        with self._database.reading() as connection:
            newest = {kind: int(seq) for kind, seq in connection.execute(query)}
        return {kind: seq for kind, seq in newest.items() if kind not in map(_kind, leave_out)}

    def tally(self, cls: type[Record]) -> list[tuple[Brief, int]]:
        """How many records of a kind stand now, by brief."""
        query = sa.select(_records.c.brief, sa.func.count()).select_from(_standing(_kind(cls)))
        query = query.where(_is_newest(_records)).group_by(_records.c.brief)
        with self._database.reading() as connection:
            return [(json.loads(brief), count) for brief, count in connection.execute(query)]

    def tally_by_parent(self, cls: type[Record]) -> list[tuple[Brief, Brief, int]]:
        """How many records of a kind stand now, by the brief of their parent and their own."""
        parent = _records.alias("parent")
        joined = _standing(_kind(cls)).join(parent, parent.c.id == _records.c.parent)
        query = sa.select(parent.c.brief, _records.c.brief, sa.func.count()).select_from(joined)
        query = query.where(_is_newest(_records), _is_newest(parent))
        with self._database.reading() as connection:
            rows = connection.execute(query.group_by(parent.c.brief, _records.c.brief))
            return [(json.loads(above), json.loads(own), count) for above, own, count in rows]


def _kind(cls: type[Record]) -> str:
    return cls.__name__.lower()


def _of_kind(cls: type[Record]) -> sa.ColumnElement[bool]:
    return _records.c.kind == _kind(cls)


def _among(cls: type[Record], ids: Sequence[str]) -> sa.ColumnElement[bool]:
    """Records of a kind by id. The prefix tells the kind; asked for as well, SQLite reads all of the kind."""
    return _records.c.id.in_([record_id for record_id in ids if record_id.startswith(f"{cls.PREFIX}_")])


def _live_of(kind: str) -> sa.Select[tuple[str]]:
    return sa.select(_live.c.id).where(_live.c.kind == kind)


def _standing(kind: str) -> sa.Join:
    """Every version of the records of a kind that stand now."""
    return _live.join(_records, sa.and_(_live.c.kind == kind, _records.c.id == _live.c.id))


def _is_newest(table: sa.FromClause) -> sa.ColumnElement[bool]:
    later = _records.alias()
    return ~sa.exists().where(later.c.id == table.c.id, later.c.seq > table.c.seq)


def _stands() -> sa.ColumnElement[bool]:
    """Whether a record stands now. A look-up for each record: what it costs does not grow with the project.

    PostgreSQL would make a bare EXISTS a join, and read all that stands for every page.
    """
    found = sa.exists().where(_live.c.kind == _records.c.kind, _live.c.id == _records.c.id)
    return sa.case((found, 1), else_=0) == 1


def _without_known(connection: sa.Connection, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows that say something else than the version of their id before them, in the store or in `rows`."""
    newest: dict[str, str] = {}
    for chunk in chunks(list({row["id"]: None for row in rows})):
        query = sa.select(_records.c.id, _records.c.digest).where(_records.c.id.in_(chunk))
        newest |= {row.id: row.digest for row in connection.execute(query.order_by(_records.c.seq))}
    new = []
    for row in rows:
        if newest.get(row["id"]) != row["digest"]:
            newest[row["id"]] = row["digest"]
            new.append(row)
    return new
