"""Whom a question is put to: servers are told apart, a server that moves can keep its name, twins are seen."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from agents.annotators.annotator import Annotator
from agents.asking import Asker, Model, collect
from schemas.records import Annotation, Sample
from schemas.settings_models import ModelSection
from tests.wire.material import (
    InstantClock,
    MemoryJournal,
    judge_section,
    make_sample,
    media_bytes,
    section,
    taxonomy,
)
from tests.wire.server import FakeModels, Reply

OPENAI, GEMINI = "https://api.openai.com/v1", "https://generativelanguage.googleapis.com"


def annotator(models: FakeModels, **changes: Any) -> Annotator:
    return Annotator(section(base_url=models.openai_url, **changes), taxonomy())


def run(journal: MemoryJournal, *annotators: Asker[Sample, Annotation]) -> dict[str, Annotation]:
    found: list[Annotation] = []
    asyncio.run(
        collect(
            [(one, make_sample(), 0) for one in annotators],
            journal=journal,
            clock=InstantClock(),
            load=media_bytes,
            on_record=found.append,
        )
    )
    return {annotation.annotator: annotation for annotation in found}


@pytest.mark.parametrize(
    ("changes", "deployment"),
    [
        ({}, ""),
        ({"base_url": OPENAI}, ""),
        ({"base_url": "https://API.openai.com/v1/"}, ""),
        ({"provider": "gemini"}, ""),
        ({"provider": "gemini", "base_url": GEMINI}, ""),
        ({"provider": "gemini", "base_url": OPENAI}, "api.openai.com/v1"),
        ({"base_url": "http://127.0.0.1:8000/v1"}, "127.0.0.1:8000/v1"),
        ({"base_url": "http://127.0.0.1:8000/b/v1"}, "127.0.0.1:8000/b/v1"),
        ({"base_url": "https://models.example/v1"}, "models.example/v1"),
        ({"base_url": "http://127.0.0.1:8000/v1", "deployment": "lab"}, "lab"),
        ({"base_url": "http://127.0.0.1:8000/v1", "deployment": ""}, ""),
        ({"provider": "cues", "model": "lexicon", "base_url": "http://127.0.0.1:8000"}, ""),
    ],
)
def test_a_server_is_known_by_its_address_or_by_the_name_it_was_given(
    changes: dict[str, Any], deployment: str
) -> None:
    assert Model(section(**changes)).deployment == deployment


def test_two_servers_with_one_model_name_are_both_asked() -> None:
    with FakeModels() as first, FakeModels() as second:
        first.script(Reply(label="joy"))
        second.script(Reply(label="anger"))
        found = run(MemoryJournal(), annotator(first), annotator(second, name="a2"))
        assert (len(first.requests), len(second.requests)) == (1, 1)
    assert {name: a.answer.primary for name, a in found.items() if a.answer} == {"a1": "joy", "a2": "anger"}


def test_a_server_that_moved_is_asked_anew_unless_it_keeps_its_name() -> None:
    journal = MemoryJournal()
    with FakeModels() as before, FakeModels() as after:
        run(journal, annotator(before))
        here = annotator(before).model.deployment
        run(journal, annotator(after, deployment=here))
        assert len(after.requests) == 0
        run(journal, annotator(after))
        assert len(after.requests) == 1


SAME: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {"name": "other", "concurrency": 1, "attempts": 2, "timeout_s": 9, "api_key_env": "X"}),
    ({"takes": ("text",)}, {"takes": ("text",), "key_frames": 1}),
    ({"takes": ("text",)}, {"takes": ("text", "images"), "key_frames": 0}),
    ({"gives": ("json_schema", "json_object")}, {"gives": ("json_schema", "logprobs")}),
    ({}, {"replicates": 3, "usd_per_million_input_tokens": 1}),
]
OTHER: list[dict[str, Any]] = [
    {"model": "m2"},
    {"provider": "gemini"},
    {"deployment": "lab"},
    {"temperature": 0.5},
    {"seed": 1},
    {"max_output_tokens": 9},
    {"takes": ("images",)},
    {"takes": ("text", "images", "audio")},
    {"key_frames": 2},
    {"options": {"image_detail": "low"}},
    {"gives": ("json_object",)},
    {"gives": ("json_schema", "logprobs"), "top_logprobs": 0},
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_sections_that_ask_the_same_have_one_identity(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert Model(section(**one)).identity == Model(section(**other)).identity


def test_what_can_change_an_answer_is_another_identity() -> None:
    identities = {Model(section(**changes)).identity for changes in [{}, *OTHER]}
    assert len(identities) == len(OTHER) + 1


def test_rules_are_one_voice_and_a_script_may_answer_for_each_name() -> None:
    def identity(name: str, **changes: Any) -> str:
        return Model(section(name=name, **changes)).identity

    assert identity("a", provider="cues", model="facial") == identity("b", provider="cues", model="facial")
    rules: dict[str, Any] = {"provider": "scripted", "options": {"answers": [{"answer": "x"}]}}
    assert identity("a", **rules) != identity("b", **rules)
    judge: ModelSection = judge_section("cues", model="rules")
    assert Model(judge).identity != identity("a", provider="cues", model="facial")
