"""What the store keeps beside a record, so that stages and totals need not read the whole of it.

A record of a recording's face holds 40 kB of curves; a run that looks for what is missing needs the name of one
track. A change here needs a migration that makes the stored briefs anew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import groupby
from typing import Any

from schemas.record import Record
from schemas.records import Annotation, Baseline, Check, Consensus, Decision, Features, Judgement, Sample

Brief = dict[str, Any]
EVALUATIONS = frozenset({"mme_emotion"})  # kinds of judgements that move nothing


def brief_of(record: Record) -> Brief:
    """The brief of a record; kinds of which nothing is needed have an empty one."""
    make = BRIEFS.get(type(record))
    return {} if make is None else make(record)


def _features(features: Features) -> Brief:
    """The stage; where alone it was measured; the faces; what was said, as [speaker, text] in turn."""
    by_speaker = groupby(features.words, key=lambda word: word.speaker)
    said = [[speaker, " ".join(word.text for word in words)] for speaker, words in by_speaker]
    faces = [[track.name, track.speaking, track.speaking_confidence] for track in features.tracks]
    found = {
        "faces": faces,
        "voices": features.summary if features.stage == "speakers" else None,
        "said": said,
    }
    where = {"where": features.params["where"]} if "where" in features.params else {}
    return {"stage": features.stage, **where, **{name: value for name, value in found.items() if value}}


def _baseline(baseline: Baseline) -> Brief:
    return {"stage": baseline.stage}


def _sample(sample: Sample) -> Brief:
    """Whom it is about, what a later view is compared with, and what could not be measured."""
    return {
        "baselines": sample.baseline_ids,
        "digests": sample.feature_digests,
        "speaker": sample.target.speaker,
        "target": sample.target.key,
        "alone": not sample.others,
        "missing": sample.missing,
    }


def _annotation(annotation: Annotation) -> Brief:
    return {"annotator": annotation.annotator, "outcome": annotation.outcome}


def _check(check: Check) -> Brief:
    """Verdict -> how many claims got it, apart for claims about what was shown and what was not."""
    kinds = {"shown": True, "not_shown": False}
    counts = {
        name: Counter(verdict.verdict for verdict in check.verdicts if verdict.shown is shown)
        for name, shown in kinds.items()
    }
    return {name: dict(count) for name, count in counts.items() if count}


def _judgement(judgement: Judgement) -> Brief:
    """Whether it came; and the kind, where it is for evaluation only: no consensus rests on such a one."""
    kind = {"kind": judgement.kind} if judgement.kind in EVALUATIONS else {}
    return {"outcome": judgement.outcome, **kind}


def _consensus(consensus: Consensus) -> Brief:
    """Annotator -> how often it was asked, how many gave a label, how many the most frequent one, wordings."""
    voices = {
        voice.annotator: [voice.asked, voice.labelled, round(voice.agreement * voice.asked), voice.variants]
        for voice in consensus.voices
    }
    return {"voices": voices} if voices else {}


def _decision(decision: Decision) -> Brief:
    return {"status": decision.status}


BRIEFS: dict[type[Record], Callable[[Any], Brief]] = {
    Features: _features,
    Baseline: _baseline,
    Sample: _sample,
    Annotation: _annotation,
    Check: _check,
    Judgement: _judgement,
    Consensus: _consensus,
    Decision: _decision,
}
