"""Some fields of very many records, picked by the database: no body is sent or parsed as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa


def fields_query(records: sa.Table, dialect: str, names: Sequence[str]) -> sa.Select[Any]:
    """Number, id and parent of records, and top-level fields of their bodies as texts."""
    fields = [field_of(records.c.body, dialect, name) for name in names]
    return sa.select(records.c.seq, records.c.id, records.c.parent, *fields)


def field_of(column: sa.ColumnElement[str], dialect: str, name: str) -> sa.ColumnElement[str]:
    """A top-level field of JSON that is kept as text, itself as text."""
    # SQLite reads JSON from text; PostgreSQL wants to be told that the text is JSON.
    whole = sa.type_coerce(column, sa.JSON) if dialect == "sqlite" else sa.cast(column, sa.JSON)
    found: sa.ColumnElement[str] = whole[name].as_string()
    return found
