"""Samples and features for the tests of cues: what the extractors give, in small."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from agents.evidence.check import check_annotation
from schemas.cues import cue_table
from schemas.parts import (
    Event,
    Evidence,
    FaceTrack,
    LabelScore,
    Measure,
    Readings,
    Series,
    Span,
    Stat,
    Step,
    Target,
    Triplet,
    Verdict,
    Word,
)
from schemas.records import Annotation, Baseline, Check, Features, Sample
from schemas.taxonomy import load_taxonomy

EKMAN7 = load_taxonomy("ekman7")
DURATION_S = 4.0


def said(text: str, *, start_s: float = 0.0, word_s: float = 0.3) -> tuple[Word, ...]:
    """The words of `text`, each `word_s` long."""
    return tuple(
        Word(text=word, start_s=round(start_s + n * word_s, 3), end_s=round(start_s + (n + 1) * word_s, 3))
        for n, word in enumerate(text.split())
    )


def sample(**fields: Any) -> Sample:
    base: dict[str, Any] = {
        "segment_id": "seg_1",
        "target": Target(),
        "feature_digests": (),
        "baseline_ids": (),
        "view_version": "1",
        "duration_s": DURATION_S,
    }
    return Sample(**(base | fields))


def text_sample(text: str, **fields: Any) -> Sample:
    words = said(text)
    end_s = max([DURATION_S, *(word.end_s for word in words)])
    return sample(words=words, words_source="sidecar", duration_s=end_s, **fields)


def voice_sample(*, z: dict[str, float] | None = None, **values: float) -> Sample:
    """A sample with these prosody measures; `z` names those with a baseline."""
    usual = {
        "pitch_median_hz": 120.0, "pitch_range_st": 8.0, "intensity_mean_db": -25.0, "speech_rate_syl_s": 4.5,
        "longest_pause_s": 0.0, "voiced_s": 2.0,
    }  # fmt: skip
    measures = tuple(
        Measure(name=name, value=value, unit="", z=(z or {}).get(name))
        for name, value in (usual | values).items()
    )
    return sample(prosody=measures, speech=(Span(start_s=0.2, end_s=3.8),))


def au(cue: str, start_s: float = 1.0, end_s: float = 2.0, size: float = 0.7, track: str = "face1") -> Event:
    return Event(
        cue=cue, modality="visual", start_s=start_s, end_s=end_s, apex_s=(start_s + end_s) / 2, size=size,
        unit="intensity", track=track,
    )  # fmt: skip


def face_sample(*events: Event, **fields: Any) -> Sample:
    face = FaceTrack(name="face1", start_s=0, end_s=DURATION_S, frames=20, box=(0.3, 0.3, 0.2, 0.2))
    return sample(**({"events": events, "faces": (face,)} | fields))


# --- features ----------------------------------------------------------------------------------------


def asr(text: str) -> Features:
    return Features(subject_id="seg_1", extractor="sidecar", version="1", stage="asr", words=said(text))


def aus(curves: dict[str, Sequence[float | None]], *, track: str = "face1", step_s: float = 0.2) -> Features:
    """AU series from time 0, at 5 Hz."""
    series = tuple(
        Series(
            name=name, unit="intensity", track=track, values=tuple(values),
            times_s=tuple(round(n * step_s, 3) for n in range(len(values))),
        )
        for name, values in curves.items()
    )  # fmt: skip
    return Features(subject_id="seg_1", extractor="mediapipe", version="1", stage="au", series=series)


def angles(name: str, values: Sequence[float], *, step_s: float = 0.2) -> Features:
    """One series of a head's angle in degrees."""
    features = aus({name: values}, step_s=step_s)
    series = tuple(one.model_copy(update={"unit": "deg"}) for one in features.series)
    return features.model_copy(update={"series": series})


def voice(
    pitch_hz: Sequence[float | None],
    *,
    level_db: float = -25.0,
    events: tuple[Event, ...] = (),
    **summary: float,
) -> Features:
    """Pitch and level on a 20 ms grid."""
    times_s = tuple(round(0.01 + 0.02 * n, 3) for n in range(len(pitch_hz)))
    levels = tuple(level_db if hz is not None else -70.0 for hz in pitch_hz)
    return Features(
        subject_id="seg_1", extractor="core", version="1", stage="prosody", events=events, summary=dict(summary),
        series=(
            Series(name="pitch_hz", unit="Hz", times_s=times_s, values=tuple(pitch_hz)),
            Series(name="intensity_db", unit="dB", times_s=times_s, values=levels),
        ),
    )  # fmt: skip


def baseline(subject: str = "speaker:A", pitch_hz: float = 120.0) -> Baseline:
    """Usual pitch `pitch_hz` +- 2 semitones, level -30 +- 4 dB, 4 +- 0.5 syllables a second."""
    stats = {
        "pitch_st": Stat(median=12 * math.log2(pitch_hz), sd=2.0, n=1000),
        "intensity_db": Stat(median=-30.0, sd=4.0, n=1000),
        "speech_rate_syl_s": Stat(median=4.0, sd=0.5, n=5),
    }
    return Baseline(
        subject=subject, extractor="core", version="1", feature_digests=("a",), segments=5, speech_s=30,
        stats=stats,
    )  # fmt: skip


def claim(cue: str, start_s: float = 0.0, end_s: float = DURATION_S, **fields: Any) -> Evidence:
    known = cue_table().cues.get(cue)
    modality = known.modality if known else "visual" if cue.startswith("AU") else "audio"
    base: dict[str, Any] = {"id": "e1", "modality": modality, "cue": cue, "start_s": start_s, "end_s": end_s}
    return Evidence(**(base | fields))


def triplet(
    *items: Evidence, label: str = "joy", steps: tuple[Step, ...] | None = None, **fields: Any
) -> Triplet:
    ids = tuple(item.id for item in items)
    if steps is None:
        steps = (
            Step(n=1, text="Something is seen.", evidence_ids=ids),
            Step(n=2, text=f"So it is {label}.", evidence_ids=ids),
        )
    base: dict[str, Any] = {
        "evidence": items,
        "rationale": steps,
        "readings": Readings(),
        "labels": (LabelScore(label=label),),
        "confidence": 0.8,
    }
    return Triplet(**(base | fields))


def annotation(answer: Triplet | None) -> Annotation:
    return Annotation(
        sample_id="smp_1", annotator="a", request_digest="d", provider="p", model="m",
        outcome="labelled" if answer else "failed", answer=answer,
    )  # fmt: skip


def check(*verdicts: Verdict) -> Check:
    return Check(
        annotation_id="ann_1", annotation_digest="d", feature_digests=(), cue_table_digest="t",
        checker_version="1", verdicts=verdicts,
    )  # fmt: skip


SMILE = aus({"AU12": [0.0] * 5 + [0.1, 0.5, 0.8, 0.8, 0.6] + [0.0] * 10})  # high from 1.2 to 2.0 s
PAUSE = Event(cue="pause", modality="audio", start_s=1.0, end_s=1.6, size=0.6, unit="s")
RISE = Event(cue="pitch_rise", modality="audio", start_s=0.4, end_s=0.6, size=5.0, unit="semitone")


def verdict(
    item: Evidence, *features: Features, baselines: tuple[Baseline, ...] = (), **options: Any
) -> Verdict:
    """What the checker says to one claim about a clip of `DURATION_S`."""
    found = check_annotation(
        annotation(triplet(item)), features, baselines, DURATION_S, cue_table(), **options
    )
    assert len(found.verdicts) == 1
    return found.verdicts[0]
