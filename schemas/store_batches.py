"""What a store keeps of vendors' batch jobs: begun within a budget, submitted, over. Appended alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import sqlalchemy as sa

from schemas.errors import UserError
from schemas.rows import BatchRow, CallRow, table_of
from schemas.store_asked import Asked, CallSums, sums_since
from schemas.store_notes import ADD_CALL, CallEvent, utc_now

_batches = table_of(BatchRow)
_calls = table_of(CallRow)


class BatchJob(NamedTuple):
    """A job: `token` is our name for it, `job` the vendor's, `file` that of its questions, "" until it is known.

    `sent_bytes`: call key of each question -> about how many bytes it sends.
    """

    token: str
    asker: str
    provider: str
    model: str
    server: str
    sent_bytes: Mapping[str, int]
    size_bytes: int
    planned_usd: float
    job: str = ""
    at: str = ""
    file: str = ""


class Batched(Asked):
    """The part of a store that is about batch jobs."""

    def begin_batch(
        self,
        job: BatchJob,
        intents: Sequence[CallEvent],
        refuse: Callable[[CallSums], UserError | None],
        before: CallSums,
    ) -> None:
        """Append a job and the intents of all its calls, before anything of it is sent.

        `refuse` gets the sums as they are, counted on from `before`, and says why the job may not be begun.

        Raises:
            UserError: what `refuse` said.
        """
        now = utc_now()
        row = {**job._asdict(), "keys": json.dumps(job.sent_bytes), "event": "begun", "at": now}
        del row["sent_bytes"], row["file"]
        with self._database.writing(alone_on=_calls) as connection:
            if (error := refuse(sums_since(connection, before))) is not None:
                raise error
            connection.execute(_batches.insert(), row)
            connection.execute(ADD_CALL, [{**intent._asdict(), "at": now} for intent in intents])

    def uploaded_batch(self, token: str, file: str) -> None:
        """The vendor has a job's questions, and calls their file so."""
        self._add_batch(token=token, event="uploaded", message=file)

    def submitted_batch(self, token: str, job: str) -> None:
        """The vendor has a job, and calls it so."""
        self._add_batch(token=token, event="submitted", job=job)

    def end_batch(self, token: str, message: str = "") -> None:
        """Nothing more comes of a job; `message`: why not all of it was answered."""
        self._add_batch(token=token, event="over", message=message)

    def _add_batch(self, **row: str) -> None:
        with self._database.writing() as connection:
            connection.execute(_batches.insert(), {"keys": "[]", **row, "at": utc_now()})

    def open_batches(self) -> list[BatchJob]:
        """Jobs that are not over, in the order in which they were begun."""
        over = sa.select(_batches.c.token).where(_batches.c.event == "over")
        query = sa.select(_batches).where(_batches.c.token.not_in(over)).order_by(_batches.c.seq)
        found: dict[str, BatchJob] = {}
        with self._database.reading() as connection:
            for row in connection.execute(query).mappings():
                if row["event"] == "begun":
                    found[row["token"]] = _job(row)
                elif row["event"] == "uploaded":
                    found[row["token"]] = found[row["token"]]._replace(file=row["message"])
                else:
                    found[row["token"]] = found[row["token"]]._replace(job=row["job"])
        return list(found.values())


def _job(row: sa.RowMapping) -> BatchJob:
    fields = {name: row[name] for name in BatchJob._fields if name not in ("sent_bytes", "file")}
    keys = json.loads(row["keys"])
    if isinstance(keys, list):  # as the first stores wrote them
        keys = dict.fromkeys(keys, row["size_bytes"] // max(1, len(keys)))
    return BatchJob(**fields, sent_bytes=keys)
