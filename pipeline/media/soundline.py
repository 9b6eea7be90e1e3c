"""Lays decoded sound on a sample clock: sample n is heard at n / rate seconds, whatever the stamps do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import av
import numpy as np
import numpy.typing as npt

GAP_S = 0.02  # stamps may jitter by less; from here on the sound really has a hole or an overlap

Samples = npt.NDArray[np.int16]  # shape (channels, samples)


class SoundLine:
    """Resamples audio frames and hands on exactly `duration_s` of sound that begins at container time `start_s`.

    Holes in the stamps become silence; overlaps and what lies outside the stretch are dropped; the end is
    padded. `write` gets blocks in order.
    """

    def __init__(
        self, start_s: float, duration_s: float, rate_hz: int, channels: int, write: Callable[[Samples], None]
    ) -> None:
        self.frames = 0
        self._start_s, self._rate_hz, self._channels, self._write = start_s, rate_hz, channels, write
        self._total = round(duration_s * rate_hz)
        self._written = 0
        self._position = 0  # the sample that the next resampled one belongs to
        self._resampler: Any = None
        self._form: tuple[Any, ...] = ()
        self._expected_s = 0.0

    def add(self, frame: Any) -> None:
        """Takes a decoded frame; its PTS is used up."""
        time_s = self._expected_s if frame.pts is None else float(frame.pts * frame.time_base) - self._start_s
        frame = _one_channel_of_unnamed(frame)
        form = (frame.format.name, frame.layout.name, frame.sample_rate)
        if self._resampler is None or abs(time_s - self._expected_s) > GAP_S or form != self._form:
            self._begin_run(time_s)
        self._form = form
        self._expected_s += frame.samples / frame.sample_rate
        if time_s + frame.samples / frame.sample_rate > 0 and time_s * self._rate_hz < self._total:
            self.frames += 1
        frame.pts = None  # the resampler must count samples: holes are handled here
        self._put(self._resampler.resample(frame))

    def close(self) -> None:
        """Hands on what the resampler still holds and the silence up to the end."""
        self._end_run()
        self._silence_until(self._total)

    def _begin_run(self, time_s: float) -> None:
        self._end_run()
        layout = "mono" if self._channels == 1 else "stereo"
        # 16-bit on purpose: to a float format the mixdown would not be scaled, and two loud channels would clip.
        self._resampler = av.AudioResampler(format="s16p", layout=layout, rate=self._rate_hz)
        self._expected_s = time_s
        self._position = round(time_s * self._rate_hz)

    def _end_run(self) -> None:
        if self._resampler is not None:
            self._put(self._resampler.resample(None))
            self._resampler = None

    def _put(self, frames: list[Any]) -> None:
        for frame in frames:
            self._silence_until(min(self._position, self._total))
            first = max(0, self._written - self._position)
            last = min(frame.samples, self._total - self._position)
            if last > first:
                self._write(frame.to_ndarray()[:, first:last])
                self._written += last - first
            self._position += frame.samples

    def _silence_until(self, sample: int) -> None:
        while (missing := sample - self._written) > 0:
            count = min(missing, self._rate_hz)
            self._write(np.zeros((self._channels, count), np.int16))
            self._written += count


def _one_channel_of_unnamed(frame: Any) -> Any:
    """The mean of channels that nobody named: a microphone per person, as meetings are recorded.

    A resampler would take them for loudspeakers in their usual order, and leave the one for deep sounds out.
    """
    count = frame.layout.nb_channels
    if count < 3 or frame.layout.name != f"{count} channels":
        return frame
    samples = frame.to_ndarray()
    channels = samples if frame.format.is_planar else samples.reshape(-1, count).T
    mean = channels.mean(axis=0, dtype=np.float64).astype(samples.dtype)
    one = av.AudioFrame.from_ndarray(mean[None], format=frame.format.name, layout="mono")
    one.sample_rate = frame.sample_rate
    return one
