"""Select: which samples are worth annotating. Pure and seeded; every drop has a reason."""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterable

from schemas.records import Sample
from schemas.settings import SelectSection

WITHDRAWN = "consent_withdrawn"


def drop_reasons(
    samples: Iterable[Sample], select: SelectSection, *, seed: int, withdrawn: Container[str] = ()
) -> dict[str, str]:
    """Sample id -> why it is not annotated. What `require` leaves is cut to `limit` by a seeded order.

    `withdrawn` are the segments whose people took their consent back: nothing of them is shown to anybody.
    """
    dropped, left = {}, []
    for sample in samples:  # gone through once: they may be read from the store
        reason = WITHDRAWN if sample.segment_id in withdrawn else _lacks(sample, select.require)
        if reason:
            dropped[sample.id] = reason
        else:
            left.append(sample.id)
    if select.limit is not None:
        left.sort(key=lambda sample_id: hashlib.sha256(f"{seed}|{sample_id}".encode()).digest())
        dropped |= dict.fromkeys(left[select.limit :], "over_limit")
    return dropped


def _lacks(sample: Sample, require: str) -> str | None:
    speech, face = bool(sample.speech or sample.words), bool(sample.faces)
    wanted = {
        "any": True,
        "speech": speech,
        "face": face,
        "speech_or_face": speech or face,
        "speech_and_face": speech and face,
    }
    if wanted[require]:
        return None
    return {"speech": "no_speech", "face": "no_face"}.get(
        require, "no_speech_or_face" if not speech else "no_face"
    )
