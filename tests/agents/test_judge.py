"""Judges: what they are shown, what becomes of their answers, and the keyless judge."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from agents.annotators.annotator import Annotator
from agents.asking import collect
from agents.cue_rules.judge import rate
from agents.judges.judge import Case, Judge, Juror
from agents.protocol import TextPart
from schemas.errors import ItemError
from schemas.parts import Verdict
from schemas.records import Annotation, Check, Judgement
from schemas.taxonomy import load_taxonomy
from tests.wire.material import (
    InstantClock,
    MemoryJournal,
    answer,
    empty_check,
    judge_section,
    make_sample,
    media_bytes,
    section,
    taxonomy,
)
from tests.wire.server import FakeModels, Reply


@pytest.fixture
def models() -> Any:
    with FakeModels() as server:
        yield server


def make_case(name: str = "secret-annotator", **changes: Any) -> Case:
    """A case whose annotator is named so that the name would be noticed."""
    settings = section(
        "scripted", name=name, model="secret-model", options={"answers": [{"answer": answer(**changes)}]}
    )
    found: list[Annotation] = []
    sample = make_sample()
    asyncio.run(
        collect(
            [(Annotator(settings, taxonomy()), sample, 0)],
            journal=None,
            clock=InstantClock(),
            load=media_bytes,
            on_record=found.append,
        )
    )
    assert found[0].outcome == "labelled", found[0].detail
    verdict = Verdict(evidence_id="e1", verdict="contradicted", shown=True, reason="AU12 stayed at 0.1")
    check = empty_check(found[0])
    return Case(sample, found[0], Check(**{**check.model_dump(), "verdicts": (verdict,)}))


def run(judge: Juror, cases: list[Case], journal: Any = None) -> list[Judgement]:
    found: list[Judgement] = []
    asyncio.run(
        collect(
            [(judge, case, 0) for case in cases],
            journal=journal,
            clock=InstantClock(),
            load=media_bytes,
            on_record=found.append,
        )
    )
    return found


def model_judge(models: FakeModels, **changes: Any) -> Judge:
    return Judge(judge_section(base_url=models.openai_url, **changes), taxonomy())


def test_the_judge_sees_claims_and_verdicts_but_not_whose_they_are() -> None:
    request = Judge(judge_section(), taxonomy()).request(make_case())
    part = request.parts[0]
    assert isinstance(part, TextPart)
    assert "AU12 present: the lip corners go up | contradicted (AU12 stayed at 0.1), shown" in part.text
    assert "Step 1: A smile speaks for joy. [e1]" in part.text
    assert part.text.index("<Rationale>") < part.text.index("label: joy")
    everything = json.dumps(request.model_dump(mode="json"))
    assert "secret" not in everything
    assert list(request.answer_schema["properties"]) == ["reasons", "s_rec", "s_reason", "s_cot"]


def test_numbers_are_rated_in_place_of_a_label_and_nothing_is_asked_that_cannot_be_answered() -> None:
    case = make_case()
    assert case.annotation.answer is not None
    numbers = case.annotation.answer.model_copy(update={"labels": ()})
    said = case.annotation.model_copy(update={"answer": numbers})
    request = Judge(judge_section(), load_taxonomy("vad")).request(case._replace(annotation=said))
    part = request.parts[0]
    assert isinstance(part, TextPart)
    assert "Take the claimed numbers for the claimed label." in request.system
    assert "implied" not in request.system
    assert "<Claimed-Answer>\nvalence: " in part.text


def test_a_taxonomy_whose_digest_is_known_is_turned_all_the_same() -> None:
    known = taxonomy()
    assert known.digest
    order = known.names[::-1]
    turned = Judge(judge_section(), known).turned(order)
    assert (turned.names, turned.digest != known.digest) == (order, True)


def test_equal_annotations_of_two_annotators_are_one_question(models: FakeModels) -> None:
    cases = [make_case("one"), make_case("two")]
    journal = MemoryJournal()
    found = run(model_judge(models), cases, journal)
    assert len(models.requests) == 1
    assert len({j.id for j in found}) == 2


def test_a_rating_becomes_a_judgement(models: FakeModels) -> None:
    case, journal = make_case(), MemoryJournal()
    judge = model_judge(models)
    (found,) = run(judge, [case], journal)
    assert (found.outcome, found.s_rec, found.s_reason, found.s_cot) == ("scored", 0.8, 0.7, 0.6)
    assert (found.kind, found.implied_label) == ("rating", None)
    assert found.reasons == ("the evidence fits the label",)
    assert found.model_version == "m1-2026-01-01"
    assert found.id == judge.question_id(case)
    assert run(judge, [case], journal)[0].digest == found.digest
    assert len(models.requests) == 1


def test_a_newer_parser_reads_stored_ratings_again_without_a_call(
    models: FakeModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, journal, judge = make_case(), MemoryJournal(), model_judge(models)
    (old,) = run(judge, [case], journal)
    monkeypatch.setattr("agents.asking.PARSER_VERSION", "next")
    assert judge.question_id(case) != old.id
    (new,) = run(judge, [case], journal)
    assert (new.id, new.s_rec) == (judge.question_id(case), old.s_rec)
    assert len(models.requests) == 1


@pytest.mark.parametrize(
    ("reply", "outcome", "reason"),
    [
        (Reply(text="8 out of 10"), "unparsed", "not_json"),
        (Reply(text='{"reasons": ["x"]}'), "unparsed", "wrong_shape"),
        (Reply(refusal="no"), "refused", "refusal"),
        (Reply(text="{", finish_reason="length"), "unparsed", "truncated"),
        (Reply(status=500, times=0), "failed", "server_error"),
    ],
)
def test_a_judge_that_fails_gives_no_score(
    reply: Reply, outcome: str, reason: str, models: FakeModels
) -> None:
    models.script(reply)
    (found,) = run(model_judge(models), [make_case()])
    assert (found.outcome, found.reason) == (outcome, reason)
    assert (found.s_rec, found.s_reason, found.s_cot) == (None, None, None)


def test_an_annotation_without_an_answer_cannot_be_judged() -> None:
    case = make_case()
    failed = case.annotation.model_copy(update={"answer": None, "outcome": "failed"})
    with pytest.raises(ItemError, match="the annotation is failed"):
        Judge(judge_section(), taxonomy()).request(case._replace(annotation=failed))


def test_a_changed_verdict_is_another_question() -> None:
    case = make_case()
    judge = Judge(judge_section(), taxonomy())
    assert judge.question_id(case) != judge.question_id(case._replace(check=empty_check(case.annotation)))


def rules_judge() -> Judge:
    return Judge(judge_section("cues", name="rules", model="rules"), taxonomy())


def test_the_keyless_judge_needs_no_wire_and_leaves_the_label_to_agreement() -> None:
    judge, case, journal = rules_judge(), make_case(), MemoryJournal(budget_calls=0)
    (found,) = run(judge, [case], journal)
    assert (found.outcome, found.s_rec) == ("scored", None)
    assert found.id == judge.question_id(case)
    assert journal.events == []


def test_the_keyless_judges_answer_is_read_like_any_other_and_nothing_of_it_is_lost() -> None:
    case = make_case(labels=[{"label": "anger", "intensity": 2}])
    (found,) = run(rules_judge(), [case])
    rated = rate(*case[:3], taxonomy())
    assert found.model_dump(include=set(rated._fields)) == rated._asdict()
    assert {"contradicted_evidence", "label_mismatch"} <= set(found.flags)


def test_the_question_to_the_keyless_judge_is_its_records_and_no_prompt() -> None:
    case = make_case()
    request = rules_judge().request(case)
    assert (request.system, request.parts) == ("", ())
    digests = {case.sample.digest, case.annotation.id, case.check.digest, taxonomy().digest}
    assert digests <= set(request.local_inputs)


def test_the_keyless_judge_names_no_place_since_no_order_can_move_it() -> None:
    (found,) = run(rules_judge(), [make_case()._replace(position=2)])
    assert found.position is None


def test_the_keyless_judge_gives_no_zero_to_an_annotation_without_an_answer() -> None:
    case = make_case()
    empty = case._replace(annotation=case.annotation.model_copy(update={"answer": None}))
    (found,) = run(rules_judge(), [empty])
    assert (found.outcome, found.reason) == ("failed", "nothing_to_judge")
    assert (found.s_reason, found.s_cot) == (None, None)


def test_a_models_open_s_rec_and_flags_of_its_own_are_not_taken(models: FakeModels) -> None:
    rating = {"reasons": ["x"], "s_rec": 1, "s_reason": 1, "s_cot": 1}
    more = {"flags": ["single_modality"], "implied_label": "anger"}
    models.script(Reply(text=json.dumps(rating | more)))
    models.script(Reply(text=json.dumps(rating | {"s_rec": None})))
    (first,), (second,) = (run(model_judge(models), [make_case()]) for _ in range(2))
    assert (first.outcome, first.flags, first.implied_label) == ("scored", ("family_unknown",), None)
    assert (second.outcome, second.reason) == ("unparsed", "wrong_shape")
