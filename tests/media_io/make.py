"""Makes small recordings with known content for the tests: a white flash and a tone at known times."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

TONE_HZ = 440
AUDIO_RATE_HZ = 48_000


def picture(width: int, height: int, level: int) -> npt.NDArray[np.uint8]:
    """RGB picture: grey of `level`, with a red quarter in the top left corner."""
    image = np.full((height, width, 3), level, np.uint8)
    image[: height // 2, : width // 2] = (255, 0, 0)
    return image


def make_video(
    path: Path,
    *,
    frames: int = 50,
    fps: int = 25,
    size: tuple[int, int] = (160, 120),
    start_s: float = 0.0,
    times_s: list[float] | None = None,
    flash_s: float | None = None,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    rotation_deg: int = 0,
    tones: tuple[npt.NDArray[np.float32], ...] = (),
    audio_codec: str = "aac",
    audio_start_s: float = 0.0,
    options: dict[str, str] | None = None,
    codec_options: dict[str, str] | None = None,
) -> Path:
    """A video whose frames turn white at `flash_s`; `tones` are its sound tracks. Times are container times
    less `start_s`."""
    with av.open(str(path), "w", options=options or {}) as out:
        video = out.add_stream(codec, rate=fps, options=codec_options or {})
        video.width, video.height, video.pix_fmt = size[0], size[1], pixel_format
        if not codec.startswith("mpeg"):  # MPEG-1, -2 and -4 have no finer clock than their frames
            video.codec_context.time_base = Fraction(1, 1000)
        if rotation_deg:
            video.set_display_rotation(rotation_deg)
        sounds = [out.add_stream(audio_codec, rate=AUDIO_RATE_HZ, layout="mono") for _ in tones]
        for n in range(frames):
            time_s = n / fps if times_s is None else times_s[n]
            level = 255 if flash_s is not None and time_s >= flash_s - 1e-9 else 40
            frame = av.VideoFrame.from_ndarray(picture(*size, level), format="rgb24")
            frame.pts, frame.time_base = round((start_s + time_s) * 1000), Fraction(1, 1000)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        for stream, tone in zip(sounds, tones, strict=True):
            _encode_sound(out, stream, tone, start_s + audio_start_s)
    return path


def make_sound(
    path: Path, tone: npt.NDArray[np.float32], *, codec: str = "pcm_s16le", start_s: float = 0.0
) -> Path:
    """A recording of sound only."""
    with av.open(str(path), "w") as out:
        _encode_sound(out, out.add_stream(codec, rate=AUDIO_RATE_HZ, layout="mono"), tone, start_s)
    return path


def remux_faststart(recording: Path, to: Path) -> Path:
    """The same packets with the index in front, as most files of the web have it."""
    with av.open(str(recording)) as given, av.open(str(to), "w", options={"movflags": "faststart"}) as out:
        streams = {stream.index: out.add_stream_from_template(stream) for stream in given.streams}
        for packet in given.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                out.mux(packet)
    return to


def tone(duration_s: float, *, from_s: float = 0.0, to_s: float | None = None) -> npt.NDArray[np.float32]:
    """Silence with a tone between `from_s` and `to_s`, at AUDIO_RATE_HZ."""
    clock = np.arange(round(duration_s * AUDIO_RATE_HZ)) / AUDIO_RATE_HZ
    on = (clock >= from_s) & (clock < (duration_s if to_s is None else to_s))
    return (0.5 * np.sin(2 * np.pi * TONE_HZ * clock) * on).astype(np.float32)


def loud_span_s(samples: npt.NDArray[np.float32], rate_hz: int) -> tuple[float, float]:
    """First and last moment that is louder than a tenth of full scale."""
    loud = np.flatnonzero(np.abs(samples) > 0.1)
    return float(loud[0]) / rate_hz, float(loud[-1]) / rate_hz


def with_edits(film: Path, edits: list[tuple[float, float]]) -> Path:
    """The same MP4 with an edit list for every track: (length, beginning in the track) in seconds."""
    data = film.read_bytes()
    at = data.index(b"moov") - 4  # it is the last box: what moves in it moves nothing else
    moov = data[at + 8 :]
    film.write_bytes(
        data[:at] + _box(b"moov", b"".join(_edited(kind, body, edits) for kind, body in _boxes(moov)))
    )
    return film


def _edited(kind: bytes, body: bytes, edits: list[tuple[float, float]]) -> bytes:
    if kind != b"trak":
        return _box(kind, body)
    kept = [(name, part) for name, part in _boxes(body) if name != b"edts"]
    mdhd = dict(_boxes(dict(kept)[b"mdia"]))[b"mdhd"]
    (ticks_hz,) = struct.unpack(">I", mdhd[12:16])
    rows = [
        struct.pack(">Iii", round(length * 1000), round(first * ticks_hz), 1 << 16) for length, first in edits
    ]
    elst = _box(b"elst", struct.pack(">II", 0, len(rows)) + b"".join(rows))
    kept.insert(1, (b"edts", elst))
    return _box(kind, b"".join(_box(*part) for part in kept))


def _boxes(data: bytes) -> list[tuple[bytes, bytes]]:
    found, at = [], 0
    while at < len(data):
        (size,) = struct.unpack(">I", data[at : at + 4])
        found.append((data[at + 4 : at + 8], data[at + 8 : at + size]))
        at += size
    return found


def _box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body) + 8) + kind + body


def _encode_sound(out: Any, stream: Any, samples: npt.NDArray[np.float32], start_s: float) -> None:
    for first in range(0, len(samples), 1024):
        block = np.ascontiguousarray(samples[None, first : first + 1024])
        frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="mono")
        frame.sample_rate = AUDIO_RATE_HZ
        frame.pts = round(start_s * AUDIO_RATE_HZ) + first
        frame.time_base = Fraction(1, AUDIO_RATE_HZ)
        out.mux(stream.encode(frame))
    out.mux(stream.encode(None))


def with_title(sound: Path, title: bytes) -> Path:
    """The same WAV or MP3 with a title as its writer encoded it: a WAV's INAM, an MP3's ID3v1 tag."""
    data = sound.read_bytes()
    if sound.suffix == ".mp3":
        tag = b"TAG" + title.ljust(30, b"\0") + bytes(94) + b"\xff"
        own = 10 + int.from_bytes(data[8:10], "big") if data.startswith(b"ID3") else 0  # that tag would win
        sound.write_bytes(data[own:] + tag)
        return sound
    even = title + bytes(len(title) % 2)
    chunk = b"LIST" + struct.pack("<I", 12 + len(even)) + b"INFOINAM" + struct.pack("<I", len(even)) + even
    at = data.index(b"data")
    size = struct.pack("<I", len(data) + len(chunk) - 8)
    sound.write_bytes(data[:4] + size + data[8:at] + chunk + data[at:])
    return sound
