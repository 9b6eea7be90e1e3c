"""What every vendor on a network shares: errors by HTTP status, cost, keys kept out of texts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import httpx2

from agents.prices import price_of
from agents.providers.headers import refusal_code, wait_asked_s
from agents.questions.datatext import storable
from schemas.errors import ProviderError, UserError
from schemas.parts import Usage
from schemas.settings_models import ModelSection

MESSAGE_CHARS = 300
MOST_TOKENS = 10**12  # of one call; JSON integers have no limit, money and stores have
# What reading an answer raises that has another form than the vendor's protocol promises.
NOT_OF_THE_PROTOCOL = (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError)
TRANSIENT_STATUS = frozenset({408, 409, 425, 429, 529})
CODES = {
    400: "bad_request",
    401: "unauthorized",
    402: "quota_exhausted",
    403: "forbidden",
    404: "not_found",
    408: "timeout",
    409: "conflict",
    413: "too_large",
    422: "bad_request",
    429: "rate_limited",
    502: "unavailable",
    503: "unavailable",
    529: "overloaded",
}
# Vendors' own codes that say more than the status: Gemini refuses a wrong key with 400, and OpenAI an account
# without money with 429, which no waiting heals.
MEANT = {
    "API_KEY_INVALID": "unauthorized",
    "insufficient_quota": "quota_exhausted",
    "billing_not_active": "quota_exhausted",
}


def status_error(
    status: int, message: str, headers: Mapping[str, str], key: str, *, body: Any = None
) -> ProviderError:
    """The error of an HTTP status; `headers` and `body`, the JSON of the answer, say how long to wait."""
    said = MEANT.get(refusal_code(body))
    named = "server_error" if status >= 500 else "redirected" if 300 <= status < 400 else "http_error"
    code = said or CODES.get(status, named)
    return ProviderError(
        code=code,
        message=tidy(f"HTTP {status}: {message}", key),
        transient=said is None and (status in TRANSIENT_STATUS or status >= 500),
        retry_after_s=wait_asked_s(headers, body, datetime.now(UTC)),
        details={"status": str(status)},
    )


def timeout_error(timeout_s: float) -> ProviderError:
    return ProviderError("timeout", f"no answer within {timeout_s:g} s", transient=True)


def request_error(error: BaseException, key: str) -> ProviderError:
    """No connection, or one that broke: whether the question arrived is not known. Or bytes that are no text."""
    if isinstance(error, httpx2.DecodingError):
        return bad_reply(str(error), key)
    told = str(error) if isinstance(error, httpx2.NetworkError) else f"{type(error).__name__}: {error}"
    return ProviderError("connection", tidy(told, key), transient=True)


def bad_reply(message: str, key: str, usage: Usage | None = None) -> ProviderError:
    """Status 200, but not what the vendor's protocol promises (a proxy's page, a cut-off body).

    One that tells `usage` was paid for, and is not bought again unless somebody asks for it.
    """
    return ProviderError("bad_reply", tidy(message, key), transient=usage is None, usage=usage)


def tidy(message: str, key: str) -> str:
    """One short line without the key: vendors repeat it in their messages."""
    return " ".join((message.replace(key, "[key]") if key else message).split())[:MESSAGE_CHARS]


def cannot(section: ModelSection, setting: str, message: str, remedy: str) -> UserError:
    """What a section asks for has no place in its provider's protocol."""
    return UserError("cannot", f'{message} (asked of "{section.name}")', remedy, place=(setting,))


def usage(
    section: ModelSection,
    input_tokens: Any,
    output_tokens: Any,
    *,
    by_modality: Mapping[str, Any] | None = None,
    cached: int | None = None,
    reasoning: int | None = None,
) -> Usage | None:
    """Tokens as the vendor counts them, None when it does not; money only when the model has a price."""
    if count(input_tokens) is None or count(output_tokens) is None:
        return None
    used = Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        input_by_modality={name: told for name, told in (by_modality or {}).items() if count(told)},
        cached_input_tokens=cached,
        reasoning_tokens=reasoning,
    )
    return _priced(section, used)


def usage_at_most(section: ModelSection, sent_bytes: int) -> Usage:
    """The most that a call can have used whose vendor tells no usage: a token for each byte that was sent, media
    included, and the longest answer that was allowed."""
    price = price_of(section)
    dearest = {} if price is None else {max(price.inputs, key=lambda name: price.inputs[name]): sent_bytes}
    most = Usage(input_tokens=sent_bytes, output_tokens=section.max_output_tokens, input_by_modality=dearest)
    return _priced(section, most).model_copy(update={"estimated": True, "input_by_modality": {}})


def told(value: Any) -> str | None:
    """A text as a vendor tells it and as it can be stored, None where it is none."""
    return storable(value) if isinstance(value, str) else None


def count(value: Any) -> int | None:
    """A count as a vendor tells it, None where it is none."""
    return value if type(value) is int and 0 <= value <= MOST_TOKENS else None


def _priced(section: ModelSection, used: Usage) -> Usage:
    price = price_of(section)
    return used if price is None else used.model_copy(update={"cost_usd": price.cost_usd(used)})
