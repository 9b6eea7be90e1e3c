"""The stamps of a recording's packets: read once, and refused where its clock jumps."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.media.container import packets
from schemas.errors import MediaError

Times = npt.NDArray[np.float64]
BACK_S = 1.0  # decoding times only ever ascend; writers that round them are off by milliseconds
# A slide may be held, or a microphone muted, for long. Where picture and sound are away together it is the clock.
SHARED_HOLE_S = 60.0
LONE_HOLE_S = 3600.0  # an hour of silence is 115 MB; a damaged stamp can ask for years of it


@dataclass
class Stamps:
    """PTS, durations and DTS (s) of one stream's presented packets; `unstamped` counts those without a PTS.

    `back` is the first place where decoding times go back: from when to when.
    """

    pts_s: list[float] = field(default_factory=list)
    dts_s: list[float] = field(default_factory=list)
    durations_s: list[float] = field(default_factory=list)
    unstamped: int = 0
    back: tuple[float, float] | None = None
    _newest_s: float = -np.inf

    def add(self, packet: Any) -> None:
        if packet.dts is not None:
            self._add_dts(float(packet.dts * packet.time_base))
        if packet.pts is None:
            self.unstamped += 1
        else:
            self.pts_s.append(float(packet.pts * packet.time_base))
            self.durations_s.append(float((packet.duration or 0) * packet.time_base))

    def _add_dts(self, dts_s: float) -> None:
        self.dts_s.append(dts_s)
        if self.back is None and self._newest_s - dts_s > BACK_S:
            self.back = (self._newest_s, dts_s)
        self._newest_s = max(self._newest_s, dts_s)

    def spans(self) -> tuple[Times, Times]:
        """When packets begin, and when each has ended at the latest."""
        if self.unstamped or not self.pts_s:
            begins = np.array(self.dts_s)
            return begins, begins
        begins, lengths = np.array(self.pts_s), np.array(self.durations_s)
        last = np.max(begins + lengths)  # stands for itself: a damaged length reaches beyond every packet
        return np.append(begins, last), np.append(begins + np.minimum(lengths, LONE_HOLE_S), last)


def read_stamps(container: Any, streams: list[Any], problems: list[str]) -> dict[int, Stamps]:
    """The stamps of these streams by their number, from the headers of all packets."""
    stamps = {stream.index: Stamps() for stream in streams}
    for packet in packets(container, streams, problems):
        if packet.size and not packet.is_discard:  # no flush packets; none that lie outside the edit list
            stamps[packet.stream_index].add(packet)
    return stamps


def check_clock(path: Path, used: list[Stamps]) -> None:
    """Refuses a recording whose clock goes back, or forward over a hole that no stream fills.

    Raises:
        MediaError: broken_times.
    """
    jump = next((stamps.back for stamps in used if stamps.back), None) or _hole([s.spans() for s in used])
    if jump is None:
        return
    # Copying the packets ("-c copy") loses pictures of some of these; converting keeps all that were tried.
    new = path.with_name(f"{path.stem}.converted.mp4")
    words = ["ffmpeg", "-i", str(path), "-map", "0:v?", "-map", "0:a?", str(new)]
    remedy = f"take in its place what this makes of it: {shlex.join(words)}, or split it there"
    raise MediaError(
        "broken_times", f"{path.name}: its clock jumps from {jump[0]:.2f} s to {jump[1]:.2f} s; {remedy}"
    )


def _hole(spans: list[tuple[Times, Times]]) -> tuple[float, float] | None:
    """The first hole that cannot be: one of all streams together, or a very long one."""
    together = np.concatenate([s[0] for s in spans]), np.concatenate([s[1] for s in spans])
    long = _holes(*together, LONE_HOLE_S)
    if long or len(spans) < 2:
        return next(iter(long), None)
    one, other = (_holes(*span, SHARED_HOLE_S) for span in spans)
    shared = [(max(a, c), min(b, d)) for a, b in one for c, d in other]
    return next(((a, b) for a, b in shared if b - a > SHARED_HOLE_S), None)


def _holes(begins: Times, ends: Times, least_s: float) -> list[tuple[float, float]]:
    order = np.argsort(begins, kind="stable")
    begins, covered = begins[order], np.maximum.accumulate(ends[order])
    places = np.flatnonzero(begins[1:] - covered[:-1] > least_s)
    return [(float(covered[at]), float(begins[at + 1])) for at in places]
