"""What a server says of its limits, in the headers of an answer or the body of a refusal, as plain numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from agents.protocol import RateLimits

UNITS_S = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
PIECE = re.compile(r"(\d+(?:\.\d+)?)(ms|us|µs|ns|d|h|m|s)")
LONGEST_WINDOW_S = 7 * 86400.0  # a number beyond is a point in time, as some servers give it, or nonsense


def rate_limits(headers: Mapping[str, str]) -> RateLimits | None:
    """The limits that an answer tells (OpenAI's `x-ratelimit-*`); None when it tells none that can be read.

    `headers` finds a name in small letters, as the clients of both vendors do.

    Reference: https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers
    """
    told = RateLimits(
        requests=_count(headers.get("x-ratelimit-limit-requests"), least=1),
        requests_left=_count(headers.get("x-ratelimit-remaining-requests")),
        requests_reset_s=duration_s(headers.get("x-ratelimit-reset-requests")),
        tokens=_count(headers.get("x-ratelimit-limit-tokens"), least=1),
        tokens_left=_count(headers.get("x-ratelimit-remaining-tokens")),
        tokens_reset_s=duration_s(headers.get("x-ratelimit-reset-tokens")),
    )
    return None if told == RateLimits() else told


def wait_asked_s(headers: Mapping[str, str], body: Any, now: datetime) -> float | None:
    """Seconds that a refusal asks to wait before the next call; None when it says nothing that can be read.

    The plainest word counts: `retry-after-ms`, `Retry-After`, Google's RetryInfo in the error's body, and then
    the reset of a limit of which nothing is left. A date is one of the server's clock, which its `Date` tells;
    without it, of ours, which says `now`.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    said_at = _date(headers.get("date")) or now
    for wait_s in (retry_after_s(headers.get("retry-after"), said_at), retry_delay_s(body)):
        if wait_s is not None:
            return wait_s
    return used_up_s(rate_limits(headers))


def used_up_s(limits: RateLimits | None) -> float | None:
    """Seconds until a limit of which nothing is left starts anew; None while there is something left."""
    if limits is None:
        return None
    pairs = ((limits.requests_left, limits.requests_reset_s), (limits.tokens_left, limits.tokens_reset_s))
    resets = [reset_s for left, reset_s in pairs if left == 0 and reset_s is not None]
    return max(resets, default=None)


def retry_after_s(header: str | None, now: datetime) -> float | None:
    """Seconds to wait by a Retry-After header, in either form (seconds, HTTP date); None when unreadable.

    Reference: RFC 9110, section 10.2.3, https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
    """
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        if (date := _date(header)) is None:
            return None
        seconds = (date - now).total_seconds()
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _date(header: str | None) -> datetime | None:
    try:
        date = parsedate_to_datetime(header or "")
    except (ValueError, OverflowError):  # the latter for a year or an offset without end
        return None
    return date.replace(tzinfo=date.tzinfo or UTC)


def retry_delay_s(body: Any) -> float | None:
    """Seconds by the RetryInfo in the details of a Google error (`{"error": {"details": [...]}}`), like "34.07s".

    Reference: https://github.com/googleapis/googleapis/blob/master/google/rpc/error_details.proto
    """
    for detail in _details(body):
        if str(detail.get("@type", "")).endswith("google.rpc.RetryInfo"):
            return duration_s(detail.get("retryDelay"))
    return None


def refusal_code(body: Any) -> str:
    """The vendor's own code of a refusal (OpenAI's `error.code` or, where that is null, `error.type`; Google's
    ErrorInfo); "" without one."""
    for detail in _details(body):
        if str(detail.get("@type", "")).endswith("google.rpc.ErrorInfo"):
            return str(detail.get("reason", ""))
    error = _error(body)
    return str(error.get("code") or error.get("type") or "")


def _error(body: Any) -> dict[str, Any]:
    """The error itself; some clients hand over what stands around it, too."""
    error = body.get("error", body) if isinstance(body, dict) else None
    return error if isinstance(error, dict) else {}


def _details(body: Any) -> list[dict[str, Any]]:
    details = _error(body).get("details")
    return [detail for detail in details if isinstance(detail, dict)] if isinstance(details, list) else []


def duration_s(text: Any) -> float | None:
    """Seconds of a duration such as "6m0s", "20ms", "1.5s" or a bare number of seconds; None when unreadable."""
    if not isinstance(text, str):
        return None
    found = PIECE.findall(text.strip())
    if found and "".join(number + unit for number, unit in found) == text.strip():
        seconds = sum(float(number) * UNITS_S[unit] for number, unit in found)
    else:
        bare = _number(text)
        if bare is None:
            return None
        seconds = bare
    return seconds if seconds <= LONGEST_WINDOW_S else None


def _count(text: str | None, *, least: int = 0) -> int | None:
    """A whole number; servers write -1 where they do not know, and then a limit of 0."""
    number = _number(text)
    return int(number) if number is not None and number >= least else None


def _number(text: str | None) -> float | None:
    """A number that is not negative."""
    try:
        number = float(text) if text is not None else math.nan
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None
