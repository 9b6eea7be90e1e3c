"""Protocols that cross rooms: agents write through `Journal` and read time through `Clock`."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import NamedTuple, Protocol

from schemas.errors import UserError
from schemas.parts import Usage

BUDGET_REACHED = "budget_reached"  # the code of the error that ends all calls of a run
# Code and words of a call that was written down and then not made.
NOT_SENT = "not_sent"
UNSENT = "the run ended, or the server was left alone, before it was sent"


class TokenLogprob(NamedTuple):
    """A token of an answer with its natural log-probability, and the likeliest tokens in its place with theirs.

    The `text` of all tokens, one after the other, is the raw answer: a token that ends within a character has the
    text up to it, and the next one the whole character.
    """

    text: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


class Receipt(NamedTuple):
    """A received answer. `raw` is exactly the text of the answer, kept before it is parsed.

    `logprobs` None: not asked for, or not told. `latency_s`: from the first byte sent to the whole answer; None
    where it came otherwise than by one call.
    """

    raw: str
    model_version: str | None
    usage: Usage
    finish_reason: str | None = None
    logprobs: tuple[TokenLogprob, ...] | None = None
    latency_s: float | None = None


class Journal(Protocol):
    """Durable memory of paid calls. `key` = digest of request, provider, model and replicate."""

    def find(self, key: str) -> Receipt | None:
        """The receipt of an earlier call with this key, if one was received."""

    async def intend(
        self, key: str, *, provider: str, model: str, annotator: str, components: Mapping[str, str]
    ) -> Receipt | None:
        """Durable before the first byte is sent. A receipt: the answer has come in the meantime, nothing is sent.

        `components`: digests of what the question is made of, to tell later what has changed.

        Raises:
            UserError: code "budget_reached", when the budget allows no further call.
        """

    def overspent(self) -> UserError | None:
        """Why a call that was intended may not be sent after all: the money has been spent meanwhile."""

    def receive(self, key: str, receipt: Receipt) -> Awaitable[object]:
        """The money counts when this returns; durable when it was awaited, before the answer is parsed."""

    def fail(self, key: str, *, code: str, message: str, usage: Usage | None = None) -> Awaitable[object]:
        """The call ended without an answer; `usage` when it was paid for all the same. In time as `receive`."""


class Clock(Protocol):
    """Time for the engine's waits; tests pass one that does not wait."""

    def monotonic(self) -> float: ...

    async def sleep(self, seconds: float) -> None: ...
