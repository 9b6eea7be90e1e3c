"""How a release tells of numbers and of what was left out: for its card, its errors and the command line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Reason(NamedTuple):
    """Why a clip is not in a release, said of the clip, and what brings it in."""

    text: str
    remedy: str


RUN = "run: emotrace run"
REVIEW = "review first: emotrace review"
TAKE_DOWN = "take it down and publish a version without them"
LOOK = "emotrace status tells what is dropped; look at [select] in the settings"
LEFT_OUT = {
    "consent_withdrawn": Reason("consent withdrawn", "ingest recordings that may be used"),
    "needs_review": Reason("waiting for a person", REVIEW),
    "no_speech": Reason("dropped by select.require: no speech", LOOK),
    "no_face": Reason("dropped by select.require: no face", LOOK),
    "no_speech_or_face": Reason("dropped by select.require: neither speech nor face", LOOK),
    "too_little_speech": Reason("dropped by select.min_speech_s: too little speech", LOOK),
    "too_little_face": Reason("dropped by select.min_face_s: the face is seen too shortly", LOOK),
    "low_snr": Reason("dropped by select.min_snr_db: the background is too loud", LOOK),
    "near_duplicate": Reason("dropped by select.near_duplicates: a copy of another clip", LOOK),
    "over_source_quota": Reason("over select.max_per_source", LOOK),
    "over_speaker_quota": Reason("over select.max_per_speaker", LOOK),
    "over_class_quota": Reason("over select.max_per_class", LOOK),
    "over_limit": Reason("over select.limit", LOOK),
    "not_annotated": Reason("not annotated: not run yet", RUN),
    "not_measured": Reason("not measured: it failed, or was not run yet", "see emotrace status, then " + RUN),
    "split_needs_people": Reason("not labelled by enough people for the split of its group", REVIEW),
}


def counted(n: int, noun: str) -> str:
    """A number with its noun, e.g. "1 clip", "2 clips"."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def left_out_text(left_out: Mapping[str, int]) -> str:
    """How many clips were left out, and why; empty when none was."""
    return ", ".join(f"{counted(n, 'clip')} ({LEFT_OUT[code].text})" for code, n in sorted(left_out.items()))


def remedy_for(left_out: Mapping[str, int]) -> str:
    """What brings in most of what was left out."""
    return LEFT_OUT[max(sorted(left_out), key=lambda code: left_out[code])].remedy
