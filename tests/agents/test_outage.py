"""The engine on a bad day, in made-up time: limits, overload, outages short and long, poison, memory."""

from __future__ import annotations

import asyncio
import gc
import itertools
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from agents.calls.call import Job, Outcome
from agents.calls.engine import SystemClock, ask_all
from agents.calls.gate import ready_at_once
from agents.calls.lines import Lines
from agents.protocol import MediaLoader, MediaPart, RateLimits, Request, Response
from agents.questions.prompting import annotation_request
from schemas.errors import ProviderError, UserError
from schemas.parts import MediaRef, Usage
from schemas.ports import Journal, Receipt
from schemas.settings_models import AnnotatorSection
from tests.wire.material import MemoryJournal, VirtualClock, make_sample, media_bytes, section, taxonomy

TAXONOMY = taxonomy()
DOWN = ProviderError("connection", "refused", transient=True)
BROKEN = ProviderError("server_error", "HTTP 500", transient=True)


class Server:
    """A provider in made-up time. `say` gives the end of a call: what is in flight with it, and its question."""

    name, wire, vendor_url = "openai_compatible", True, "https://models.example"

    def __init__(
        self,
        clock: VirtualClock,
        say: Callable[[Server, str], Response | ProviderError],
        latency_s: float = 1.0,
    ):
        self.clock, self.say, self.latency_s = clock, say, latency_s
        self.sent: list[tuple[float, str]] = []
        self.open_now = self.most_at_once = 0

    async def complete(self, request: Request, load: MediaLoader) -> Response:
        self.sent.append((self.clock.now, request.system))
        self.open_now += 1
        self.most_at_once = max(self.most_at_once, self.open_now)
        end = self.say(self, request.system)
        held = [load(part.ref) for part in request.parts if isinstance(part, MediaPart)]
        try:
            await self.clock.sleep(self.latency_s)
        finally:
            self.open_now -= 1
            del held
        if isinstance(end, ProviderError):
            raise end
        return end

    async def close(self) -> None: ...


def good(limits: RateLimits | None = None) -> Response:
    return Response("{}", "m1", Usage(input_tokens=80, output_tokens=20), "stop", limits=limits)


def question(number: int, **changes: Any) -> Request:
    """A small question; its system text is its number."""
    made = annotation_request(make_sample(), TAXONOMY, section(takes=("text",)))
    return made.model_copy(update={"system": str(number), **changes})


def run(
    clock: VirtualClock,
    asked: list[tuple[AnnotatorSection, Server, Iterator[Request]]],
    *,
    journal: Journal | None = None,
    lines: Lines | None = None,
    load: MediaLoader = media_bytes,
) -> dict[tuple[str, str], Outcome]:
    """Outcomes by section and question; the sections take turns."""
    outcomes: dict[tuple[str, str], Outcome] = {}

    def jobs() -> Iterator[tuple[tuple[str, str], Job]]:
        for row in itertools.zip_longest(*(questions for _, _, questions in asked)):
            for (settings, server, _), one in zip(asked, row, strict=True):
                if one is not None:
                    yield (settings.name, one.system), Job(one, server, settings)

    asyncio.run(
        ask_all(jobs(), journal=journal, clock=clock, load=load, on_outcome=outcomes.__setitem__, lines=lines)
    )
    return outcomes


def ask_many(
    n: int, say: Callable[[Server, str], Response | ProviderError], latency_s: float = 1.0, **changes: Any
) -> tuple[dict[tuple[str, str], Outcome], Server, Lines]:
    clock, lines = VirtualClock(), Lines()
    server = Server(clock, say, latency_s)
    outcomes = run(clock, [(section(**changes), server, map(question, range(n)))], lines=lines)
    return outcomes, server, lines


def test_what_needs_no_call_is_read_after_the_budget_has_ended() -> None:
    clock, journal = VirtualClock(), MemoryJournal()
    server, settings = Server(clock, lambda *_: good()), section(concurrency=4)
    run(clock, [(settings, server, map(question, range(1, 100)))], journal=journal)
    journal.budget_calls = 99
    outcomes: dict[int, Outcome] = {}
    jobs = ((n, Job(question(n), server, settings)) for n in range(101))
    with pytest.raises(UserError, match="spent"):
        asyncio.run(
            ask_all(jobs, journal=journal, clock=clock, load=media_bytes, on_outcome=outcomes.__setitem__)
        )
    assert sorted(outcomes) == list(range(1, 100))
    assert all(outcome.cached for outcome in outcomes.values())


def ended(lines: Lines) -> dict[str, ProviderError]:
    return lines.ended(AnnotatorSection)


def test_a_server_that_is_fine_is_asked_by_as_many_as_are_allowed_all_the_time() -> None:
    outcomes, server, _ = ask_many(256, lambda *_: good(), concurrency=16)
    assert len(outcomes) == 256
    assert server.most_at_once == 16
    assert server.clock.now == pytest.approx(256 / 16)


def test_who_waits_for_the_disk_takes_no_slot_from_those_who_are_asked() -> None:
    clock = VirtualClock()
    server = Server(clock, lambda *_: good())

    class SlowDisk(MemoryJournal):
        async def intend(self, key: str, **told: Any) -> Receipt | None:
            await clock.sleep(0.2)
            return await super().intend(key, **told)

        async def receive(self, key: str, receipt: Receipt) -> None:
            await clock.sleep(0.2)
            await super().receive(key, receipt)

    asked = [(section(concurrency=8), server, map(question, range(160)))]
    outcomes = run(clock, asked, journal=SlowDisk())
    assert len(outcomes) == 160
    assert server.most_at_once == 8
    took = [one.response.latency_s for one in outcomes.values() if one.response]
    assert took == pytest.approx([1.0] * 160)
    assert clock.now < 160 / 8 + 4 * 0.2


def test_what_was_written_down_is_told_as_not_sent_when_the_run_is_called_off() -> None:
    class Mute(Server):
        async def complete(self, request: Request, load: MediaLoader) -> Response:
            self.sent.append((0.0, request.system))
            await asyncio.Event().wait()
            raise AssertionError

    async def go() -> None:
        journal, server = MemoryJournal(), Mute(VirtualClock(), lambda *_: good())
        settings = section(concurrency=1)
        jobs = ((n, Job(question(n), server, settings)) for n in range(5))
        nobody = Counter[int]()
        asking = asyncio.create_task(
            ask_all(
                jobs,
                journal=journal,
                clock=SystemClock(),
                load=media_bytes,
                on_outcome=lambda n, _: nobody.update([n]),
            )
        )
        while journal.count("intend") < 2 or not server.sent:
            await asyncio.sleep(0.001)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        kinds = Counter(kind for kind, _ in journal.events)
        assert kinds == {"intend": 2, "fail not_sent": 1}  # the other one is under way: nobody knows its end
        assert len(server.sent) == 1

    asyncio.run(go())


def test_nothing_more_is_sent_when_the_store_is_lost() -> None:
    clock = VirtualClock()
    server = Server(clock, lambda *_: good())
    lost = UserError("store_full", "the disk is full", "make room, then run again")

    class Full(MemoryJournal):
        async def receive(self, key: str, receipt: Receipt) -> None:
            raise lost

    journal = Full()
    with pytest.raises(UserError, match="the disk is full"):
        run(clock, [(section(concurrency=2), server, map(question, range(20)))], journal=journal)
    assert len(server.sent) <= 4  # those under way, and who got their slots before it was known
    assert journal.count("intend") - journal.count("fail not_sent") == len(server.sent)


def test_all_kinds_of_questions_of_one_section_share_its_slots() -> None:
    """A judge's ratings and its second looks have an instance of the provider each."""
    clock = VirtualClock()
    together: set[int] = set()

    def say(*_: object) -> Response:
        together.add(ratings.open_now + looks.open_now)
        return good()

    ratings, looks = Server(clock, say), Server(clock, say)
    judge = section(concurrency=4)
    asked = [(judge, ratings, map(question, range(20))), (judge, looks, map(question, range(20, 40)))]
    assert len(run(clock, asked)) == 40
    assert max(together) == 4


def test_requests_per_minute_are_kept_by_all_who_ask_the_same_server_with_the_same_key() -> None:
    def times(*keys: str) -> list[float]:
        clock = VirtualClock()
        asked = []
        for number, key in enumerate(keys):
            own = section(
                name=f"a{number}", api_key_env=key, requests_per_minute=60, base_url="http://here/v1"
            )
            asked.append(
                (
                    own,
                    Server(clock, lambda *_: good(), 0.1),
                    map(question, range(10 * number, 10 * number + 10)),
                )
            )
        run(clock, asked)
        return sorted(at for _, server, _ in asked for at, _ in server.sent)

    shared = times("KEY", "KEY")
    assert len(shared) == 20
    assert all(later - earlier >= 0.999 for earlier, later in itertools.pairwise(shared))
    apart = times("KEY", "OTHER")
    assert apart[-1] < 0.6 * shared[-1]


def test_tokens_per_minute_are_kept_by_what_calls_really_use() -> None:
    outcomes, server, _ = ask_many(
        40, lambda *_: good(), latency_s=0.1, tokens_per_minute=6000, max_output_tokens=100
    )
    assert len(outcomes) == 40
    # 100 tokens a call and 100 a second: 40 s, whatever was guessed before the first answers.
    assert 36 <= server.sent[-1][0] <= 60


def test_one_who_is_told_to_wait_keeps_all_others_from_asking() -> None:
    told = iter([ProviderError("rate_limited", "429", transient=True, retry_after_s=30.0)])
    outcomes, server, _ = ask_many(20, lambda *_: next(told, good()), concurrency=2)
    assert all(outcome.response for outcome in outcomes.values())
    assert not [at for at, _ in server.sent if 1 < at < 30]


def test_limits_that_an_answer_tells_are_kept() -> None:
    told = iter([good(), good(RateLimits(requests_left=0, requests_reset_s=20.0))])
    outcomes, server, _ = ask_many(10, lambda *_: next(told, good()), concurrency=1)
    assert len(outcomes) == 10
    assert [round(at) for at, _ in server.sent[:4]] == [0, 1, 22, 23]


def test_a_server_that_bears_only_a_few_at_once_is_soon_asked_by_no_more() -> None:
    def say(server: Server, _: str) -> Response | ProviderError:
        if server.open_now > 6:
            return ProviderError("rate_limited", "429", transient=True)
        return good()

    outcomes, server, _ = ask_many(400, say, concurrency=32, attempts=8)
    assert all(outcome.response for outcome in outcomes.values())
    refused = len(server.sent) - 400
    assert refused < 200  # asked 32 at a time, it would refuse most
    assert server.clock.now < 3 * 400 / 6


def test_a_short_outage_fails_nothing_and_costs_only_what_was_in_flight_and_a_few_probes() -> None:
    def say(server: Server, _: str) -> Response | ProviderError:
        return DOWN if 20 <= server.clock.now < 120 else good()

    outcomes, server, lines = ask_many(400, say, concurrency=8)
    assert Counter(outcome.error is None for outcome in outcomes.values()) == {True: 400}
    assert len(server.sent) - 400 <= 8 + 6
    assert ended(lines) == {}
    assert server.clock.now < 120 + 60 + 400 / 8


def test_a_server_that_stays_away_is_given_up_once_and_its_questions_wait() -> None:
    outcomes, server, lines = ask_many(5000, lambda *_: DOWN, concurrency=8, patience_s=300)
    assert len(outcomes) <= 8
    assert all(outcome.error == DOWN for outcome in outcomes.values())
    assert len(server.sent) <= 8 + 9
    assert ended(lines) == {"a1": DOWN}
    assert server.clock.now <= 300 + 2
    calls = len(server.sent)
    again = run(server.clock, [(section(patience_s=300), server, map(question, range(50)))], lines=lines)
    assert (again, len(server.sent)) == ({}, calls)  # the next shard of the run does not try again


def test_that_a_server_does_not_answer_is_told_while_the_run_waits_for_it() -> None:
    told: list[tuple[str, str, float]] = []
    clock = VirtualClock()
    lines = Lines(lambda name, text: told.append((name, text, clock.now)))
    server = Server(clock, lambda *_: DOWN if clock.now < 30 else good())
    run(clock, [(section(), server, map(question, range(50)))], lines=lines)
    (line,) = told
    assert line == ("a1", "no answer (connection: refused); probed for up to 600 s, its questions wait", 1.0)


def test_a_run_that_waits_for_a_server_can_be_called_off() -> None:
    async def go() -> None:
        clock, lines = SystemClock(), Lines()
        server = Server(VirtualClock(), lambda *_: DOWN, latency_s=0)
        settings = section()
        jobs = ((n, Job(question(n), server, settings)) for n in range(100))
        nobody = Counter[int]()
        asking = asyncio.create_task(
            ask_all(
                jobs,
                journal=None,
                clock=clock,
                load=media_bytes,
                on_outcome=lambda n, _: nobody.update([n]),
                lines=lines,
            )
        )
        while not lines.of(settings, server, 0.0).breaker.is_open:
            await asyncio.sleep(0.001)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert nobody == {}

    asyncio.run(go())


def test_the_same_question_of_two_annotators_is_sent_once() -> None:
    clock = VirtualClock()
    first, second = (Server(clock, lambda *_: good()) for _ in range(2))
    asked = [
        (section(name=name), server, map(question, range(5)))
        for name, server in (("a", first), ("b", second))
    ]
    outcomes = run(clock, asked, journal=MemoryJournal())
    assert len(outcomes) == 10
    assert len(first.sent) + len(second.sent) == 5


def test_an_outage_of_one_leaves_the_others_working() -> None:
    clock = VirtualClock()
    bad, fine = Server(clock, lambda *_: DOWN), Server(clock, lambda *_: good())
    asked = [
        (section(name="bad", patience_s=60), bad, (question(n) for n in range(200))),
        (section(name="fine"), fine, (question(1000 + n) for n in range(200))),
    ]
    lines = Lines()
    outcomes = run(clock, asked, lines=lines)
    assert sum(name == "fine" and outcome.error is None for (name, _), outcome in outcomes.items()) == 200
    assert set(ended(lines)) == {"bad"}


@pytest.mark.parametrize("error", [DOWN, BROKEN])
def test_poison_questions_fail_alone_and_open_nothing(error: ProviderError) -> None:
    def say(_: Server, asked: str) -> Response | ProviderError:
        return error if int(asked) % 10 == 3 else good()

    outcomes, server, lines = ask_many(100, say, concurrency=4, attempts=3)
    failed = {asked: outcome for (_, asked), outcome in outcomes.items() if outcome.error}
    assert set(failed) == {str(n) for n in range(3, 100, 10)}
    assert all(outcome.calls == 3 for outcome in failed.values())
    assert len(server.sent) == 90 + 10 * 3
    assert ended(lines) == {}
    line = lines.of(section(), server, server.clock.now)
    assert line.window.size >= 3  # nor are the others asked much more slowly


def test_as_many_bad_questions_side_by_side_as_there_are_slots_are_no_outage() -> None:
    def say(_: Server, asked: str) -> Response | ProviderError:
        return BROKEN if 40 <= int(asked) < 48 else good()

    outcomes, _, lines = ask_many(100, say, concurrency=8)
    assert {int(asked) for (_, asked), outcome in outcomes.items() if outcome.error} == set(range(40, 48))
    assert (len(outcomes), ended(lines)) == (100, {})


def test_who_refuses_everything_from_the_start_is_not_asked_ten_thousand_times() -> None:
    refusal = ProviderError("bad_request", "HTTP 400: unknown parameter", transient=False)
    outcomes, server, lines = ask_many(10_000, lambda *_: refusal, concurrency=4)
    assert len(outcomes) == len(server.sent) <= 10 + 4
    assert ended(lines) == {"a1": refusal}
    kind = iter([good()])
    outcomes, server, lines = ask_many(100, lambda *_: next(kind, refusal), concurrency=4)
    assert (len(outcomes), ended(lines)) == (100, {})  # it has answered: these questions are bad


def test_being_asked_to_come_back_tomorrow_ends_the_run_for_that_server() -> None:
    later = ProviderError("rate_limited", "429", transient=True, retry_after_s=36_000.0)
    outcomes, server, lines = ask_many(100, lambda *_: later, concurrency=2)
    assert len(outcomes) == len(server.sent) <= 2
    assert server.clock.now <= 2
    assert ended(lines) == {"a1": later}


class Payload(bytes):
    """Bytes whose lives are counted."""

    alive = most = 0

    lock = threading.RLock()  # they are loaded in several threads

    def __init__(self, *_: object) -> None:
        with Payload.lock:
            Payload.alive += 1
            Payload.most = max(Payload.most, Payload.alive)

    def __del__(self) -> None:
        with Payload.lock:
            Payload.alive -= 1


def test_ten_thousand_questions_never_hold_more_media_than_may_be_under_way() -> None:
    Payload.alive = Payload.most = 0
    alive_questions = most_questions = 0
    ref = MediaRef(kind="image", source_id="src_1", source_start_s=0.0, source_end_s=1.0)

    class Counted(Request):
        def __init__(self, **fields: Any) -> None:
            nonlocal alive_questions, most_questions
            super().__init__(**fields)
            alive_questions += 1
            most_questions = max(most_questions, alive_questions)

        def __del__(self) -> None:
            nonlocal alive_questions
            alive_questions -= 1

    template = question(0)
    fields = {name: getattr(template, name) for name in Request.model_fields}

    def questions() -> Iterator[Request]:
        for number in range(10_000):
            yield Counted(**{**fields, "system": str(number), "parts": (MediaPart(ref=ref),) * 2})

    def load(_: MediaRef) -> bytes:
        return Payload(b"x")

    clock = VirtualClock()
    server = Server(clock, lambda *_: good(), latency_s=0.01)
    done = 0

    def count(_: int, outcome: Outcome) -> None:
        nonlocal done
        done += outcome.response is not None

    settings = section(concurrency=8)
    jobs = ((n, Job(one, server, settings)) for n, one in enumerate(questions()))
    asyncio.run(ask_all(jobs, journal=MemoryJournal(), clock=clock, load=load, on_outcome=count))
    gc.collect()
    assert done == 10_000
    assert Payload.most <= (8 + ready_at_once(8)) * 2
    assert most_questions <= 2 * 8 + 2
    assert (Payload.alive, alive_questions) == (0, 0)
