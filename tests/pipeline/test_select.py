"""Select: seeded, with a reason for every drop."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.stages.select import drop_reasons
from schemas.parts import FaceTrack, Span, Target, Word
from schemas.records import Sample
from schemas.settings import SelectSection

FACE = FaceTrack(name="face0", start_s=0, end_s=1, frames=5, box=(0, 0, 1, 1))


def sample(n: int, *, speech: bool = False, words: bool = False, face: bool = False) -> Sample:
    return Sample(
        segment_id=f"seg_{n}", target=Target(), feature_digests=(), baseline_ids=(), view_version="1",
        duration_s=2.0,
        speech=(Span(start_s=0, end_s=1),) if speech else (),
        words=(Word(text="so", start_s=0, end_s=1),) if words else (),
        faces=(FACE,) if face else (),
    )  # fmt: skip


KINDS = {
    "nothing": sample(0),
    "speech": sample(1, speech=True),
    "words": sample(2, words=True),
    "face": sample(3, face=True),
    "both": sample(4, speech=True, face=True),
}


@pytest.mark.parametrize(
    ("require", "expected"),
    [
        ("any", {}),
        ("speech", {"nothing": "no_speech", "face": "no_speech"}),
        ("face", {"nothing": "no_face", "speech": "no_face", "words": "no_face"}),
        ("speech_or_face", {"nothing": "no_speech_or_face"}),
        (
            "speech_and_face",
            {
                "nothing": "no_speech_or_face",
                "speech": "no_face",
                "words": "no_face",
                "face": "no_speech_or_face",
            },
        ),
    ],
)
def test_every_drop_has_its_reason(require: str, expected: dict[str, str]) -> None:
    section = SelectSection.model_validate({"require": require})
    dropped = drop_reasons(list(KINDS.values()), section, seed=0)
    names = {one.id: name for name, one in KINDS.items()}
    assert {names[key]: reason for key, reason in dropped.items()} == expected


@given(count=st.integers(0, 30), limit=st.integers(1, 30), seed=st.integers(0, 2**31), data=st.data())
def test_a_limit_keeps_that_many_whatever_their_order(
    count: int, limit: int, seed: int, data: st.DataObject
) -> None:
    samples = [sample(n, speech=n % 3 > 0) for n in range(count)]
    section = SelectSection(limit=limit)
    dropped = drop_reasons(samples, section, seed=seed)
    worth = sum(n % 3 > 0 for n in range(count))
    expected = Counter({"no_speech_or_face": count - worth, "over_limit": max(0, worth - limit)})
    assert Counter(dropped.values()) == +expected
    assert drop_reasons(data.draw(st.permutations(samples)), section, seed=seed) == dropped


def test_another_seed_draws_others_and_a_higher_limit_keeps_those_drawn() -> None:
    samples = [sample(n, speech=True) for n in range(40)]
    kept = {
        (seed, limit): {s.id for s in samples}
        - set(drop_reasons(samples, SelectSection(limit=limit), seed=seed))
        for seed in (0, 1)
        for limit in (10, 20)
    }
    assert kept[0, 10] < kept[0, 20]
    assert kept[0, 10] != kept[1, 10]
