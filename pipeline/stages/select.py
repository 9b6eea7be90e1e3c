"""Select: which samples are worth annotating. Pure and seeded; every drop has a reason."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple

from pipeline.facts import is_withdrawn, speaker_subject
from pipeline.stages.duplicates import Look, look_of, second_copies
from pipeline.stages.first_pass import first_pass_class
from schemas.parts import name_key
from schemas.records import Sample
from schemas.settings import SelectSection

WITHDRAWN = "consent_withdrawn"
NEAR_DUPLICATE = "near_duplicate"
OVER_LIMIT = "over_limit"

Facts = Mapping[str, Any]


class _Candidate(NamedTuple):
    """A sample that is worth annotating by itself. `groups`: reason of a quota -> what the sample counts for."""

    order: bytes
    id: str
    groups: Mapping[str, str]


def drop_reasons(
    samples: Iterable[Sample],
    select: SelectSection,
    *,
    seed: int,
    facts: Mapping[str, Facts] | None = None,
    withdrawn: AbstractSet[str] = frozenset(),
) -> dict[str, str]:
    """Sample id -> why it is not annotated.

    What a sample lacks by itself drops it first. The others are gone through in an order that only `seed`,
    segment and target decide: copies of one before are dropped, then what is over a quota, then what is over
    `limit`. So a higher limit keeps those that were drawn, and measuring anew draws no others.

    `facts`: segment id -> what holds for it (`pipeline.facts.segment_facts`). Of people who took their consent
    back nothing is shown to anybody; `withdrawn` are their names (`pipeline.facts.withdrawn_names`), since a
    transcript or turns may name them where nobody declared them.
    """
    dropped: dict[str, str] = {}
    candidates: list[_Candidate] = []
    looks: dict[str, Look] = {}
    for sample in samples:  # gone through once: they may be read from the store
        said = (facts or {}).get(sample.segment_id, {})
        gone = is_withdrawn(said) or not withdrawn.isdisjoint(_people(sample))
        reason = WITHDRAWN if gone else _lacks(sample, select)
        if reason:
            dropped[sample.id] = reason
            continue
        candidates.append(_Candidate(_order(sample, seed), sample.id, _groups(sample, said, select)))
        if select.near_duplicates == "drop":
            looks[sample.id] = look_of(sample, _source(sample))
    candidates.sort()
    copies = second_copies([looks[one.id] for one in candidates if one.id in looks])
    dropped |= dict.fromkeys(copies, NEAR_DUPLICATE)
    return dropped | _over([one for one in candidates if one.id not in copies], select)


def _people(sample: Sample) -> Iterator[str]:
    """Who is named in a sample, as `name_key` writes them."""
    heard = (part.speaker for parts in (sample.turns, sample.words) for part in parts)
    names = [sample.target.speaker, *(other.speaker for other in sample.others), *heard]
    return (name_key(name) for name in names if name)


def _over(candidates: list[_Candidate], select: SelectSection) -> dict[str, str]:
    """What is over a quota or the limit, of candidates in their order. What is dropped fills no quota."""
    most = {"over_source_quota": select.max_per_source, "over_speaker_quota": select.max_per_speaker}
    most["over_class_quota"] = select.max_per_class
    taken: Counter[tuple[str, str]] = Counter()
    over: dict[str, str] = {}
    kept = 0
    for one in candidates:
        full = [reason for reason, group in one.groups.items() if taken[reason, group] >= (most[reason] or 0)]
        if full:
            over[one.id] = full[0]
        elif select.limit is not None and kept >= select.limit:
            over[one.id] = OVER_LIMIT
        else:
            taken.update(one.groups.items())
            kept += 1
    return over


def _order(sample: Sample, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}|{sample.segment_id}|{sample.target.key}".encode()).digest()


def _groups(sample: Sample, said: Facts, select: SelectSection) -> dict[str, str]:
    """For which quotas that are set the sample counts, and as whose."""
    groups = {}
    if select.max_per_source is not None:
        groups["over_source_quota"] = _source(sample)
    if select.max_per_speaker is not None and (speaker := _speaker(sample, said)) is not None:
        groups["over_speaker_quota"] = speaker
    if select.max_per_class is not None:
        groups["over_class_quota"] = first_pass_class(sample)
    return groups


def _source(sample: Sample) -> str:
    return sample.segment_id if sample.clip is None else sample.clip.source_id


def _speaker(sample: Sample, said: Facts) -> str | None:
    """Who is meant, over all recordings: a name that was found, not declared, holds in its recording alone."""
    name = sample.target.speaker
    if name is None or name == said.get("speaker"):
        return None if name is None else speaker_subject(name)
    return f"source:{_source(sample)}/{name}"


def _lacks(sample: Sample, select: SelectSection) -> str | None:
    """What drops a sample whatever the others are."""
    reason = _not_there(_speech_s(sample), _face_s(sample), select)
    # A ratio that cannot be told (nobody speaks, or nobody pauses) is no bad one.
    if reason is None and select.min_snr_db is not None and sample.snr_db is not None:
        reason = "low_snr" if sample.snr_db < select.min_snr_db else None
    return reason


def _not_there(speech_s: float | None, face_s: float | None, select: SelectSection) -> str | None:
    """Which part of `require` is missing. Speech and face count as there from the least length on."""
    speech = speech_s is not None and speech_s >= select.min_speech_s
    face = face_s is not None and face_s >= select.min_face_s
    require = select.require
    wanted = {
        "any": True,
        "speech": speech,
        "face": face,
        "speech_or_face": speech or face,
        "speech_and_face": speech and face,
    }
    if wanted[require]:
        return None
    if require != "face" and speech_s is not None and not speech:
        return "too_little_speech"
    if require != "speech" and face_s is not None and not face and (speech or require != "speech_and_face"):
        return "too_little_face"
    return {"speech": "no_speech", "face": "no_face"}.get(
        require, "no_speech_or_face" if not speech else "no_face"
    )


def _speech_s(sample: Sample) -> float | None:
    """How long the target speaks: by turns or voice activity, else by the words; None when they do not."""
    heard = sample.own_speech or sample.own_words
    return round(sum(span.length_s for span in heard), 6) if heard else None


def _face_s(sample: Sample) -> float | None:
    """From the first to the last sight of the target's face; None when it is not seen.

    Of whoever is heard or seen it is the face that is seen longest. Where no face is known to be the target's
    there is none, whoever else is in the picture.
    """
    target = sample.target
    if target.face_track is None and (target.speaker is not None or "visual" in sample.missing):
        return None
    mine = [face for face in sample.faces if target.face_track in (None, face.name)]
    return max((round(face.length_s, 6) for face in mine), default=None)
