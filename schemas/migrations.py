"""Named, ordered changes of the store's tables. A store remembers which it has had."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, select
from sqlmodel import SQLModel

from schemas.errors import UserError
from schemas.rows import MigrationRow


def create_tables(connection: Connection) -> None:
    SQLModel.metadata.create_all(connection)


MIGRATIONS: dict[str, Callable[[Connection], None]] = {
    "0001_create_tables": create_tables,
}


def migrate(connection: Connection, *, now: str) -> None:
    """Bring the store up to date.

    Raises:
        UserError: the store was written by a newer emotrace.
    """
    SQLModel.metadata.tables["migrations"].create(connection, checkfirst=True)
    done = set(connection.execute(select(MigrationRow.name)).scalars())  # type: ignore[call-overload]
    if unknown := done - set(MIGRATIONS):
        raise UserError(
            "newer_store", f"this store was changed by a newer emotrace ({min(unknown)})", "upgrade emotrace"
        )
    for name, change in MIGRATIONS.items():
        if name not in done:
            change(connection)
            connection.execute(MigrationRow.__table__.insert().values(name=name, at=now))  # type: ignore[attr-defined]
