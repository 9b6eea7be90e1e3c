"""Cut clips: playable by a browser, on time, with and without sound or picture."""

from __future__ import annotations

import io
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from pipeline.media.container import decode_packet
from pipeline.media.cut import CutParams, cut_audio, cut_clip
from pipeline.media.decode import DecodeParams, decode, read_audio, read_frames
from pipeline.media.probe import probe, pts_table
from schemas.errors import MediaError
from schemas.parts import MediaFacts
from tests.media_io.make import loud_span_s, make_sound, make_video, tone

Media = Callable[[str], Path]


def cut(path: Path, start_s: float, end_s: float, out: Path, **params: int) -> MediaFacts:
    cut_clip(path, probe(path), start_s, end_s, out, CutParams.model_validate(params))
    return probe(out)


def first_white_s(path: Path, tmp_path: Path) -> float:
    result = decode(path, probe(path), tmp_path / "look", DecodeParams(face_fps=50))
    assert result.frames is not None
    for time_s, jpeg in read_frames(result.frames):
        picture = Image.open(io.BytesIO(jpeg)).convert("L")
        if picture.getpixel((picture.width - 8, picture.height - 8)) > 128:
            return time_s
    raise AssertionError("no white picture")


@pytest.mark.media
@pytest.mark.parametrize(
    ("name", "start_s", "end_s"),
    [
        ("video/wh_address_d.mp4", 1.0, 3.5),
        ("video/pyfeat_face_noface.mov", 2.0, 4.0),
        ("video/grid_bbaf2n.mpg", 1.03, 2.14),
        ("video/wh_address_noaudio.mp4", 0.0, 1.4),
        ("video/psd_testvideo.mp4", 6.006, 8.0),
    ],
)
def test_real_clips_play_in_browsers(
    media: Media, tmp_path: Path, name: str, start_s: float, end_s: float
) -> None:
    source, out = probe(media(name)), tmp_path / "clip.mp4"
    facts = cut(media(name), start_s, end_s, out)
    assert facts.video is not None
    assert (facts.video.codec, facts.video.pixel_format, facts.start_s) == ("h264", "yuv420p", 0.0)
    assert facts.duration_s == pytest.approx(end_s - start_s, abs=0.001)
    assert [a.codec for a in facts.audio] == (["aac"] if source.audio else [])
    with av.open(str(out)) as container:
        assert container.streams.video[0].profile == "High"
        assert not container.streams.video[0].codec_context.has_b_frames
        assert all(s.start_time == 0 for s in container.streams)
    data = out.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # playable before it is wholly there


@pytest.mark.media
def test_uneven_times_are_kept(media: Media, tmp_path: Path) -> None:
    path = media("video/pyfeat_face_noface.mov")
    cut(path, 2.0, 4.0, tmp_path / "clip.mp4")
    table = pts_table(path)
    expected = table[(table >= 2.0) & (table < 4.0)] - 2.0
    assert pts_table(tmp_path / "clip.mp4") == pytest.approx(expected, abs=2e-5)


@pytest.mark.parametrize("name", ["flash.mp4", "flash.mkv", "flash.ts", "flash.mpg", "flash.avi"])
def test_sound_and_picture_stay_together(tmp_path: Path, name: str) -> None:
    codec = {"mpg": "mpeg2video", "avi": "mpeg4"}.get(name[-3:], "libx264")
    audio = {"mpg": "mp2", "avi": "pcm_s16le"}.get(name[-3:], "aac")
    path = make_video(
        tmp_path / name,
        frames=200,
        flash_s=4.0,
        tones=(tone(8.0, from_s=4.0),),
        codec=codec,
        audio_codec=audio,
    )
    cut(path, 3.0, 6.0, tmp_path / "clip.mp4")
    assert first_white_s(tmp_path / "clip.mp4", tmp_path) == pytest.approx(1.0, abs=0.05)
    heard_s = loud_span_s(read_audio(tmp_path / "look" / "audio.wav"), 16_000)[0]
    assert heard_s == pytest.approx(1.0, abs=0.03)


def test_a_start_between_two_frames_shows_the_frame_on_screen(tmp_path: Path) -> None:
    path = make_video(tmp_path / "slow.mp4", frames=10, fps=2, flash_s=2.0)
    cut(path, 2.3, 4.0, tmp_path / "clip.mp4")
    assert pts_table(tmp_path / "clip.mp4") == pytest.approx([0.0, 0.2, 0.7, 1.2], abs=1e-4)
    assert first_white_s(tmp_path / "clip.mp4", tmp_path) == 0.0


def test_behind_the_last_picture_it_stands_still_and_sound_goes_on(tmp_path: Path) -> None:
    path = make_video(tmp_path / "short.mp4", frames=25, tones=(tone(3.0),))
    facts = cut(path, 2.0, 3.0, tmp_path / "clip.mp4")
    assert facts.video is not None
    assert (facts.video.frames, facts.duration_s) == (1, pytest.approx(1.0, abs=0.001))


@pytest.mark.parametrize(
    ("name", "frames", "sound_s"),
    [("lecture.mp4", 3000, 30.0), ("podcast.mp4", 1, 120.0), ("lecture.mkv", 3000, 30.0)],
)
def test_a_stream_that_has_ended_does_not_keep_a_cut_decoding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, frames: int, sound_s: float
) -> None:
    path = make_video(tmp_path / name, frames=frames, size=(64, 48), tones=(tone(sound_s),))
    decoded_s = []

    def noted(packet: Any, problems: list[str]) -> list[Any]:
        found = decode_packet(packet, problems)
        decoded_s.extend(float(frame.pts * frame.time_base) for frame in found)
        return found

    monkeypatch.setattr("pipeline.media.cut.decode_packet", noted)
    facts = cut(path, 40.0, 42.0, tmp_path / "clip.mp4")
    assert facts.duration_s == pytest.approx(2.0, abs=0.01)
    assert max(decoded_s) < 44.0  # of 120 s


@pytest.mark.parametrize("ending", ["mkv", "ts"])
def test_a_stream_that_comes_late_in_the_file_is_waited_for(tmp_path: Path, ending: str) -> None:
    """Some writers put all pictures before all sound."""
    path, seconds, rate_hz = tmp_path / f"late.{ending}", 30, 48_000
    sound = (0.3 * np.sin(np.arange(seconds * rate_hz) * 2 * np.pi * 440 / rate_hz)).astype(np.float32)
    with av.open(str(path), "w") as out:
        pictures, heard = (
            out.add_stream("libx264", rate=25),
            out.add_stream("aac", rate=rate_hz, layout="mono"),
        )
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        for number in range(25 * seconds):
            grey = np.full((48, 64, 3), number % 256, np.uint8)
            out.mux(pictures.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
        out.mux(pictures.encode(None))
        for first in range(0, len(sound) - 1023, 1024):
            frame = av.AudioFrame.from_ndarray(
                sound[None, first : first + 1024], format="fltp", layout="mono"
            )
            frame.sample_rate, frame.pts, frame.time_base = rate_hz, first, Fraction(1, rate_hz)
            out.mux(heard.encode(frame))
        out.mux(heard.encode(None))
    cut(path, 5.0, 6.0, tmp_path / "clip.mp4")
    with av.open(str(tmp_path / "clip.mp4")) as clip:
        loud = np.concatenate([frame.to_ndarray() for frame in clip.decode(audio=0)], axis=1)
    assert np.sqrt(np.mean(np.square(loud))) > 0.1


def test_sound_only_and_stills(tmp_path: Path) -> None:
    sound = make_sound(tmp_path / "tone.wav", tone(3.0, from_s=1.0, to_s=2.0))
    facts = cut(sound, 0.5, 2.5, tmp_path / "sound.mp4")
    assert (facts.kind, facts.audio[0].codec) == ("audio", "aac")
    assert facts.duration_s == pytest.approx(2.0, abs=0.001)
    Image.new("RGB", (1301, 1501), "green").save(tmp_path / "still.png")
    still = cut(tmp_path / "still.png", 0.0, 1.0, tmp_path / "still.mp4")
    assert still.video is not None
    assert (still.video.frames, still.video.height_px, still.video.width_px) == (1, 720, 624)


def test_rotation_is_applied_and_sizes_are_even(tmp_path: Path) -> None:
    path = make_video(tmp_path / "turned.mp4", frames=10, rotation_deg=90)
    facts = cut(path, 0, 0.4, tmp_path / "clip.mp4", max_height_px=81)
    assert facts.video is not None
    assert (facts.video.width_px, facts.video.height_px, facts.video.rotation_deg) == (60, 80, 0)
    with av.open(str(tmp_path / "clip.mp4")) as container:
        picture = next(container.decode(video=0)).to_ndarray(format="rgb24")
    assert picture[70, 10, 0] > 150  # red went from top left to bottom left
    assert picture[10, 10, 0] < 100


def test_the_same_cut_gives_the_same_bytes(tmp_path: Path) -> None:
    path = make_video(tmp_path / "same.mp4", tones=(tone(2.0),))
    for name in ("one.mp4", "two.mp4"):
        cut(path, 0.5, 1.5, tmp_path / name)
    assert (tmp_path / "one.mp4").read_bytes() == (tmp_path / "two.mp4").read_bytes()


@pytest.mark.media
def test_cut_sound_equals_the_decode_pass(media: Media, tmp_path: Path) -> None:
    path = media("audio/librispeech_116-288045-0001.m4a")
    facts = probe(path)
    whole = decode(path, facts, tmp_path).audio
    assert whole is not None
    cut_audio(path, facts, 2.0, 4.0, tmp_path / "part.wav")
    part = read_audio(tmp_path / "part.wav")
    assert len(part) == 32_000
    assert np.abs(part - read_audio(whole, 2.0, 4.0)).max() < 0.002


def test_impossible_cuts_are_errors(tmp_path: Path) -> None:
    path = make_video(tmp_path / "mute.mp4")
    facts = probe(path)
    for start_s, end_s in ((1.0, 1.0), (5.0, 6.0), (-1.0, 1.0)):
        with pytest.raises(MediaError) as caught:
            cut_clip(path, facts, start_s, end_s, tmp_path / "clip.mp4")
        assert caught.value.code == "empty_span"
    with pytest.raises(MediaError) as mute:
        cut_audio(path, facts, 0.0, 1.0, tmp_path / "part.wav")
    assert mute.value.code == "no_audio"
    assert not (tmp_path / "clip.mp4").exists()
