"""The second look: asked apart, with the label hidden, and what comes of it."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from agents.judges.judge import Case, Judge, Juror
from agents.judges.panel import asked_about, panel
from agents.judges.second_look import SecondLook
from agents.protocol import TextPart
from schemas.taxonomy import load_taxonomy
from tests.agents.test_judge import make_case, run
from tests.wire.material import judge_section, section, taxonomy
from tests.wire.server import FakeModels, Reply


@pytest.fixture
def models() -> Any:
    with FakeModels() as server:
        yield server


def look(models: FakeModels, case: Case, **changes: Any) -> Any:
    (found,) = run(SecondLook(judge_section(base_url=models.openai_url, **changes), taxonomy()), [case])
    return found


def wrong_reasons() -> Case:
    """The label is joy, and right; the reasons speak for anger."""
    item = {
        "id": "e1", "modality": "visual", "start_s": 0.5, "end_s": 1.5, "cue": "AU04", "direction": "present",
        "quote": None, "description": "the brows go down in anger",
    }  # fmt: skip
    steps = [{"n": 1, "text": "Lowered brows and a hard voice show joy, not anger.", "evidence_ids": ["e1"]}]
    return make_case(evidence=[item], rationale=steps)


def test_the_label_is_nowhere_in_the_question() -> None:
    request = SecondLook(judge_section(), taxonomy()).request(wrong_reasons())
    (part,) = request.parts
    assert isinstance(part, TextPart)
    data = part.text
    assert "Step 1: Lowered brows and a hard voice show ⟦label⟧, not ⟦label⟧. [e1]" in data
    assert "AU04 present: the brows go down in ⟦label⟧" in data
    for hidden in ("joy", "anger", "Claimed-Answer", "points to", "contradicted", "It was", "secret"):
        assert hidden not in data, hidden
    assert "joy" in request.system  # as one of the labels to choose from, in no telling order
    assert list(request.answer_schema["properties"]) == ["reasons", "implied_label"]


def test_of_an_open_vocabulary_other_words_for_emotions_are_hidden_too() -> None:
    steps = [{"n": 1, "text": "An elated grin, full of joy, hardly nervous.", "evidence_ids": ["e1"]}]
    (part,) = SecondLook(judge_section(), load_taxonomy("open")).request(make_case(rationale=steps)).parts
    assert isinstance(part, TextPart)
    assert "Step 1: An ⟦label⟧ grin, full of ⟦label⟧, hardly ⟦label⟧. [e1]" in part.text


def test_other_words_for_a_label_are_hidden_as_well_and_what_is_seen_stands() -> None:
    steps = [
        {"n": 1, "text": "A shocked, tearful look, terrified and never gleeful.", "evidence_ids": ["e1"]}
    ]
    (part,) = SecondLook(judge_section(), taxonomy()).request(make_case(rationale=steps)).parts
    assert isinstance(part, TextPart)
    assert "Step 1: A ⟦label⟧, tearful look, ⟦label⟧ and never ⟦label⟧. [e1]" in part.text


@pytest.mark.parametrize(
    ("implied", "flags"),
    [
        ("anger", ("family_unknown", "label_mismatch")),
        ("joy", ("family_unknown",)),
        (None, ("family_unknown", "no_label_implied")),
    ],
)
def test_right_label_and_reasons_for_another(models: FakeModels, implied: str | None, flags: Any) -> None:
    models.script(Reply(text=json.dumps({"reasons": ["the brows"], "implied_label": implied})))
    found = look(models, wrong_reasons())
    assert (found.kind, found.outcome, found.implied_label, found.flags) == (
        "second_look", "answered", implied, flags,
    )  # fmt: skip
    assert (found.s_rec, found.s_reason, found.s_cot) == (None, None, None)


def look_in(models: FakeModels, language: str, case: Case) -> tuple[Any, str]:
    """The look at the reasons of an annotator that writes in a language, and what the judge was shown."""
    models.script(Reply(text=json.dumps({"reasons": ["die Brauen"], "implied_label": "anger"})))
    judge = judge_section(base_url=models.openai_url)
    annotator = section(name="secret-annotator", answer_language=language)
    (juror,) = (one for one in panel([judge], [annotator], taxonomy(), seed=0) if one.kind == "second_look")
    (found,) = run(juror, [case])
    return found, json.dumps(models.requests[0].body, ensure_ascii=False)


def test_reasons_whose_words_cannot_be_hidden_flag_nothing_but_that(models: FakeModels) -> None:
    found, _ = look_in(models, "el", wrong_reasons())
    assert (found.outcome, found.implied_label) == ("answered", "anger")
    assert "not_blind" in found.flags
    assert not {"label_mismatch", "no_label_implied"} & set(found.flags)


def test_reasons_in_another_language_are_hidden_from_where_its_words_are_known(models: FakeModels) -> None:
    steps = [{"n": 1, "text": "Gesenkte Brauen zeigen Freude, keine Wut.", "evidence_ids": ["e1"]}]
    item = {
        "id": "e1", "modality": "visual", "start_s": 0.5, "end_s": 1.5, "cue": "AU04", "direction": "present",
        "quote": "Ich freue mich", "description": "ein wütender Blick, anger",
    }  # fmt: skip
    found, shown = look_in(models, "de", make_case(evidence=[item], rationale=steps))
    assert "Gesenkte Brauen zeigen ⟦label⟧, keine ⟦label⟧." in shown
    assert "ein ⟦label⟧ Blick, ⟦label⟧" in shown
    assert "Ich ⟦label⟧ mich" in shown  # nobody said it
    assert "label_mismatch" in found.flags
    assert "not_blind" not in found.flags


@pytest.mark.parametrize("reply", [Reply(text="joy"), Reply(refusal="no"), Reply(status=400)])
def test_a_look_that_failed_flags_nothing(models: FakeModels, reply: Reply) -> None:
    models.script(reply)
    found = look(models, wrong_reasons())
    assert found.outcome in ("unparsed", "refused", "failed")
    assert (found.implied_label, found.flags) == (None, ("family_unknown",))


def test_a_verdict_does_not_change_the_question() -> None:
    """The look rests on the reasons alone: a newer checker re-buys nothing."""
    case = make_case()
    bare = case._replace(check=case.check.model_copy(update={"verdicts": ()}))
    assert SecondLook(judge_section(), taxonomy()).question_id(case) == SecondLook(
        judge_section(), taxonomy()
    ).question_id(bare)


def jurors(*judges: Any, annotators: Any = ()) -> list[Juror]:
    return panel(judges, annotators, taxonomy(), seed=0)


def test_who_is_asked_what() -> None:
    asked = jurors(
        judge_section(name="model", replicates=3),
        judge_section(name="once", second_look=False, temperature=1),
        judge_section("cues", name="rules", model="rules"),
    )
    questions = Counter((juror.section.name, juror.kind) for juror, _, _ in asked_about(asked, make_case()))
    assert questions == {
        ("model", "rating"): 3, ("model", "second_look"): 1, ("once", "rating"): 1, ("rules", "rating"): 1,
    }  # fmt: skip


# --- kin -------------------------------------------------------------------------------------------


def kin(
    models: FakeModels, of_judge: str, mode: str, **of_annotator: Any
) -> tuple[int, list[tuple[str, ...]]]:
    annotator = section(name="secret-annotator", **{"model": "gpt-4o", **of_annotator})
    judge = judge_section(base_url=models.openai_url, model=of_judge, self_preference=mode, second_look=False)
    asked = list(asked_about(jurors(judge, annotators=[annotator]), make_case()))
    flags = [found.flags for juror, case, _ in asked for found in run(juror, [case])]
    return len(models.requests), flags


@pytest.mark.parametrize(
    ("model", "mode", "expected"),
    [
        ("gpt-4.1-mini", "warn", (1, [("same_family",)])),
        ("gpt-4.1-mini", "allow", (1, [("same_family",)])),
        ("gpt-4.1-mini", "refuse", (0, [])),
        ("gemini-2.5-pro", "warn", (1, [()])),
        ("gemini-2.5-pro", "refuse", (1, [()])),
        ("my-finetune", "warn", (1, [("family_unknown",)])),
    ],
)
def test_a_judge_of_its_own_family(models: FakeModels, model: str, mode: str, expected: Any) -> None:
    assert kin(models, model, mode) == expected


def test_a_family_that_is_set_counts_and_moves_no_question(models: FakeModels) -> None:
    assert kin(models, "gemini-2.5-pro", "warn", model="my-finetune", family="Gemini") == (
        1,
        [("same_family",)],
    )
    plain, told = (Judge(judge_section(**more), taxonomy()) for more in ({}, {"family": "gpt"}))
    assert plain.question_id(make_case()) == told.question_id(make_case())


def test_rules_have_no_kin(models: FakeModels) -> None:
    assert kin(models, "gpt-4o", "refuse", provider="cues", model="lexicon") == (1, [()])


# --- order -----------------------------------------------------------------------------------------


def test_every_label_stands_at_every_place_alike() -> None:
    judge = Judge(judge_section(), taxonomy(), seed=3)
    names = taxonomy().names
    cases = [make_case(confidence=n / 1000) for n in range(280)]
    orders = [judge.label_order(case, 0) for case in cases]
    assert all(sorted(order) == sorted(names) for order in orders)
    places = Counter((label, order.index(label)) for order in orders for label in names)
    assert len(places) == len(names) ** 2
    assert max(places.values()) < 2.2 * len(orders) / len(names)


def test_the_order_is_drawn_from_the_seed_shown_and_recorded(models: FakeModels) -> None:
    settings = judge_section(base_url=models.openai_url, replicates=4)
    judge, case = Judge(settings, taxonomy(), seed=1), make_case()._replace(position=2)
    (found,) = run(judge, [case])
    assert found.label_order == judge.label_order(case, 0)
    assert found.position == 2
    shown = models.requests[0].body["messages"][0]["content"]
    assert sorted(found.label_order, key=lambda name: shown.index(f"- {name} (")) == list(found.label_order)
    assert len({judge.label_order(case, n) for n in range(4)}) > 1
    seeds = {Judge(settings, taxonomy(), seed=n).label_order(case, 0) for n in range(6)}
    assert len(seeds) > 1


def test_the_place_among_the_annotations_is_no_part_of_the_question() -> None:
    judge, case = Judge(judge_section(), taxonomy()), make_case()
    assert judge.question_id(case) == judge.question_id(case._replace(position=3))
