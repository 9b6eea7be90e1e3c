"""Many events in one transaction: in order, each with its own end, and none that was received is lost."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from pipeline.group_commit import MOST, End, GroupCommit
from pipeline.ledger import Ledger
from schemas.errors import UserError
from schemas.parts import Usage
from schemas.ports import Receipt
from schemas.settings_models import BudgetSection
from schemas.store import CallEvent, Store

ANSWER = Receipt("{}", "m-1", Usage(cost_usd=0.25), "stop")


def intent(number: int) -> CallEvent:
    return CallEvent(f"call_{number}", "intent", "p", "m")


def taken_back(number: int) -> CallEvent:
    return CallEvent(f"no call_{number}", "failure", "p", "m")


class Disk:
    """Writes groups down; while `shut`, the first one takes until it is opened."""

    def __init__(self, *, shut: bool = False) -> None:
        self.groups: list[list[str]] = []
        self.reached, self.open = threading.Event(), threading.Event()
        if not shut:
            self.open.set()

    def __call__(self, events: Sequence[CallEvent]) -> Sequence[End]:
        self.reached.set()
        assert self.open.wait(20)
        if any(call.provider == "odd" for call in events):
            raise ValueError("no such text")
        self.groups.append([call.key for call in events])
        refused = UserError("budget_reached", "no more", "raise it")
        return [refused if call.provider == "dear" else None for call in events]


async def put_while_the_first_is_written(disk: Disk, events: Sequence[CallEvent]) -> list[object]:
    """The ends of the events after the first."""
    group_commit = GroupCommit(disk)
    first = asyncio.create_task(group_commit.put(intent(-1)))
    await asyncio.to_thread(disk.reached.wait, 20)
    others = [asyncio.create_task(group_commit.put(event)) for event in events]
    await asyncio.sleep(0)
    disk.open.set()
    await first
    return list(await asyncio.gather(*others, return_exceptions=True))


def test_what_comes_while_the_disk_is_busy_is_one_transaction_in_order() -> None:
    disk = Disk(shut=True)
    asyncio.run(put_while_the_first_is_written(disk, [intent(n) for n in range(MOST + 20)]))
    assert [len(group) for group in disk.groups] == [1, MOST, 20]
    assert [key for group in disk.groups for key in group][1:] == [f"call_{n}" for n in range(MOST + 20)]


def test_one_that_is_refused_and_one_that_cannot_be_written_are_told_apart_from_the_others() -> None:
    disk = Disk(shut=True)
    dear, odd = CallEvent("call_d", "intent", "dear", "m"), CallEvent("call_o", "receipt", "odd", "m")
    ends = asyncio.run(put_while_the_first_is_written(disk, [intent(1), dear, odd, intent(2)]))
    assert [type(end) for end in ends] == [type(None), UserError, ValueError, type(None)]
    assert [key for group in disk.groups for key in group] == ["call_-1", "call_1", "call_d", "call_2"]


def test_trouble_of_the_store_is_told_to_all_and_tried_once() -> None:
    tried: list[int] = []

    class Full(Disk):
        def __call__(self, events: Sequence[CallEvent]) -> Sequence[End]:
            tried.append(len(events))
            if len(tried) > 1:
                raise UserError("no_space", "no space left", "free some")
            return super().__call__(events)

    ends = asyncio.run(put_while_the_first_is_written(Full(shut=True), [intent(1), intent(2)]))
    assert [getattr(end, "code", None) for end in ends] == ["no_space", "no_space"]
    assert tried == [1, 2]


def test_a_cancelled_run_keeps_answers_and_takes_intents_back() -> None:
    """Those that are not under way are left out."""
    disk = Disk(shut=True)

    async def cancelled() -> None:
        group_commit = GroupCommit(disk)
        first = asyncio.create_task(group_commit.put(intent(0), undo=taken_back(0)))
        await asyncio.to_thread(disk.reached.wait, 20)
        late = [group_commit.put(CallEvent("call_9", "receipt", "p", "m"))]
        late += [group_commit.put(intent(1), undo=taken_back(1))]
        tasks = [first, *map(asyncio.create_task, late)]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        asyncio.get_running_loop().call_later(0.05, disk.open.set)
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(end) for end in ends] == [asyncio.CancelledError] * 3
        keys = [key for group in disk.groups for key in group]
        assert sorted(keys) == ["call_0", "call_9", "no call_0"]  # and it was waited for

    asyncio.run(cancelled())


def test_a_run_that_is_cancelled_again_takes_its_intent_back_all_the_same() -> None:
    disk = Disk(shut=True)

    async def cancelled() -> None:
        group_commit = GroupCommit(disk)
        task = asyncio.create_task(group_commit.put(intent(0), undo=taken_back(0)))
        await asyncio.to_thread(disk.reached.wait, 20)
        for _ in range(3):
            task.cancel()
            await asyncio.sleep(0.01)
        disk.open.set()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()

    asyncio.run(cancelled())
    assert disk.groups == [["call_0"], ["no call_0"]]


def test_an_intent_of_a_cancelled_run_counts_as_no_call(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    under_way, write = threading.Event(), store.write_calls

    def slow(events: Sequence[CallEvent], *given: Any) -> Any:
        under_way.set()
        time.sleep(0.05)
        return write(events, *given)

    monkeypatch.setattr(store, "write_calls", slow)

    async def cancelled() -> None:
        ledger = Ledger(store, BudgetSection(calls=1))
        intending = ledger.intend("call_1", provider="p", model="m", annotator="a", components={})
        task = asyncio.create_task(intending)
        await asyncio.to_thread(under_way.wait, 20)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert ledger.calls == 0

    asyncio.run(cancelled())
    assert [event.code for event in store.call_history("call_1")] == ["", "not_sent"]
    assert store.call_totals()["intent"] == 0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(f"sqlite:///{tmp_path / 'emotrace.db'}")
    yield opened
    opened.close()


def test_a_budget_holds_to_the_call_among_many_at_once(store: Store) -> None:
    """And loops of other threads share it."""
    ledger = Ledger(store, BudgetSection(calls=40))
    ends: list[BaseException | None] = []

    async def ask(key: str) -> None:
        assert await ledger.intend(key, provider="p", model="m", annotator="a", components={}) is None
        await ledger.receive(key, ANSWER)

    async def ask_many(who: int) -> None:
        keys = [f"call_{who}_{n}" for n in range(30)]
        ends.extend(await asyncio.gather(*map(ask, keys), return_exceptions=True))

    threads = [threading.Thread(target=asyncio.run, args=(ask_many(who),)) for who in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(end is None for end in ends) == ledger.calls == 40
    assert all(end is None or (isinstance(end, UserError) and end.code == "budget_reached") for end in ends)
    totals = store.call_totals()
    assert (totals["intent"], totals["receipt"], totals["spent_usd"]) == (40, 40, 10.0)
