"""What a store keeps of questions to models: calls intended within a budget, and how often one failed."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from schemas.errors import UserError
from schemas.rows import CallRow, OutcomeRow, RecordRow, table_of
from schemas.store_notes import ADD_CALL, TAKEN_BACK, CallEvent, ItemOutcome, Notes, chunks, utc_now

_calls = table_of(CallRow)
_records = table_of(RecordRow)
NEWEST = 200  # answers, from which it is told how long calls take
_outcomes = table_of(OutcomeRow)


# Made once: to put it together takes longer than to ask it.
_SUMS = sa.select(
    sa.func.max(_calls.c.seq),
    sa.func.sum(sa.case((_calls.c.event == "intent", 1), (TAKEN_BACK, -1), else_=0)),
    sa.func.sum(_calls.c.cost_usd),
).where(_calls.c.seq > sa.bindparam("after"))

_ANSWERS = (
    sa.select(*(_calls.c[name] for name in CallEvent._fields))
    .where(_calls.c.event == "receipt")
    .order_by(_calls.c.seq)
)
_RECEIPTS = _ANSWERS.where(_calls.c.key.in_(sa.bindparam("wanted", expanding=True)))
_RECEIPT = _ANSWERS.where(_calls.c.key == sa.bindparam("wanted"))  # a list of one takes twice as long


class CallSums(NamedTuple):
    """Calls that were intended and money that was spent, up to the ledger's row `seq`."""

    seq: int = 0
    intents: int = 0
    spent_usd: float = 0.0

    def with_(self, call: CallEvent) -> CallSums:
        """These and an event that has no row yet."""
        intents = self.intents + (call.event == "intent") - call.was_not_sent
        return CallSums(self.seq, intents, self.spent_usd + (call.cost_usd or 0.0))


class LoggedEvent(NamedTuple):
    """One line of a question's history."""

    at: str
    event: str
    code: str
    message: str


class PastCalls(NamedTuple):
    """Means over `answers`; `latency_s` of the newest ones; None: there is none."""

    answers: int
    output_tokens: float
    answer_chars: float
    latency_s: float | None


class Asked(Notes):
    """The part of a store that is about questions to models."""

    def write_calls(
        self,
        events: Sequence[CallEvent],
        before: CallSums = CallSums(),  # noqa: B008 - it never changes
        refuse: Callable[[CallSums], UserError | None] = lambda _: None,
    ) -> tuple[list[CallEvent | UserError | None], CallSums]:
        """Append events of the ledger in their order: what became of each, and the sums of before them.

        None: it is written. A receipt: an intent is not written, because its answer is there by now. An error: an
        intent that `refuse` did not let pass; it gets the sums up to then, whoever spent. All are one
        transaction, in which no other process writes a call, and durable when this returns. `before` are sums
        that were given earlier, and go on from there when something is intended.
        """
        ends: list[CallEvent | UserError | None] = []
        added: list[dict[str, Any]] = []
        if not events:
            return ends, before
        with self._database.writing(alone_on=_calls) as connection:
            intended = [call.key for call in events if call.event == "intent"]
            known = _receipts(connection, intended)
            before = sums = sums_since(connection, before) if intended else before
            for call in events:
                end = (known.get(call.key) or refuse(sums)) if call.event == "intent" else None
                ends.append(end)
                if end is None:
                    added.append({**call._asdict(), "at": utc_now()})
                    sums = sums.with_(call)
                    known |= {call.key: call} if call.event == "receipt" else {}
            if added:
                connection.execute(ADD_CALL, added)
        return ends, before

    def receipt(self, key: str) -> CallEvent | None:
        """The receipt of a call key, None when no answer was ever received."""
        with self._database.reading() as connection:
            rows = connection.execute(_RECEIPT, {"wanted": key}).all()
        return CallEvent(*rows[-1]) if rows else None

    def call_sums(self, before: CallSums = CallSums()) -> CallSums:  # noqa: B008 - it never changes
        """Of all calls until now; `before` were given earlier, and what they count is not read again."""
        with self._database.reading() as connection:
            return sums_since(connection, before)

    def call_history(self, key: str) -> list[LoggedEvent]:
        """What happened to the calls of a key, oldest first."""
        query = sa.select(_calls.c.at, _calls.c.event, _calls.c.message).where(_calls.c.key == key)
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(_calls.c.seq)).all()
        return [LoggedEvent(at, event, *_parted(message)) for at, event, message in rows]

    def received(self, keys: Sequence[str]) -> set[str]:
        """Those of some call keys to which an answer was received."""
        found: set[str] = set()
        for chunk in chunks(keys):
            query = sa.select(_calls.c.key).where(_calls.c.key.in_(chunk), _calls.c.event == "receipt")
            with self._database.reading() as connection:
                found |= set(connection.execute(query).scalars())
        return found

    def has_answered_since(self, annotator: str, at: str) -> bool:
        """Whether an annotator or judge got an answer after a time."""
        query = sa.select(_calls.c.seq).where(
            _calls.c.event == "receipt", _calls.c.annotator == annotator, _calls.c.at > at
        )
        with self._database.reading() as connection:
            return connection.execute(query.limit(1)).first() is not None

    def past_calls(self, provider: str, model: str, annotator: str) -> PastCalls:
        """What the answers were like that a model gave to one annotator or judge, and told its usage of."""
        asked = (_calls.c.provider == provider, _calls.c.model == model, _calls.c.annotator == annotator)
        whose = (*asked, _calls.c.event == "receipt")
        told = sa.select(
            sa.func.count(), sa.func.avg(_calls.c.output_tokens), sa.func.avg(sa.func.length(_calls.c.raw))
        ).where(*whose, _calls.c.message == "", _calls.c.output_tokens > 0)
        newest = sa.select(_calls.c.latency_s).where(*whose, _calls.c.latency_s.is_not(None))
        newest = newest.order_by(_calls.c.seq.desc()).limit(NEWEST)
        with self._database.reading() as connection:
            answers, tokens, chars = connection.execute(told).one()
            latency_s = connection.execute(sa.select(sa.func.avg(newest.subquery().c.latency_s))).scalar()
        latency_s = None if latency_s is None else float(latency_s)
        return PastCalls(int(answers), float(tokens or 0), float(chars or 0), latency_s)

    def call_components(self, keys: Sequence[str]) -> dict[str, dict[str, str]]:
        """Call key -> digests of what its question is made of, of the last intent that tells them."""
        found: dict[str, dict[str, str]] = {}
        for chunk in chunks(list(keys)):
            query = sa.select(_calls.c.key, _calls.c.components).where(_calls.c.key.in_(chunk))
            query = query.where(_calls.c.event == "intent").order_by(_calls.c.seq)
            with self._database.reading() as connection:
                told = ((key, json.loads(text)) for key, text in connection.execute(query))
                found |= {key: parts for key, parts in told if parts}
        return found

    def failed_runs(self, stage: str, item: str) -> int:
        """How many times in a row an item failed, since it last ended otherwise."""
        mine = sa.and_(_outcomes.c.stage == stage, _outcomes.c.item == item)
        other = sa.select(sa.func.max(_outcomes.c.seq)).where(mine, _outcomes.c.status != "failed")
        since = sa.func.coalesce(other.scalar_subquery(), 0)
        query = sa.select(sa.func.count()).select_from(_outcomes).where(mine, _outcomes.c.seq > since)
        with self._database.reading() as connection:
            return int(connection.execute(query).scalar() or 0)

    def ended_at(self, stage: str, item: str) -> str | None:
        """When an item ended as it stands now."""
        query = sa.select(_outcomes.c.at).where(_outcomes.c.stage == stage, _outcomes.c.item == item)
        with self._database.reading() as connection:
            found = connection.execute(query.order_by(_outcomes.c.seq.desc()).limit(1)).scalar()
        return None if found is None else str(found)

    def stored_at(self, ids: Sequence[str]) -> dict[str, str]:
        """Id -> when the newest version of a record was stored."""
        found: dict[str, str] = {}
        for chunk in chunks(list(ids)):
            query = sa.select(_records.c.id, _records.c.created_at).where(_records.c.id.in_(chunk))
            with self._database.reading() as connection:
                found |= {
                    row.id: row.created_at for row in connection.execute(query.order_by(_records.c.seq))
                }
        return found

    def dead_letters(self, stages: Sequence[str]) -> list[ItemOutcome]:
        """Questions that are not sent again by themselves, in the order in which they were given up."""
        return [letter for stage in stages for letter in self.outcomes(stage, status="dead").values()]


def _receipts(connection: sa.Connection, keys: list[str]) -> dict[str, CallEvent]:
    """The newest receipt of each of some call keys that has one."""
    found: dict[str, CallEvent] = {}
    for chunk in chunks(keys):
        found |= {row.key: CallEvent(*row) for row in connection.execute(_RECEIPTS, {"wanted": chunk})}
    return found


def sums_since(connection: sa.Connection, before: CallSums) -> CallSums:
    """`before`, and what was written since."""
    seq, more, spent = connection.execute(_SUMS, {"after": before.seq}).one()
    if seq is None:
        return before
    return CallSums(int(seq), before.intents + int(more), before.spent_usd + float(spent or 0.0))


def _parted(message: str) -> tuple[str, str]:
    """Code and words of what a failure was told as, "CODE: WORDS"."""
    code, colon, words = message.partition(": ")
    return (code, words) if colon else ("", message)
