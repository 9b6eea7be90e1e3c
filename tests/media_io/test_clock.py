"""The clock of a recording: what AVI does not say of it, and what breaks it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from pipeline.media.cut import cut_clip
from pipeline.media.decode import DecodeParams, decode, read_audio
from pipeline.media.probe import probe, pts_table
from schemas.errors import MediaError
from tests.media_io.make import loud_span_s, make_sound, make_video, tone, with_edits
from tests.media_io.test_cut import first_white_s

RATE_HZ = 16_000


@pytest.mark.parametrize("b_frames", ["0", "1", "3"])
@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_pictures_of_avi_are_all_there_and_on_time(tmp_path: Path, codec: str, b_frames: str) -> None:
    path = make_video(
        tmp_path / "old.avi",
        frames=100,
        flash_s=2.4,
        tones=(tone(4.0, from_s=2.4),),
        codec=codec,
        audio_codec="pcm_s16le",
        codec_options={"bf": b_frames, "g": "100", "sc_threshold": "0"},
    )
    facts = probe(path)
    result = decode(path, facts, tmp_path / "out", DecodeParams(face_fps=50))
    assert facts.video is not None
    assert result.pts is not None
    assert result.audio is not None
    assert (facts.video.frames, result.frames_decoded, result.notes) == (100, 100, ())
    assert np.allclose(np.load(result.pts), pts_table(path))
    assert np.diff(pts_table(path)) == pytest.approx(0.04, abs=0.001)
    assert first_white_s(path, tmp_path) == pytest.approx(2.4, abs=0.003)
    assert loud_span_s(read_audio(result.audio), RATE_HZ)[0] == pytest.approx(2.4, abs=0.05)
    cut_clip(path, facts, 2.0, 3.0, tmp_path / "clip.mp4")
    assert first_white_s(tmp_path / "clip.mp4", tmp_path) == pytest.approx(0.4, abs=0.003)
    assert len(pts_table(tmp_path / "clip.mp4")) == 25


TS: dict[str, Any] = {"tones": (tone(2.0),)}
MPG: dict[str, Any] = {"tones": (tone(2.0),), "codec": "mpeg2video", "audio_codec": "mp2"}


def joined(path: Path, later_s: float, options: dict[str, Any]) -> None:
    """Two recordings one behind the other; the clock of the second begins at `later_s`."""
    one = make_video(path.with_stem("one"), **options)
    other = make_video(path.with_stem("other"), start_s=later_s, **options)
    path.write_bytes(one.read_bytes() + other.read_bytes())


def restamped(path: Path, change: Callable[[Any, int], None], **options: Any) -> None:
    """A recording of 4 s in which packets have other stamps: `change` gets packet and number, in milliseconds."""
    options = {"tones": (tone(4.0),), "codec_options": {"bf": "0"}} | options
    good = make_video(path.with_stem("good"), frames=100, **options)
    with av.open(str(good)) as given, av.open(str(path), "w") as out:
        streams = {stream.index: out.add_stream_from_template(stream) for stream in given.streams}
        packets = [p for p in given.demux() if p.dts is not None]
        for number, packet in enumerate(packets):
            change(packet, number)
        for packet in sorted(packets, key=lambda p: float(p.dts * p.time_base)):
            packet.stream = streams[packet.stream.index]
            out.mux(packet)


def later(seconds: float, *kinds: str, from_s: float = 2.0) -> Callable[[Any, int], None]:
    """Puts what these streams have from `from_s` on that much later."""

    def change(packet: Any, _: int) -> None:
        if packet.stream.type in kinds and packet.dts * packet.time_base >= from_s:
            ticks = round(seconds / packet.time_base)
            packet.dts, packet.pts = packet.dts + ticks, packet.pts + ticks

    return change


def damage_a_stamp(path: Path) -> None:
    """An FLV in which one tag of the middle has a byte of its time changed: it is days later."""
    data = bytearray(make_video(path, frames=100, tones=(tone(4.0),)).read_bytes())
    with av.open(str(path)) as container:
        places = [p.pos for p in container.demux(video=0) if p.pos is not None and p.size]
    data[places[50] + 7] = 0x20  # the highest byte of the tag's time, in milliseconds
    path.write_bytes(data)


BROKEN: dict[str, Callable[[Path], Any]] = {
    "joined.ts": lambda path: joined(path, 0.0, TS),
    "joined.mpg": lambda path: joined(path, 0.0, MPG),
    "hours later.ts": lambda path: joined(path, 5 * 3600.0, TS),
    "minutes later.ts": lambda path: joined(path, 120.0, TS),
    "minutes later.mkv": lambda path: restamped(path, later(120.0, "video", "audio")),
    "sound years later.mkv": lambda path: restamped(path, later(1e8, "audio")),
    "a damaged stamp.flv": damage_a_stamp,
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_clock_that_jumps_is_told_with_a_remedy(tmp_path: Path, name: str) -> None:
    BROKEN[name](tmp_path / name)
    with pytest.raises(MediaError) as caught:
        probe(tmp_path / name)
    assert caught.value.code == "broken_times"
    assert "ffmpeg -i " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_pictures_that_go_back_a_little_are_counted(tmp_path: Path) -> None:
    joined(tmp_path / "short.ts", 1.6, TS)
    result = decode(tmp_path / "short.ts", probe(tmp_path / "short.ts"), tmp_path / "out")
    assert result.frames_decoded < 100
    assert result.notes == (
        f"picture left out: it is not later than the one before ({100 - result.frames_decoded} times)",
    )


def slides(path: Path) -> None:
    """Sound all along, and a picture that stands for minutes."""
    times_s = [0.0, 0.04, 200.0, 200.04]
    make_video(path, frames=4, times_s=times_s, tones=(tone(201.0),), codec_options={"bf": "0"})


def muted(path: Path) -> None:
    restamped(
        path, later(300.0, "audio"), times_s=[0.04 * n for n in range(50)] + [3.0 * n for n in range(2, 52)]
    )


def written_at_need(path: Path) -> None:
    """A microphone alone, of which nothing is written while it is muted."""
    restamped(path, later(600.0, "audio"))
    with av.open(str(path)) as given, av.open(str(path.with_suffix(".mka")), "w") as out:
        stream = out.add_stream_from_template(given.streams.audio[0])
        for packet in given.demux(audio=0):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    path.with_suffix(".mka").rename(path)


def edited(path: Path) -> None:
    """Two takes of one film: before the second, its pictures from the key frame on are decoded and not shown."""
    with_edits(make_video(path, frames=100, tones=(tone(4.0),)), [(1.0, 0.5), (1.0, 2.9)])


LONG_HOLES: dict[str, tuple[Callable[[Path], Any], float]] = {
    "slides.mkv": (slides, 201.0),
    "slides.mp4": (slides, 201.0),
    "slides without sound.mkv": (lambda path: make_video(path, frames=2, times_s=[0.0, 900.0]), 901.0),
    "muted.mkv": (muted, 304.0),
    "muted and alone.mkv": (written_at_need, 604.0),
    "sound ends early.mkv": (lambda path: make_video(path, frames=9, fps=1, tones=(tone(1.0),)), 9.0),
    "sound.wav": (lambda path: make_sound(path, tone(90.0)), 90.0),
    "a picture and much sound.mp4": (lambda path: make_video(path, frames=1, tones=(tone(90.0),)), 90.0),
    "a day of a transport stream.ts": (lambda path: make_video(path, start_s=95442.7, **TS), 2.0),
    "edited.mp4": (edited, 2.0),
}


@pytest.mark.parametrize("name", LONG_HOLES)
def test_a_stream_may_rest_for_long(tmp_path: Path, name: str) -> None:
    make, duration_s = LONG_HOLES[name]
    make(tmp_path / name)
    assert probe(tmp_path / name).duration_s == pytest.approx(duration_s, abs=1.1)
