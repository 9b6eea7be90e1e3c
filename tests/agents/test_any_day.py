"""The engine on days made at random, in made-up time: whatever a server does, the same promises hold."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from agents.calls.call import Job, Outcome
from agents.calls.engine import ask_all
from agents.calls.lines import Lines
from agents.protocol import RateLimits, Response
from schemas.errors import ProviderError, UserError
from schemas.settings_models import AnnotatorSection
from tests.agents.test_outage import BROKEN, DOWN, Server, good, question
from tests.wire.material import MemoryJournal, VirtualClock, media_bytes, section

SLOW = ProviderError("timeout", "no answer", transient=True)
TOO_LARGE = ProviderError("too_large", "HTTP 413", transient=False)
NO_KEY = ProviderError("unauthorized", "HTTP 401", transient=False)
DAYS = 160
AT_MOST_S = 30  # by the real clock; a day that waits for ever is one that hangs


@dataclass
class Day:
    """What a server does, drawn from a seed, and what is asked of it."""

    rng: random.Random
    clock: VirtualClock = field(default_factory=VirtualClock)

    def __post_init__(self) -> None:
        pick = self.rng.choice
        self.questions = pick([5, 30, 120])
        self.budget = pick([None, None, self.rng.randrange(1, self.questions + 20)])
        self.bad = {str(self.rng.randrange(self.questions)) for _ in range(pick([0, 2, 10, self.questions]))}
        self.known_as_bad = pick([False, False, True])
        begins = [self.rng.uniform(0, 200) for _ in range(pick([0, 0, 1, 3]))]
        self.outages = [(begin, begin + pick([3, 30, 400])) for begin in begins]
        self.key_ends_at = pick([None, None, None, None, self.rng.uniform(0, 60)])
        self.overloaded, self.broken, self.bears = pick([0, 0.05, 0.5]), pick([0, 0.02, 0.3]), pick([99, 4])
        self.server = Server(self.clock, self.say, latency_s=pick([0.1, 1.0, 3.0]))
        self.section = section(
            concurrency=pick([1, 2, 3, 8, 16]),
            attempts=pick([1, 2, 5]),
            patience_s=pick([0, 5, 60, 600]),
            requests_per_minute=pick([None, None, 30, 600]),
            tokens_per_minute=pick([None, None, 5000]),
        )

    def say(self, server: Server, asked: str) -> Response | ProviderError:
        rng, now = self.rng, self.clock.now
        if self.key_ends_at is not None and now >= self.key_ends_at:
            return NO_KEY
        if any(begin <= now < end for begin, end in self.outages):
            return rng.choice([DOWN, BROKEN, SLOW])
        if asked in self.bad:
            return rng.choice([BROKEN, BROKEN, BROKEN, TOO_LARGE])
        if server.open_now > self.bears or rng.random() < self.overloaded:
            wait_s = rng.choice([None, 0.0, 1.0, 7.0, 90.0])
            return ProviderError("rate_limited", "HTTP 429", transient=True, retry_after_s=wait_s)
        if rng.random() < self.broken:
            return rng.choice([BROKEN, DOWN])
        resets_s = rng.choice([0.1, 5.0, 360.0])
        limits = RateLimits(requests_left=rng.choice([0, 1, 50]), requests_reset_s=resets_s)
        return good(limits if rng.random() < 0.05 else None)

    def jobs(self) -> Iterator[tuple[int, Job]]:
        for number in range(self.questions):
            one = question(max(0, number - (self.rng.random() < 0.05)))  # some are asked twice
            failed_before = self.known_as_bad and one.system in self.bad
            yield number, Job(one, self.server, self.section, failed_before=failed_before)


@pytest.mark.parametrize("seed", range(DAYS))
def test_whatever_a_server_does_the_promises_hold(seed: int) -> None:
    day, lines, outcomes = Day(random.Random(seed)), Lines(), dict[int, Outcome]()
    journal, stopped = MemoryJournal(day.budget), False

    async def go() -> None:
        async with asyncio.timeout(AT_MOST_S):
            await ask_all(
                day.jobs(),
                journal=journal,
                clock=day.clock,
                load=media_bytes,
                on_outcome=outcomes.__setitem__,
                lines=lines,
                seed=seed,
            )

    try:
        asyncio.run(go())
    except UserError as error:
        stopped = error.code == "budget_reached"
    calls = len(day.server.sent)
    received = Counter(key for event, key in journal.events if event == "receive")
    assert day.server.most_at_once <= day.section.concurrency
    assert set(received.values()) <= {1}  # nothing is paid twice
    assert 2 * journal.count("intend") == len(journal.events)  # each intent has its end
    assert journal.count("intend") - journal.count("fail not_sent") == calls
    assert day.budget is None or calls <= day.budget
    assert stopped or lines.ended(AnnotatorSection) or len(outcomes) == day.questions  # none is forgotten
