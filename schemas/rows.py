"""The tables of the store. Rows are made only inside `schemas.store`: SQLModel tables do not validate."""

from __future__ import annotations

from sqlalchemy import Column, Index, Table, Text
from sqlmodel import Field, SQLModel


class RecordRow(SQLModel, table=True):
    """One version of one record; the latest of an id stands. A second one exists only after a failed attempt."""

    __tablename__ = "records"
    __table_args__ = (
        Index("records_by_id", "id", "seq"),
        Index("records_by_kind_parent", "kind", "parent"),
    )
    seq: int | None = Field(default=None, primary_key=True)
    kind: str
    id: str
    digest: str
    parent: str | None = None
    brief: str = "{}"  # JSON; before the body, which may fill pages of its own that a reader of briefs skips
    body: str = Field(sa_column=Column(Text, nullable=False))
    created_at: str


class FactRow(SQLModel, table=True):
    """What people say about a source or speaker; appended, the latest of a key wins."""

    __tablename__ = "facts"
    seq: int | None = Field(default=None, primary_key=True)
    subject: str = Field(index=True)
    key: str
    value: str  # JSON
    at: str


class PathRow(SQLModel, table=True):
    """Where a source was last seen; saves hashing a file again whose size, mtime and inode are the same."""

    __tablename__ = "paths"
    path: str = Field(primary_key=True)
    size_bytes: int
    mtime_ns: int
    inode: int
    source_id: str = Field(index=True)


class OutcomeRow(SQLModel, table=True):
    """How an item of a stage ended; appended, the latest of (stage, item) wins. Failures live here."""

    __tablename__ = "outcomes"
    __table_args__ = (Index("outcomes_by_item", "stage", "item"),)
    seq: int | None = Field(default=None, primary_key=True)
    stage: str
    item: str
    status: str  # done | failed | dead
    path: str | None = None
    code: str = ""
    message: str = ""
    retry: str = ""
    at: str


class LiveRow(SQLModel, table=True):
    """Which records stand now: what the last run derived from the settings and files as they are."""

    __tablename__ = "live"
    kind: str = Field(primary_key=True)
    id: str = Field(primary_key=True)


class CallRow(SQLModel, table=True):
    """The ledger of paid calls: one row per event (intent, receipt, failure) of a call key."""

    __tablename__ = "calls"
    seq: int | None = Field(default=None, primary_key=True)
    key: str = Field(index=True)
    event: str  # intent | receipt | failure
    provider: str
    model: str
    annotator: str = ""
    raw: str | None = Field(default=None, sa_column=Column(Text))
    model_version: str | None = None
    finish_reason: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = None
    message: str = ""
    at: str
    usage_details: str = "{}"  # JSON; what the vendor tells of its tokens beside the two sums
    logprobs: str | None = Field(
        default=None, sa_column=Column(Text)
    )  # JSON: [text, logprob, [[text, logprob]]]
    components: str = "{}"  # JSON, of intents: digests of what the question is made of
    latency_s: float | None = (
        None  # of receipts: from the first byte sent to the whole answer; none in a batch
    )


class BatchRow(SQLModel, table=True):
    """The book of vendors' batch jobs: one row per event of a job's own token.

    `begun` is durable before anything is sent and holds the call keys, with the bytes that each question sends;
    `uploaded` holds the vendor's name of its file as the message, `submitted` the vendor's id.
    """

    __tablename__ = "batches"
    seq: int | None = Field(default=None, primary_key=True)
    token: str = Field(index=True)
    event: str  # begun | uploaded | submitted | over
    asker: str = ""  # "annotators NAME" or "judges NAME"
    provider: str = ""
    model: str = ""
    server: str = ""
    job: str = ""
    keys: str = Field(default="[]", sa_column=Column(Text, nullable=False))  # JSON
    size_bytes: int = 0
    planned_usd: float = 0.0
    message: str = ""
    at: str


class RunRow(SQLModel, table=True):
    """One `run`: its counts as JSON, so that totals over runs can be told; `finished`: it came to its end."""

    __tablename__ = "runs"
    seq: int | None = Field(default=None, primary_key=True)
    started_at: str
    wall_s: float
    finished: bool = True
    counts: str  # JSON
    failed_items: str = "[]"  # JSON; read of the last run only


class MigrationRow(SQLModel, table=True):
    __tablename__ = "migrations"
    name: str = Field(primary_key=True)
    at: str


def table_of(row: type[SQLModel]) -> Table:
    """The table that a class of rows stands for, to put queries together."""
    found: Table = row.__table__  # type: ignore[attr-defined]
    return found
