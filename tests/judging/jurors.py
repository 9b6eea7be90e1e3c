"""Judges with known faults, behind a real socket, and annotations of which it is known how good they are."""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from agents.asking import collect
from agents.judges.judge import Case
from agents.judges.panel import asked_about, panel
from pipeline.judging.row import Row, row_of
from schemas.parts import Evidence, LabelScore, Readings, Step, Triplet
from schemas.records import Annotation, Judgement
from tests.wire.material import (
    InstantClock,
    empty_check,
    judge_section,
    make_sample,
    media_bytes,
    section,
    taxonomy,
)
from tests.wire.server import FakeModels, Recorded, Reply

FAMILIES = {"ours": "qwen", "theirs": "gpt"}  # annotator -> its family
ANNOTATORS = [section(name=name, model=f"{family}-1", family=family) for name, family in FAMILIES.items()]
# What a judge reads of an annotation: whether it is right, how long it is, in whose style it is written.
SIGNS = re.compile(r"(clear|doubtful) cue.*?style-(ours|theirs)", re.DOTALL)


class Seen(NamedTuple):
    right: bool
    kin: bool
    length: int
    n: int  # the how many-th question it is
    second_look: bool


Fault = Callable[[Seen], dict[str, Any] | str]


def fair(seen: Seen) -> dict[str, Any]:
    good = 0.9 if seen.right else 0.1
    return scores(good + (seen.n % 5 - 2) / 50)


def loves_length(seen: Seen) -> dict[str, Any]:
    return scores(min(1.0, seen.length / 900))


def prefers_kin(seen: Seen) -> dict[str, Any]:
    return scores((0.6 if seen.right else 0.2) + (0.35 if seen.kin else 0.0))


def always_high(_: Seen) -> dict[str, Any]:
    return scores(0.9)


def fails_every_third(seen: Seen) -> dict[str, Any] | str:
    return "I would say eight of ten" if seen.n % 3 == 0 else fair(seen)


def scores(value: float) -> dict[str, Any]:
    value = max(0.0, min(1.0, value))
    return {"reasons": ["as it is"], "s_rec": value, "s_reason": value, "s_cot": value}


class FaultyModels(FakeModels):
    """Answers by a fault; a second look implies what the reasons show."""

    def __init__(self, fault: Fault) -> None:
        super().__init__()
        self.fault = fault

    def take(self, path: str, headers: dict[str, str], raw: str) -> Reply:
        super().take(path, headers, raw)
        content = Recorded(path=path, headers=headers, raw=raw, digest="").body["messages"][-1]["content"]
        text = content if isinstance(content, str) else content[0]["text"]
        rationale = text.partition("<Rationale>")[2].partition("</Rationale>")[0]
        found = SIGNS.search(rationale)
        assert found is not None
        look = "<Claimed-Answer>" not in text
        seen = Seen(found[1] == "clear", found[2] == "ours", len(rationale), len(self.requests), look)
        if look:
            implied = "anger" if "brows" in rationale else "joy"
            return Reply(text=json.dumps({"reasons": ["seen"], "implied_label": implied}))
        said = self.fault(seen)
        return Reply(text=said if isinstance(said, str) else json.dumps(said))


class Study(NamedTuple):
    """Cases with what people say of each: whether the label is right."""

    cases: list[Case]
    human: list[float]


def study(clips: int = 60, *, seed: int = 1, wrong_reasons: int = 0) -> Study:
    """Two annotations a clip; rightness, length and author have nothing to do with each other.

    The first `wrong_reasons` annotations have the right label and reasons for another one.
    """
    rng = random.Random(seed)
    cases, human = [], []
    for n in range(clips):
        sample = make_sample(segment_id=f"seg_{n}", duration_s=3.0 + n / 100)
        for position, name in enumerate(rng.sample(sorted(FAMILIES), 2), start=1):
            right = rng.random() < 0.6
            said = _annotation(sample.id, name, right, rng.randint(0, 14), len(cases) < wrong_reasons)
            cases.append(Case(sample, said, empty_check(said), position))
            human.append(float(right))
    return Study(cases, human)


def _annotation(sample_id: str, name: str, right: bool, length: int, wrong: bool) -> Annotation:
    sign = "clear" if right else "doubtful"
    face = "lowered brows" if wrong else "a smile"
    more = " and so it goes on at some length for no reason" * length
    answer = Triplet(
        evidence=(Evidence(id="e1", modality="visual", start_s=0, end_s=1, cue="AU12"),),
        rationale=(
            Step(n=1, text=f"A {sign} cue, {face} in style-{name}{more}.", evidence_ids=("e1",)),
            Step(n=2, text="So it is joy.", evidence_ids=("e1",)),
        ),
        readings=Readings(),
        labels=(LabelScore(label="joy"),),
        confidence=0.5,
    )
    return Annotation(
        sample_id=sample_id, annotator=name, request_digest=f"{name}{sample_id}", provider="p",
        model="m", outcome="labelled", answer=answer,
    )  # fmt: skip


def judged(of: Study, fault: Fault, **changes: Any) -> list[Judgement]:
    """All that a judge with this fault says, asked as a run asks."""
    found: list[Judgement] = []
    with FaultyModels(fault) as models:
        settings = {"base_url": models.openai_url, "model": "qwen-2", "name": "j", "concurrency": 1}
        jurors = panel([judge_section(**settings | changes)], ANNOTATORS, taxonomy(), seed=0)
        asyncio.run(
            collect(
                [question for case in of.cases for question in asked_about(jurors, case)],
                journal=None,
                clock=InstantClock(),
                load=media_bytes,
                on_record=found.append,
            )
        )
    return found


def rows(of: Study, judgements: list[Judgement], *, labelled: bool = True, name: str = "j") -> list[Row]:
    """The rows of a report; two clips a recording."""
    found = []
    for n, (case, right) in enumerate(zip(of.cases, of.human, strict=True)):
        mine = [one for one in judgements if one.annotation_id == case.annotation.id]
        human = {"label": right} if labelled else {}
        found.append(
            row_of(name, case.annotation, mine, human=human, source_id=f"src_{n // 4}", speaker=f"p{n % 7}")
        )
    return found
