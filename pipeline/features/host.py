"""What a backend tells, and asks of, the run that it works for; without one it tells nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple


class Host(NamedTuple):
    note: Callable[[str], None] = lambda _: None  # what takes long: "loading the model"
    go_on: Callable[[], None] = lambda: None  # raises once the run is over; asked by those who wait


NOBODY = Host()
_HOST: ContextVar[Host] = ContextVar("host", default=NOBODY)


@contextmanager
def hosted(host: Host) -> Iterator[None]:
    """What runs inside, in this thread, has this host."""
    before = _HOST.set(host)
    try:
        yield
    finally:
        _HOST.reset(before)


def host() -> Host:
    return _HOST.get()
