"""Check every claim of an annotation against what was measured in its time span.

The reference is always a measurement, never a model's text. Claims are decided one by one, whoever made them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from agents.evidence.curves import reached
from agents.evidence.quote import comparable, share_said
from agents.evidence.signal import EVENTS, WORD_TOLERANCE_S, Signal, Transcript
from schemas.cues import Cue, CueTable
from schemas.parts import Evidence, Span, Target, Verdict, Word
from schemas.records import Annotation, Baseline, Check, Features

CHECKER_VERSION = "12"
ROUNDING_S = 1e-3  # times of words have three digits, those of clips six
CLIP_TOLERANCE_S = 0.1  # models round times to one decimal; further out a span is outside the clip
# What was not seen in less than half of the span may have happened in the rest; what was seen there did happen.
MIN_MEASURED_SHARE = 0.5
DIGITS = (
    4  # of what is told as measured; decided on the same number, so that a verdict never belies its figures
)
QUOTE_CUE = "quote"


class _Answer(NamedTuple):
    """`holds` None: not measurable, for `reason`."""

    holds: bool | None
    reason: str
    measured: float | None = None
    reference: float | None = None
    unit: str = ""


def check_annotation(
    annotation: Annotation,
    features: Sequence[Features],
    baselines: Sequence[Baseline],
    duration_s: float,
    table: CueTable,
    *,
    target: Target | None = None,
    words_of_others: Sequence[Word] = (),
) -> Check:
    """One verdict per evidence item, in the order of the items.

    `features` and `baselines` are those of the annotation's sample; `target` says whose face is meant: of a
    target without one no face is looked at. Not told, it is the face that is seen most in the span. A quote of
    `words_of_others` is no evidence of the target's emotion, although it was said.
    """
    signal = Signal(features, baselines, target, words_of_others)
    items = annotation.answer.evidence if annotation.answer else ()
    return Check(
        annotation_id=annotation.id,
        annotation_digest=annotation.digest,
        feature_digests=tuple(sorted(feature.digest for feature in features)),
        cue_table_digest=table.digest,
        checker_version=CHECKER_VERSION,
        verdicts=tuple(_verdict(item, signal, duration_s, table) for item in items),
    )


def _verdict(item: Evidence, signal: Signal, duration_s: float, table: CueTable) -> Verdict:
    if item.end_s > duration_s + CLIP_TOLERANCE_S + 1e-9 or item.start_s > duration_s + ROUNDING_S:
        reason = f"{item.start_s:g}-{item.end_s:g} s is outside the clip of {duration_s:g} s"
        return Verdict(evidence_id=item.id, verdict="outside_clip", shown=item.shown, reason=reason)
    answer = _decide(item, signal, table)
    names = {True: "supported", False: "contradicted", None: "not_measurable"}
    return Verdict.model_validate(
        {
            "evidence_id": item.id,
            "verdict": names[answer.holds],
            "shown": item.shown,
            "measured": answer.measured,
            "reference": answer.reference,
            "unit": answer.unit,
            "reason": answer.reason,
        }
    )


def _decide(item: Evidence, signal: Signal, table: CueTable) -> _Answer:
    if item.modality == "context":
        return _Answer(None, "the context is not measured")
    if item.modality == "text" and (item.quote or item.cue == QUOTE_CUE):
        return _check_quote(item, signal, table.cues[QUOTE_CUE])
    cue = table.find(item.cue, item.direction)
    if cue is None:
        return _Answer(None, _why_unknown(item, table))
    if cue.cue == QUOTE_CUE and item.modality == "audio":  # the words are heard
        return _check_quote(item, signal, cue)
    if cue.modality != item.modality:
        return _Answer(None, f"{cue.cue} is a cue of {cue.modality}, not of {item.modality}")
    pole = table.claimed(cue, item.direction)
    if pole is None:
        return _Answer(None, f"{cue.cue} cannot be {item.direction}: say present or absent")
    return _compare(pole, item, signal)


def _why_unknown(item: Evidence, table: CueTable) -> str:
    if table.find(item.cue, "up") is not None:
        return f'"{item.cue}" is a measure, which is up or down, not {item.direction}'
    return f'no cue "{item.cue}" in the cue table'


def _compare(cue: Cue, item: Evidence, signal: Signal) -> _Answer:
    measured = signal.measure(cue, item)
    if measured.value is None:
        return _Answer(None, f"{cue.cue}: {measured.reason}", unit=cue.unit)
    value = round(measured.value, DIGITS)
    there = reached(cue, value)
    if not there and measured.share < MIN_MEASURED_SHARE:
        reason = f"{cue.cue}: measured in only {measured.share:.0%} of the span, and not there"
        return _Answer(None, reason, unit=cue.unit)
    if not there and measured.doubt:
        return _Answer(None, f"{cue.cue}: {measured.doubt}", unit=cue.unit)
    if (
        cue.feature in EVENTS and value == 0
    ):  # backends tell of events from some size on: smaller ones have none
        reason = f"{cue.cue}: no such {cue.feature.replace('_', ' ')} was found in the span, "
        reason += f"{cue.operator} {cue.threshold:g} {cue.unit} is needed"
        return _Answer(there != (item.direction == "absent"), reason, None, cue.threshold, cue.unit)
    at = "" if cue.level is None else f" at {cue.level:g} or more"
    reason = f"{cue.cue}: {cue.statistic.replace('_', ' ')} of {cue.feature}{at} is {value:.3g} {cue.unit}, "
    reason += f"{'' if there else 'not '}{cue.operator} {cue.threshold:g}"
    return _Answer(there != (item.direction == "absent"), reason, value, cue.threshold, cue.unit)


def _check_quote(item: Evidence, signal: Signal, cue: Cue) -> _Answer:
    """Whether enough of the quote was said in the span, by any of the transcripts."""
    wanted = comparable(item.quote or "")
    if not wanted:
        return _Answer(None, "no words are quoted")
    if item.direction == "down":
        return _Answer(None, "a quote has no opposite: say present or absent instead of down")
    transcripts = signal.transcripts()
    if not transcripts:
        return _Answer(None, f"no transcript: {signal.why_missing('asr')}")
    span = Span(start_s=max(0.0, item.start_s - WORD_TOLERANCE_S), end_s=item.end_s + WORD_TOLERANCE_S)
    share = _share(wanted, transcripts, span)
    said = share >= cue.threshold
    if not said and _share(wanted, signal.transcripts(of_all=True), span) >= cue.threshold:
        return _Answer(
            item.direction == "absent", "somebody else said it in the span", share, cue.threshold, cue.unit
        )
    if not said and (doubt := _doubt(wanted, transcripts, span, cue)):
        return _Answer(None, f"not found in the span, yet {doubt}", unit=cue.unit)
    reason = f"{share:.0%} of the quoted words were said in the span, {cue.threshold:.0%} are needed"
    return _Answer(said != (item.direction == "absent"), reason, share, cue.threshold, cue.unit)


def _share(wanted: Sequence[str], transcripts: Sequence[Transcript], span: Span) -> float:
    """How much of a quote was said in the span, by the transcript that has most of it."""
    return round(max(share_said(wanted, _heard(each, span)) for each in transcripts), DIGITS)


def _doubt(wanted: Sequence[str], transcripts: Sequence[Transcript], span: Span, cue: Cue) -> str:
    """Why a quote that was not found may have been said all the same; "" when it was not."""
    reliable = [each for each in transcripts if not each.low_quality]
    if not reliable:
        return "the transcript is of low quality"
    for each in reliable:
        if share_said(wanted, _heard(each, span), any_number=True) >= cue.threshold:
            return "one side writes a number in digits"
        if share_said(wanted, _heard(each, span), unsure=False) >= cue.threshold:
            return "one side has a word that denies in some languages only"
        if each.estimated_times and share_said(wanted, _heard(each)) >= cue.threshold:
            return "it was said in the clip, and the transcript's word times are estimates"
    return ""


def _heard(transcript: Transcript, span: Span | None = None) -> list[str]:
    """The words said in the span, or in the whole clip."""
    words = (word for word in transcript.words if span is None or _overlaps(word, span))
    return comparable(" ".join(word.text for word in words))


def _overlaps(word: Span, span: Span) -> bool:
    return word.start_s <= span.end_s and word.end_s >= span.start_s
