"""Print where the tests killed processes, by stage; fail when a stage or too many of the kills are missing."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ET
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.faults.test_kill import STAGES

WANTED = 20
WANTED_STAGES = ("ingest", *STAGES, "release")


def main(report: str) -> int:
    points: dict[str, list[str]] = defaultdict(list)
    for node in ET.parse(report).getroot().iterfind(".//property[@name='kill']"):
        stage, _, point = node.get("value", "").partition(": ")
        points[stage].append(point)
    count = sum(map(len, points.values()))
    print(f"{count} processes were killed with SIGKILL, by stage:")
    for stage, where in points.items():
        print(f"  {stage:<10} {'#' * len(where):<6} {', '.join(where)}")
    missing = [stage for stage in WANTED_STAGES if not points[stage]]
    if count < WANTED or missing:
        print(f"wanted: {WANTED} kills, at least one in each stage; without any: {missing or 'none'}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
