"""What goes wrong with a store, as one line that the user can act on."""

from __future__ import annotations

import sqlite3

import sqlalchemy as sa
from sqlalchemy.exc import DatabaseError

from schemas.errors import UserError

# The second: no room for the index of the write-ahead log, which every connection needs, also to read.
NO_SPACE_CODES = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE})
# A damaged database file shows in the driver's errors, and in text that is no longer UTF-8 (also in messages).
DAMAGE = (DatabaseError, UnicodeDecodeError)


def parsed(url: str) -> sa.URL | None:
    try:
        return sa.make_url(url)
    except sa.exc.ArgumentError:
        return None


def store_error(error: Exception, url: sa.URL | None) -> UserError:
    """What a driver or the disk says, as one line; a password in the URL is not shown."""
    where = None if url is None else url.render_as_string(hide_password=True)
    cause = getattr(error, "orig", None) or error
    text = (str(cause).splitlines() or [type(cause).__name__])[0]
    full = getattr(cause, "sqlite_errorcode", None) in NO_SPACE_CODES
    if full or "disk is full" in text or "No space left" in text:
        return UserError(
            "no_space",
            "no space left for the store",
            "free disk space, then run again; nothing is lost",
            where,
        )
    if "locked" in text:
        return UserError(
            "store_locked", "the store is held by another program", "stop it, then run again", where
        )
    remedy = "check project.store; if the file is damaged, bring back a copy of it"
    return UserError("bad_store", f"the store cannot be used: {text}", remedy, where)
