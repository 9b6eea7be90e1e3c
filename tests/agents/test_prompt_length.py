"""However long a recording or an annotator's answer is, the prompt is not; what is left out is said."""

from __future__ import annotations

import asyncio
from typing import Any

from agents.annotators.annotator import Annotator
from agents.annotators.two_steps import second_request
from agents.asking import collect
from agents.judges.judge import Judge
from agents.judges.mme import MmeJudge
from agents.protocol import Request, TextPart
from agents.questions.datatext import CLAIM_CHARS, LINE_CHARS, SECTION_CHARS, clean, within
from agents.questions.example_text import example_data
from agents.questions.examples import Example
from agents.questions.prompting import annotation_request
from schemas.parts import Event, LabelScore, SpeakerTurn, Step, Turn, Word
from schemas.records import Annotation
from tests.agents.test_injections import attacked_case
from tests.wire.material import InstantClock, judge_section, make_sample, media_bytes, section, taxonomy
from tests.wire.server import FakeModels

TWO_HOURS = tuple(Word(start_s=0.4 * n, end_s=0.4 * n + 0.3, text=f"word{n}") for n in range(18_000))
ROOM = 6 * SECTION_CHARS  # that many sections there are


def ask(**changes: Any) -> Request:
    sample = make_sample(**{"duration_s": 7200.0, **changes})
    return annotation_request(sample, taxonomy(), section(takes=("text",)))


def told(request: Request) -> str:
    assert isinstance(request.parts[0], TextPart)
    return request.parts[0].text


def test_of_a_transcript_of_two_hours_the_beginning_is_shown_and_the_rest_is_said_to_be_missing() -> None:
    request = ask(words=TWO_HOURS)
    text = told(request).partition("<Text>")[2].partition("</Text>")[0]
    shown = text.count(" s word")
    assert 1000 < shown < 18_000
    assert f"cut: {18_000 - shown} further lines are left out here" in text
    assert f"word{shown - 1}\n" in text
    assert request.left_out == {"text": 18_000 - shown}
    assert request.size_bytes < ROOM


def test_nothing_else_makes_a_prompt_long() -> None:
    long = "so " * 3_000
    request = ask(
        words=tuple(word.model_copy(update={"speaker": "ben"}) for word in TWO_HOURS),
        turns=tuple(
            SpeakerTurn(speaker=name, start_s=n, end_s=n + 1) for n in range(3600) for name in ("anna", "ben")
        ),
        context=tuple(Turn(speaker=f"s{n}", text=long) for n in range(200)),
        events=tuple(
            Event(start_s=n, end_s=n + 1, cue=cue, modality="visual")
            for n in range(7000)
            for cue in ("AU12", "wave")
        ),
    )
    assert request.size_bytes < ROOM
    assert set(request.left_out) == {"people", "earlier_turns", "visual", "visual_events"}
    assert told(request).splitlines()[-2] == "</Visual-Event>"


def test_of_the_turns_before_the_latest_are_shown() -> None:
    request = ask(context=tuple(Turn(speaker="ben", text=f"turn{n} {'so ' * 400}") for n in range(100)))
    text = told(request)
    assert "turn99 " in text
    assert "turn0 " not in text
    assert "earlier lines are left out here" in text
    assert request.left_out.keys() == {"earlier_turns"}


def test_what_fits_is_whole_and_nothing_is_left_out() -> None:
    assert ask().left_out == {}
    assert "cut:" not in told(ask())
    body = within(["a" * (LINE_CHARS + 1), "b"])
    assert [len(line) for line in body.lines] == [LINE_CHARS, 1]
    assert body.left_out == 1
    assert len(clean("a " * LINE_CHARS)) > LINE_CHARS  # only a line in a prompt is cut


def test_what_was_left_out_stands_in_the_record() -> None:
    found: list[Annotation] = []
    with FakeModels() as models:
        annotator = Annotator(section(base_url=models.openai_url, takes=("text",)), taxonomy())
        sample = make_sample(segment_id="seg_long", words=TWO_HOURS, duration_s=7200.0)
        asyncio.run(
            collect(
                [(annotator, sample, 0), (annotator, make_sample(), 0)],
                journal=None,
                clock=InstantClock(),
                load=media_bytes,
                on_record=found.append,
            )
        )
    by_sample = {annotation.sample_id: annotation.left_out for annotation in found}
    assert by_sample[sample.id]["text"] > 10_000
    assert by_sample[make_sample().id] == {}


def test_a_judge_is_shown_no_endless_claims_and_every_verdict() -> None:
    case = attacked_case("so " * 100_000, "quote", "description", "step", "cue", "verdict")
    answer = case.annotation.answer
    assert answer is not None
    steps = tuple(Step(n=n, text="because " * 100, evidence_ids=("e1",)) for n in range(1, 2000))
    long = answer.model_copy(update={"rationale": steps, "labels": (LabelScore(label="joy"),)})
    annotation = case.annotation.model_copy(update={"answer": long})
    judge = Judge(judge_section(takes=("text",)), taxonomy())
    request = judge.request(case._replace(annotation=annotation))
    assert request.size_bytes < ROOM
    assert "| contradicted" in told(request)
    assert "label: joy" in told(request)
    assert request.left_out["rationale"] > 1000


def test_long_steps_are_short_wherever_they_are_shown_again() -> None:
    long = "so " * 3_000
    case = attacked_case("x")
    answer = case.annotation.answer
    assert answer is not None
    steps = (Step(n=1, text=long, evidence_ids=()),)
    said = case.annotation.model_copy(update={"answer": answer.model_copy(update={"rationale": steps})})
    mme = MmeJudge(judge_section(rubric="mme_emotion"), taxonomy())
    rated = mme.request(case._replace(annotation=said, reference=("joy",)))
    whole = ask()
    first = {"evidence": [], "rationale": [{"n": 1, "text": long, "evidence_ids": []}]}
    second = second_request(whole, taxonomy(), first)
    last = second.parts[-1]
    assert isinstance(last, TextPart)
    shown = example_data(Example(make_sample(), frozenset(), "joy", steps), measurements=True)
    for text in (told(rated), last.text, shown):
        assert "so so so" in text
        assert text.count("so ") < CLAIM_CHARS / 2


def test_what_cannot_be_seen_is_left_out() -> None:
    hidden = "\ufe0f\U000e0121\u3164\u115f\u1160\uffa0\u2800\u034f\u17b4\u180b\u200b\U000e0041\u2060"
    assert clean(f"so{hidden} gl\u200dad \u200c\u200d") == "so gl\u200dad"
    persian = "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"
    assert clean(persian) == persian
    assert clean("a\u200d\u200c\u200d\u200cb") == "a\u200db"
