"""Whose turn it is on the GPU: of the workers that compute there one runs at a time.

Shards are worked on at the same time, by default one for each core; a model for each of them would not fit on
one GPU, and would not be faster.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pipeline.features.host import host

ALONE_ON_GPU = "one worker uses the GPU at a time, so `[run] workers` need not be lowered"
WAIT_S = 0.5  # between two looks whether the run goes on
_GPU = threading.Semaphore(1)


def cuda_devices() -> int:
    import ctranslate2

    return int(ctranslate2.get_cuda_device_count())


def on_gpu(device: str, count: Callable[[], int] = cuda_devices) -> bool:
    """Whether a backend that is told this device computes on a GPU; "auto" does where there is one."""
    return device != "cpu" and (device != "auto" or count() > 0)


def computes_on_gpu(backend: object) -> bool:
    """The same of a backend: one that has a choice tells its `device`."""
    return on_gpu(getattr(backend, "device", "cpu"))


@contextmanager
def turn(device: str) -> Iterator[None]:
    """Wait for the GPU and hold it; the processor is free for all.

    Raises:
        Whatever the host raises once the run is over.
    """
    if not on_gpu(device):
        yield
        return
    host().go_on()
    while not _GPU.acquire(blocking=False):
        time.sleep(WAIT_S)
        host().go_on()
    try:
        yield
    finally:
        _GPU.release()
