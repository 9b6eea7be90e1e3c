"""Hostile answers: each becomes what it must, twice alike; no exception, no failure that turns into a label."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.answers.parsing import ParsedAnnotation, parse_annotation
from agents.judges.parsing import parse_judgement, parse_second_look
from tests.agents.hostile import KINDS, make_case, vast
from tests.agents.hostile_base import DURATION_S, MISSING, Case, dump, valid
from tests.agents.test_parsing import REASONS
from tests.wire.material import make_sample, taxonomy

CASES = 5_000  # `make bench NAME=fuzz` tries 100,000
TAXONOMY = taxonomy()
WHOLE = make_sample(duration_s=DURATION_S)
LACKING = make_sample(duration_s=DURATION_S, missing={MISSING: "not_there"})


def parse(case: Case) -> ParsedAnnotation:
    return parse_annotation(
        case.text,
        case.finish,
        LACKING if case.missing else WHOLE,
        TAXONOMY,
        shown=frozenset({"AU12"}),
        free_text=case.free_text,
        language="en",
    )


def problem(case: Case) -> str:
    """What is wrong with what the parser makes of a case, "" when nothing is."""
    parsed = parse(case)
    labels = None if parsed.answer is None else tuple(score.label for score in parsed.answer.labels)
    if parse(case) != parsed:
        return "another outcome the second time"
    if parsed.outcome in ("refused", "unparsed") and parsed.reason not in REASONS:
        return f"an unknown reason: {parsed.reason}"
    if case.outcome == "no label":
        return "" if labels is None and parsed.outcome != "labelled" else f"labelled {labels}"
    if case.outcome == "any":
        return (
            "" if labels is None or set(labels) <= set(case.labels) else f"labels {labels}, not {case.labels}"
        )
    return case.wrong(parsed.outcome, parsed.reason, labels, parsed.repaired)


def test_thousands_of_hostile_answers_become_what_they_must() -> None:
    rng = random.Random(2026)
    seen: Counter[str] = Counter()
    for _ in range(CASES):
        case = make_case(rng)
        assert problem(case) == "", (case.kind, case.finish, case.text[:3000])
        seen[case.kind] += 1
    assert set(seen) == {kind(random.Random(0)).kind for kind in KINDS}


@given(st.sampled_from(KINDS), st.integers(min_value=0, max_value=2**48))
def test_every_kind_of_spoiling_has_its_outcome(kind: object, seed: int) -> None:
    assert callable(kind)
    case = kind(random.Random(seed))
    assert problem(case) == "", (case.kind, case.finish, case.text[:3000])


@pytest.mark.parametrize("seed", range(4))
def test_no_prefix_of_an_answer_is_anything_but_cut_off(seed: int) -> None:
    rng = random.Random(seed)
    text = dump(rng, valid(rng))
    reasons = {parse(Case("prefix", text[:at], "")).reason for at in range(1, len(text))}
    assert reasons == {"truncated"}
    assert parse(Case("prefix", "", "")).reason == "empty_answer"


def test_ten_million_characters_are_too_many() -> None:
    for seed in range(6):
        assert problem(vast(random.Random(seed))) == ""


@given(st.integers(min_value=0, max_value=2**48))
def test_judges_answers_are_read_as_soundly(seed: int) -> None:
    case = make_case(random.Random(seed))
    for parsed in (
        parse_judgement(case.text, case.finish, TAXONOMY),
        parse_second_look(case.text, case.finish, TAXONOMY),
    ):
        assert parsed.outcome in ("refused", "unparsed")
        assert parsed.reason in REASONS
        assert (parsed.s_rec, parsed.s_reason, parsed.s_cot, parsed.implied_label) == (None,) * 4
