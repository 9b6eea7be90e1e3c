"""Intended calls: within a budget that processes share, and never one whose answer is there; both databases."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from schemas.errors import UserError
from schemas.store import CallEvent, ItemOutcome, Store
from schemas.store_asked import CallSums

PROCESSES, EACH = 4, 30
COST_USD = 1 / 64  # adds up without a rest


FULL = UserError("budget_reached", "the budget is used up")


def intent(key: str, components: str = "{}") -> CallEvent:
    return CallEvent(key, "intent", "p", "m", "a", components=components)


def receipt(key: str, cost_usd: float | None = None) -> CallEvent:
    return CallEvent(key, "receipt", "p", "m", "a", raw="{}", cost_usd=cost_usd)


def test_several_writers_keep_one_budget_to_the_call(url: str) -> None:
    """Each has a connection of its own, as processes have."""
    Store.open(url).close()

    def spend(process: int) -> int:
        store, sums, sent = Store.open(url), CallSums(), 0

        def refuse(now: CallSums) -> UserError | None:
            return FULL if now.intents >= 50 or now.spent_usd >= 0.5 else None

        try:
            for number in range(EACH):
                key = f"call_{process}_{number}"
                (end,), sums = store.write_calls([intent(key)], sums, refuse)
                if end is FULL:
                    break
                sent += 1
                store.write_calls([receipt(key, COST_USD)])
        finally:
            store.close()
        return sent

    with ThreadPoolExecutor(PROCESSES) as pool:
        sent = sum(pool.map(spend, range(PROCESSES)))
    store = Store.open(url)
    try:
        sums = store.call_sums()
        assert sums.intents == sent
        assert 0.5 <= sums.spent_usd < 0.5 + PROCESSES * COST_USD  # what was in flight when it was used up
    finally:
        store.close()


def test_an_answer_that_came_in_the_meantime_spares_the_call(store: Store) -> None:
    for _ in range(2):  # it was cut off, and is asked again
        assert store.write_calls([intent("call_1")])[0] == [None]
    ends, _ = store.write_calls([receipt("call_1", 0.25), intent("call_1"), intent("call_2")])
    told = [isinstance(end, CallEvent) and (end.raw, end.cost_usd) for end in ends]
    assert told == [False, ("{}", 0.25), False]
    (known,), _ = store.write_calls([intent("call_1")])
    assert isinstance(known, CallEvent)
    assert known.raw == "{}"
    assert store.call_sums() == CallSums(4, 3, 0.25)


def test_what_refuses_a_call_leaves_no_trace_of_it_and_no_other_in_the_way(store: Store) -> None:
    """Of one group the events before it count, and those after it that need no budget are written."""
    ends, sums = store.write_calls(
        [intent("call_1"), intent("call_2"), intent("call_3"), receipt("call_1", 0.5)],
        CallSums(),
        lambda sums: FULL if sums.intents >= 2 else None,
    )
    assert ends == [None, None, FULL, None]
    assert sums == CallSums()  # of before them
    assert store.call_sums() == CallSums(3, 2, 0.5)
    ends, sums = store.write_calls(
        [receipt("call_2", 0.5), intent("call_4")], sums, lambda sums: FULL if sums.spent_usd >= 1 else None
    )
    assert ends == [None, FULL]
    assert [event.event for event in store.call_history("call_4")] == []


def test_a_call_that_was_not_sent_is_none(store: Store) -> None:
    not_sent = CallEvent("call_2", "failure", "p", "m", message="not_sent: the run ended")
    failed = CallEvent("call_3", "failure", "p", "m", message="timeout: not_sent: it says")
    _, before = store.write_calls([intent("call_1"), intent("call_2"), intent("call_3")])
    store.write_calls([not_sent, failed])
    assert store.call_sums(before).intents == store.call_sums().intents == 2
    totals = store.call_totals()
    assert (totals["intent"], totals["failure"]) == (2, 1)
    events, allowed = (
        [intent("call_4"), not_sent._replace(key="call_4"), intent("call_5"), intent("call_6")],
        3,
    )
    ends, _ = store.write_calls(events, refuse=lambda sums: FULL if sums.intents >= allowed else None)
    assert ends == [None, None, None, FULL]


def test_how_long_calls_take_is_told_by_the_newest_answers_of_live_calls(store: Store) -> None:
    took = [60.0] * 10 + [2.0] * 150 + [None] * 50 + [4.0] * 50  # None: a batch brought it
    answers = [receipt(f"call_{n}")._replace(output_tokens=8, latency_s=s) for n, s in enumerate(took)]
    store.write_calls(answers)
    past = store.past_calls("p", "m", "a")
    assert (past.answers, past.output_tokens, past.latency_s) == (260, 8.0, (150 * 2.0 + 50 * 4.0) / 200)
    assert store.past_calls("p", "m", "b").latency_s is None


def test_sums_go_on_from_where_they_were_told(store: Store) -> None:
    _, sums = store.write_calls([intent("call_1")])
    store.write_calls([receipt("call_1", 0.5)])
    store.write_calls([CallEvent("call_2", "failure", "p", "m", cost_usd=0.25)])  # paid for, and no answer
    _, sums = store.write_calls([intent("call_3")], sums)
    assert (sums.intents, sums.spent_usd) == (1, 0.75)
    _, sums = store.write_calls([intent("call_4")], sums)
    assert (sums.intents, sums.spent_usd) == (2, 0.75)
    assert store.call_sums() == CallSums(5, 3, 0.75)


def test_of_what_a_question_was_made_is_kept_with_its_last_intent(store: Store) -> None:
    store.write_calls([intent("call_1", '{"prompt": "a"}')])
    store.write_calls([intent("call_1", '{"prompt": "b"}')])
    store.write_calls([intent("call_2")])  # of an older version
    assert store.call_components(["call_1", "call_2", "call_3"]) == {"call_1": {"prompt": "b"}}
    store.write_calls([CallEvent("call_1", "failure", "p", "m", message="timeout: no answer: at all")])
    history = store.call_history("call_1")
    assert [event.event for event in history] == ["intent", "intent", "failure"]
    assert (history[-1].code, history[-1].message) == ("timeout", "no answer: at all")


def test_failures_in_a_row_are_counted_until_an_item_ends_otherwise(store: Store) -> None:
    def end(status: str, item: str = "ann_1", stage: str = "annotate") -> None:
        store.add([], [ItemOutcome(stage, item, status, "a.mp4", "timeout")])  # type: ignore[arg-type]

    assert store.failed_runs("annotate", "ann_1") == 0
    for status in ("failed", "failed", "done", "failed"):
        end(status)
    end("failed", item="ann_2")
    end("failed", stage="judge")
    assert store.failed_runs("annotate", "ann_1") == 1
    end("failed")
    assert store.failed_runs("annotate", "ann_1") == 2
    assert store.dead_letters(["annotate", "judge"]) == []
    end("dead")
    assert store.failed_runs("annotate", "ann_1") == 0
    (letter,) = store.dead_letters(["annotate", "judge"])
    assert (letter.stage, letter.item) == ("annotate", "ann_1")
    assert store.ended_at("annotate", "ann_1") is not None
    assert store.ended_at("annotate", "ann_9") is None
    assert Counter(item for _, item in store.outcomes(status="failed")) == {"ann_2": 1, "ann_1": 1}
