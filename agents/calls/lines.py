"""What a run knows of the servers that it asks; it outlives the single shard of questions."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial

from agents.calls.backoff import AFTER_A_WAIT_S
from agents.calls.breaker import Breaker
from agents.calls.pace import Pace, Window
from agents.protocol import Provider, Request, Response
from schemas.errors import ProviderError
from schemas.parts import Usage
from schemas.settings_models import ModelSection

# Every further call to the same provider would fail alike: no such key, model, or money on the account.
FATAL_CODES = frozenset({"unauthorized", "not_found", "quota_exhausted"})
REFUSED_AFTER = 10  # questions refused for good, and not one answered: it is not the questions
FORBIDDEN = "forbidden"  # some servers say so of what is asked, others of a key that was withdrawn
OVERLOAD_CODES = frozenset({"rate_limited", "overloaded"})
# What passes, mostly; but a single question may make every call of its own fail so.
MAY_BE_ITS_OWN = frozenset({"server_error", "timeout", "bad_reply", "conflict"})
BYTES_PER_TOKEN = 4  # of text, for the first guess; then it is known what calls use


class Line:
    """The way to one annotator's or judge's model: whether it may be asked now, by how many at once, how fast.

    `ended` says why it is not asked any more in this run.
    """

    def __init__(self, section: ModelSection, pace: Pace, tell: Callable[[str], None]) -> None:
        self.section, self.pace, self._tell = section, pace, tell
        self.breaker = Breaker(section.patience_s)
        self.window = Window(section.concurrency)
        self.ended: ProviderError | None = None
        self._refusals, self._forbidden, self.has_answered = 0, 0, False
        self._calls, self._tokens = 0, 0

    def tokens_expected(self, request: Request) -> float:
        """About how many tokens a call uses: as those before it, or all that it can of what is known."""
        if self._calls:
            return self._tokens / self._calls
        return request.size_bytes / BYTES_PER_TOKEN + self.section.max_output_tokens

    def answered(self, response: Response, expected: float, now: float) -> None:
        self.has_answered, self._forbidden = True, 0
        self.breaker.succeed()
        self.window.succeed()
        if response.usage is not None:
            used = _tokens(response.usage)
            self._calls, self._tokens = self._calls + 1, self._tokens + used
            self.pace.settle(expected, used)
        self.pace.hear(response.limits, expected, now)

    def let_go(self, question: str, expected: float) -> None:
        """A question had its turn and was not asked."""
        self.pace.give_back(expected)
        self.breaker.let_go(question)

    def failed(
        self,
        question: str,
        error: ProviderError,
        sent_at: float,
        now: float,
        rng: random.Random,
        *,
        suspect: bool = False,
    ) -> None:
        """What a failed call says of the server, and not of the question alone.

        `suspect`: it failed in an earlier run, too, and more than this failure speaks for its own fault. Some of
        these in a row are no outage.
        """
        if not error.transient:
            self.breaker.succeed()
            self._refusals += 1
            self._forbidden += error.code == FORBIDDEN
            in_a_row = self._forbidden if self.has_answered else self._refusals
            if error.code in FATAL_CODES or in_a_row >= REFUSED_AFTER:
                self.ended = self.ended or error
            return
        asked_s, was_open = error.retry_after_s or 0.0, self.breaker.is_open
        if was_open or not suspect or error.code not in MAY_BE_ITS_OWN:
            self.breaker.fail(question, now, rest_s=asked_s)
        # One or two questions that time out may be bad ones.
        if error.code in OVERLOAD_CODES or self.breaker.in_a_row > 2:
            self.window.overloaded(sent_at, now)
        if asked_s:
            self.pace.hold(asked_s + rng.uniform(0, AFTER_A_WAIT_S), now)
        if self.breaker.is_away(now) or asked_s > self.section.patience_s:
            self.ended = self.ended or error
        elif self.breaker.is_open and not was_open:
            self._tell(
                f"no answer ({error}); probed for up to {self.section.patience_s:g} s, its questions wait"
            )


class Lines:
    """The lines of a run, one for each section that asks; those to one server with one key share its limits.

    `tell` gets the name of a section and what its user should know of its server while the run goes on.
    """

    def __init__(self, tell: Callable[[str, str], None] = lambda _name, _text: None) -> None:
        self._tell = tell
        self._lines: dict[tuple[type[ModelSection], str], Line] = {}
        self._paces: dict[tuple[str, str, str | None], Pace] = {}

    def of(self, section: ModelSection, provider: Provider, now: float) -> Line:
        name = (type(section), section.name)
        if name not in self._lines:
            server = (provider.name, section.base_url or provider.vendor_url, section.api_key_env)
            pace = self._paces.setdefault(server, Pace())
            pace.limit(section.requests_per_minute, section.tokens_per_minute, now)
            self._lines[name] = Line(section, pace, partial(self._tell, section.name))
        return self._lines[name]

    def has_answered(self, kind: type[ModelSection], name: str) -> bool:
        """Whether an annotator's or judge's model has answered anything in this run."""
        line = self._lines.get((kind, name))
        return line is not None and line.has_answered

    def ended(self, kind: type[ModelSection]) -> dict[str, ProviderError]:
        """Who is not asked any more, among annotators or among judges, and why."""
        lines = ((name, line.ended) for (of, name), line in self._lines.items() if of is kind)
        return {name: error for name, error in lines if error is not None}


def _tokens(usage: Usage) -> int:
    return usage.input_tokens + usage.output_tokens
