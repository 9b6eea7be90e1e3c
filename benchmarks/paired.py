"""Paired measurements: two ways of doing one job, run in turn on CPU time, so that load hurts both alike."""

from __future__ import annotations

import json
import os
import platform
import resource
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Paired:
    """Medians of CPU seconds; `ratio` is the median of the ratios of neighbouring runs, `ratios` all of them."""

    a_s: float
    b_s: float
    ratio: float
    ratios: tuple[float, ...]


def test_recording(name: str) -> Path:
    """Where a recording of the test data is, or would be."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    return Path(os.environ.get("EMOTRACE_TEST_DATA") or beside, "media", name)


def cpu_s() -> float:
    """User and system CPU seconds of this process, all its threads, and its finished children."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(sum(resource.getrusage(kind)[:2]) for kind in kinds)


def measured(job: Callable[[], object]) -> float:
    """CPU seconds that one call of `job` takes."""
    before = cpu_s()
    job()
    return cpu_s() - before


def paired(a: Callable[[], object], b: Callable[[], object], runs: int = 5) -> Paired:
    """Runs a, b, a, b, ... `runs` times each after one unmeasured round that pays for imports and caches."""
    a()
    b()
    pairs = [(measured(a), measured(b)) for _ in range(runs)]
    ratios = tuple(x / y for x, y in pairs)
    return Paired(
        statistics.median(x for x, _ in pairs),
        statistics.median(y for _, y in pairs),
        statistics.median(ratios),
        ratios,
    )


def emit_limited(name: str, value: float, unit: str, limit: float, runs: int) -> None:
    """Prints a result that must not be above a limit; `ratio` is to that limit."""
    emit(name, value, unit, value / limit, limit, value <= limit, runs)


def emit(
    name: str, value: float, unit: str, ratio: float | None, target: float | None, ok: bool, runs: int
) -> None:
    """Prints one result as a line of JSON; a benchmark's last line is its main result.

    `ratio` is to the limit or to the peer, null where there is neither; `target` is the highest that is right: of
    `ratio` to a peer, of `value` to a limit.
    """
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    line = {
        "name": name,
        "value": round(value, 4),
        "unit": unit,
        "ratio": None if ratio is None else round(ratio, 3),
        "target": target,
        "ok": ok,
        "runs": runs,
        "machine": machine,
    }
    print(json.dumps(line))
