"""What servers say of their limits: read from real replies of both protocols, and from every spelling we know."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agents.protocol import RateLimits
from agents.providers.headers import duration_s, rate_limits, refusal_code, retry_delay_s, wait_asked_s
from tests.wire.server import FakeModels, Reply
from tests.wire.test_providers import VENDORS, complete, failure

pytestmark = pytest.mark.filterwarnings("ignore:invalid escape sequence:DeprecationWarning")

NOW = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
HEADERS = {
    "x-ratelimit-limit-requests": "60",
    "x-ratelimit-remaining-requests": "59",
    "x-ratelimit-reset-requests": "1s",
    "x-ratelimit-limit-tokens": "150000",
    "x-ratelimit-remaining-tokens": "149984",
    "x-ratelimit-reset-tokens": "6m0s",
}


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WIRE_TEST_KEY", "sk-test-5f3c1a9e7b")


def retry_info(delay: str) -> dict[str, Any]:
    return {
        "error": {
            "code": 429,
            "status": "RESOURCE_EXHAUSTED",
            "message": "quota",
            "details": [
                {"@type": "type.googleapis.com/google.rpc.Help", "links": []},
                {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay},
            ],
        }
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [("6m0s", 360), ("20ms", 0.02), ("1s", 1), ("8.64s", 8.64), ("1h2m3s", 3723), ("120", 120), ("1m3.5s", 63.5),
     ("0s", 0), ("34.074824224s", 34.074824224), ("1d", 86400), ("", None), ("soon", None), ("5 s", None),
     ("nan", None), ("1764500000", None), ("1764500000000", None), ("s", None), ("6m0", None), ("-1", None),
     (None, None), (7, None)],
)  # fmt: skip
def test_durations(text: Any, expected: float | None) -> None:
    assert duration_s(text) == (None if expected is None else pytest.approx(expected))


@given(st.text())
def test_no_text_is_too_odd_to_be_read(text: str) -> None:
    seconds = duration_s(text)
    assert seconds is None or seconds >= 0
    assert wait_asked_s({"retry-after": text, "retry-after-ms": text}, text, NOW) is None or text.strip()


def test_limits_are_read_from_an_answer(models: FakeModels) -> None:
    models.script(Reply(headers=HEADERS))
    assert complete("openai_compatible", models).limits == RateLimits(60, 59, 1.0, 150000, 149984, 360.0)
    assert complete("openai_compatible", models).limits is None


def test_values_of_servers_that_do_not_know_are_no_limits() -> None:
    unknown = {"x-ratelimit-limit-tokens": "-1", "x-ratelimit-remaining-tokens": "-1"}
    assert rate_limits(unknown) is None
    assert rate_limits({"x-ratelimit-limit-requests": "0"}) is None
    assert rate_limits({"x-ratelimit-reset-tokens": "0"}) == RateLimits(tokens_reset_s=0)


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        ({"retry-after-ms": "1500", "retry-after": "9"}, None, 1.5),
        ({"retry-after": "9"}, retry_info("34.5s"), 9),
        ({"retry-after": "Fri, 20 Nov 2026 10:00:30 GMT"}, None, 30),
        (  # by the server's own clock, which is a year late
            {"retry-after": "Thu, 20 Nov 2025 10:00:40 GMT", "date": "Thu, 20 Nov 2025 10:00:00 GMT"},
            None,
            40,
        ),
        ({"retry-after": "Fri, 20 Nov 2026 10:00:30 GMT", "date": "today"}, None, 30),
        ({}, retry_info("34.5s"), 34.5),
        ({}, retry_info("34.5s")["error"], 34.5),
        ({**HEADERS, "x-ratelimit-remaining-tokens": "0"}, None, 360),
        ({**HEADERS, "x-ratelimit-remaining-requests": "0"}, None, 1),
        (HEADERS, None, None),
        ({"retry-after-ms": "x", "retry-after": "soon"}, {"error": {"details": "none"}}, None),
        ({}, [1, 2], None),
    ],
)
def test_the_plainest_word_says_how_long_to_wait(
    headers: dict[str, str], body: Any, expected: float | None
) -> None:
    assert wait_asked_s(headers, body, NOW) == expected


# A date with some of its characters replaced, and any text at all.
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
NEARLY_DATES = st.lists(
    st.tuples(st.integers(0, len(DATE) - 1), st.text("0123456789:+-, GMTabc\u0661", max_size=20)), max_size=5
).map(lambda changes: "".join(dict(changes).get(n, letter) for n, letter in enumerate(DATE)))


@given(NEARLY_DATES | st.text(max_size=40))
@example("Sun, 06 Nov 1994 08:49:37 +99999999999999")
@example("Sun, 06 Nov 99999999999999999999 08:49:37 GMT")
def test_odd_dates_are_none(text: str) -> None:
    wait_s = wait_asked_s({"retry-after": text, "date": text}, {}, NOW)
    assert wait_s is None or wait_s >= 0


def test_the_first_retry_info_counts_and_others_are_none() -> None:
    assert retry_delay_s({"error": {"details": [{"@type": "x"}, "y", {"retryDelay": "3s"}]}}) is None


@pytest.mark.parametrize("vendor", VENDORS)
def test_waits_are_read_on_a_socket(vendor: str, models: FakeModels) -> None:
    models.script(Reply(status=429, headers={"retry-after-ms": "250"}))
    models.script(Reply(status=429, headers={**HEADERS, "x-ratelimit-remaining-requests": "0"}))
    assert failure(vendor, models).retry_after_s == 0.25
    assert failure(vendor, models).retry_after_s == 1


def test_gemini_says_it_in_the_body(models: FakeModels) -> None:
    models.script(Reply(status=429, body=json.dumps(retry_info("34.07s"))))
    error = failure("gemini", models)
    assert (error.code, error.transient, error.retry_after_s) == ("rate_limited", True, 34.07)


def test_what_looks_like_something_that_passes_and_is_none(models: FakeModels) -> None:
    """A wrong key that comes as 400, and an empty account that comes as 429."""
    info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
    wrong_key = {"code": 400, "message": "API key not valid", "status": "INVALID_ARGUMENT", "details": [info]}
    models.script(Reply(status=400, body=json.dumps({"error": wrong_key})))
    error = failure("gemini", models)
    assert (error.code, error.transient) == ("unauthorized", False)
    for no_money in (
        {"message": "You exceeded your current quota", "code": "insufficient_quota"},
        {"message": "Your account is not active", "type": "billing_not_active", "code": None},
    ):
        models.script(Reply(status=429, body=json.dumps({"error": no_money})))
        error = failure("openai_compatible", models)
        assert (error.code, error.transient) == ("quota_exhausted", False)
    assert refusal_code({"code": 429}) == "429"
    assert refusal_code("text") == ""
