"""Events of the ledger that wait for the disk together: one transaction for all that came in the meantime.

To make a transaction durable costs the same for one event as for a hundred, and hundreds of calls a second are
intended and answered at once. A thread writes; the event loop goes on meanwhile.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

from schemas.errors import UserError
from schemas.store import CallEvent

APART_S = 0.005  # between the beginnings of two transactions: the first event of a quiet time does not wait
MOST = 500  # events in one transaction

End = CallEvent | UserError | None
Write = Callable[[Sequence[CallEvent]], Sequence[End]]


@dataclass
class _Waiting:
    """An event, whoever waits for it, and what became of it."""

    event: CallEvent
    loop: asyncio.AbstractEventLoop
    written: asyncio.Future[CallEvent | None]
    unwanted: bool = False
    is_written: bool = False
    end: End | Exception = None

    def tell(self) -> None:
        if self.written.done():
            return
        if isinstance(self.end, Exception):
            self.written.set_exception(self.end)
        else:
            self.written.set_result(self.end)


class GroupCommit:
    """Hands events to `write` in the order in which they come, many at a time; safe for threads and loops."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._lock = threading.Lock()
        self._waiting: list[_Waiting] = []
        self._at_work = False
        self._thread = ThreadPoolExecutor(1, "ledger")
        self._began_s = -APART_S

    async def put(self, event: CallEvent, *, undo: CallEvent | None = None) -> CallEvent | None:
        """Durable when this returns, unless it returns the receipt that makes an intent needless.

        An answer that came is written even if the run is cancelled here. What has an `undo`, an intent, is left
        out then; where it is under way already, `undo` is written after it.

        Raises:
            UserError: an intent that is refused, or the store cannot be used.
        """
        loop = asyncio.get_running_loop()
        waiting = _Waiting(event, loop, loop.create_future())
        with self._lock:
            self._waiting.append(waiting)
            begin, self._at_work = not self._at_work, True
        if begin:
            self._thread.submit(self._work)
        try:
            return await asyncio.shield(waiting.written)
        except asyncio.CancelledError:
            waiting.unwanted = undo is not None
            while not waiting.written.done():  # however often the run is cancelled
                with suppress(asyncio.CancelledError):
                    await asyncio.wait([waiting.written])
            if undo is not None and waiting.is_written:
                await self.put(undo)
            raise

    def _work(self) -> None:
        while group := self._group():
            self._commit(group)
            for loop in {waiting.loop for waiting in group}:
                mine = [waiting for waiting in group if waiting.loop is loop]
                try:
                    loop.call_soon_threadsafe(_tell, mine)
                except RuntimeError:  # the loop is closed: nobody waits any more
                    continue

    def _group(self) -> list[_Waiting]:
        """What came until now; none: the work is done."""
        time.sleep(max(0.0, self._began_s + APART_S - time.monotonic()))
        self._began_s = time.monotonic()
        with self._lock:
            group, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
            self._at_work = bool(group)
        return group

    def _commit(self, group: list[_Waiting]) -> None:
        """One transaction; an event that the database does not take is told from the others one by one."""
        wanted = [waiting for waiting in group if not waiting.unwanted]
        if not wanted:
            return
        try:
            ends: Sequence[End | Exception] = self._write([waiting.event for waiting in wanted])
        except UserError as error:  # the disk is full, the store held: so it is for all
            ends = [error] * len(wanted)
        except Exception as error:  # noqa: BLE001 - whoever waits for the event gets it
            if len(wanted) > 1:
                for waiting in wanted:
                    self._commit([waiting])
                return
            ends = [error]
        for waiting, end in zip(wanted, ends, strict=True):
            waiting.end, waiting.is_written = end, end is None


def _tell(group: list[_Waiting]) -> None:
    for waiting in group:
        waiting.tell()
