"""100,000 hostile answers through the parser: each must become what whoever spoiled it says it must.

`make bench NAME=fuzz ARGS="100000 7"`: how many, and the seed. Status 1 at the first answer that does not.
"""

from __future__ import annotations

import random
import sys
import time
from collections import Counter, defaultdict

from tests.agents.hostile import make_case, vast
from tests.agents.test_hostile import parse, problem

SLOWEST_S = 1.0  # of any answer, CPU


def main(count: str = "100000", seed: str = "1") -> None:
    rng = random.Random(int(seed))
    outcomes: Counter[str] = Counter()
    took_s: dict[str, list[float]] = defaultdict(list)
    for number in range(int(count)):
        case = vast(rng) if number % 10_000 == 9_999 else make_case(rng)
        began_s = time.process_time()
        parsed = parse(case)
        took_s[case.kind].append(time.process_time() - began_s)
        if wrong := problem(case):
            sys.exit(f"answer {number}, {case.kind}: {wrong}\n{case.text[:2000]}")
        outcomes[f"{parsed.outcome} {parsed.reason}".strip()] += 1
    report(outcomes, took_s)


def report(outcomes: Counter[str], took_s: dict[str, list[float]]) -> None:
    for outcome, times in sorted(outcomes.items()):
        print(f"{outcome:32} {times:7}")
    print(f"{'kind':24} {'answers':>7} {'mean ms':>8} {'most ms':>8}")
    for kind, times_s in sorted(took_s.items(), key=lambda pair: -max(pair[1])):
        mean_ms, most_ms = 1e3 * sum(times_s) / len(times_s), 1e3 * max(times_s)
        print(f"{kind:24} {len(times_s):7} {mean_ms:8.2f} {most_ms:8.1f}")
    every = [one for times_s in took_s.values() for one in times_s]
    print(f"{len(every)} answers, none wrong; CPU per answer {1e3 * sum(every) / len(every):.2f} ms, "
          f"the slowest {max(every):.2f} s (at most {SLOWEST_S:g} s)")  # fmt: skip
    if max(every) > SLOWEST_S:
        sys.exit("an answer took too long")
