"""Select: seeded, with a reason for every drop."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.stages.first_pass import first_pass_class
from pipeline.stages.select import drop_reasons
from schemas.parts import FaceTrack, MediaRef, Span, SpeakerTurn, Target, Word
from schemas.records import NOT_SPEAKING, Sample
from schemas.settings import SelectSection

FACE = FaceTrack(name="face0", start_s=0, end_s=1, frames=5, box=(0, 0, 1, 1))


def sample(
    n: int, *, speech: bool = False, words: bool = False, face: bool = False, source: str = "", **fields: Any
) -> Sample:
    clip = MediaRef(kind="clip", source_id=source or f"src_{n}", source_start_s=0, source_end_s=2)
    base: dict[str, Any] = {
        "segment_id": f"seg_{n}", "target": Target(), "feature_digests": (), "baseline_ids": (),
        "view_version": "1", "duration_s": 2.0, "clip": clip,
        "speech": (Span(start_s=0, end_s=1),) if speech else (),
        "words": (Word(text="so", start_s=0, end_s=1),) if words else (),
        "faces": (FACE,) if face else (),
    }  # fmt: skip
    return Sample(**(base | fields))


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


# --- how much there is --------------------------------------------------------------------------------


def talking(seconds: float) -> tuple[Span, ...]:
    return (Span(start_s=0, end_s=seconds / 2), Span(start_s=1, end_s=1 + seconds / 2))


def seen(seconds: float, name: str = "face0") -> FaceTrack:
    return FACE.model_copy(update={"end_s": seconds, "name": name})


@pytest.mark.parametrize(
    ("require", "speech_s", "face_s", "expected"),
    [
        ("speech", 0.5, None, None),
        ("speech", 0.4, 2.0, "too_little_speech"),
        ("speech", None, 2.0, "no_speech"),
        ("face", None, 1.0, None),
        ("face", 2.0, 0.9, "too_little_face"),
        ("face", 2.0, None, "no_face"),
        ("speech_or_face", 0.4, 1.0, None),
        ("speech_or_face", 0.4, 0.9, "too_little_speech"),
        ("speech_or_face", None, 0.9, "too_little_face"),
        ("speech_or_face", None, None, "no_speech_or_face"),
        ("speech_and_face", 0.5, 1.0, None),
        ("speech_and_face", 0.4, 0.9, "too_little_speech"),
        ("speech_and_face", 0.5, 0.9, "too_little_face"),
        ("speech_and_face", None, 0.9, "no_speech_or_face"),
        ("any", 0.1, 0.1, None),
    ],
)
def test_speech_and_face_count_from_the_least_length_on(
    require: str, speech_s: float | None, face_s: float | None, expected: str | None
) -> None:
    one = sample(0).model_copy(
        update={
            "speech": talking(speech_s) if speech_s is not None else (),
            "faces": (seen(face_s),) if face_s is not None else (),
        }
    )
    section = SelectSection.model_validate({"require": require, "min_speech_s": 0.5, "min_face_s": 1.0})
    assert drop_reasons([one], section, seed=0).get(one.id) == expected


def test_a_clip_in_which_somebody_withdrawn_is_named_is_shown_to_nobody() -> None:
    said = (
        Word(text="so", start_s=0, end_s=1, speaker="ANN "),
        Word(text="good", start_s=1, end_s=2, speaker="BEN"),
    )
    one = sample(0, target=Target(speaker="BEN"), speech=True).model_copy(update={"words": said})
    section = SelectSection()
    assert drop_reasons([one], section, seed=0, withdrawn={"cleo"}) == {}
    for name in ("ann", "ben"):
        assert drop_reasons([one], section, seed=0, withdrawn={name}) == {one.id: "consent_withdrawn"}
    declared = sample(1, target=Target(speaker="Ann"), speech=True)
    assert drop_reasons([declared], section, seed=0, withdrawn={"ann"}) == {declared.id: "consent_withdrawn"}


def test_only_the_targets_own_speech_counts() -> None:
    """Of two people the first speaks for 2 s, the second for 0.4 s, and a third is only seen."""
    turns = tuple(
        SpeakerTurn(start_s=start_s, end_s=end_s, speaker=name)
        for name, start_s, end_s in (("ann", 0.0, 2.0), ("bob", 2.0, 2.4))
    )
    section = SelectSection(require="speech", min_speech_s=0.5)
    reasons = []
    for target in (Target(speaker="ann"), Target(speaker="bob"), Target(face_track="f2")):
        missing = {} if target.speaker else {"audio": NOT_SPEAKING, "text": NOT_SPEAKING}
        one = sample(0, target=target).model_copy(
            update={"turns": turns, "speech": talking(2.4), "words": (), "missing": missing}
        )
        reasons.append(drop_reasons([one], section, seed=0).get(one.id))
    assert reasons == [None, "too_little_speech", "no_speech"]


def test_only_the_targets_own_face_counts() -> None:
    others = (seen(2.0, "face1"), seen(0.3))
    section = SelectSection(require="face", min_face_s=1.0)
    reasons = {
        target: drop_reasons([one], section, seed=0).get(one.id)
        for target in (
            Target(),
            Target(face_track="face0"),
            Target(face_track="face1"),
            Target(speaker="ann"),
        )
        for one in [sample(0, faces=others, target=target)]
    }
    assert list(reasons.values()) == [None, "too_little_face", None, "no_face"]
    listener = sample(0, faces=others, missing={"visual": "face_unknown"})
    assert drop_reasons([listener], section, seed=0) == {listener.id: "no_face"}


@pytest.mark.parametrize(
    ("snr_db", "least", "expected"),
    [(9.9, 10, "low_snr"), (10, 10, None), (None, 10, None), (-3, None, None), (-3, -5, None)],
)
def test_a_loud_background_drops_and_an_unknown_one_does_not(
    snr_db: float | None, least: float | None, expected: str | None
) -> None:
    one = sample(0, speech=True, snr_db=snr_db)
    section = SelectSection(min_snr_db=least)
    assert drop_reasons([one], section, seed=0).get(one.id) == expected


# --- copies, quotas, limit ----------------------------------------------------------------------------

CURVE = "0f" * 16


def test_one_of_several_copies_stays_and_the_switch_keeps_all() -> None:
    copies = [sample(n, speech=True, loudness_curve=CURVE) for n in range(4)]
    dropped = drop_reasons(copies, SelectSection(), seed=0)
    assert Counter(dropped.values()) == {"near_duplicate": 3}
    assert drop_reasons(copies[::-1], SelectSection(), seed=0) == dropped
    assert drop_reasons(copies, SelectSection(near_duplicates="keep"), seed=0) == {}
    kept = {
        seed: {s.id for s in copies} - drop_reasons(copies, SelectSection(), seed=seed).keys()
        for seed in range(8)
    }
    assert len(set(map(frozenset, kept.values()))) > 1  # chance says which one


def test_what_is_dropped_for_itself_is_nobodys_first_copy() -> None:
    quiet = sample(0, speech=True, loudness_curve=CURVE, snr_db=1)
    clear = sample(1, speech=True, loudness_curve=CURVE, snr_db=30)
    for seed in range(6):
        assert drop_reasons([quiet, clear], SelectSection(min_snr_db=10), seed=seed) == {quiet.id: "low_snr"}


def test_a_speaker_is_known_over_recordings_only_where_declared() -> None:
    found = Target(speaker="SPEAKER_00")
    samples = [sample(n, speech=True, target=found, source=f"src_{n % 2}") for n in range(4)]
    section = SelectSection(max_per_speaker=1)
    nobody = sample(9, speech=True)
    assert Counter(drop_reasons([*samples, nobody, nobody], section, seed=0).values()) == {
        "over_speaker_quota": 2
    }
    declared = {one.segment_id: {"speaker": "SPEAKER_00"} for one in samples}
    assert Counter(drop_reasons(samples, section, seed=0, facts=declared).values()) == {
        "over_speaker_quota": 3
    }


def test_rare_classes_of_the_first_pass_are_not_crowded_out() -> None:
    def saying(n: int, text: str) -> Sample:
        words = tuple(Word(text=w, start_s=k / 9, end_s=k / 9 + 0.1) for k, w in enumerate(text.split()))
        return sample(n).model_copy(update={"words": words})

    glad = [saying(n, "I am so happy, what a wonderful day") for n in range(6)]
    angry = [saying(10 + n, "this makes me furious, I hate it") for n in range(2)]
    silent = [sample(20 + n, speech=True) for n in range(3)]
    assert {first_pass_class(one) for one in glad} == {"joy"}
    assert {first_pass_class(one) for one in angry} == {"anger"}
    assert {first_pass_class(one) for one in silent} == {"unclear"}
    dropped = drop_reasons([*glad, *angry, *silent], SelectSection(max_per_class=2), seed=3)
    assert set(dropped.values()) == {"over_class_quota"}
    kept = [one for one in (*glad, *angry, *silent) if one.id not in dropped]
    assert Counter(map(first_pass_class, kept)) == {"joy": 2, "anger": 2, "unclear": 2}


@given(
    clips=st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["ann", "bob", None])), max_size=25),
    quotas=st.tuples(*[st.none() | st.integers(1, 5)] * 3),
    seed=st.integers(0, 99),
    data=st.data(),
)
def test_quotas_hold_and_nothing_is_dropped_without_need(
    clips: list[tuple[int, str | None]],
    quotas: tuple[int | None, int | None, int | None],
    seed: int,
    data: st.DataObject,
) -> None:
    per_source, per_speaker, limit = quotas
    samples = [
        sample(n, speech=True, source=f"src_{source}", target=Target(speaker=speaker))
        for n, (source, speaker) in enumerate(clips)
    ]
    facts = {one.segment_id: {"speaker": one.target.speaker} for one in samples if one.target.speaker}
    section = SelectSection(max_per_source=per_source, max_per_speaker=per_speaker, limit=limit)
    dropped = drop_reasons(samples, section, seed=seed, facts=facts)
    kept = [one for one in samples if one.id not in dropped]
    sources = Counter(one.clip.source_id for one in kept if one.clip)
    speakers = Counter(one.target.speaker for one in kept if one.target.speaker)
    assert len(kept) <= (limit or 99)
    assert max(sources.values(), default=0) <= (per_source or 99)
    assert max(speakers.values(), default=0) <= (per_speaker or 99)
    full = {"over_limit": lambda _: len(kept) == limit,
            "over_source_quota": lambda one: sources[one.clip.source_id] == per_source,
            "over_speaker_quota": lambda one: speakers[one.target.speaker] == per_speaker}  # fmt: skip
    assert all(full[dropped[one.id]](one) for one in samples if one.id in dropped)
    assert drop_reasons(data.draw(st.permutations(samples)), section, seed=seed, facts=facts) == dropped


def test_measuring_anew_draws_no_others() -> None:
    samples = [sample(n, speech=True) for n in range(30)]
    anew = [one.model_copy(update={"feature_digests": ("new",)}) for one in samples]
    section = SelectSection(limit=10)
    kept, again = (
        {one.segment_id for one in group if one.id not in drop_reasons(group, section, seed=5)}
        for group in (samples, anew)
    )
    assert kept == again


def test_of_people_who_took_their_consent_back_nothing_is_shown() -> None:
    one, other = sample(0, speech=True), sample(1)
    facts = {one.segment_id: {"consent": "withdrawn"}, other.segment_id: {"consent": "withdrawn"}}
    assert set(drop_reasons([one, other], SelectSection(), seed=0, facts=facts).values()) == {
        "consent_withdrawn"
    }
