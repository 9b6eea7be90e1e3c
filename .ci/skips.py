"""Print skipped tests by reason; fail when the shared media exist and a test that needs them was skipped."""

from __future__ import annotations

import os
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path


def main(report: str) -> int:
    cases = [case for case in ET.parse(report).getroot().iter("testcase") if case.find("skipped") is not None]
    reasons = Counter(reason(case) for case in cases)
    for why, count in reasons.most_common():
        print(f"skipped {count}: {why}")
    if not reasons:
        print("nothing was skipped")
    data = Path(os.environ["EMOTRACE_TEST_DATA"]) / "media"
    missed = [case for case in cases if case.find(".//property[@name='media']") is not None]
    if data.is_dir() and missed:
        print(f"the test media are in {data}, and yet tests of them were skipped:")
        for case in missed:
            print(f"  {case.get('classname')}.{case.get('name')}: {reason(case)}")
        return 1
    return 0


def reason(case: ET.Element) -> str:
    node = case.find("skipped")
    return ((node.get("message") if node is not None else None) or "no reason").strip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
