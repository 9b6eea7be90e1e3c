"""Odd recordings keep one clock: a flash and a tone of one moment are found at that moment everywhere.

Frames and shots are told by their presentation times; no recording here has frames where its nominal rate says.
"""

from __future__ import annotations

import io
import wave
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from pipeline.ingest import MEDIA_ENDINGS
from pipeline.media.cut import cut_audio
from pipeline.media.decode import DecodeParams, decode, read_audio, read_frames
from pipeline.media.probe import probe, pts_table
from pipeline.media.reading import frame_at
from schemas.errors import MediaError
from tests.media_io.make import loud_span_s, make_sound, make_video, tone

FLASH_S = 1.0
RATE_HZ = 16_000
UNEVEN_S = [round(n * 0.04 + 0.013 * (n % 3), 3) for n in range(25)] + [1.0 + 0.05 * n for n in range(20)]
PCM = {"audio_codec": "pcm_s16le"}


@dataclass(frozen=True)
class Odd:
    """How a recording is made, and where its flash and its tone are, in seconds from its first picture."""

    name: str
    options: dict[str, Any] = field(default_factory=dict)
    change: Callable[[Path], Path] = Path
    at_s: float = FLASH_S
    size: tuple[int, int] = (160, 120)  # as it is shown


def call_it_a_sound(path: Path) -> Path:
    return path.rename(path.with_suffix(".wav"))


def damage(path: Path) -> Path:
    """Noise instead of the packets of a third of a second, before the flash."""
    data, noise = bytearray(path.read_bytes()), np.random.default_rng(1)
    with av.open(str(path)) as container:
        places = [(p.pos, p.size) for p in container.demux(video=0) if p.pos is not None and p.size]
    for position, size in places[8:16]:
        data[position : position + size] = noise.bytes(size)
    path.write_bytes(data)
    return path


ODD = {
    "variable frame rate": Odd("vfr.mkv", {"times_s": UNEVEN_S, "frames": 45}),
    "edit list": Odd("edited.mp4", {"start_s": -0.4, "codec_options": {"bf": "0"}}, at_s=0.6),
    "edit list and late start": Odd("late.mp4", {"start_s": 3.0}),
    "late start, mkv": Odd("late.mkv", {"start_s": 7.5, **PCM}),
    "late start, transport stream": Odd("late.ts", {"start_s": 90.0, "codec_options": {"tune": "zerolatency"}}),
    "b-frames": Odd("reordered.mp4", {"codec_options": {"bf": "3", "g": "50"}}),
    "quarter turn": Odd("turned.mp4", {"rotation_deg": 90}, size=(120, 160)),
    "10 bit": Odd("deep.mkv", {"codec": "ffv1", "pixel_format": "yuv420p10le", **PCM}),
    "4K": Odd("large.mp4", {"size": (3840, 2160), "fps": 16, "frames": 20}, size=(640, 360)),
    "odd size": Odd("odd.mkv", {"size": (161, 121), "codec": "ffv1", "pixel_format": "yuv444p"}, size=(161, 121)),
    "two audio tracks": Odd("two.mp4", {"tones": (tone(2.0, from_s=FLASH_S), tone(2.0, to_s=0.3))}),
    "another rate than is stated": Odd("slow.mkv", {"times_s": [n / 16 for n in range(32)], "frames": 32}),
    "wrong ending": Odd("film.mp4", {}, call_it_a_sound),
    "damaged before the flash": Odd("hurt.mp4", {"codec_options": {"g": "5"}}, damage),
}  # fmt: skip


def brightness(jpeg: bytes) -> int:
    picture = Image.open(io.BytesIO(jpeg)).convert("L")
    return int(picture.getpixel((picture.width - 5, picture.height - 5)))  # type: ignore[arg-type]


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())
def test_frames_shots_and_sound_share_one_clock(tmp_path: Path, odd: Odd) -> None:
    tones = {"tones": (tone(2.0, from_s=FLASH_S),)}
    path = odd.change(make_video(tmp_path / odd.name, **{"flash_s": FLASH_S, **tones, **odd.options}))
    facts = probe(path)
    result = decode(path, facts, tmp_path / "out", DecodeParams(face_fps=60, min_shot_frames=5))
    assert result.frames is not None
    assert result.pts is not None
    assert result.audio is not None
    frames = list(read_frames(result.frames))
    times_s = [time_s for time_s, _ in frames]
    table = np.load(result.pts)
    assert times_s == table.tolist()
    assert set(times_s) <= set(pts_table(path).tolist())
    flash_s = next(time_s for time_s, jpeg in frames if brightness(jpeg) > 128)
    assert flash_s == pytest.approx(odd.at_s, abs=0.003)
    assert flash_s in [shot.start_s for shot in result.shots]
    assert result.shots[-1].end_s == facts.duration_s
    # AAC smears a beginning over a block of its transform.
    assert loud_span_s(read_audio(result.audio), RATE_HZ)[0] == pytest.approx(flash_s, abs=0.03)
    assert brightness(frame_at(result.frames, odd.at_s)) > 128
    assert Image.open(io.BytesIO(frames[0][1])).size == odd.size
    # A clip's sound is cut from the recording itself: on the same clock.
    cut_audio(path, facts, odd.at_s - 0.2, odd.at_s + 0.4, tmp_path / "cut.wav")
    assert loud_span_s(read_audio(tmp_path / "cut.wav"), RATE_HZ)[0] == pytest.approx(0.2, abs=0.03)


OTHER_ENDINGS: dict[str, dict[str, Any]] = {
    "m2ts": {},
    "vob": {"codec": "mpeg2video", "audio_codec": "mp2"},
    "mka": {"codec": "libopus"},
    "oga": {"codec": "libopus"},
    "wv": {"codec": "wavpack"},
    "caf": {"codec": "pcm_s16be"},
    "w64": {"codec": "pcm_s16le"},
}


@pytest.mark.parametrize("ending", OTHER_ENDINGS)
def test_less_common_endings_are_found_in_a_folder_and_decoded(tmp_path: Path, ending: str) -> None:
    assert f".{ending}" in MEDIA_ENDINGS
    path, options = tmp_path / f"take.{ending}", OTHER_ENDINGS[ending]
    if ending in ("m2ts", "vob"):
        make_video(path, tones=(tone(2.0, from_s=FLASH_S),), **options)
    else:
        make_sound(path, tone(2.0, from_s=FLASH_S), **options)
    result = decode(path, probe(path), tmp_path / "out")
    assert result.audio is not None
    assert loud_span_s(read_audio(result.audio), RATE_HZ)[0] == pytest.approx(FLASH_S, abs=0.05)


def test_mobile_phone_sound_is_found_and_decoded(tmp_path: Path) -> None:
    path = tmp_path / "memo.amr"
    path.write_bytes(b"#!AMR\n" + (b"\x3c" + bytes(31)) * 50)  # frames of 20 ms
    assert path.suffix in MEDIA_ENDINGS
    assert probe(path).duration_s == pytest.approx(1.0)


@pytest.mark.parametrize("codec", ["pcm_mulaw", "pcm_alaw", "pcm_s16le"])
def test_telephone_sound(tmp_path: Path, codec: str) -> None:
    wide = make_sound(tmp_path / "wide.wav", tone(2.0, from_s=FLASH_S, to_s=1.5))
    path = tmp_path / "phone.wav"
    with av.open(str(wide)) as given, av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=8000, layout="mono")
        to_phone = av.AudioResampler(format="s16", layout="mono", rate=8000)
        for frame in [*given.decode(audio=0), None]:
            for narrow in to_phone.resample(frame):
                out.mux(stream.encode(narrow))
        out.mux(stream.encode(None))
    facts = probe(path)
    result = decode(path, facts, tmp_path / "out")
    assert (facts.audio[0].sample_rate_hz, facts.kind, result.frames) == (8000, "audio", None)
    assert result.audio is not None
    samples = read_audio(result.audio)
    assert len(samples) == pytest.approx(2 * RATE_HZ, abs=40)
    assert loud_span_s(samples, RATE_HZ) == pytest.approx((FLASH_S, 1.5), abs=0.005)


def test_one_frame_is_one_shot_and_one_picture(tmp_path: Path) -> None:
    path = make_video(tmp_path / "one.mp4", frames=1, flash_s=0.0)
    facts = probe(path)
    result = decode(path, facts, tmp_path / "out")
    assert result.frames is not None
    assert [time_s for time_s, _ in read_frames(result.frames)] == [0.0]
    assert [(shot.start_s, shot.end_s) for shot in result.shots] == [(0.0, facts.duration_s)]


def test_a_sound_without_a_sample_has_no_length(tmp_path: Path) -> None:
    path = tmp_path / "none.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
    with pytest.raises(MediaError) as caught:
        probe(path)
    assert caught.value.code in ("zero_length", "undecodable")
    assert "\n" not in str(caught.value)
