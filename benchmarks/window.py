"""What ten thousand questions hold in memory, beside a few windows of them, over real connections.

Each count of questions has a process of its own, which is measured from after its first question on. Every
question has a picture of 300 KB that is made for it alone.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.fanout import PICTURE_BYTES, Bench, Server, Setting
from benchmarks.paired import emit
from schemas.parts import MediaRef

RUNS = 3
CONCURRENCY, LATENCY_S = 64, 0.05
FEW, MANY = 40 * CONCURRENCY, 10_000  # fewer than that do not reach the peak each time
HIGHEST_RATIO = 1.25  # of what many hold to what few hold; the allocator alone moves it by a tenth or two
PAYLOAD_BYTES = PICTURE_BYTES * 4 // 3  # of one picture in the body of a question


class Holding(Bench):
    """Questions whose pictures are not one object: memory would not show how many are held."""

    def load(self, _: MediaRef) -> bytes:
        return bytes(bytearray(self.picture))


def main(*arguments: str) -> None:
    if arguments[:1] == ("hold",):
        print(hold(int(arguments[1])))
        return
    runs = int(arguments[0]) if arguments else RUNS
    pairs = [(held_bytes(FEW), held_bytes(MANY)) for _ in range(runs)]
    windows = CONCURRENCY * PAYLOAD_BYTES
    for count, found in ((FEW, [few for few, _ in pairs]), (MANY, [many for _, many in pairs])):
        print(
            f"{count} questions: held of a window's payloads {', '.join(f'{b / windows:.2f}' for b in found)}"
        )
    ratio = statistics.median(many / few for few, many in pairs)
    many_mb = statistics.median(many for _, many in pairs) / 1e6
    emit("window", many_mb, "MB", ratio, HIGHEST_RATIO, ratio <= HIGHEST_RATIO, runs)


def held_bytes(questions: int) -> int:
    """What a process of its own holds at most while it asks so many."""
    command = [sys.executable, "-m", "benchmarks.window", "hold", str(questions)]
    return int(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def hold(questions: int) -> int:
    """The most bytes that are resident while questions are asked, above those after the first one."""
    with tempfile.TemporaryDirectory() as folder, Server(LATENCY_S) as server:
        picture = bytes(range(250)) * (PICTURE_BYTES // 250)
        first = Holding(Setting(1, LATENCY_S, 1), server, picture, Path(folder))
        first.ours()
        before = peak_bytes()
        many = Holding(Setting(CONCURRENCY, LATENCY_S, questions), server, picture, Path(folder))
        many.asked = first.asked  # none is asked twice
        many.ours()
        first.store.close(), many.store.close()
        return peak_bytes() - before


def peak_bytes() -> int:
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main(*sys.argv[1:])
