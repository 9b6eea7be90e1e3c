"""Annotators end to end over a real socket: samples in, annotation records out, failures as states."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from agents.annotators.annotator import Annotator
from agents.asking import collect
from schemas.errors import ItemError, UserError
from schemas.parts import MediaRef
from schemas.records import Annotation, Sample
from tests.wire.material import (
    KEY,
    InstantClock,
    MemoryJournal,
    answer,
    make_sample,
    media_bytes,
    section,
    taxonomy,
)
from tests.wire.server import FakeModels, Reply

# google-genai's own source holds an invalid escape, which Python reports when it compiles the module.
pytestmark = pytest.mark.filterwarnings("ignore:invalid escape sequence:DeprecationWarning")


@pytest.fixture
def models() -> Any:
    with FakeModels() as server:
        yield server


def make(provider: str = "scripted", **changes: Any) -> Annotator:
    return Annotator(section(provider, **changes), taxonomy())


def scripted(*rules: dict[str, Any], **changes: Any) -> Annotator:
    return make(options={"answers": list(rules)}, **changes)


def run(
    pairs: list[tuple[Annotator, Sample, int]], *, journal: Any = None, load: Any = media_bytes
) -> list[Annotation]:
    found: list[Annotation] = []
    asyncio.run(collect(pairs, journal=journal, clock=InstantClock(), load=load, on_record=found.append))
    return found


def test_a_run_gives_one_record_per_question_and_a_second_run_calls_nobody(
    models: FakeModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", KEY)
    annotators = [
        make("openai_compatible", base_url=models.openai_url, replicates=2),
        make("gemini", name="a2", base_url=models.gemini_url, takes=("text", "video")),
    ]
    samples = [make_sample(segment_id=f"seg_{n}", duration_s=2.5 + n) for n in range(3)]
    pairs = [
        (annotator, sample, replicate)
        for annotator in annotators
        for sample in samples
        for replicate in range(annotator.section.replicates)
    ]
    journal = MemoryJournal()
    first = run(pairs, journal=journal)
    assert {a.outcome for a in first} == {"labelled"}
    assert Counter(a.annotator for a in first) == {"a1": 6, "a2": 3}
    assert {a.id for a in first} == {a.question_id(s, r) for a, s, r in pairs}
    assert {a.prob_source for a in first} == {"stated"}
    assert len(models.requests) == 9
    second = run(pairs, journal=journal)
    assert len(models.requests) == 9
    assert {a.id: a.digest for a in second} == {a.id: a.digest for a in first}


def test_a_newer_parser_reads_stored_answers_again_without_a_call(
    models: FakeModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    models.script(Reply(text="joy"))
    annotator, journal = make("openai_compatible", base_url=models.openai_url), MemoryJournal()
    pairs = [(annotator, make_sample(), 0)]
    (old,) = run(pairs, journal=journal)
    monkeypatch.setattr("agents.asking.PARSER_VERSION", "next")
    assert annotator.question_id(make_sample()) != old.id
    (new,) = run(pairs, journal=journal)
    assert (new.id, new.parser_version) == (annotator.question_id(make_sample()), "next")
    assert (new.request_digest, new.outcome) == (old.request_digest, "unparsed")
    assert len(models.requests) == 1


@pytest.mark.parametrize(
    ("rule", "outcome", "reason"),
    [
        ({"answer": answer()}, "labelled", ""),
        ({"answer": answer(labels=[], abstain_reason="hidden face")}, "abstained", "abstained"),
        ({"answer": "No.", "finish_reason": "refusal"}, "refused", "refusal"),
        ({"answer": "joy"}, "unparsed", "not_json"),
        ({"answer": "{", "finish_reason": "length"}, "unparsed", "truncated"),
        ({"error": {"code": "server_error", "transient": True}}, "failed", "server_error"),
        ({"text": "words nobody said", "answer": "x"}, "failed", "not_scripted"),
    ],
)
def test_every_failure_is_a_state(rule: dict[str, Any], outcome: str, reason: str) -> None:
    (annotation,) = run([(scripted(rule), make_sample(), 0)])
    assert (annotation.outcome, annotation.reason) == (outcome, reason)
    assert (annotation.answer is not None) == (outcome == "labelled")
    assert annotation.prob_source in ("rule", "stated")


def test_evidence_that_stood_in_the_prompt_is_marked(models: FakeModels) -> None:
    told = make("openai_compatible", base_url=models.openai_url)
    untold = make("openai_compatible", name="a2", base_url=models.openai_url, takes=("images",))
    found = {a.annotator: a for a in run([(told, make_sample(), 0), (untold, make_sample(), 0)])}
    shown = {name: a.answer.evidence[0].shown for name, a in found.items() if a.answer}
    assert shown == {"a1": True, "a2": False}


def test_the_same_question_about_a_renamed_sample_costs_nothing(models: FakeModels) -> None:
    annotator = make("openai_compatible", base_url=models.openai_url)
    journal = MemoryJournal()
    first = run([(annotator, make_sample(), 0)], journal=journal)
    second = run([(annotator, make_sample(feature_digests=("newer asr, same words",)), 0)], journal=journal)
    assert len(models.requests) == 1
    assert first[0].request_digest == second[0].request_digest
    assert first[0].sample_id != second[0].sample_id
    assert first[0].answer == second[0].answer


def test_a_keyless_question_follows_the_sample_and_the_script() -> None:
    base, other = scripted({"answer": answer()}), scripted({"answer": "other"})
    twice = scripted({"answer": answer()}, replicates=2)
    ids = {
        base.question_id(make_sample()),
        base.question_id(make_sample(duration_s=3.0)),
        twice.question_id(make_sample(), repetition=1),
        other.question_id(make_sample()),
    }
    assert len(ids) == 4
    assert base.request(make_sample()).parts == ()


def test_the_rules_answer_what_the_parser_reads() -> None:
    annotators = [make("cues", name=model, model=model) for model in ("lexicon", "prosody", "facial")]
    found = run([(annotator, make_sample(), 0) for annotator in annotators])
    assert {a.outcome for a in found} <= {"labelled", "abstained"}
    lexicon = next(a for a in found if a.annotator == "lexicon")
    assert lexicon.prob_source == "rule"
    assert lexicon.answer is None or all(item.shown for item in lexicon.answer.evidence)


def test_media_that_cannot_be_made_fails_one_annotation(models: FakeModels) -> None:
    def load(ref: MediaRef) -> bytes:
        if ref.source_start_s == 0.9:
            raise ItemError("media_gone", "the recording was moved")
        return media_bytes(ref)

    annotator = make("openai_compatible", base_url=models.openai_url)
    bad, good = make_sample(), make_sample(segment_id="seg_2", key_frames=())
    found = {a.sample_id: a for a in run([(annotator, bad, 0), (annotator, good, 0)], load=load)}
    assert (found[bad.id].outcome, found[bad.id].reason) == ("failed", "media_gone")
    assert found[good.id].outcome == "labelled"


def test_a_missing_key_is_said_before_any_call(models: FakeModels) -> None:
    keyed = make("openai_compatible", name="a2", base_url=models.openai_url, api_key_env="NOT_SET_ANYWHERE")
    free = make("openai_compatible", base_url=models.openai_url)
    with pytest.raises(UserError, match="a2 needs the environment variable NOT_SET_ANYWHERE"):
        run([(free, make_sample(), 0), (keyed, make_sample(), 0)])
    assert models.requests == []


def test_the_budget_keeps_what_was_paid_for(models: FakeModels) -> None:
    annotator = make("openai_compatible", base_url=models.openai_url, concurrency=1)
    found: list[Annotation] = []
    pairs = [(annotator, make_sample(duration_s=2.5 + n), 0) for n in range(5)]
    with pytest.raises(UserError, match="the budget is spent"):
        asyncio.run(
            collect(
                pairs,
                journal=MemoryJournal(budget_calls=2),
                clock=InstantClock(),
                load=media_bytes,
                on_record=found.append,
            )
        )
    assert [a.outcome for a in found] == ["labelled", "labelled"]


def test_an_unknown_provider_names_the_known_ones() -> None:
    with pytest.raises(UserError, match="openai_compatible"):
        make("openai-compatible")


def test_hostile_answers_over_the_wire_become_states(models: FakeModels) -> None:
    texts = ["\ud800", "{" * 5000, "[1e999]", '{"labels": [{"label": "joy"}]}', "null", "joy"]
    models.script(*(Reply(text=text) for text in texts))
    annotator = make("openai_compatible", base_url=models.openai_url, concurrency=1)
    found = run([(annotator, make_sample(duration_s=2.5 + n), 0) for n in range(len(texts))])
    assert [a.outcome for a in found] == ["unparsed"] * len(texts)
    assert all(a.model_dump_json().encode() for a in found)
