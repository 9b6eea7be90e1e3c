"""Opens recordings: one place for what may be opened, how failures are named, and how frames are oriented."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import av
import av.error
from av.container import InputContainer
from av.stream import Disposition, Stream

from schemas.errors import MediaError

# Demuxers for recordings and stills. Playlists (hls, concat, dash) are left out on purpose: they make the
# reader open other files or addresses. So are the demuxers that turn any text into pictures (tty).
FORMATS = (
    "3gp,aac,ac3,aiff,amr,apng,asf,avi,bmp_pipe,caf,flac,flv,gif,h264,hevc,image2,ivf,jpeg_pipe,m4v,"
    "matroska,mjpeg,mov,mp3,mp4,mpeg,mpegts,mpegvideo,nut,ogg,png_pipe,rm,tiff_pipe,w64,wav,webm,webp_pipe,wv"
)
MAX_PIXEL_ASPECT = 16.0  # cameras squeeze by 2 or so; beyond this the tag is damaged, not the picture
IMAGE_FORMATS = {"image2", "jpeg_pipe", "png_pipe", "bmp_pipe", "tiff_pipe", "webp_pipe"}

# First bytes of containers (offset, bytes): tells "cut off" from "not a recording" when opening fails.
_MAGIC = (
    (4, b"ftyp"), (4, b"moov"), (4, b"mdat"), (4, b"wide"), (4, b"free"), (0, b"RIFF"), (0, b"\x1aE\xdf\xa3"),
    (0, b"OggS"), (0, b"fLaC"), (0, b"ID3"), (0, b"\x00\x00\x01\xba"), (0, b"FLV"), (0, b"\xff\xd8\xff"),
    (0, b"\x89PNG"), (0, b"caff"), (0, b"FORM"),
)  # fmt: skip


class FileState(NamedTuple):
    """A file as it is now: what was found out about it holds until it changes."""

    path: Path
    size_bytes: int
    mtime_ns: int


def file_state(path: Path) -> FileState:
    stat = path.stat()
    return FileState(path, stat.st_size, stat.st_mtime_ns)


def open_media(path: Path) -> InputContainer:
    """An open container for the recording at `path`; use it in a `with` block.

    Raises:
        MediaError: missing_file, not_a_file, unreadable, empty_file, truncated, not_media.
    """
    head = _read_head(path)
    options = {
        "format_whitelist": FORMATS,
        "protocol_whitelist": "file",
        "pattern_type": "none",  # a "%d" in a picture's name is part of the name
    }
    try:
        # "file:" keeps names with a colon from being read as an address. Titles that are not UTF-8 are common
        # (ID3v1, WAV, AVI), and no title is read here.
        return av.open(f"file:{path}", options=options, metadata_errors="replace")
    except av.error.FFmpegError as error:
        raise _cannot_open(path, head) from error


def _read_head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except FileNotFoundError as error:
        raise MediaError("missing_file", f"{path.name}: there is no such file") from error
    except IsADirectoryError as error:
        raise MediaError("not_a_file", f"{path.name}: is a folder, not a recording") from error
    except OSError as error:
        raise MediaError("unreadable", f"{path.name}: cannot be read ({error.strerror})") from error
    if not head:
        raise MediaError("empty_file", f"{path.name}: the file has no content; copy it again")
    return head


def _cannot_open(path: Path, head: bytes) -> MediaError:
    if any(head[offset : offset + len(magic)] == magic for offset, magic in _MAGIC):
        return MediaError(
            "truncated",
            f"{path.name}: its index is missing or broken (cut off?); copy or record it again",
        )
    return MediaError("not_media", f"{path.name}: not a recording in a known format")


def video_stream(container: InputContainer) -> Any | None:
    """The first video stream that is moving pictures or a still, never cover art; None without one."""
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic and stream.codec_context is not None:
            return stream
    return None


def audio_streams(container: InputContainer) -> list[Any]:
    """The audio streams for which there is a decoder."""
    return [s for s in container.streams.audio if s.codec_context is not None]


def audio_stream(container: InputContainer, path: Path) -> Any | None:
    """The first audio stream of the recording at `path` that gives a sample; None without one.

    Recorders declare a track for every input, and write nothing into those where nothing was plugged in.
    """
    streams = audio_streams(container)
    if len(streams) < 2:
        return next(iter(streams), None)
    file = file_state(path)
    return next((s for s in streams if _sounds(file, s.index)), None)


@lru_cache(maxsize=256)  # an empty track is only known for empty at the end of the file, and clips are many
def _sounds(file: FileState, index: int) -> bool:
    frame = first_frame(file.path, index)
    return frame is not None and bool(frame.sample_rate)


def first_frame(path: Path, index: int) -> Any | None:
    """The first frame that the stream of this number gives; None when it gives none."""
    with open_media(path) as container:
        for packet in packets(container, [container.streams[index]], []):
            if frames := decode_packet(packet, []):
                return frames[0]
    return None


def packets(container: InputContainer, streams: list[Stream], problems: list[str]) -> Iterator[Any]:
    """Demuxed packets of `streams`, with the flush packets at the end.

    Damage that stops the demuxer ends the iteration and is noted in `problems`: what came before is kept.
    """
    demuxed = container.demux(streams)
    while True:
        try:
            packet = next(demuxed)
        except StopIteration:
            return
        except av.error.FFmpegError as error:
            problems.append(f"reading stopped early: {error.strerror}")
            return
        yield packet


def decode_packet(packet: Any, problems: list[str]) -> list[Any]:
    """Frames of one packet; a packet that cannot be decoded is noted in `problems` and gives none."""
    try:
        return list(packet.decode())
    except av.error.EOFError:  # flushed twice: nothing is left in the decoder
        return []
    except av.error.FFmpegError as error:
        problems.append(f"{packet.stream.type} packet: {error.strerror}")
        return []


def clockwise_deg(frame: Any) -> int:
    """Clockwise turn (0, 90, 180, 270) that shows a frame upright; PyAV reports it counter-clockwise."""
    return int(round(-frame.rotation / 90.0) * 90) % 360


def pixel_aspect(stream: Any) -> float:
    """Width of a stored pixel divided by its height; 1 when the stream does not say, or says what cannot be."""
    ratio = float(stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio or 1)
    return ratio if 1 / MAX_PIXEL_ASPECT <= ratio <= MAX_PIXEL_ASPECT else 1.0


def display_size(width_px: int, height_px: int, rotation_deg: int, pixel_aspect: float) -> tuple[int, int]:
    """Size (width, height) in square pixels as a viewer sees it, after rotation."""
    width = max(1, round(width_px * pixel_aspect))
    return (height_px, width) if rotation_deg % 180 == 90 else (width, height_px)
