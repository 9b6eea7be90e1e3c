"""Some fields of very many records, picked by the database: no body is sent or parsed as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa


def fields_query(records: sa.Table, dialect: str, names: Sequence[str]) -> sa.Select[Any]:
    """Number, id and parent of records, and top-level fields of their bodies as texts."""
    body = records.c.body
    # SQLite reads JSON from text; PostgreSQL wants to be told that the text is JSON.
    whole = sa.type_coerce(body, sa.JSON) if dialect == "sqlite" else sa.cast(body, sa.JSON)
    fields = [whole[name].as_string() for name in names]
    return sa.select(records.c.seq, records.c.id, records.c.parent, *fields)
