"""For every worker script: end when the caller does. Standard library only, imported from the script's folder."""

from __future__ import annotations

import os
import stat
import threading


def end_with_caller() -> None:
    """Leave when the caller is gone, even when it was killed: then its end of the pipe closes."""

    def wait() -> None:
        while os.read(0, 1024):  # not sys.stdin, whose lock a waiting thread would hold at exit
            pass
        os._exit(1)

    if stat.S_ISFIFO(os.fstat(0).st_mode):
        threading.Thread(target=wait, daemon=True).start()
