"""The one retry loop: what is sent, what is written down before, and when it stops."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from contextlib import nullcontext
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.calls.backoff import BACKOFF_CAP_S, backoff_s
from agents.calls.call import Job, Outcome, ask, call_key
from agents.calls.engine import SystemClock, ask_all
from agents.protocol import MediaPart, Provider, Request
from agents.providers.openai_compatible import OpenAICompatibleProvider
from agents.providers.scripted import ScriptedProvider
from agents.questions.prompting import annotation_request, keyless_request
from schemas.errors import ItemError, UserError
from schemas.parts import MediaRef
from schemas.ports import Journal, Receipt
from schemas.settings_models import AnnotatorSection
from tests.wire.material import InstantClock, MemoryJournal, make_sample, media_bytes, rng, section, taxonomy
from tests.wire.server import FakeModels, Reply

TAXONOMY = taxonomy()


def question(number: int = 0, **changes: Any) -> Request:
    sample = make_sample(duration_s=2.5 + number)
    return annotation_request(sample, TAXONOMY, section(takes=("text",), **changes))


def run_one(
    models: FakeModels, *, journal: Journal | None = None, clock: Any = None, **changes: Any
) -> Outcome:
    async def go() -> Outcome:
        settings = section(base_url=models.openai_url, **changes)
        provider = OpenAICompatibleProvider(settings)
        try:
            return await ask(
                Job(question(), provider, settings),
                journal=journal,
                clock=clock or InstantClock(),
                load=media_bytes,
                rng=rng(),
            )
        finally:
            await provider.close()

    return asyncio.run(go())


def run_all(
    models: FakeModels,
    requests: list[Request],
    journal: Journal | None = None,
    ending: Any = None,
    **changes: Any,
) -> dict[int, Outcome]:
    """Outcomes by the position of their request; `ending` is how the run has to end."""
    outcomes: dict[int, Outcome] = {}

    async def go() -> None:
        settings = section(base_url=models.openai_url, **changes)
        provider = OpenAICompatibleProvider(settings)
        jobs = ((n, Job(request, provider, settings)) for n, request in enumerate(requests))
        try:
            await ask_all(
                jobs, journal=journal, clock=InstantClock(), load=media_bytes, on_outcome=outcomes.__setitem__
            )
        finally:
            await provider.close()

    with ending or nullcontext():
        asyncio.run(go())
    return outcomes


@pytest.fixture
def models() -> Any:
    with FakeModels() as server:
        yield server


def test_an_answer_is_written_down_in_order_and_never_asked_for_again(models: FakeModels) -> None:
    journal = MemoryJournal()
    first = run_one(models, journal=journal)
    second = run_one(models, journal=journal)
    key = call_key(question(), "openai_compatible", "m1")
    assert journal.events == [("intend", key), ("receive", key)]
    assert (first.cached, first.calls, second.cached, second.calls) == (False, 1, True, 0)
    assert first.response == second.response
    assert len(models.requests) == 1


def test_an_answer_without_usage_counts_as_the_most_it_can_have_cost(models: FakeModels) -> None:
    prices = {"usd_per_million_input_tokens": 2.0, "usd_per_million_output_tokens": 10.0}
    models.script(Reply(usage=False))
    journal = MemoryJournal()
    outcome = run_one(models, journal=journal, max_output_tokens=500, **prices)
    assert outcome.response is not None
    usage = outcome.response.usage
    assert usage.estimated
    assert usage.output_tokens == 500
    assert usage.input_tokens >= len(models.requests[0].body["messages"][0]["content"].encode())
    assert usage.input_tokens <= len(models.requests[0].raw)  # without what the protocol wraps around it
    assert usage.cost_usd == pytest.approx(usage.input_tokens * 2e-6 + 500 * 10e-6)
    assert journal.find(call_key(question(), "openai_compatible", "m1")) == outcome.response
    told = run_one(models, **prices)
    assert told.response is not None
    assert not told.response.usage.estimated


def test_media_count_in_what_an_answer_can_have_cost(models: FakeModels) -> None:
    models.script(Reply(usage=False, times=0))
    request = annotation_request(make_sample(), TAXONOMY, section(takes=("images",), key_frames=2))
    outcome = run_all(models, [request])[0]
    assert outcome.response is not None
    frames = [part.ref for part in request.parts if isinstance(part, MediaPart)]
    sent = sum(len(media_bytes(ref)) for ref in frames)
    assert len(frames) == 2
    assert outcome.response.usage.input_tokens == request.size_bytes + sent


def test_transient_errors_are_retried_and_each_call_is_written_down(models: FakeModels) -> None:
    models.script(Reply(status=500), Reply(status=429, headers={"retry-after": "7"}))
    journal, clock = MemoryJournal(), InstantClock()
    outcome = run_one(models, journal=journal, clock=clock)
    assert outcome.error is None
    assert outcome.calls == len(models.requests) == 3
    kinds = [kind for kind, _ in journal.events]
    assert kinds == ["intend", "fail server_error", "intend", "fail rate_limited", "intend", "receive"]
    assert 0 <= clock.slept[0] <= 1
    assert 7 <= clock.slept[1] <= 8


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_permanent_errors_are_asked_once(models: FakeModels, status: int) -> None:
    models.script(Reply(status=status, times=0))
    outcome = run_one(models)
    assert outcome.error is not None
    assert not outcome.error.transient
    assert outcome.calls == len(models.requests) == 1


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 529])
def test_attempts_are_counted_and_then_the_error_stays(models: FakeModels, status: int) -> None:
    models.script(Reply(status=status, times=0))
    journal = MemoryJournal()
    outcome = run_one(models, journal=journal, attempts=3)
    assert outcome.error is not None
    assert outcome.error.transient
    assert outcome.calls == len(models.requests) == journal.count("intend") == 3


@pytest.mark.parametrize(
    ("headers", "least_s", "most_s"),
    [
        ({"retry-after": "0"}, 0, 1),
        ({"retry-after": "5"}, 5, 6),
        ({"retry-after": "120"}, 120, 121),
        ({"retry-after": "121"}, 121, 122),
        ({"retry-after-ms": "1500"}, 1.5, 2.5),
        ({"retry-after": "Fri, 20 Nov 2015 10:00:00 GMT"}, 0, 1),  # long past
        ({"retry-after": "soon"}, 0, 1),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1m2s"}, 62, 63),
    ],
)
@pytest.mark.parametrize("status", [429, 503, 529])
def test_a_server_is_left_alone_as_long_as_it_asks(
    models: FakeModels, status: int, headers: dict[str, str], least_s: float, most_s: float
) -> None:
    models.script(Reply(status=status, headers=headers))
    clock = InstantClock()
    outcome = run_one(models, clock=clock)
    assert (outcome.error, outcome.calls, len(models.requests)) == (None, 2, 2)
    # The question's own wait and that of all who ask there run side by side, each with its jitter.
    assert least_s <= clock.now <= most_s + 1


def test_being_asked_to_wait_very_long_fails_now(models: FakeModels) -> None:
    models.script(Reply(status=429, headers={"retry-after": "3600"}, times=0))
    clock = InstantClock()
    outcome = run_one(models, clock=clock)
    assert outcome.error is not None
    assert (outcome.calls, clock.slept) == (1, [])


@given(st.integers(1, 40), st.none() | st.floats(0, 300), st.integers())
def test_backoff_is_jittered_bounded_and_never_before_the_server_allows(
    attempt: int, wait_s: float | None, seed: int
) -> None:
    seconds = backoff_s(attempt, wait_s, random.Random(seed))
    assert 0 <= seconds <= (BACKOFF_CAP_S if wait_s is None else wait_s + 1)
    assert seconds >= (wait_s or 0)


def test_backoff_spreads_over_its_whole_range() -> None:
    waits = [backoff_s(4, None, random.Random(seed)) for seed in range(200)]
    assert min(waits) < 1
    assert max(waits) > 7


def test_identical_questions_in_flight_are_sent_once(models: FakeModels) -> None:
    models.delay_s = 0.1
    outcomes = run_all(models, [question()] * 5 + [question(1)])
    assert len(outcomes) == 6
    assert len(models.requests) == 2
    assert Counter(outcome.calls for outcome in outcomes.values()) == {1: 2, 0: 4}
    assert sum(outcome.cached for outcome in outcomes.values()) == 4
    first, *others = list(outcomes.values())[:5]
    assert all(outcome.response == first.response for outcome in others)


def test_concurrency_is_used_and_not_exceeded(models: FakeModels) -> None:
    models.delay_s = 0.15
    outcomes = run_all(models, [question(n) for n in range(12)], concurrency=3)
    assert len(outcomes) == 12
    assert models.most_at_once == 3


def test_questions_are_read_only_as_slots_become_free(models: FakeModels) -> None:
    taken: list[int] = []
    finished: list[int] = []
    most_ahead = 0

    async def go() -> None:
        nonlocal most_ahead
        settings = section(base_url=models.openai_url, concurrency=2)
        provider = OpenAICompatibleProvider(settings)

        def jobs() -> Any:
            nonlocal most_ahead
            for n in range(40):
                taken.append(n)
                most_ahead = max(most_ahead, len(taken) - len(finished))
                yield n, Job(question(n), provider, settings)

        await ask_all(
            jobs(),
            journal=None,
            clock=InstantClock(),
            load=media_bytes,
            on_outcome=lambda n, _: finished.append(n),
        )
        await provider.close()

    asyncio.run(go())
    assert sorted(finished) == list(range(40))
    assert most_ahead <= 9


def test_a_reached_budget_stops_cleanly_and_keeps_what_was_in_flight(models: FakeModels) -> None:
    models.delay_s = 0.05
    journal = MemoryJournal(budget_calls=5)
    reached = pytest.raises(UserError, match="the budget is spent")
    outcomes = run_all(models, [question(n) for n in range(30)], journal, reached, concurrency=4)
    assert len(models.requests) == len(outcomes) == len(journal.receipts) == 5
    assert all(outcome.response is not None for outcome in outcomes.values())
    journal.budget_calls = None
    again = run_all(models, [question(n) for n in range(30)], journal, concurrency=4)
    assert sum(outcome.cached for outcome in again.values()) == 5
    assert len(models.requests) == 30


def test_nothing_new_is_sent_after_the_budget_said_no(models: FakeModels) -> None:
    """Also when a later, cheaper question would have fitted: the run has been told to stop."""

    class RefusesOnce(MemoryJournal):
        async def intend(self, key: str, **told: Any) -> Receipt | None:
            self.budget_calls = 3 if self.count("refuse") == 0 else None
            self.events += [("refuse", key)] if self.count("intend") == 3 else []
            return await super().intend(key, **told)

    journal = RefusesOnce()
    reached = pytest.raises(UserError, match="the budget is spent")
    outcomes = run_all(models, [question(n) for n in range(20)], journal, reached, concurrency=1)
    assert len(models.requests) == len(outcomes) == 3


@pytest.mark.parametrize("status", [401, 404])
def test_a_refused_key_stops_asking_that_provider(models: FakeModels, status: int) -> None:
    models.script(Reply(status=status, times=0))
    outcomes = run_all(models, [question(n) for n in range(20)], concurrency=2)
    assert len(models.requests) <= 2
    assert len(outcomes) == len(models.requests)  # the others were put to nobody: they wait
    assert all(outcome.error and not outcome.error.transient for outcome in outcomes.values())


def test_what_was_written_down_is_not_sent_after_the_server_has_refused_the_key(models: FakeModels) -> None:
    """And the ledger says so: its intent is no call that got no answer."""

    class SlowDisk(MemoryJournal):
        def __init__(self) -> None:
            super().__init__()
            self.refused = asyncio.Event()

        async def intend(self, key: str, **told: Any) -> Receipt | None:
            known = await super().intend(key, **told)
            if self.count("intend") == 2:
                await self.refused.wait()
            return known

        async def fail(self, key: str, **told: Any) -> None:
            await super().fail(key, **told)
            self.refused.set()

    models.script(Reply(status=401, times=0))
    journal = SlowDisk()
    outcomes = run_all(models, [question(n) for n in range(2)], journal, concurrency=2)
    assert (len(models.requests), len(outcomes)) == (1, 1)
    kinds = Counter(kind for kind, _ in journal.events)
    assert (kinds["intend"], kinds["fail not_sent"], journal.events[-1][0]) == (2, 1, "fail not_sent")


def test_what_was_written_down_is_told_as_not_sent_when_the_budget_ends_as_the_server_fails(
    models: FakeModels,
) -> None:
    class Meanwhile(MemoryJournal):
        """Five questions fail, the breaker opens; the seventh finds no budget while the sixth is written."""

        def __init__(self) -> None:
            super().__init__(budget_calls=6)
            self.failed, self.used_up = asyncio.Event(), asyncio.Event()

        async def intend(self, key: str, **told: Any) -> Receipt | None:
            if self.count("intend") == 6:
                await self.failed.wait()
                self.used_up.set()
            known = await super().intend(key, **told)
            if self.count("intend") == 6:
                await self.used_up.wait()
                for _ in range(20):  # until the run has been told
                    await asyncio.sleep(0)
            return known

        async def fail(self, key: str, **told: Any) -> None:
            await super().fail(key, **told)
            if len(self.events) >= 11:
                self.failed.set()

    models.script(Reply(status=500, times=0))
    journal, ending = Meanwhile(), pytest.raises(UserError, match="budget is spent")
    run_all(models, [question(n) for n in range(7)], journal, ending, concurrency=7, attempts=1)
    kinds = Counter(kind for kind, _ in journal.events)
    assert (kinds["intend"], kinds["fail server_error"], kinds["fail not_sent"]) == (6, 5, 1)


def test_one_bad_question_does_not_hurt_the_others(models: FakeModels) -> None:
    models.script(Reply(status=400, match="4.500 s", times=0))
    outcomes = run_all(models, [question(n) for n in range(6)])
    assert [n for n, outcome in outcomes.items() if outcome.error] == [2]


def test_a_bug_in_a_callback_ends_the_run_with_that_bug(models: FakeModels) -> None:
    async def go() -> None:
        settings = section(base_url=models.openai_url)
        provider = OpenAICompatibleProvider(settings)

        def broken(number: int, outcome: Outcome) -> None:
            raise ZeroDivisionError(number)

        jobs = [(n, Job(question(n % 2), provider, settings)) for n in range(20)]
        try:
            await ask_all(jobs, journal=None, clock=InstantClock(), load=media_bytes, on_outcome=broken)
        finally:
            await provider.close()

    with pytest.raises(ZeroDivisionError):
        asyncio.run(go())


def test_two_providers_do_not_wait_for_each_other(models: FakeModels) -> None:
    """A provider whose key is refused leaves the other one working."""
    models.script(Reply(status=401, match='"model":"bad"', times=0))
    outcomes: dict[tuple[str, int], Outcome] = {}

    async def go() -> None:
        good, bad = (section(name=n, model=n, base_url=models.openai_url) for n in ("good", "bad"))
        providers = {s.name: OpenAICompatibleProvider(s) for s in (good, bad)}
        jobs = [
            ((s.name, n), Job(question(n, model=s.model), providers[s.name], s))
            for n in range(10)
            for s in (bad, good)
        ]
        await ask_all(
            jobs, journal=None, clock=InstantClock(), load=media_bytes, on_outcome=outcomes.__setitem__
        )
        for provider in providers.values():
            await provider.close()

    asyncio.run(go())
    assert {name for (name, _), outcome in outcomes.items() if outcome.error} == {"bad"}
    assert sum(name == "good" for name, _ in outcomes) == 10


def test_media_that_cannot_be_made_is_no_call(models: FakeModels) -> None:
    async def go() -> Outcome:
        settings = section(base_url=models.openai_url, takes=("text", "audio"))
        provider = OpenAICompatibleProvider(settings)
        request = annotation_request(make_sample(), TAXONOMY, settings)
        try:
            return await ask(
                Job(request, provider, settings), journal=journal, clock=InstantClock(), load=gone, rng=rng()
            )
        finally:
            await provider.close()

    def gone(ref: MediaRef) -> bytes:
        raise ItemError("missing_file", "the recording is gone")

    journal = MemoryJournal(budget_calls=0)  # nor does it need any of the budget
    outcome = asyncio.run(go())
    assert outcome.error is not None
    assert (outcome.error.code, outcome.calls) == ("missing_file", 0)
    assert (journal.events, models.requests) == ([], [])


def test_keyless_providers_leave_the_journal_alone() -> None:
    settings = section("scripted", options={"answers": [{"answer": "hello"}]})
    provider: Provider = ScriptedProvider(settings)
    journal = MemoryJournal(budget_calls=0)
    job = Job(keyless_request(make_sample(), TAXONOMY, settings), provider, settings)
    outcome = asyncio.run(ask(job, journal=journal, clock=SystemClock(), load=media_bytes, rng=rng()))
    assert outcome.response is not None
    assert outcome.response.raw == "hello"
    assert journal.events == []


def test_the_key_tells_providers_models_and_repetitions_apart() -> None:
    keys = {
        call_key(question(), "openai_compatible", "m1"),
        call_key(question(), "gemini", "m1"),
        call_key(question(), "openai_compatible", "m2"),
        call_key(question(1), "openai_compatible", "m1"),
    }
    assert len(keys) == 4
    assert all(key.startswith("call_") for key in keys)


def scripted(rules: list[dict[str, Any]], **changes: Any) -> AnnotatorSection:
    return section("scripted", options={"answers": rules}, **changes)


def script_outcome(settings: AnnotatorSection) -> Outcome:
    request = keyless_request(make_sample(), TAXONOMY, settings)
    job = Job(request, ScriptedProvider(settings), settings)
    return asyncio.run(ask(job, journal=None, clock=InstantClock(), load=media_bytes, rng=rng()))


def test_scripted_rules_are_chosen_by_words_and_annotator() -> None:
    rules: list[dict[str, Any]] = [
        {"text": "terrible", "answer": "no"},
        {"annotator": "somebody", "answer": "no"},
        {"text": "GREAT", "annotator": "a1", "answer": {"yes": 1}},
    ]
    outcome = script_outcome(scripted(rules))
    assert outcome.response is not None
    assert json.loads(outcome.response.raw) == {"yes": 1}


def test_scripted_errors_are_retried_like_real_ones() -> None:
    rules = [{"error": {"code": "rate_limited", "transient": True}}]
    outcome = script_outcome(scripted(rules, attempts=4))
    assert outcome.error is not None
    assert (outcome.error.code, outcome.calls) == ("rate_limited", 4)


def test_a_bad_script_is_named_with_its_line(tmp_path: Any) -> None:
    path = tmp_path / "script.jsonl"
    path.write_text('{"answer": "x"}\n\n{"anwser": "x"}\n')
    with pytest.raises(UserError) as caught:
        ScriptedProvider(section("scripted", options={"script": str(path)}))
    assert (caught.value.code, caught.value.file, caught.value.line) == ("bad_script", str(path), 3)
    with pytest.raises(UserError, match="no scripted answers"):
        ScriptedProvider(section("scripted"))
