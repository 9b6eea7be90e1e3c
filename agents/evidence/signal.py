"""Values of a cue's measure inside a time span, from the features of one segment. No thresholds here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from agents.evidence.curves import (
    SPAN_TOLERANCE_S,
    Curve,
    Mask,
    Measured,
    Values,
    of_face,
    of_voice,
    without_slips,
)
from agents.evidence.sampling import hidden
from schemas.cues import Cue
from schemas.parts import Event, Series, Span, Stat, Target, Word
from schemas.records import Baseline, Features

WORD_TOLERANCE_S = 0.3  # word times of an ASR without forced alignment are off by about this much

# Events by measure, and the sign of the size: extractors tell how large a fall is, a change of pitch is signed.
EVENTS: dict[str, dict[str, float]] = {
    "pause": {"pause": 1.0},
    "pitch_change": {"pitch_rise": 1.0, "pitch_fall": -1.0},
    "loud_burst": {"loud_burst": 1.0},
    "rate_change": {"speed_up": 1.0, "slow_down": -1.0},
}
# The curve in which a backend finds such events: without it nothing is known of them.
EVENT_CURVES = {
    "pitch_change": "pitch_hz",
    "loud_burst": "intensity_db",
    "rate_change": "local_rate_syl_s",
}
MIN_ALONE_SHARE = 0.5  # of a span that must lie where the target's voice was measured
CURVES = {"pitch": "pitch_hz", "voiced": "pitch_hz", "intensity": "intensity_db"}
STATS = {"pitch": "pitch_st", "intensity": "intensity_db"}  # the baseline's names, where they differ
NO_SOUND = ("silence", "no_speech")
UNIT_CURVES = ("intensity", "presence")  # units of the curves of action units
LOW_QUALITY_NOTE = "low_quality_asr"
ESTIMATED_TIMES_NOTES = frozenset({"word_times_spread_over_speech", "word_times_shared_out_in_cue"})


class Transcript(NamedTuple):
    """The words of one ASR; `low_quality`: about half are wrong; `estimated_times`: no one measured when."""

    words: tuple[Word, ...]
    low_quality: bool
    estimated_times: bool


class Signal:
    """The features of one segment, looked up by what a cue needs."""

    def __init__(
        self,
        features: Sequence[Features],
        baselines: Sequence[Baseline],
        target: Target | None = None,
        words_of_others: Sequence[Word] = (),
    ) -> None:
        self._features = features
        self._of_others = {(word.start_s, word.end_s, word.text) for word in words_of_others}
        # How the speaker usually sounds comes before how the recording does.
        self._baselines = sorted(baselines, key=lambda b: (not b.subject.startswith("speaker:"), b.subject))
        self._target = target
        self._curves: dict[int, Curve] = {}  # of the series that some claim has asked for

    def measure(self, cue: Cue, span: Span) -> Measured:
        """The value that stands against `cue.threshold`, in `cue.unit`."""
        raw = self._raw(cue, span)
        if raw.value is None or cue.scale == "absolute":
            return _finite(raw)
        stat = self._stat(cue.feature)
        if stat is None:
            return Measured(None, f"no baseline of the speaker for {cue.feature}")
        if stat.sd <= 0:
            return Measured(None, f"the baseline of {cue.feature} has no spread")
        return _finite(raw._replace(value=(raw.value - stat.median) / stat.sd))

    def transcripts(self, *, of_all: bool = False) -> list[Transcript]:
        """What each ASR heard the target say (`of_all`: anybody), of those that heard something."""
        left_out = set() if of_all else self._of_others
        return [
            Transcript(
                tuple(w for w in feature.words if (w.start_s, w.end_s, w.text) not in left_out),
                low_quality=LOW_QUALITY_NOTE in feature.notes,
                estimated_times=not ESTIMATED_TIMES_NOTES.isdisjoint(feature.notes),
            )
            for feature in self._of("asr")
            if feature.missing is None
        ]

    def why_missing(self, stage: str) -> str:
        """Why there is no measurement of a stage."""
        reasons = sorted({feature.missing for feature in self._of(stage) if feature.missing})
        return ", ".join(reasons) if reasons else f"{stage} was not measured"

    def _raw(self, cue: Cue, span: Span) -> Measured:
        if cue.modality != "audio":
            return self._seen(cue, span)
        share = self._alone_share(span)
        if cue.feature == "voiced" and share < MIN_ALONE_SHARE:
            return Measured(None, "the target does not speak alone there")
        measured = self._heard(cue, span)
        return measured._replace(share=min(share, measured.share))

    def _heard(self, cue: Cue, span: Span) -> Measured:
        if cue.statistic == "clip":
            return self._clip_value(cue, span)
        if cue.feature in EVENTS:
            return self._event_size(cue, span)
        if cue.feature == "voiced":
            return self._voicing(cue, span)
        name = CURVES.get(cue.feature, cue.feature)
        curve = self._curve("prosody", name, span)
        if curve is None:
            return self._unmeasured("prosody", name)
        return of_voice(cue, self._voiced(curve), span)

    def _seen(self, cue: Cue, span: Span) -> Measured:
        series = self._series("au", cue.feature, span)
        if series is None and self._target and self._target.face_track is None and self._has("au"):
            return Measured(None, "none of the faces is known to be the target's")
        if series is None:
            return self._unmeasured("au", cue.feature)
        curve = self._read(series)
        found = of_face(cue, without_slips(curve) if series.unit in UNIT_CURVES else curve, span)
        return found if found.value is None else found._replace(doubt=hidden(cue, curve, span, found.value))

    def _unmeasured(self, stage: str, name: str) -> Measured:
        return Measured(None, f"{name} was not measured" if self._has(stage) else self.why_missing(stage))

    def _has(self, stage: str) -> bool:
        return any(feature.missing is None for feature in self._of(stage))

    def _clip_value(self, cue: Cue, span: Span) -> Measured:
        """A number of the whole clip, when the span holds at least half of the clip's voiced frames."""
        pitch = self._curve("prosody", "pitch_hz", span)
        for feature in self._of("prosody"):
            value = feature.summary.get(cue.feature)
            if value is not None:
                if pitch is not None and not _covers_half(pitch, span):
                    return Measured(None, "measured for the whole clip only")
                return Measured(value)
        return self._unmeasured("prosody", cue.feature)

    def _asked(self, times_s: Values) -> Mask:
        """Which moments lie where the target's voice was measured."""
        asked = [feature.params["where"] for feature in self._of("prosody") if "where" in feature.params]
        mask = np.full(len(times_s), not asked)
        for start_s, end_s in (border for where in asked for border in where):
            mask |= (times_s >= start_s) & (times_s < end_s)
        return mask

    def _alone_share(self, span: Span) -> float:
        """The part of a span in which the target's voice was measured: elsewhere somebody else may speak."""
        asked = [feature.params["where"] for feature in self._of("prosody") if "where" in feature.params]
        if not asked:
            return 1.0
        wide = _widened(span)
        shared_s = (
            sum(max(0.0, min(b, wide.end_s) - max(a, wide.start_s)) for a, b in where) for where in asked
        )
        return float(max(shared_s) / wide.length_s)

    def _event_size(self, cue: Cue, span: Span) -> Measured:
        measured = [feature for feature in self._of("prosody") if feature.missing is None]
        if not measured:
            return Measured(None, self.why_missing("prosody"))
        curve = EVENT_CURVES.get(cue.feature)
        if curve is not None and self._series("prosody", curve, span) is None:
            return Measured(None, f"{curve} was not measured")
        signs = EVENTS[cue.feature]
        sizes = [
            signs[event.cue] * event.size
            for feature in measured
            for event in feature.events
            if event.cue in signs and event.size is not None and _belongs(event, span)
        ]
        if not sizes and (voiced_s := self._voiced_s(span)) < cue.min_duration_s - 1e-9:
            return Measured(None, f"only {voiced_s:.2f} s of measured voice in the span")
        return Measured(max([0.0, *sizes]) if cue.statistic == "max" else min([0.0, *sizes]))

    def _voiced_s(self, span: Span) -> float:
        """Voiced time in the span, widened as for events."""
        pitch = self._curve("prosody", "pitch_hz", span)
        if pitch is None:
            return 0.0
        part = pitch.inside(_widened(span)).known()
        return len(part.values) * part.step_s

    def _voicing(self, cue: Cue, span: Span) -> Measured:
        """The share of voiced frames in the span, or the longest stretch without one in s."""
        curve = self._curve("prosody", "pitch_hz", span)
        if curve is not None:
            part = curve.inside(span)
            asked = self._asked(part.times_s)
            if not asked.any() or asked.sum() * part.step_s < cue.min_duration_s - 1e-9:
                return Measured(None, "the span is too short to measure")
            unvoiced = np.isnan(part.values)
            if cue.statistic == "gap":
                gaps = part.stretches_s(unvoiced & asked)
                return Measured(max((end_s - start_s for start_s, end_s in gaps), default=0.0))
            return Measured(float(np.mean(~unvoiced[asked])))
        # A clip without any sound has no pitch curve, yet that nobody speaks in it is known.
        if any(feature.missing in NO_SOUND for feature in self._of("prosody")):
            return Measured(span.length_s if cue.statistic == "gap" else 0.0)
        return Measured(None, self.why_missing("prosody"))

    def _voiced(self, curve: Curve) -> Curve:
        """The curve with unvoiced frames blanked, as in a baseline: pauses do not make a loud voice quiet."""
        pitch = self._curve("prosody", "pitch_hz", Span(start_s=0, end_s=0))
        if pitch is None or not np.array_equal(pitch.times_s, curve.times_s):
            return curve
        return curve._replace(values=np.where(np.isnan(pitch.values), np.nan, curve.values))

    def _curve(self, stage: str, name: str, span: Span) -> Curve | None:
        series = self._series(stage, name, span)
        return None if series is None else self._read(series)

    def _read(self, series: Series) -> Curve:
        """The numbers of a series, read once; a series lives as long as this signal."""
        if id(series) not in self._curves:
            self._curves[id(series)] = Curve.of(series)
        return self._curves[id(series)]

    def _series(self, stage: str, name: str, span: Span) -> Series | None:
        """A curve of the target; where the target is not told, of the face that is seen most in the span."""
        found = [s for feature in self._of(stage) for s in feature.series if s.name == name]
        if stage == "au" and self._target is not None:
            found = [s for s in found if s.track == self._target.face_track]
        if len(found) < 2:
            return found[0] if found else None
        return max(found, key=lambda s: (len(self._read(s).inside(span).known().values), s.track or ""))

    def _stat(self, feature: str) -> Stat | None:
        name = STATS.get(feature, feature)
        return next((b.stats[name] for b in self._baselines if name in b.stats), None)

    def _of(self, stage: str) -> list[Features]:
        return [feature for feature in self._features if feature.stage == stage]


def _finite(measured: Measured) -> Measured:
    if measured.value is None or np.isfinite(measured.value):
        return measured
    return Measured(None, "the measured value is not finite")


def _widened(span: Span) -> Span:
    return Span(start_s=max(0.0, span.start_s - SPAN_TOLERANCE_S), end_s=span.end_s + SPAN_TOLERANCE_S)


def _belongs(event: Event, span: Span) -> bool:
    """Whether the span, widened, holds half of the event, or as much as a claim of one instant in it would.

    No share of the span is asked for: a pause does not end because more is claimed than it lasts.
    """
    shared_s = min(event.end_s, span.end_s + SPAN_TOLERANCE_S) - max(
        event.start_s, span.start_s - SPAN_TOLERANCE_S
    )
    return shared_s >= min(0.5 * event.length_s, 2 * SPAN_TOLERANCE_S) - 1e-9


def _covers_half(pitch: Curve, span: Span) -> bool:
    return 2 * len(pitch.inside(span).known().values) >= len(pitch.known().values)
