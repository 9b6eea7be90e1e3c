"""The connection of a store to its database: how it is opened, read and written."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlmodel import create_engine

from schemas.store_errors import DAMAGE, parsed, store_error

BUSY_TIMEOUT_S = 60


class Database:
    """An SQLAlchemy engine; errors of the driver become one line that the user can act on. Safe for threads."""

    def __init__(self, url: str, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
        """Nothing is connected before the first read or write, but the folder of a file is made.

        Raises:
            UserError: the URL is none, its driver is missing, or the folder cannot be made.
        """
        try:
            self.engine = _engine(url, busy_timeout_s)
        except (OSError, *DAMAGE, sa.exc.ArgumentError, ModuleNotFoundError) as error:
            raise store_error(error, parsed(url)) from error
        self._write_lock = threading.Lock()

    def close(self) -> None:
        self.engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection to read with. What is read is also made into values inside: damaged text shows there.

        Raises:
            UserError: the store is damaged, locked or gone, or the disk is full.
        """
        try:
            with self.engine.connect() as connection:
                yield connection
        except (*DAMAGE, ValueError) as error:
            raise store_error(error, self.engine.url) from error

    @contextmanager
    def writing(self, alone_on: sa.Table | None = None) -> Iterator[sa.Connection]:
        """One transaction; SQLite takes its write lock at the start, so that writers queue and do not fail.

        `alone_on` is a table that no other transaction may change until this one has ended: for those who first
        read what is there and then write the difference.
        """
        try:
            with self._write_lock, self.engine.connect() as connection:
                if self.engine.dialect.name == "sqlite":
                    connection.exec_driver_sql("BEGIN IMMEDIATE")
                elif alone_on is not None:
                    connection.exec_driver_sql(f"LOCK TABLE {alone_on.name} IN SHARE ROW EXCLUSIVE MODE")
                yield connection
                connection.commit()
        except DAMAGE as error:
            raise store_error(error, self.engine.url) from error


def _engine(url: str, busy_timeout_s: float) -> sa.Engine:
    engine = create_engine(url)
    if engine.dialect.name != "sqlite":
        return engine
    if engine.url.database:
        Path(engine.url.database).parent.mkdir(parents=True, exist_ok=True)
    engine.dispose()
    engine = create_engine(url, connect_args={"timeout": busy_timeout_s, "check_same_thread": False})
    sa.event.listen(engine, "connect", _sqlite_pragmas)
    return engine


def _sqlite_pragmas(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # transactions are begun by us
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
