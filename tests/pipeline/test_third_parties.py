"""Who may be shown a sample: one saying that forbids third parties is enough, whoever it is about."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from pipeline.consent import Consent
from pipeline.facts import Facts, speaker_subject, stretch_key
from schemas.parts import SpeakerTurn, Target, Turn
from schemas.records import Segment
from schemas.settings import ConsentSection
from schemas.settings_models import AnnotatorSection
from tests.wire.material import make_sample

SEGMENT = Segment(
    source_id="src_1", rule="given", version="1", source_start_s=10.0, source_end_s=14.0, index=1
)


def keeps(facts: dict[str, Facts], reading: ConsentSection | None = None, **sample: Any) -> bool:
    made = make_sample(**{"target": Target(speaker="anna"), "context": (), **sample})
    return Consent(facts, reading or ConsentSection()).keeps_here(made, SEGMENT)


def test_without_a_word_everybody_may_be_asked() -> None:
    assert not keeps({})
    assert not keeps({"src_1": {"consent": "research"}})


@pytest.mark.parametrize(
    "words", ["local_only", "Local only", "LOCAL-ONLY", " no third parties ", "withdrawn"]
)
def test_a_word_that_forbids_is_known_however_it_is_written(words: str) -> None:
    assert keeps({"src_1": {"consent": words}})


FORBIDS = {"consent": "local_only"}


@pytest.mark.parametrize(
    "facts",
    [
        {"src_1": FORBIDS},
        {"src_1": {stretch_key(9.0, 15.0): FORBIDS}},
        {"src_1": {stretch_key(13.0, 20.0): FORBIDS}},  # somebody else, who is shown at the end
        {speaker_subject("Anna"): FORBIDS},
        {"src_1": {"speaker": "anna", "consent": "research"}, speaker_subject("anna"): FORBIDS},
        {"src_1": {stretch_key(0.0, 4.0): {"speaker": "anna", **FORBIDS}}},
        {"src_1": {"consent": "local_only", stretch_key(9.0, 15.0): {"consent": "research"}}},
    ],
)
def test_one_saying_that_forbids_is_enough_and_a_nearer_one_does_not_lift_it(facts: dict[str, Facts]) -> None:
    assert keeps(facts)


def test_what_is_said_of_others_elsewhere_does_not_count() -> None:
    assert not keeps({"src_2": FORBIDS, speaker_subject("ben"): FORBIDS})
    assert not keeps({"src_1": {stretch_key(20.0, 25.0): FORBIDS}})
    assert not keeps({"src_1": {stretch_key(13.9, 25.0): FORBIDS}})  # a touch of the padding shows nobody


@pytest.mark.parametrize(
    "sample",
    [
        {"context": (Turn(speaker="ben", text="Well."),)},
        {"turns": (SpeakerTurn(start_s=0, end_s=1, speaker="Ben"),)},
        {"others": (Target(speaker="BEN"),)},
    ],
)
def test_whose_words_stand_in_the_prompt_are_asked_too(sample: dict[str, Any]) -> None:
    assert keeps({speaker_subject("ben"): FORBIDS}, **sample)
    assert not keeps({speaker_subject("ben"): FORBIDS})


def test_words_of_before_whose_stretch_names_nobody_count() -> None:
    facts: dict[str, Facts] = {"src_1": {stretch_key(2.0, 9.0): FORBIDS}}
    assert keeps(facts, context=(Turn(speaker="SPEAKER_01", text="Well."),))
    assert not keeps(facts)


def test_where_words_are_listed_silence_and_any_other_word_forbid() -> None:
    listed = ConsentSection(third_parties=("research",))
    assert keeps({}, listed)
    assert keeps({"src_1": {"consent": "reserach"}}, listed)
    assert not keeps({"src_1": {"consent": "Research"}}, listed)
    assert keeps({"src_1": {"consent": "research"}, speaker_subject("anna"): {"consent": "thesis"}}, listed)
    assert not keeps({"src_1": {"consent": "research"}, speaker_subject("anna"): {"group": "1"}}, listed)


def section(**changes: Any) -> AnnotatorSection:
    return AnnotatorSection.model_validate(
        {"name": "a", "provider": "openai_compatible", "model": "m", **changes}
    )


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost", "[::1]:80"])
def test_a_server_on_this_machine_is_no_third_party_unless_it_is_said_to_be(host: str) -> None:
    assert section(base_url=f"http://{host}/v1").stays_here
    assert not section(base_url=f"http://{host}/v1", local=False).stays_here


def test_any_other_server_is_a_third_party_unless_it_is_said_to_be_ones_own() -> None:
    assert not section().stays_here
    assert not section(base_url="http://10.0.0.7/v1").stays_here
    assert section(base_url="http://10.0.0.7/v1", local=True).stays_here
    with pytest.raises(ValidationError, match="base_url"):
        section(local=True)
