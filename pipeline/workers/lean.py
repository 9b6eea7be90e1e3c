"""What keeps a worker with MediaPipe small and quiet; called before it is imported. Standard library only."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import types

M_ARENA_MAX = -8  # of glibc's mallopt


def prepare_mediapipe() -> None:
    os.environ.setdefault("GLOG_minloglevel", "2")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # It imports matplotlib to draw, which no worker does: 30 MB and half of the start.
    for name in ("matplotlib", "matplotlib.pyplot"):
        sys.modules.setdefault(name, types.ModuleType(name))
    # Each model has threads of its own, and by default each of them a heap that keeps what it frees.
    with contextlib.suppress(OSError, AttributeError):  # another C library has no such call
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)
