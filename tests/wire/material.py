"""Samples, sections and small helpers that the tests of asking models share."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import json
import random
from collections.abc import Mapping
from typing import Any

from schemas.errors import UserError
from schemas.parts import Event, KeyFrame, Measure, MediaRef, Target, Turn, Usage, Word
from schemas.ports import Receipt
from schemas.records import Annotation, Check, Sample
from schemas.settings_models import AnnotatorSection, JudgeSection
from schemas.taxonomy import Taxonomy, load_taxonomy

# In which an answer gives its fields, as far as a label set asks for them.
ORDER = [
    "evidence",
    "rationale",
    "readings",
    "labels",
    "confidence",
    "dimensions",
    "heads",
    "trajectory",
    "abstain_reason",
]
KEY = "sk-test-5f3c1a9e7b"


def taxonomy() -> Taxonomy:
    return load_taxonomy("ekman7")


def ref(kind: str, at_s: float = 0.0) -> MediaRef:
    return MediaRef.model_validate(
        {"kind": kind, "source_id": "src_1", "source_start_s": at_s, "source_end_s": at_s + 2}
    )


def make_sample(**changes: Any) -> Sample:
    fields: dict[str, Any] = {
        "segment_id": "seg_1",
        "target": Target(speaker="anna"),
        "feature_digests": ("f1",),
        "baseline_ids": (),
        "context": (Turn(speaker="ben", text="How was it?"),),
        "view_version": "1",
        "duration_s": 2.5,
        "words": (Word(start_s=0.1, end_s=0.6, text="It was"), Word(start_s=0.6, end_s=1.1, text="great")),
        "prosody": (Measure(name="pitch_st_median", value=12.3, unit="semitone", z=2.1),),
        "events": (
            Event(
                start_s=0.5, end_s=1.5, cue="AU12", modality="visual", size=0.7, unit="intensity", apex_s=1.0
            ),
        ),
        "key_frames": tuple(
            KeyFrame(time_s=at, ref=ref("image", at), reason="peak") for at in (0.2, 0.9, 1.4, 2.0)
        ),
        "clip": ref("clip"),
        "audio": ref("audio"),
    }
    return Sample.model_validate(fields | changes)


def section(provider: str = "openai_compatible", **changes: Any) -> AnnotatorSection:
    fields = {"name": "a1", "provider": provider, "model": "m1", "timeout_s": 5.0}
    return AnnotatorSection.model_validate(fields | changes)


def judge_section(provider: str = "openai_compatible", **changes: Any) -> JudgeSection:
    fields = {"name": "j1", "provider": provider, "model": "m1", "timeout_s": 5.0}
    return JudgeSection.model_validate(fields | changes)


def answer(**changes: Any) -> dict[str, Any]:
    """A valid triplet about `make_sample()` as a model would write it."""
    item = {
        "id": "e1",
        "modality": "visual",
        "start_s": 0.5,
        "end_s": 1.5,
        "cue": "AU12",
        "direction": "present",
        "quote": None,
        "description": "the lip corners go up",
    }
    fields = {
        "evidence": [item],
        "rationale": [{"n": 1, "text": "A smile speaks for joy.", "evidence_ids": ["e1"]}],
        "readings": {"text": "joy", "audio": None, "visual": "joy"},
        "labels": [{"label": "joy", "intensity": 2}],
        "confidence": 0.8,
        "dimensions": {"valence": 0.6, "arousal": 0.3, "dominance": None},
        "trajectory": [{"start_s": 0, "end_s": 2.5, "label": "joy"}],
        "abstain_reason": None,
    }
    return fields | changes


def answer_json(**changes: Any) -> str:
    return json.dumps(answer(**changes))


def media_bytes(ref: MediaRef) -> bytes:
    """Bytes that JSON, base64 and text handling would spoil if they were not kept apart."""
    return bytes(range(256)) + ref.kind.encode() + str(ref.source_start_s).encode()


def empty_check(annotation: Annotation) -> Check:
    return Check(
        annotation_id=annotation.id,
        annotation_digest=annotation.digest,
        feature_digests=(),
        cue_table_digest="t",
        checker_version="1",
        verdicts=(),
    )


class MemoryJournal:
    """A journal that remembers in memory, in order, and can run out of budget."""

    def __init__(self, budget_calls: int | None = None) -> None:
        self.receipts: dict[str, Receipt] = {}
        self.events: list[tuple[str, str]] = []
        self.components: dict[str, dict[str, str]] = {}
        self.paid_in_vain: list[Usage] = []
        self.budget_calls = budget_calls

    def count(self, kind: str) -> int:
        return sum(event == kind for event, _ in self.events)

    def find(self, key: str) -> Receipt | None:
        return self.receipts.get(key)

    async def intend(
        self, key: str, *, provider: str, model: str, annotator: str, components: Mapping[str, str]
    ) -> Receipt | None:
        if self.budget_calls is not None and self.count("intend") >= self.budget_calls:
            raise UserError("budget_reached", "the budget is spent", "raise budget.calls")
        self.events.append(("intend", key))
        self.components[key] = dict(components)
        return None

    def overspent(self) -> UserError | None:
        return None

    async def receive(self, key: str, receipt: Receipt) -> None:
        self.events.append(("receive", key))
        self.receipts[key] = receipt

    async def fail(self, key: str, *, code: str, message: str, usage: Usage | None = None) -> None:
        self.events.append((f"fail {code}", key))
        self.paid_in_vain += [usage] if usage is not None else []


class InstantClock:
    """Waits for nothing and remembers for how long it was asked to wait; those who wait together wait once."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        until = self.now + seconds
        await asyncio.sleep(0)
        self.now = max(self.now, until)


class VirtualClock:
    """Time that goes on when nobody has anything left to do but wait; all that sleep do so together."""

    IDLE_TICKS = 40

    def __init__(self) -> None:
        self.now = 0.0
        self._waits: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = itertools.count()
        self._pump: asyncio.Task[None] | None = None

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        wait = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waits, (self.now + seconds, next(self._count), wait))
        if self._pump is None or self._pump.done():
            self._pump = asyncio.create_task(self._run())
        await wait

    async def _run(self) -> None:
        while self._waits:
            for _ in range(self.IDLE_TICKS):
                await asyncio.sleep(0)
            until, _, wait = heapq.heappop(self._waits)
            if not wait.done():
                self.now = max(self.now, until)
                wait.set_result(None)


def rng() -> random.Random:
    return random.Random(7)
