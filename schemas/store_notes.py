"""What a store keeps beside the records: outcomes, facts, paths, the ledger of calls, runs."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple

import sqlalchemy as sa

from schemas.database import Database
from schemas.ports import NOT_SENT
from schemas.rows import CallRow, FactRow, OutcomeRow, PathRow, RunRow, table_of

IN_CHUNK = 900  # below SQLite's limit of bound variables

_facts = table_of(FactRow)
_paths = table_of(PathRow)
_outcomes = table_of(OutcomeRow)
_calls = table_of(CallRow)
_runs = table_of(RunRow)


class StoredPath(NamedTuple):
    path: str
    size_bytes: int
    mtime_ns: int
    inode: int
    source_id: str


class ItemOutcome(NamedTuple):
    """How an item of a stage ended. `retry` is the command that tries it again.

    "dead": a question to a model that is not sent again by itself.
    """

    stage: str
    item: str
    status: Literal["done", "failed", "dead"]
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
    usage_details: str = "{}"  # JSON
    logprobs: str | None = None  # JSON
    components: str = "{}"  # JSON
    latency_s: float | None = None

    @property
    def was_not_sent(self) -> bool:
        """Takes back an intent: the call was never made."""
        return self.event == "failure" and self.message.startswith(f"{NOT_SENT}:")


# Rows of events that were not sent, as above.
TAKEN_BACK = sa.and_(_calls.c.event == "failure", _calls.c.message.startswith(f"{NOT_SENT}:"))
ADD_CALL = _calls.insert()  # made once: to put it together takes longer than to run it


def utc_now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def chunks(items: Sequence[str]) -> Iterator[list[str]]:
    """As many at a time as one query takes."""
    for start in range(0, len(items), IN_CHUNK):
        yield list(items[start : start + IN_CHUNK])


_ABSENT = object()


class Notes:
    """The part of a store that holds no records. All of it is appended; of paths what is said last stands."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # --- outcomes --------------------------------------------------------------------------------------

    def outcomes(
        self, stage: str | None = None, *, status: Literal["done", "failed", "dead"] | None = None
    ) -> dict[tuple[str, str], ItemOutcome]:
        """The latest outcome of every (stage, item); with `status` only where that is how it ended."""
        later = _outcomes.alias()
        newer = sa.and_(
            later.c.stage == _outcomes.c.stage,
            later.c.item == _outcomes.c.item,
            later.c.seq > _outcomes.c.seq,
        )
        query = sa.select(_outcomes).where(~sa.exists().where(newer)).order_by(_outcomes.c.seq)
        if stage is not None:
            query = query.where(_outcomes.c.stage == stage)
        if status is not None:
            query = query.where(_outcomes.c.status == status)
        with self._database.reading() as connection:
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
            with self._database.writing() as connection:
                connection.execute(_facts.insert(), rows)

    def facts(self, subjects: Iterable[str] | None = None) -> dict[str, dict[str, Any]]:
        """Subject -> key -> latest value. Subjects are source ids and "speaker:NAME"."""
        found: dict[str, dict[str, Any]] = {}
        pieces: Iterable[list[str] | None] = [None] if subjects is None else chunks(sorted(subjects))
        for chunk in pieces:
            query = sa.select(_facts.c.subject, _facts.c.key, _facts.c.value).order_by(_facts.c.seq)
            if chunk is not None:
                query = query.where(_facts.c.subject.in_(chunk))
            with self._database.reading() as connection:
                for row in connection.execute(query):
                    found.setdefault(row.subject, {})[row.key] = json.loads(row.value)
        return found

    def newest_fact(self, leave_out: Collection[str] = ()) -> int:
        """The number of the newest fact, but for some subjects; it grows with every fact that is added."""
        query = sa.select(sa.func.max(_facts.c.seq)).where(_facts.c.subject.not_in(leave_out))
        with self._database.reading() as connection:
            return int(connection.execute(query).scalar() or 0)

    def set_paths(self, paths: Iterable[StoredPath]) -> None:
        """Remember where sources are; what is said last of a path stands."""
        rows = list({path.path: path._asdict() for path in paths}.values())
        if not rows:
            return
        with self._database.writing() as connection:
            connection.execute(
                _paths.delete().where(_paths.c.path == sa.bindparam("p")), [{"p": r["path"]} for r in rows]
            )
            connection.execute(_paths.insert(), rows)

    def paths(self) -> dict[str, StoredPath]:
        with self._database.reading() as connection:
            columns = [_paths.c[name] for name in StoredPath._fields]
            found = [StoredPath(*row) for row in connection.execute(sa.select(*columns)).tuples()]
        return {stored.path: stored for stored in found}

    # --- calls and runs --------------------------------------------------------------------------------

    def call_totals(self) -> dict[str, float]:
        """Counts of ledger events and the money spent: {"intent", "receipt", "failure", "unpriced", "spent_usd"}.

        An intent that was taken back counts as none of them. "unpriced": answers whose price was not known, so
        that the money lacks them.
        """
        kind, cost = sa.case((TAKEN_BACK, NOT_SENT), else_=_calls.c.event).label("kind"), _calls.c.cost_usd
        query = sa.select(kind, sa.func.count(), sa.func.count(cost), sa.func.sum(cost)).group_by("kind")
        totals = dict.fromkeys(("intent", "receipt", "failure", "unpriced", "spent_usd", NOT_SENT), 0.0)
        with self._database.reading() as connection:
            for event, count, priced, usd in connection.execute(query):
                totals[event] = count
                totals["unpriced"] += count - priced if event == "receipt" else 0
                totals["spent_usd"] += usd or 0.0
        totals["intent"] -= totals.pop(NOT_SENT)
        return totals

    def add_run(
        self,
        started_at: str,
        wall_s: float,
        counts: Mapping[str, Any],
        *,
        failed_items: Sequence[Mapping[str, Any]] = (),
        finished: bool = True,
    ) -> None:
        """Append what a run did; `finished` False: it was interrupted or stopped before its last stage."""
        row = {
            "started_at": started_at,
            "wall_s": wall_s,
            "counts": json.dumps(counts),
            "failed_items": json.dumps(list(failed_items)),
            "finished": finished,
        }
        with self._database.writing() as connection:
            connection.execute(_runs.insert(), [row])

    def runs(self) -> list[dict[str, Any]]:
        """All runs in order: seq, started_at, wall_s, finished, counts."""
        columns = [column for column in _runs.c if column is not _runs.c.failed_items]
        with self._database.reading() as connection:
            rows = connection.execute(sa.select(*columns).order_by(_runs.c.seq)).mappings()
            return [{**row, "counts": json.loads(row["counts"])} for row in rows]

    def last_failed_items(self) -> tuple[str, list[dict[str, Any]]]:
        """When the last run ended that came to its end, and the items that failed in it; others are not read."""
        columns = (_runs.c.started_at, _runs.c.wall_s, _runs.c.failed_items)
        query = sa.select(*columns).where(_runs.c.finished).order_by(_runs.c.seq.desc())
        with self._database.reading() as connection:
            row = connection.execute(query.limit(1)).one_or_none()
        if row is None:
            return "", []
        ended_at = datetime.fromisoformat(row.started_at) + timedelta(seconds=row.wall_s)
        return ended_at.isoformat(timespec="milliseconds"), json.loads(row.failed_items)
