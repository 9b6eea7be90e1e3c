"""Claims in words: sentences that the rules were made with, times by hand, and what is never guessed."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.evidence.claim_times import When, find
from agents.evidence.claims import Claim, Reading, read_claims, restated
from schemas.cues import CueTable, cue_table
from schemas.parts import Evidence, Word
from tests.agents import cue_samples as make

SENTENCES = Path(__file__).with_name("claims_dev.csv")
WORDS = make.said("well I think it is fine thank you", start_s=1.0, word_s=0.4)  # 1.0 to 4.2 s
DURATION_S = 6.0


def read(text: str, words: tuple[Word, ...] = WORDS) -> Reading:
    return read_claims(text, words=words, duration_s=DURATION_S)


def told(claim: Claim) -> str:
    """A claim in the form of the sentence files: "!" denies, "@" says when."""
    kind, said = claim.when
    when = {"": "", "during": f'"{said}"', "after": f'after "{said}"', "last_word": "end"}.get(kind, kind)
    when = f'before "{said}"' if kind == "before" and said else when
    timed = cue_table().cues[claim.cue].statistic == "share" and kind == "all"
    return f"{'!' * (claim.direction == 'absent')}{claim.cue}" + (f" @{when}" if when and not timed else "")


def sentences() -> list[tuple[str, str]]:
    with SENTENCES.open(encoding="utf-8", newline="") as file:
        return [(row["text"], row["expected"]) for row in csv.DictReader(file)]


@pytest.mark.parametrize(("text", "expected"), sentences())
def test_sentences(text: str, expected: str) -> None:
    wanted = [part.strip() for part in expected.split(";")]
    found = read(text)
    assert sorted(map(told, found.claims)) == sorted(part for part in wanted if not part.startswith("?"))
    if any(part.startswith("?") for part in wanted):
        assert found.unknown
        assert all(unknown.reason for unknown in found.unknown)


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("She smiles.", (0.0, 6.0)),
        ("She smiles as she says 'fine'.", (3.0, 3.4)),
        ("She smiles as she says it is fine.", (2.2, 3.4)),
        ("She nods after 'well'.", (1.4, 3.4)),
        ("A long pause before 'fine'.", (1.0, 3.0)),
        ("After a long pause she says 'fine'.", (1.0, 3.0)),
        ("Her voice trembles on the last word.", (3.8, 4.2)),
        ("Her voice trembles at the end.", (1.0 + 2 * 3.2 / 3, 4.2)),  # of the speech
        ("She smiles at the end.", (4.0, 6.0)),  # of the clip
        ("A long silence before answering.", (0.0, 1.0)),
    ],
)
def test_when_a_claim_is_meant(text: str, span: tuple[float, float]) -> None:
    (claim,) = read(text).claims
    assert (claim.span.start_s, claim.span.end_s) == pytest.approx(span, abs=1e-6)


def test_what_is_said_twice_in_an_item_is_claimed_once() -> None:
    text = "the voice is clear and does not shake"
    item = Evidence(id="e1", modality="audio", cue="steadiness", start_s=0, end_s=1, description=text)
    assert [(one.cue, one.direction) for one in restated(item)] == [("trembling_voice", "absent")]


def test_words_are_found_over_an_um() -> None:
    said = make.said("well I um think so", start_s=0.0, word_s=0.4)
    assert find("I think", said) == find("I, um, think", said) == (1, 3)
    assert find("um", said) == (2, 2)


def test_words_that_were_not_said_give_no_time_and_no_claim() -> None:
    found = read("She smiles as she says 'hello'.")
    assert found.claims == ()
    assert "hello" in found.unknown[0].reason
    assert read("Long silence before answering.", words=()).claims == ()


def test_a_length_that_no_cue_measures_is_told() -> None:
    (claim,) = read("He widens his eyes briefly.").claims
    assert (claim.cue, claim.unchecked) == ("AU05", ("briefly",))
    (claim,) = read("He smiles for a moment.").claims
    assert (claim.cue, claim.unchecked) == ("brief_smile", ())
    (claim,) = read("His head is tilted throughout.").claims
    assert (claim.cue, claim.unchecked) == ("head_tilt", ("throughout",))


def test_a_time_holds_for_all_that_is_joined_with_it() -> None:
    found = read("At first he frowns, then he smiles and nods at the end.")
    assert [(claim.cue, claim.when.kind) for claim in found.claims] == [
        ("AU04", "start"), ("smile", "end"), ("nod", "end")
    ]  # fmt: skip


def test_what_models_write_of_a_real_clip(media: Callable[[str], Path]) -> None:
    record = json.loads(media("../tables/merfactory_gemini_merr.json").read_text("utf-8"))
    seen = record["coarse_descriptions_at_peak"]
    units = [claim.cue for claim in read(seen["visual_expression"]).claims]
    assert units == ["AU06", "AU07", "AU10", "AU12", "AU14", "AU25"]
    scene = read(seen["visual_objective"])
    assert {claim.cue for claim in scene.claims} == {"smile", "speech"}
    heard = read(seen["audio_analysis"])
    assert heard.claims == ()
    assert any("middle level" in unknown.reason for unknown in heard.unknown)


def test_a_new_row_is_read_and_needs_no_code(tmp_path: Path) -> None:
    cues = cue_table().cues
    wink = cues["AU43"].model_copy(
        update={"cue": "wink", "synonyms": ("winks", "winking eye"), "threshold": 0.2}
    )
    table = CueTable(cues=cues | {"wink": wink})
    assert [c.cue for c in read_claims("He winks at her.", table=table, duration_s=4.0).claims] == ["wink"]
    assert read_claims("He winks at her.", duration_s=4.0).claims == ()


# --- items of an annotator ---------------------------------------------------------------------------


def item(cue: str, modality: str = "visual", direction: str = "present", description: str = "") -> Evidence:
    base = make.claim("smile", 1.0, 2.0).model_dump()
    return Evidence(
        **(base | {"cue": cue, "modality": modality, "direction": direction, "description": description})
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (item("raising both eyebrows"), [("AU02", "present")]),
        (item("expression", description="brows knit, lips pressed"), [("AU04", "present"), ("AU24", "present")]),
        (item("no smile"), [("smile", "absent")]),
        (item("smiling face", direction="absent"), [("smile", "absent")]),
        (item("voice volume", "audio", "up"), [("loud", "present")]),
        (item("shaky, quiet voice", "audio"), [("trembling_voice", "present"), ("quiet", "present")]),
        (item("AU12"), [("AU12", "present")]),
        (item("aura of joy"), [("aura of joy", "present")]),
        (item("raising both eyebrows", "audio"), [("raising both eyebrows", "present")]),  # not of its modality
        (item("speaking so quietly", "audio", "up"), [("speaking so quietly", "up")]),  # up is louder
    ],
)  # fmt: skip
def test_items_are_read_by_their_words(given: Evidence, expected: list[tuple[str, str]]) -> None:
    found = restated(given)
    assert [(one.cue, one.direction) for one in found] == expected
    assert {(one.id, one.start_s, one.end_s, one.modality) for one in found} == {
        (given.id, given.start_s, given.end_s, given.modality)
    }


@given(
    st.text(max_size=80),
    st.lists(st.sampled_from(["no", "smile", "brow", "raises", "and", ",", "voice", "high"]), max_size=9),
)
def test_every_text_is_read_without_an_error(text: str, words: list[str]) -> None:
    for sentence in (text, " ".join(words), f'{text} as she says "{text}"'):
        found = read(sentence)
        assert all(claim.cue in cue_table().cues for claim in found.claims)
        assert all(0 <= claim.span.start_s <= claim.span.end_s <= DURATION_S for claim in found.claims)


def test_when_says_nothing_by_itself() -> None:
    span = When().span(WORDS, DURATION_S, heard=True)
    assert span is not None
    assert (span.start_s, span.end_s) == (0.0, DURATION_S)


@pytest.mark.parametrize(
    "text", ["she smiles qq7qq", "a smile tt4tt now", "tt" + "9" * 5000 + "tt", "QQ1QQ 'a' tt0tt"]
)
def test_no_text_is_taken_for_a_mark_of_ours(text: str) -> None:
    assert all(claim.cue == "smile" for claim in read_claims(text, duration_s=3.0).claims)
