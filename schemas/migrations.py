"""Named, ordered changes of the store's tables. A store remembers which it has had."""

from __future__ import annotations

import json
from collections.abc import Callable

import sqlalchemy as sa
from sqlalchemy import Connection, select
from sqlmodel import SQLModel

from schemas.briefs import BRIEFS, brief_of
from schemas.errors import UserError
from schemas.ids import canonical_json
from schemas.rows import MigrationRow, RecordRow, RunRow, table_of
from schemas.store_errors import store_error

PAGE = 500  # rows that are changed at a time


def create_tables(connection: Connection) -> None:
    SQLModel.metadata.create_all(connection)


NEW_COLUMNS = {  # of 0002, by table
    "records": ("brief", "TEXT NOT NULL DEFAULT '{}'"),
    "runs": ("failed_items", "TEXT NOT NULL DEFAULT '[]'"),
}


def add_briefs(connection: Connection) -> None:
    """Briefs beside the records, and the failed items of a run beside its counts."""
    for table, (name, declared) in NEW_COLUMNS.items():
        known = {column["name"] for column in sa.inspect(connection).get_columns(table)}
        if name not in known:  # a new store has it from the start
            connection.exec_driver_sql(f"ALTER TABLE {table} ADD COLUMN {name} {declared}")
    renew_briefs(connection)
    _part_failed_items(connection)


def renew_briefs(connection: Connection) -> None:
    """All briefs anew, as this version makes them."""
    records = table_of(RecordRow)
    change = records.update().where(records.c.seq == sa.bindparam("n")).values(brief=sa.bindparam("made"))
    for cls in BRIEFS:
        query = select(records.c.seq, records.c.body).where(records.c.kind == cls.__name__.lower())
        page, last = query.order_by(records.c.seq).limit(PAGE), 0
        while rows := connection.execute(page.where(records.c.seq > last)).all():
            made = [(row.seq, brief_of(cls.model_validate_json(row.body))) for row in rows]
            connection.execute(change, [{"n": n, "made": canonical_json(brief)} for n, brief in made])
            last = rows[-1].seq


def _part_failed_items(connection: Connection) -> None:
    runs = table_of(RunRow)
    for row in connection.execute(select(runs.c.seq, runs.c.counts)).all():
        counts = json.loads(row.counts)
        if (failed := counts.pop("failed_items", None)) is not None:
            parted = {"counts": json.dumps(counts), "failed_items": json.dumps(failed)}
            connection.execute(runs.update().where(runs.c.seq == row.seq).values(**parted))


CALL_COLUMNS = {"usage_details": "TEXT NOT NULL DEFAULT '{}'", "logprobs": "TEXT"}  # of 0005


def add_call_details(connection: Connection) -> None:
    """Tokens by modality and the log-probabilities of an answer's tokens, beside the raw answer."""
    known = {column["name"] for column in sa.inspect(connection).get_columns("calls")}
    for name, declared in CALL_COLUMNS.items():
        if name not in known:
            connection.exec_driver_sql(f"ALTER TABLE calls ADD COLUMN {name} {declared}")


def add_components(connection: Connection) -> None:
    """Beside an intended call, digests of what its question is made of."""
    if "components" not in {column["name"] for column in sa.inspect(connection).get_columns("calls")}:
        connection.exec_driver_sql("ALTER TABLE calls ADD COLUMN components TEXT NOT NULL DEFAULT '{}'")


def add_batches(connection: Connection) -> None:
    """The book of vendors' batch jobs."""
    SQLModel.metadata.tables["batches"].create(connection, checkfirst=True)


def add_latency(connection: Connection) -> None:
    """How long an answer took."""
    if "latency_s" not in {column["name"] for column in sa.inspect(connection).get_columns("calls")}:
        connection.exec_driver_sql("ALTER TABLE calls ADD COLUMN latency_s DOUBLE PRECISION")


NUMBER = 4  # digits before the name of a change
MIGRATIONS: dict[str, Callable[[Connection], None]] = {
    "0001_create_tables": create_tables,
    "0002_add_briefs": add_briefs,
    "0003_renew_briefs": renew_briefs,  # the faces of a segment, whom a sample is about
    "0004_tell_baselines": renew_briefs,  # whether a baseline is of a voice or of a face
    "0005_add_call_details": add_call_details,
    "0006_add_components": add_components,
    "0007_tell_voices": renew_briefs,  # how the answers of an annotator agree
    "0008_add_batches": add_batches,
    "0009_add_latency": add_latency,
}


def migrate(connection: Connection, *, now: str) -> None:
    """Bring the store up to date.

    Raises:
        UserError: the store was written by a newer emotrace, or is damaged.
    """
    SQLModel.metadata.tables["migrations"].create(connection, checkfirst=True)
    done = set(connection.execute(select(MigrationRow.name)).scalars())  # type: ignore[call-overload]
    if unknown := done - set(MIGRATIONS):
        if not max(MIGRATIONS)[:NUMBER] < min(unknown)[:NUMBER] <= "9" * NUMBER:  # no version names one so
            error = ValueError(f"it has had an unknown change ({min(unknown)})")
            raise store_error(error, connection.engine.url)
        raise UserError(
            "newer_store", f"this store was changed by a newer emotrace ({min(unknown)})", "upgrade emotrace"
        )
    for name, change in MIGRATIONS.items():
        if name not in done:
            change(connection)
            connection.execute(table_of(MigrationRow).insert().values(name=name, at=now))
