"""Print skipped tests by reason; fail when the shared media exist and a media test was skipped all the same."""

from __future__ import annotations

import os
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path


def main(report: str) -> int:
    skipped = ET.parse(report).getroot().iterfind(".//skipped")
    reasons = Counter((node.get("message") or "no reason").strip() for node in skipped)
    for reason, count in reasons.most_common():
        print(f"skipped {count}: {reason}")
    if not reasons:
        print("nothing was skipped")
    data = Path(os.environ["EMOTRACE_TEST_DATA"]) / "media"
    missed = [reason for reason in reasons if "test media not found" in reason]
    if data.is_dir() and missed:
        print(f"the test media are in {data}, and yet media tests were skipped")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
