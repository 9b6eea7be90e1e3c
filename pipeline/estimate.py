"""What questions will cost before they are asked: calls, tokens by modality, money and time, per model.

The stages that ask models hand in every question that is missing, as it would be sent (`Wanted`); nothing is
counted a second time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from agents.asking import Asker
from agents.calls.call import call_key
from agents.prices import Price, price_of
from agents.protocol import MediaPart, Request
from agents.tokens import (
    Counted,
    MediaSize,
    TokenRule,
    count_request,
    rule_of,
    typical_answer_tokens,
)
from pipeline.ledger import receipt_of
from pipeline.media.sizes import shown_size
from schemas.parts import MediaRef, Usage
from schemas.records import Source
from schemas.settings_models import ModelSection
from schemas.store import Store
from schemas.store_asked import PastCalls

LATENCY_S = 10.0  # of a call, where none was made yet
BATCH_S = 24 * 3600.0  # within which vendors answer a batch job
CHARS_PER_ANSWER_TOKEN = 2.9  # measured on answers with four claims and three steps, as is the next one
JUDGED_SHARE = (
    0.6  # how long an annotation is in a judge's question, as a share of the answer that it came from
)


ENOUGH_ANSWERS = 20  # of an annotator, to tell what share of its answers is a label


class Wanted(NamedTuple):
    """A question that is missing: whom to ask, about what, the question as it would be sent, of which sample.

    `last`: nothing follows from its answer, because it follows from one itself.
    """

    asker: Asker[Any, Any]
    item: Any
    request: Request
    sample_id: str
    last: bool = False

    @property
    def key(self) -> str:
        """Of its call, as the ledger has it."""
        return call_key(self.request, self.asker.section.provider, self.request.model)


class Step(NamedTuple):
    """One question in the order in which they are asked. `usd` None: its price is not known."""

    stage: str
    sample_id: str
    calls: float
    usd: float | None


@dataclass
class Line:
    """What one annotator or judge is asked. Numbers that are expected are no whole ones."""

    stage: str
    section: ModelSection
    price: Price | None
    rule: TokenRule
    history: PastCalls
    calls: float = 0.0
    answered: int = 0  # their answers are in the ledger: they are read, and no call is made
    under_way: int = 0  # a batch job has them
    input_tokens: Counter[str] = field(default_factory=Counter)
    output_tokens: float = 0.0
    usd: float | None = 0.0
    expected: bool = False
    unknown: set[str] = field(default_factory=set)  # kinds of media that no rule counts
    unpriced: set[str] = field(default_factory=set)  # kinds of input that have no price

    def answer_tokens(self, request: Request) -> float:
        """How many tokens an answer has, from this model's answers, else as its schema lets expect."""
        typical = self.history.output_tokens or typical_answer_tokens(request.answer_schema)
        return min(float(self.section.max_output_tokens), typical)

    def text_tokens(self, request: Request) -> float:
        """The same without thoughts: what a judge is shown of it."""
        chars = self.history.answer_chars
        return chars / CHARS_PER_ANSWER_TOKEN if chars else self.answer_tokens(request)

    @property
    def time_s(self) -> float:
        """How long its calls take: as many at a time, and in a minute, as the section allows; a batch: a day."""
        section = self.section
        if section.mode == "batch":
            return BATCH_S if self.calls else 0.0
        tokens = self.input_tokens.total() + self.output_tokens
        return max(
            self.calls * (self.history.latency_s or LATENCY_S) / section.concurrency,
            _minutes_s(self.calls, section.requests_per_minute),
            _minutes_s(tokens, section.tokens_per_minute),
        )

    @property
    def batch_usd(self) -> float | None:
        if self.section.mode == "batch":
            return self.usd
        factor = self.price.batch_factor if self.price is not None else None
        return None if factor is None or self.usd is None else self.usd * factor


class Meter:
    """Adds up what is missing. `sources` by id; it is asked when the first question comes."""

    def __init__(self, store: Store, sources: Callable[[], Mapping[str, Source]]) -> None:
        self._store, self._sources = store, sources
        self._seen: set[str] = set()
        self.lines: dict[tuple[str, str], Line] = {}
        self.steps: list[Step] = []

    def add(self, stage: str, wanted: Sequence[Wanted], share: float | None = None) -> None:
        """Questions of a stage, in the order in which they will be asked; identical ones are sent once.

        `share`: in what part of the cases they will be asked, where that is only expected.
        """
        keys = {w.key: w for w in wanted if w.asker.model.wire}
        there = self._store.received([key for key in keys if key not in self._seen])
        for key, one in keys.items():
            if key in self._seen:
                continue
            self._seen.add(key)
            line = self.line(stage, one.asker.section)
            if key in there:
                line.answered += 1
                self.add(stage, self._following(one, key), share)
            elif key in self._in_jobs:
                line.under_way += 1
            else:
                line.expected = line.expected or share is not None
                self._ask(line, one, share=1.0 if share is None else share)

    def expect(self, stage: str, one: Wanted, more_tokens: float, share: float) -> None:
        """A question that will be asked in `share` of the cases, longer by `more_tokens` than it is known yet."""
        if one.asker.model.wire:
            line = self.line(stage, one.asker.section)
            line.expected = True
            self._ask(line, one, more_tokens, share)

    def _following(self, one: Wanted, key: str) -> list[Wanted]:
        """The second step of a question whose first one is answered."""
        follow = None if one.last else one.asker.then(one.item, one.request)
        row = self._store.receipt(key) if follow is not None else None
        request = follow(receipt_of(row)) if follow is not None and row is not None else None
        return [] if request is None else [one._replace(request=request, last=True)]

    def line(self, stage: str, section: ModelSection) -> Line:
        key = (stage, section.name)
        if key not in self.lines:
            history = self._store.past_calls(section.provider, section.model, section.name)
            self.lines[key] = Line(stage, section, price_of(section), rule_of(section), history)
        return self.lines[key]

    @cached_property
    def _in_jobs(self) -> set[str]:
        return {key for job in self._store.open_batches() for key in job.sent_bytes}

    def usd_of(self, section: ModelSection, request: Request) -> float | None:
        """What one question costs, as it is planned; nothing is added up. None: it cannot be told."""
        line = Line("", section, price_of(section), rule_of(section), PastCalls(0, 0.0, 0.0, None))
        counted = self._count(line.rule, request)
        line.unknown |= counted.unknown
        return self._usd(line, Counter(counted.tokens), line.answer_tokens(request))

    @property
    def planned(self) -> dict[str, Any]:
        """All that was added up, as a run tells it."""
        usd = total_usd(line.usd for line in self.lines.values())
        calls = round(sum(line.calls for line in self.lines.values()))
        return {"planned_calls": calls, "planned_usd": None if usd is None else round(usd, 6)}

    def of_stage(self, stage: str) -> list[Line]:
        return [line for line in self.lines.values() if line.stage == stage]

    def _ask(self, line: Line, one: Wanted, more_tokens: float = 0.0, share: float = 1.0) -> None:
        counted = self._count(line.rule, one.request)
        answer = line.answer_tokens(one.request)
        usd = self._send(line, counted, more_tokens, answer, share)
        calls = share
        # The second step is told the first one's answer.
        if not one.last and one.asker.then(one.item, one.request) is not None:
            more = self._send(line, counted, more_tokens + answer, answer, share)
            usd, calls = None if usd is None or more is None else usd + more, 2 * share
        self.steps.append(Step(line.stage, one.sample_id, calls, usd))

    def _send(
        self, line: Line, counted: Counted, more_tokens: float, answer: float, share: float
    ) -> float | None:
        """Add one call; what it costs, None where that cannot be told."""
        line.calls += share
        line.unknown |= counted.unknown
        tokens = Counter({**counted.tokens, "text": counted.tokens["text"] + round(more_tokens)})
        for name, number in tokens.items():
            line.input_tokens[name] += number * share  # type: ignore[assignment]
        line.output_tokens += answer * share
        usd = self._usd(line, tokens, answer)
        line.usd = None if usd is None or line.usd is None else line.usd + usd * share
        return None if usd is None else usd * share

    def _usd(self, line: Line, tokens: Counter[str], answer: float) -> float | None:
        if line.price is None:
            return None
        if line.price.is_free:
            return 0.0
        unpriced = {name for name, number in tokens.items() if number and name not in line.price.inputs}
        line.unpriced |= unpriced
        if unpriced or line.unknown:
            return None
        used = Usage(input_tokens=sum(tokens.values()), output_tokens=round(answer), input_by_modality=tokens)
        return line.price.cost_usd(used)

    def _count(self, rule: TokenRule, request: Request) -> Counted:
        refs = [part.ref for part in request.parts if isinstance(part, MediaPart)]
        return count_request(
            rule, request, {ref.key: size_of(ref, self._sources()[ref.source_id]) for ref in refs}
        )


def _minutes_s(amount: float, per_minute: int | None) -> float:
    return 0.0 if per_minute is None else 60 * amount / per_minute


def size_of(ref: MediaRef, source: Source) -> MediaSize:
    """What a piece of media will measure, by its recipe: it need not have been made yet."""
    media = source.media
    if ref.kind == "image":
        width, height = shown_size(media.video, ref.params.get("frame_width_px")) if media.video else (0, 0)
        return MediaSize(width, height)
    duration_s = min(ref.source_end_s, media.duration_s) - ref.source_start_s
    return MediaSize(duration_s=max(0.0, duration_s), has_sound=bool(media.audio))


def total_usd(amounts: Iterable[float | None]) -> float | None:
    """A sum of money; None when a part of it is not known."""
    total = 0.0
    for usd in amounts:
        if usd is None:
            return None
        total += usd
    return total


def planned_text(lines: Sequence[Line]) -> str:
    """What a stage is about to spend, in one line; nothing where nobody is asked over a network."""
    calls, usd = sum(line.calls for line in lines), total_usd(line.usd for line in lines)
    if not calls:
        return ""
    money = "nobody knows what they cost" if usd is None else f"about {usd:.4g} USD"
    return f"{round(calls)} call{'' if round(calls) == 1 else 's'} planned, {money}"
