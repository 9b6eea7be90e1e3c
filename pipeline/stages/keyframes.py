"""Key frames of a segment: the facial peak, then the frames that lie farthest from those chosen."""

from __future__ import annotations

from schemas.records import Features

KEY_FRAMES = 4
MIN_APART_S = 0.4  # two frames closer than this show the same


def choose_times(duration_s: float, faces: Features | None, track: str | None) -> list[tuple[float, str]]:
    """(time, reason) of at most KEY_FRAMES frames in time order, at sampled face times where there are any.

    The facial peak is the frame with the largest summed action-unit intensity of the target's face; the others
    spread over the segment by the farthest-point rule.
    """
    summed = _summed_intensity(faces, track)
    times = sorted(summed) or _even_times(duration_s)
    peak = max(times, key=lambda t: (summed.get(t, 0.0), -t)) if summed else times[len(times) // 2]
    chosen = {peak: "facial_peak" if summed else "middle"}
    while len(chosen) < KEY_FRAMES:
        farthest = max(times, key=lambda t: (min(abs(t - c) for c in chosen), -t))
        if min(abs(farthest - c) for c in chosen) < MIN_APART_S:
            break
        chosen[farthest] = "spread"
    return sorted(chosen.items())


def _summed_intensity(faces: Features | None, track: str | None) -> dict[float, float]:
    total: dict[float, float] = {}
    for series in faces.series if faces else ():
        if series.name.startswith("AU") and series.track in (None, track):
            for time_s, value in zip(series.times_s, series.values, strict=True):
                if value is not None:
                    total[time_s] = total.get(time_s, 0.0) + value
    return total


def _even_times(duration_s: float) -> list[float]:
    steps = max(1, int(duration_s / MIN_APART_S))
    return [round(i * duration_s / steps, 3) for i in range(steps)]
