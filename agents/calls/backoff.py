"""How long a question waits before it is asked again."""

from __future__ import annotations

import random

BACKOFF_BASE_S = 1.0
BACKOFF_CAP_S = 60.0
AFTER_A_WAIT_S = 1.0  # spread over so much, those who were told the same time do not come back at once


def backoff_s(attempt: int, retry_after_s: float | None, rng: random.Random) -> float:
    """Seconds to wait after failed attempt 1, 2, ...: full jitter, on top of what the server asks for.

    Reference: Brooker 2015, https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """
    jitter = rng.uniform(0, min(BACKOFF_CAP_S, BACKOFF_BASE_S * 2.0 ** (attempt - 1)))
    return jitter if retry_after_s is None else retry_after_s + min(jitter, AFTER_A_WAIT_S)
