"""What every vendor on a network shares: errors by HTTP status, cost, keys kept out of texts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from agents.prices import price_of
from agents.providers.headers import refusal_code, wait_asked_s
from schemas.errors import ProviderError
from schemas.parts import Usage
from schemas.settings_models import ModelSection

MESSAGE_CHARS = 300
TRANSIENT_STATUS = frozenset({408, 409, 425, 429, 529})
CODES = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    408: "timeout",
    409: "conflict",
    413: "too_large",
    422: "bad_request",
    429: "rate_limited",
    529: "overloaded",
}
# Vendors' own codes that say more than the status: Gemini refuses a wrong key with 400, and OpenAI an account
# without money with 429, which no waiting heals.
MEANT = {"API_KEY_INVALID": "unauthorized", "insufficient_quota": "quota_exhausted"}


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


def connection_error(error: BaseException, key: str) -> ProviderError:
    """No connection, or one that broke: whether the question arrived is not known."""
    cause = error.__cause__ or error
    return ProviderError("connection", tidy(f"{type(cause).__name__}: {cause}", key), transient=True)


def bad_reply(message: str, key: str, usage: Usage | None = None) -> ProviderError:
    """Status 200, but not what the vendor's protocol promises (a proxy's page, a cut-off body).

    One that tells `usage` was paid for, and is not bought again unless somebody asks for it.
    """
    return ProviderError("bad_reply", tidy(message, key), transient=usage is None, usage=usage)


def tidy(message: str, key: str) -> str:
    """One short line without the key: vendors repeat it in their messages."""
    return " ".join((message.replace(key, "[key]") if key else message).split())[:MESSAGE_CHARS]


def usage(section: ModelSection, input_tokens: Any, output_tokens: Any) -> Usage | None:
    """Tokens as the vendor counts them, None when it does not; money only when the model has a price."""
    if not (_is_count(input_tokens) and _is_count(output_tokens)):
        return None
    return _priced(section, Usage(input_tokens=input_tokens, output_tokens=output_tokens))


def usage_at_most(section: ModelSection, sent_bytes: int) -> Usage:
    """The most that a call can have used whose vendor tells no usage: a token for each byte that was sent, media
    included, and the longest answer that was allowed."""
    price = price_of(section)
    dearest = {} if price is None else {max(price.inputs, key=lambda name: price.inputs[name]): sent_bytes}
    most = Usage(input_tokens=sent_bytes, output_tokens=section.max_output_tokens, input_by_modality=dearest)
    return _priced(section, most).model_copy(update={"estimated": True, "input_by_modality": {}})


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and value >= 0


def _priced(section: ModelSection, used: Usage) -> Usage:
    price = price_of(section)
    return used if price is None else used.model_copy(update={"cost_usd": price.cost_usd(used)})
