"""How long the demo takes once its packages are cached: `emotrace demo` in an empty folder, wall time."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.paired import emit_limited
from benchmarks.start import wall_s

LIMIT_S = 180.0


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        took_s = wall_s("demo", "--project", Path(folder) / "demo")
    emit_limited("demo", took_s, "s", LIMIT_S, 1)


if __name__ == "__main__":
    main()
