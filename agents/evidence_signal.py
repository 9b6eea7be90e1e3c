"""Values of a cue's measure inside a time span, from the features of one segment. No thresholds here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from schemas.cues import Cue
from schemas.parts import Event, Series, Span, Stat, Target, Word
from schemas.records import Baseline, Features

SPAN_TOLERANCE_S = 0.1  # half a step of a face series at 5 Hz; stated times are seldom finer
WORD_TOLERANCE_S = 0.3  # word times of an ASR without forced alignment are off by about this much
EDGE_LEVEL = 0.1  # of an AU: where its movement begins, as in the events of the extractors

Curve = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
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
LOW_QUALITY_NOTE = "low_quality_asr"
ESTIMATED_TIMES_NOTES = frozenset({"word_times_spread_over_speech", "word_times_shared_out_in_cue"})


class Measured(NamedTuple):
    """A number, or why there is none; `share` is the part of the span (0-1) in which it could be measured."""

    value: float | None
    reason: str = ""
    share: float = 1.0


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
            return self._voiced_share(cue, span)
        name = CURVES.get(cue.feature, cue.feature)
        series = self._series("prosody", name, span)
        if series is None:
            return self._unmeasured("prosody", name)
        return _of_curve(cue, self._voiced(series), span)

    def _seen(self, cue: Cue, span: Span) -> Measured:
        series = self._series("au", cue.feature, span)
        if series is None and self._target and self._target.face_track is None and self._has("au"):
            return Measured(None, "none of the faces is known to be the target's")
        if series is None:
            return self._unmeasured("au", cue.feature)
        return _held(cue, _without_slips(series), span)

    def _unmeasured(self, stage: str, name: str) -> Measured:
        return Measured(None, f"{name} was not measured" if self._has(stage) else self.why_missing(stage))

    def _has(self, stage: str) -> bool:
        return any(feature.missing is None for feature in self._of(stage))

    def _clip_value(self, cue: Cue, span: Span) -> Measured:
        """A number of the whole clip, when the span holds at least half of the clip's voiced frames."""
        pitch = self._series("prosody", "pitch_hz", span)
        for feature in self._of("prosody"):
            value = feature.summary.get(cue.feature)
            if value is not None:
                if pitch is not None and not _covers_half(pitch, span):
                    return Measured(None, "measured for the whole clip only")
                return Measured(value)
        return self._unmeasured("prosody", cue.feature)

    def _asked(self, times_s: Curve) -> Mask:
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
        pitch = self._series("prosody", "pitch_hz", span)
        if pitch is None:
            return 0.0
        _, values, step_s = _inside(pitch, _widened(span))
        return float(np.count_nonzero(~np.isnan(values))) * step_s

    def _voiced_share(self, cue: Cue, span: Span) -> Measured:
        series = self._series("prosody", "pitch_hz", span)
        if series is not None:
            times_s, values, step_s = _inside(series, span)
            values = values[self._asked(times_s)]
            if len(values) * step_s >= cue.min_duration_s - 1e-9 and len(values):
                return Measured(float(np.mean(~np.isnan(values))))
            return Measured(None, "the span is too short to measure")
        # A clip without any sound has no pitch curve, yet that nobody speaks in it is known.
        if any(feature.missing in NO_SOUND for feature in self._of("prosody")):
            return Measured(0.0)
        return Measured(None, self.why_missing("prosody"))

    def _voiced(self, series: Series) -> Series:
        """The curve with unvoiced frames blanked, as in a baseline: pauses do not make a loud voice quiet."""
        pitch = self._series("prosody", "pitch_hz", Span(start_s=0, end_s=0))
        if pitch is None or pitch.times_s != series.times_s:
            return series
        pairs = zip(series.values, pitch.values, strict=True)
        values = tuple(None if hz is None else value for value, hz in pairs)
        return series.model_copy(update={"values": values})

    def _series(self, stage: str, name: str, span: Span) -> Series | None:
        """A curve of the target; where the target is not told, of the face that is seen most in the span."""
        found = [s for feature in self._of(stage) for s in feature.series if s.name == name]
        if stage == "au" and self._target is not None:
            found = [s for s in found if s.track == self._target.face_track]
        return max(
            found,
            key=lambda s: (np.count_nonzero(~np.isnan(_inside(s, span)[1])), s.track or ""),
            default=None,
        )

    def _stat(self, feature: str) -> Stat | None:
        name = STATS.get(feature, feature)
        return next((b.stats[name] for b in self._baselines if name in b.stats), None)

    def _of(self, stage: str) -> Iterable[Features]:
        return [feature for feature in self._features if feature.stage == stage]


def _finite(measured: Measured) -> Measured:
    if measured.value is None or np.isfinite(measured.value):
        return measured
    return Measured(None, "the measured value is not finite")


def _whole(series: Series) -> tuple[Curve, Curve, float]:
    """Times, values (NaN = not measured) and the step of a curve; a lone sample has the step 0."""
    times_s = np.array(series.times_s, dtype=np.float64)
    values = np.array([np.nan if v is None else v for v in series.values], dtype=np.float64)
    step_s = float(np.median(np.diff(times_s))) if len(times_s) > 1 else 0.0
    return times_s, values, max(step_s, 0.0)


def _mask(times_s: Curve, step_s: float, span: Span) -> Mask:
    """Which samples lie inside the span, widened by the tolerance."""
    tolerance_s = min(SPAN_TOLERANCE_S, step_s / 2) if len(times_s) > 1 else SPAN_TOLERANCE_S
    return (times_s >= span.start_s - tolerance_s - 1e-9) & (times_s <= span.end_s + tolerance_s + 1e-9)


def _inside(series: Series, span: Span) -> tuple[Curve, Curve, float]:
    """`_whole` of the samples inside the span."""
    times_s, values, step_s = _whole(series)
    mask = _mask(times_s, step_s, span)
    return times_s[mask], values[mask], step_s


def _seen_share(series: Series, span: Span) -> float:
    """The share of the span in which the curve was measured; a sample holds until the next one."""
    times_s, values, step_s = _whole(series)
    if len(times_s) < 2 or not span.length_s:
        return 1.0  # a still lasts as long as it is shown, and an instant is seen or not
    ends_s = np.append(times_s[1:], times_s[-1] + step_s)
    held_s = np.minimum(ends_s, span.end_s) - np.maximum(times_s, span.start_s)
    return float(held_s[(held_s > 0) & ~np.isnan(values)].sum() / span.length_s)


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


def _covers_half(pitch: Series, span: Span) -> bool:
    voiced = sum(value is not None for value in pitch.values)
    return bool(2 * np.count_nonzero(~np.isnan(_inside(pitch, span)[1])) >= voiced)


def _of_curve(cue: Cue, series: Series, span: Span) -> Measured:
    """Median or 5-95 % range of the measured frames of a voice curve."""
    _, values, step_s = _inside(series, span)
    values = values[~np.isnan(values)]
    if cue.feature == "pitch":
        values = 12 * np.log2(values[values > 0])
    if not len(values) or len(values) * step_s < cue.min_duration_s - 1e-9:
        return Measured(None, f"only {len(values) * step_s:.2f} s of measured voice in the span")
    if cue.statistic == "range":
        low, high = np.percentile(values, [5, 95])
        return Measured(float(high - low))
    return Measured(float(np.median(values)))


def _without_slips(series: Series) -> Series:
    """The curve of a face with lone samples lowered: one sample that stands out is a slip of the mesh or a blink.

    A sample counts in full when one beside it is at least EDGE_LEVEL. A still has only one and is believed.
    """
    if len(series.values) < 2:
        return series
    known = [0.0 if value is None else value for value in series.values]
    beside = [max(a, b) for a, b in zip([0.0, *known[:-1]], [*known[1:], 0.0], strict=True)]
    values = tuple(
        min(value, EDGE_LEVEL) if value is not None and near < EDGE_LEVEL else value
        for value, near in zip(series.values, beside, strict=True)
    )
    return series.model_copy(update={"values": values})


def _held(cue: Cue, series: Series, span: Span) -> Measured:
    """The highest (statistic "min": lowest) level that is held for `min_duration_s` without a break.

    A part of the hold must lie in the span: in the middle of a smile, "smiles at 2.0 s" is true.
    """
    times_s, values, step_s = _whole(series)
    inside = _mask(times_s, step_s, span)
    still = len(times_s) == 1  # lasts as long as it is shown
    sign = -1.0 if cue.statistic == "min" else 1.0
    best: float | None = None
    for first in range(len(values)):
        level = np.inf
        for last in range(first, len(values)):
            if np.isnan(values[last]):
                break
            level = min(level, sign * float(values[last]))
            if still or times_s[last] - times_s[first] + step_s >= cue.min_duration_s - 1e-9:
                if inside[first : last + 1].any():
                    best = level if best is None else max(best, level)
                break
    if best is None:
        return Measured(None, "the face is not measured for long enough in the span")
    return Measured(sign * best, share=_seen_share(series, span))
