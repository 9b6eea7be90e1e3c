"""The numbers behind a verdict, as a person reads them."""

from __future__ import annotations

from typing import Any

import pytest

from review_ui.plain import plain_words
from review_ui.views import reveal_view
from schemas.cues import cue_table
from schemas.parts import MergedEvidence, Readings
from schemas.records import Judgement
from tests.release.builder import TAXONOMY, annotation, consensus_of, evidence


def because(**said: Any) -> str:
    """The text beside the verdict on one claim."""
    direction = said.pop("direction", "present")
    item = evidence("e1", "AU12", direction=direction)
    consensus = consensus_of([annotation("s", "a", "joy", items=(item,))])
    merged = MergedEvidence(evidence=item, supporters=("a",), **said)
    (claim,) = reveal_view(consensus.model_copy(update={"evidence": (merged,)}), [], TAXONOMY).claims
    return claim.because


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ({"verdict": "supported", "measured": 0.9123}, "measured 0.91 intensity, needs >= 0.3"),
        ({"verdict": "contradicted", "measured": 0.05}, "measured 0.05 intensity, needs >= 0.3"),
        ({"verdict": "contradicted", "measured": 0.2977}, "measured 0.2977 intensity, needs >= 0.3"),
        ({"verdict": "contradicted", "measured": 0.5}, "measured 0.50 intensity, needs <= 0.3"),
        ({"verdict": "supported", "measured": 0.1}, "measured 0.10 intensity, needs <= 0.3"),
        (
            {"verdict": "supported", "measured": 0.1, "direction": "absent"},
            "measured 0.10 intensity, needs < 0.3",
        ),
        (
            {"verdict": "contradicted", "measured": 0.9, "direction": "absent"},
            "measured 0.90 intensity, needs < 0.3",
        ),
        ({"verdict": "supported", "measured": 0.3}, "measured 0.30 intensity, needs 0.3"),
        ({"verdict": "not_measurable", "measured": None, "reason": "no face"}, "no face"),
    ],
)
def test_the_verdict_comes_with_its_numbers(said: dict[str, Any], text: str) -> None:
    assert because(reference=0.3, unit="intensity", **said) == text


def test_a_number_without_unit_or_a_verdict_without_reason_leaves_no_gap() -> None:
    assert because(verdict="supported", measured=2, reference=1) == "measured 2.00, needs >= 1"
    assert because(verdict="not_measurable") == ""


def test_deviations_of_a_baseline_are_told_in_words() -> None:
    assert (
        because(verdict="supported", measured=-1.3, reference=-1, unit="sd")
        == "measured -1.30 times this person's usual variation, needs <= -1"
    )


# --- plain words, and the side that lost ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("cue", "direction", "text"),
    [
        ("pitch_flat", "present", "Speaks with little variety in pitch"),
        ("monotone voice", "present", "Speaks with little variety in pitch"),
        ("pitch", "down", "Speaks lower than usual"),
        ("AU12", "absent", "Not so: corners of the mouth are pulled up"),
        ("aura", "present", ""),
    ],
)
def test_claims_are_told_in_plain_words(cue: str, direction: Any, text: str) -> None:
    assert plain_words(evidence("e1", cue, direction=direction)) == text


def test_every_cue_has_plain_words() -> None:
    assert [cue.cue for cue in cue_table().cues.values() if not cue.plain] == []


def test_reasons_that_imply_another_label_are_told_of_the_answer_that_is_shown() -> None:
    said = [annotation("s", name, "joy", items=(evidence("e1", "AU12"),)) for name in "ab"]
    consensus = consensus_of(said)
    (other,) = (one.id for one in said if one.id != consensus.best_annotation_id)

    def look(of: str | None, implied: str | None, *flags: str) -> Judgement:
        return Judgement(
            annotation_id=str(of), request_digest=f"{of}{implied}", judge="j", provider="p", model="m",
            kind="second_look", outcome="answered", implied_label=implied, flags=flags,
        )  # fmt: skip

    best = consensus.best_annotation_id
    looks = [
        look(best, "anger", "label_mismatch"),
        look(best, "fear", "not_blind"),
        look(best, None, "no_label_implied"),
        look(other, "sadness", "label_mismatch"),
    ]
    assert reveal_view(consensus, said, TAXONOMY, looks).implied == ("anger",)
    assert reveal_view(consensus, said, TAXONOMY, [look(best, "joy")]).implied == ()


def test_on_a_conflict_the_other_side_is_heard_too() -> None:
    smile, flat = evidence("e1", "AU12"), evidence("e2", "pitch_flat")
    said = [
        annotation("s", "a", "joy", items=(smile,), readings=Readings(visual="joy")),
        annotation("s", "b", "sadness", items=(flat,), readings=Readings(audio="sadness")),
        annotation("s", "c", "joy", readings=Readings(visual="joy")),
    ]
    consensus = consensus_of(said)
    assert consensus.conflict == "visual_aligned"
    view = reveal_view(consensus, said, TAXONOMY)
    assert view.readings == (("audio", "sadness"), ("visual", "joy"))
    assert [claim.plain for claim in view.claims] == ["Corners of the mouth are pulled up"]
    (other,) = view.others
    assert (other.label, [claim.plain for claim in other.claims]) == (
        "sadness",
        ["Speaks with little variety in pitch"],
    )
    agreed = consensus.model_copy(update={"conflict": "consistent"})
    assert (reveal_view(agreed, said, TAXONOMY).readings, reveal_view(agreed, said, TAXONOMY).others) == (
        (),
        (),
    )
