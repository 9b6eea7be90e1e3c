"""Which face speaks: whether a mouth moves while a voice is heard, and rests while it is not. Pure.

A mouth that speaks opens and closes several times a second, a smile or a yawn moves it once. So steps are
counted, not summed: of the steps from one sampled frame to the next inside speech, how many change the gap
between the lips by at least `MOVED`. There are two thresholds and a refusal in between, as in the first
reference; which of several voices is meant is told by the contrast between its stretches and those of the others,
as in the second.

What it was set by: docs/targets.md.

Reference: Everingham, Sivic and Zisserman 2006, BMVC, DOI 10.5244/C.20.92 (two thresholds on lip motion);
Cutler and Davis 2000, ICME, DOI 10.1109/ICME.2000.871073 (motion of the mouth against the sound).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from schemas.parts import FaceTrack, Series, Span

MOUTH_OPEN = "mouth_open"  # the series that is read: gap of the inner lips, in outer eye distances
MOVED = 0.02  # about 2 mm; a resting mouth is measured to less than half of it
MIN_STEP_S, MAX_STEP_S = (
    0.15,
    0.5,
)  # nearer frames show one movement, further ones what came in between is unknown
MIN_STEPS = 4
SPEAKING_SHARE = (
    0.3  # of the steps: between the resting mouths (at most 0.1) and the talking ones (at least 0.5)
)
SURE = 0.9


class Motion(NamedTuple):
    """How many steps were seen inside some stretches, and in how many the mouth moved."""

    moved: int
    steps: int

    @property
    def probability(self) -> float | None:
        """That this mouth moves in more than `SPEAKING_SHARE` of all steps; None from too few.

        The posterior of a share under a flat prior: few steps give doubt, and one movement proves nothing.
        """
        if self.steps < MIN_STEPS:
            return None
        n, x = self.steps + 1, SPEAKING_SHARE
        return math.fsum(math.comb(n, j) * x**j * (1 - x) ** (n - j) for j in range(self.moved + 1))


def with_speaking(
    tracks: Sequence[FaceTrack], series: Sequence[Series], speech: Sequence[Span]
) -> tuple[FaceTrack, ...]:
    """The tracks with `speaking` and its confidence; both None without a voice or with too few measured frames.

    None as well for a mouth that moves just as much while nobody is heard: it eats, or laughs without a sound.
    """
    mouths = _mouths(series)
    found = []
    for track in tracks:
        speaking, sure = _speaks(mouths.get(track.name), speech)
        found.append(track.model_copy(update={"speaking": speaking, "speaking_confidence": sure}))
    return tuple(found)


def voices_of_faces(
    tracks: Sequence[FaceTrack], series: Sequence[Series], alone: Mapping[str, Sequence[Span]]
) -> dict[str, float]:
    """ "TRACK/VOICE" -> how surely this mouth moves with that voice and rests during the others; sure ones only.

    `alone`: name in the turns -> the stretches in which this voice alone is heard.
    """
    mouths, pairs = _mouths(series), {}
    for track in tracks:
        if (mouth := mouths.get(track.name)) is None:
            continue
        heard = {name: motion(mouth, spans).probability for name, spans in alone.items()}
        for name, own in heard.items():
            rest = max((p for other, p in heard.items() if other != name and p is not None), default=0.0)
            if own is not None and own * (1 - rest) >= SURE**2:
                pairs[f"{track.name}/{name}"] = round(own * (1 - rest), 4)
    return pairs


def motion(mouth: Series, spans: Sequence[Span]) -> Motion:
    """The steps of a mouth whose middle lies in one of the spans."""
    moved = steps = 0
    before: tuple[float, float] | None = None
    for time_s, gap in zip(mouth.times_s, mouth.values, strict=True):
        if gap is None:
            before = None
            continue
        if before is not None and time_s - before[0] < MIN_STEP_S - 1e-9:
            continue
        if before is not None and time_s - before[0] <= MAX_STEP_S:
            middle_s = (time_s + before[0]) / 2
            if any(span.start_s <= middle_s <= span.end_s for span in spans):
                steps += 1
                moved += abs(gap - before[1]) >= MOVED
        before = (time_s, gap)
    return Motion(moved, steps)


def _speaks(mouth: Series | None, speech: Sequence[Span]) -> tuple[bool | None, float | None]:
    if mouth is None:
        return None, None
    heard = motion(mouth, speech)
    sure = heard.probability
    if sure is None:
        return None, None
    if sure <= 1 - SURE:
        return False, round(1 - sure, 4)
    silent = motion(mouth, _between(speech, mouth.times_s[-1]))
    always = silent.steps >= MIN_STEPS and silent.moved / silent.steps >= heard.moved / heard.steps
    if sure < SURE or always:
        return None, None
    return True, round(sure, 4)


def _between(speech: Sequence[Span], end_s: float) -> list[Span]:
    """The stretches in which nobody is heard."""
    gaps, at_s = [], 0.0
    for span in sorted(speech, key=lambda span: span.start_s):
        if span.start_s > at_s:
            gaps.append(Span(start_s=at_s, end_s=span.start_s))
        at_s = max(at_s, span.end_s)
    return [*gaps, Span(start_s=at_s, end_s=end_s)] if end_s > at_s else gaps


def _mouths(series: Sequence[Series]) -> dict[str, Series]:
    return {one.track: one for one in series if one.name == MOUTH_OPEN and one.track is not None}
