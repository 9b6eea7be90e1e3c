"""The one decode pass: sound and pictures on one clock, pictures at the asked rate, damage survived."""

from __future__ import annotations

import io
import tracemalloc
import wave
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pyarrow.parquet as pq
import pytest
from av.video.reformatter import ColorRange, Colorspace
from PIL import Image

from pipeline.media.decode import DecodeParams, DecodeResult, decode, frame_at, read_audio, read_frames
from pipeline.media.probe import probe, pts_table
from schemas.errors import MediaError
from tests.media_io.make import AUDIO_RATE_HZ, loud_span_s, make_sound, make_video, tone

Media = Callable[[str], Path]
RATE_HZ = 16_000


def run(path: Path, tmp_path: Path, **params: object) -> DecodeResult:
    return decode(path, probe(path), tmp_path / "out", DecodeParams.model_validate(params))


def image(jpeg: bytes) -> Image.Image:
    return Image.open(io.BytesIO(jpeg)).convert("RGB")


@pytest.mark.media
def test_a_real_talking_head(media: Media, tmp_path: Path) -> None:
    path = media("video/wh_address_d.mp4")
    facts, result = probe(path), run(path, tmp_path)
    assert result.audio is not None
    assert result.frames is not None
    assert (result.errors, result.notes, result.frames_decoded) == (0, (), 134)
    assert len(read_audio(result.audio)) == round(facts.duration_s * RATE_HZ)
    times = [t for t, _ in read_frames(result.frames)]
    table = pts_table(path)
    assert set(times) <= set(table)
    assert times == [table[np.argmax(table >= n / 10 - 1e-6)] for n in range(len(times))]
    assert image(frame_at(result.frames, 2.0)).size == (640, 360)
    assert [(s.start_s, s.end_s) for s in result.shots] == [(0, facts.duration_s)]


@pytest.mark.media
def test_without_sound_there_is_no_sound_file(media: Media, tmp_path: Path) -> None:
    result = run(media("video/wh_address_noaudio.mp4"), tmp_path)
    assert result.audio is None
    assert not (tmp_path / "out" / "audio.wav").exists()


@pytest.mark.media
def test_sound_only_has_no_pictures_and_the_right_level(media: Media, tmp_path: Path) -> None:
    result = run(media("audio/jfk.flac"), tmp_path)
    assert (result.frames, result.pts, result.shots, result.frames_decoded) == (None, None, (), 0)
    assert result.audio is not None
    with av.open(str(media("audio/jfk.flac"))) as container:
        blocks = [f.to_ndarray().reshape(-1, 2) for f in container.decode(audio=0)]
    original = np.concatenate(blocks) / (np.iinfo(blocks[0].dtype).max + 1.0)
    expected_level = np.sqrt((original.mean(axis=1) ** 2).mean())
    level = np.sqrt((read_audio(result.audio).astype(np.float64) ** 2).mean())
    assert level == pytest.approx(expected_level, rel=0.01)


@pytest.mark.media
def test_sound_that_begins_late_is_padded(media: Media, tmp_path: Path) -> None:
    # Its sound track begins 2.43 s after its first picture.
    result = run(media("video/pyfeat_face_noface.mov"), tmp_path)
    assert result.audio is not None
    assert not read_audio(result.audio, 0, 2.42).any()
    assert np.abs(read_audio(result.audio, 2.5, 3.5)).max() > 0.01


@pytest.mark.media
def test_a_still_gives_one_picture(media: Media, tmp_path: Path) -> None:
    result = run(media("images/pyfeat_single_face.jpg"), tmp_path)
    assert result.frames is not None
    [(time_s, jpeg)] = read_frames(result.frames)
    assert (time_s, image(jpeg).size) == (0.0, (572, 562))


@pytest.mark.parametrize("aspect", [(1, 65535), (65535, 1)])
def test_an_aspect_that_cannot_be_is_not_believed(tmp_path: Path, aspect: tuple[int, int]) -> None:
    path = tmp_path / "tagged.jpg"
    Image.new("RGB", (64, 48), "red").save(path, dpi=aspect)
    data = bytearray(path.read_bytes())
    data[data.index(b"JFIF") + 7] = 0  # the density has no unit: it tells the shape of a pixel
    path.write_bytes(data)
    with av.open(str(path)) as container:
        assert container.streams.video[0].sample_aspect_ratio in (Fraction(*aspect), Fraction(*aspect[::-1]))
    result = run(path, tmp_path)
    assert result.frames is not None
    assert image(frame_at(result.frames, 0.0)).size == (64, 48)


@pytest.mark.parametrize("name", ["late.mkv", "late.ts", "late.mp4"])
def test_sound_and_pictures_share_one_clock(tmp_path: Path, name: str) -> None:
    path = make_video(
        tmp_path / name,
        start_s=5.0,
        flash_s=1.0,
        tones=(tone(2.0, from_s=1.0),),
        codec_options={"tune": "zerolatency"},
    )
    result = run(path, tmp_path, face_fps=25)
    assert result.audio is not None
    assert result.frames is not None
    flash_s = next(t for t, jpeg in read_frames(result.frames) if image(jpeg).getpixel((150, 100))[0] > 128)
    assert flash_s == pytest.approx(1.0, abs=0.002)
    assert loud_span_s(read_audio(result.audio), RATE_HZ)[0] == pytest.approx(1.0, abs=0.004)


@pytest.mark.parametrize("shift_s", [-0.5, 0.5])
def test_sound_that_starts_before_or_after_the_picture(tmp_path: Path, shift_s: float) -> None:
    sound = tone(2.0, from_s=1.0, to_s=1.3)
    path = make_video(
        tmp_path / "shifted.mkv", start_s=2.0, tones=(sound,), audio_codec="pcm_s16le", audio_start_s=shift_s
    )
    result = run(path, tmp_path)
    assert result.audio is not None
    heard = loud_span_s(read_audio(result.audio), RATE_HZ)
    assert heard == pytest.approx((1.0 + shift_s, 1.3 + shift_s), abs=0.004)


def test_a_hole_in_the_sound_becomes_silence(tmp_path: Path) -> None:
    path = tmp_path / "hole.mkv"
    sound = tone(1.0)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=AUDIO_RATE_HZ, layout="mono")
        for start in (0.0, 1.5):
            for first in range(0, len(sound), 1024):
                block = np.ascontiguousarray(sound[None, first : first + 1024])
                frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="mono")
                frame.sample_rate, frame.time_base = AUDIO_RATE_HZ, Fraction(1, AUDIO_RATE_HZ)
                frame.pts = round(start * AUDIO_RATE_HZ) + first
                out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    result = run(path, tmp_path)
    assert result.audio is not None
    samples = read_audio(result.audio)
    assert len(samples) == pytest.approx(2.5 * RATE_HZ, abs=80)
    assert np.abs(samples[: RATE_HZ - 160]).max() > 0.4
    assert not samples[RATE_HZ + 160 : RATE_HZ * 3 // 2 - 160].any()
    assert np.abs(samples[RATE_HZ * 3 // 2 + 160 :]).max() > 0.4


def test_the_first_of_two_sound_tracks_is_used(tmp_path: Path) -> None:
    path = make_video(tmp_path / "two.mp4", tones=(tone(2.0, to_s=0.5), tone(2.0, from_s=1.5)))
    result = run(path, tmp_path)
    assert result.audio is not None
    assert loud_span_s(read_audio(result.audio), RATE_HZ)[1] == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize(("turn", "red_corner"), [(0, (0, 0)), (90, (0, 1)), (180, (1, 1)), (270, (1, 0))])
def test_pictures_are_turned_upright(tmp_path: Path, turn: int, red_corner: tuple[int, int]) -> None:
    # The stated turn is counter-clockwise: top left goes to bottom left at 90 degrees.
    path = make_video(tmp_path / "turned.mp4", frames=5, rotation_deg=turn)
    result = run(path, tmp_path)
    assert result.frames is not None
    picture = image(frame_at(result.frames, 0))
    assert picture.size == ((120, 160) if turn % 180 else (160, 120))
    x, y = (
        (picture.width - 20) * c + 10 if n == 0 else (picture.height - 20) * c + 10
        for n, c in enumerate(red_corner)
    )
    red, green, _ = picture.getpixel((x, y))
    assert red > 200
    assert green < 60


def test_odd_sizes_and_uneven_times(tmp_path: Path) -> None:
    times = [0.0, 0.04, 0.3, 0.31, 0.9, 1.7]
    path = make_video(
        tmp_path / "odd.mkv", size=(161, 121), codec="ffv1", pixel_format="yuv444p", frames=6, times_s=times
    )
    result = run(path, tmp_path)
    assert result.frames is not None
    assert result.pts is not None
    assert np.load(result.pts).tolist() == pytest.approx(times)
    assert [t for t, _ in read_frames(result.frames)] == pytest.approx([0.0, 0.3, 0.9, 1.7])
    assert image(frame_at(result.frames, 0)).size == (161, 121)


@pytest.mark.parametrize("pixel_format", ["yuv420p10le", "yuv444p", "gray", "bgr0"])
def test_other_pixel_formats(tmp_path: Path, pixel_format: str) -> None:
    path = make_video(tmp_path / "deep.mkv", codec="ffv1", pixel_format=pixel_format, frames=5)
    result = run(path, tmp_path)
    assert result.frames is not None
    red, green, blue = image(frame_at(result.frames, 0)).getpixel((150, 100))
    assert (red, green, blue) == pytest.approx((40, 40, 40), abs=4)


@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("matrix", [Colorspace.ITU601, Colorspace.ITU709])
def test_colours_survive_every_matrix_and_range(tmp_path: Path, matrix: Colorspace, full_range: bool) -> None:
    path, bgr = tmp_path / "colour.mkv", np.zeros((48, 64, 3), np.uint8)
    bgr[:] = (30, 160, 220)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("ffv1", rate=5)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv444p"
        tag = {Colorspace.ITU601: 6, Colorspace.ITU709: 1}[matrix]
        stream.codec_context.colorspace, stream.codec_context.color_range = tag, 2 if full_range else 1
        frame = av.VideoFrame.from_ndarray(bgr, format="bgr24").reformat(
            format="yuv444p",
            dst_colorspace=matrix,
            dst_color_range=ColorRange.JPEG if full_range else ColorRange.MPEG,
        )
        frame.pts = 0
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    result = run(path, tmp_path)
    assert result.frames is not None
    assert image(frame_at(result.frames, 0)).getpixel((30, 20)) == pytest.approx((220, 160, 30), abs=5)


def test_damage_in_the_middle_is_counted_and_the_rest_is_kept(tmp_path: Path) -> None:
    path = make_video(
        tmp_path / "hurt.mp4",
        frames=150,
        size=(320, 240),
        flash_s=3.0,
        tones=(tone(6.0),),
        codec_options={"g": "10"},
    )
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        places = [(p.pos, p.size) for p in container.demux(video=0) if p.pos is not None and p.size]
    noise = np.random.default_rng(1)
    for position, size in places[60:70]:
        data[position : position + size] = noise.bytes(size)
    path.write_bytes(data)
    result = run(path, tmp_path)
    assert result.errors > 0
    assert result.notes
    assert 120 < result.frames_decoded < 150
    assert result.frames is not None
    assert max(t for t, _ in read_frames(result.frames)) > 5.5


def test_nothing_decodable_is_an_error(tmp_path: Path) -> None:
    path = make_video(tmp_path / "noise.mkv", frames=10)
    facts = probe(path)
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        spans = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    for position, size in spans:
        data[position + 12 : position + size] = bytes(size - 12)
    path.write_bytes(data)
    with pytest.raises(MediaError) as caught:
        decode(path, facts, tmp_path / "out")
    assert caught.value.code == "undecodable"


def test_only_the_asked_part_is_read(tmp_path: Path) -> None:
    path = make_video(tmp_path / "long.mp4", frames=500, fps=25, flash_s=10.0)
    result = run(path, tmp_path, face_fps=25, frame_width_px=32)
    assert result.frames is not None
    with pq.ParquetFile(result.frames) as file:
        assert file.num_row_groups > 10  # rows are streamed out, not held until the end
    assert [t for t, _ in read_frames(result.frames, 9.9, 10.0)] == pytest.approx([9.92, 9.96])
    assert image(frame_at(result.frames, 9.97)).getpixel((30, 20))[0] < 100
    assert image(frame_at(result.frames, 9.99)).getpixel((30, 20))[0] > 200
    assert result.thumbnails is not None
    assert [t for t, _ in read_frames(result.thumbnails)] == pytest.approx(list(range(20)))


def test_the_same_recording_gives_the_same_bytes(tmp_path: Path) -> None:
    path = make_video(tmp_path / "same.mp4", flash_s=1.0, tones=(tone(2.0),))
    for name in ("one", "two"):
        decode(path, probe(path), tmp_path / name)
    for file in ("audio.wav", "frames.parquet", "thumbnails.parquet", "pts.npy"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_read_audio_reads_spans_and_refuses_other_sound(tmp_path: Path) -> None:
    path = make_sound(tmp_path / "tone.wav", tone(2.0, from_s=0.5))
    result = run(path, tmp_path)
    assert result.audio is not None
    whole = read_audio(result.audio)
    assert whole.dtype == np.float32
    assert np.array_equal(read_audio(result.audio, 0.25, 0.75), whole[4000:12000])
    assert len(read_audio(result.audio, 1.9, 99)) == 1600
    assert len(read_audio(result.audio, 5, 6)) == 0
    with pytest.raises(MediaError, match="16 kHz mono"):
        read_audio(path)


def test_a_long_stretch_of_sound_is_in_memory_once(tmp_path: Path) -> None:
    path, seconds = tmp_path / "long.wav", 600
    samples = np.random.default_rng(1).integers(-(2**15), 2**15, seconds * RATE_HZ).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
        file.writeframes(samples.tobytes())
    tracemalloc.start()
    try:
        read = read_audio(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert np.array_equal(read, samples.astype(np.float32) / np.float32(2**15))
    assert peak < 1.2 * read.nbytes


def test_sound_lasts_as_long_as_the_picture(tmp_path: Path) -> None:
    path = make_video(tmp_path / "short.mp4", frames=100, tones=(tone(1.0),))
    result = run(path, tmp_path)
    assert result.audio is not None
    with wave.open(str(result.audio)) as file:
        assert file.getnframes() == round(probe(path).duration_s * RATE_HZ) == 4 * RATE_HZ
