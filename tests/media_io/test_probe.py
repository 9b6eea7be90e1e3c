"""What a probe says of real recordings with known truth, of made edge cases, and of files that are broken."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from pipeline.media.probe import ONE_FRAME_S, probe, pts_table
from schemas.errors import MediaError
from schemas.parts import TRUNCATED
from tests.media_io.make import make_sound, make_video, remux_faststart, tone, with_title

Media = Callable[[str], Path]
VIDEOS = [
    "wh_address_a.mp4",
    "wh_address_b.mp4",
    "wh_address_c.mp4",
    "wh_address_d.mp4",
    "wh_address_noaudio.mp4",
    "grid_bbaf2n.mpg",
    "grid_brbk7n.mpg",
    "grid_lbax4n.mpg",
    "grid_lrwp9a.mpg",
    "grid_swiz3n.mpg",
    "pyfeat_single_face.mp4",
    "pyfeat_face_noface.mov",
    "pyfeat_no_face.mp4",
    "psd_testvideo.mp4",
]


@pytest.mark.media
@pytest.mark.parametrize("name", VIDEOS)
def test_frame_times_are_those_of_a_real_decode(media: Media, name: str) -> None:
    path = media(f"video/{name}")
    with av.open(str(path)) as container:
        decoded = [float(f.pts * f.time_base) for f in container.decode(video=0)]
    table = pts_table(path)
    assert np.allclose(table, np.array(decoded) - decoded[0], atol=1e-6)
    facts = probe(path)
    assert facts.video is not None
    assert (facts.kind, facts.video.frames) == ("video", len(decoded))
    assert facts.video.first_pts_s == facts.start_s == decoded[0]
    assert facts.duration_s > table[-1]


@pytest.mark.media
def test_known_facts_of_the_test_videos(media: Media) -> None:
    mute = probe(media("video/wh_address_noaudio.mp4"))
    assert mute.audio == ()
    assert mute.duration_s == pytest.approx(1.40, abs=0.01)
    smile = probe(media("video/pyfeat_single_face.mp4"))
    assert smile.video is not None
    assert (smile.video.frames, smile.video.variable_frame_rate) == (72, False)
    assert (smile.video.width_px, smile.video.height_px) == (640, 360)
    cartoon = probe(media("video/pyfeat_face_noface.mov"))
    assert cartoon.video is not None
    assert (cartoon.video.codec, cartoon.video.frames, cartoon.video.variable_frame_rate) == (
        "hevc",
        169,
        True,
    )
    assert cartoon.duration_s == pytest.approx(6.40, abs=0.01)
    grid = probe(media("video/grid_bbaf2n.mpg"))
    assert grid.video is not None
    assert (grid.video.codec, grid.video.frames, grid.duration_s) == ("mpeg1video", 75, 3.0)


@pytest.mark.media
@pytest.mark.parametrize(
    ("name", "duration_s", "rate_hz"),
    [
        ("jfk.flac", 11.0, 44_100),
        ("librispeech_116-288045-0001.m4a", 8.635, 16_000),
        ("ami_dev00.wav", 30.0, 16_000),
    ],
)
def test_sound_only(media: Media, name: str, duration_s: float, rate_hz: int) -> None:
    facts = probe(media(f"audio/{name}"))
    assert (facts.kind, facts.video, facts.audio[0].sample_rate_hz) == ("audio", None, rate_hz)
    assert facts.duration_s == pytest.approx(duration_s, abs=0.005)
    assert len(pts_table(media(f"audio/{name}"))) == 0


@pytest.mark.media
def test_a_still_is_a_one_frame_image(media: Media) -> None:
    facts = probe(media("images/pyfeat_single_face.jpg"))
    assert facts.video is not None
    assert (facts.kind, facts.duration_s, facts.video.frames) == ("image", ONE_FRAME_S, 1)
    assert (facts.video.width_px, facts.video.height_px) == (572, 562)


def test_a_still_whose_name_looks_like_a_pattern(tmp_path: Path) -> None:
    path = tmp_path / "shot:%03d.png"
    Image.new("RGB", (31, 17), "red").save(path)
    facts = probe(path)
    assert facts.video is not None
    assert (facts.kind, facts.video.width_px, facts.video.height_px) == ("image", 31, 17)


def test_time_zero_is_the_first_presented_frame(tmp_path: Path) -> None:
    path = make_video(tmp_path / "late.mkv", start_s=5.0, tones=(tone(2.0),))
    facts = probe(path)
    assert facts.start_s == pytest.approx(5.0, abs=0.002)
    assert facts.duration_s == pytest.approx(2.0, abs=0.05)
    assert pts_table(path)[0] == 0
    assert len(pts_table(path)) == 50


def test_frames_outside_the_edit_list_are_not_presented(tmp_path: Path) -> None:
    # Stamps from below zero: the MP4 muxer writes an edit list that starts inside the stream.
    path = make_video(tmp_path / "edited.mp4", start_s=-0.4, codec_options={"bf": "0"})
    with av.open(str(path)) as container:
        presented = sum(1 for _ in container.decode(video=0))
    facts = probe(path)
    assert facts.video is not None
    assert facts.video.frames == presented == len(pts_table(path))


def test_variable_and_constant_frame_rates(tmp_path: Path) -> None:
    uneven = [0.0, 0.04, 0.08, 0.2, 0.21, 0.5]
    facts = probe(make_video(tmp_path / "vfr.mkv", frames=6, times_s=uneven)).video
    assert facts is not None
    assert facts.variable_frame_rate
    assert facts.min_frame_interval_s == pytest.approx(0.01, abs=1e-3)
    assert facts.max_frame_interval_s == pytest.approx(0.29, abs=1e-3)
    # 30 frames per second cannot be stamped evenly in Matroska's milliseconds: still a constant rate.
    even = probe(make_video(tmp_path / "cfr.mkv", fps=30)).video
    assert even is not None
    assert not even.variable_frame_rate


def test_rotation_and_odd_size(tmp_path: Path) -> None:
    turned = probe(make_video(tmp_path / "turned.mp4", rotation_deg=90)).video
    assert turned is not None
    assert (turned.width_px, turned.height_px, turned.rotation_deg) == (160, 120, 270)
    odd = probe(make_video(tmp_path / "odd.mkv", size=(161, 121), codec="ffv1", pixel_format="yuv444p")).video
    assert odd is not None
    assert (odd.width_px, odd.height_px) == (161, 121)


def test_one_frame(tmp_path: Path) -> None:
    facts = probe(make_video(tmp_path / "one.mp4", frames=1))
    assert facts.video is not None
    assert (facts.kind, facts.video.frames, facts.video.average_fps) == ("video", 1, None)
    assert 0 < facts.duration_s <= 0.05


def test_two_sound_tracks_are_both_named(tmp_path: Path) -> None:
    facts = probe(make_video(tmp_path / "two.mp4", tones=(tone(2.0), tone(1.0))))
    assert len(facts.audio) == 2
    assert facts.audio[1].duration_s == pytest.approx(1.0, abs=0.05)
    assert any("2 audio streams" in note for note in facts.notes)


def test_cover_art_is_not_video(tmp_path: Path) -> None:
    plain = make_sound(tmp_path / "plain.mp3", tone(1.0), codec="libmp3lame").read_bytes()
    Image.new("RGB", (32, 32), "blue").save(tmp_path / "cover.jpg")
    body = b"\0image/jpeg\0\x03\0" + (tmp_path / "cover.jpg").read_bytes()
    frame = b"APIC" + struct.pack(">I", len(body)) + b"\0\0" + body
    size = bytes(len(frame) >> shift & 0x7F for shift in (21, 14, 7, 0))
    path = tmp_path / "cover.mp3"
    path.write_bytes(b"ID3\x03\0\0" + size + frame + plain)
    with av.open(str(path)) as container:
        assert len(container.streams.video) == 1  # the picture is there, as a stream
    facts = probe(path)
    assert (facts.kind, facts.video) == ("audio", None)


@pytest.mark.parametrize(("name", "codec"), [("old.wav", "pcm_s16le"), ("old.mp3", "libmp3lame")])
def test_a_title_in_latin_1_does_no_harm(tmp_path: Path, name: str, codec: str) -> None:
    path = with_title(make_sound(tmp_path / name, tone(1.0), codec=codec), "Gespräch".encode("latin-1"))
    assert probe(path).duration_s == pytest.approx(1.0, abs=0.1)


def test_hidden_frames_of_vp8_are_not_counted(tmp_path: Path) -> None:
    path = make_video(
        tmp_path / "hidden.webm",
        codec="libvpx",
        frames=60,
        flash_s=1.0,
        codec_options={"auto-alt-ref": "1", "lag-in-frames": "16"},
    )
    facts = probe(path)
    assert facts.video is not None
    assert facts.video.frames == 60


def broken(tmp_path: Path, kind: str) -> Path:
    whole = make_video(tmp_path / "whole.mp4", tones=(tone(2.0),)).read_bytes()
    path = tmp_path / f"{kind}.mp4"
    contents = {
        "empty_file": b"",
        "not_media": b"dear diary, today I renamed a text file\n" * 200,
        "truncated": whole[: len(whole) // 2],
    }
    if kind == "not_a_file":
        path.mkdir()
    elif kind in contents:
        path.write_bytes(contents[kind])
    return path


@pytest.mark.parametrize("code", ["empty_file", "not_media", "truncated", "missing_file", "not_a_file"])
def test_broken_files_have_a_code_and_one_line(tmp_path: Path, code: str) -> None:
    with pytest.raises(MediaError) as caught:
        probe(broken(tmp_path, code))
    assert caught.value.code == code
    assert "\n" not in str(caught.value)
    assert f"{code}.mp4" in str(caught.value)


def test_a_file_without_permission_is_unreadable(tmp_path: Path) -> None:
    path = make_video(tmp_path / "mine.mp4")
    path.chmod(0)
    try:
        path.open("rb").close()
    except PermissionError:
        with pytest.raises(MediaError, match="cannot be read") as caught:
            probe(path)
        assert caught.value.code == "unreadable"
    else:
        pytest.skip("this user may read every file")


@pytest.mark.parametrize("name", ["list.m3u8", "list.mp4", "notes.txt"])
def test_playlists_and_texts_are_never_opened(tmp_path: Path, name: str) -> None:
    target = make_video(tmp_path / "secret.ts")
    path = tmp_path / name
    playlist = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n"
    path.write_text(f"{playlist}{target}\n#EXT-X-ENDLIST\n" if "list" in name else "just a text\n" * 50)
    with pytest.raises(MediaError) as caught:
        probe(path)
    assert caught.value.code == "not_media"


def test_a_recording_cut_off_behind_its_index_says_so(tmp_path: Path) -> None:
    whole = make_video(
        tmp_path / "whole.mp4", frames=100, options={"movflags": "faststart"}, tones=(tone(4.0),)
    )
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    facts = probe(cut)
    assert facts.video is not None
    assert 0 < facts.video.frames < 100
    assert any(note.startswith(TRUNCATED) for note in facts.notes)


@pytest.mark.media
def test_a_real_recording_cut_off_behind_its_index_says_so(media: Media, tmp_path: Path) -> None:
    whole = remux_faststart(media("video/wh_address_d.mp4"), tmp_path / "whole.mp4")
    assert probe(whole).notes == ()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[:300_000])
    facts = probe(cut)
    assert facts.duration_s == pytest.approx(2.17, abs=0.01)
    assert facts.notes == (f"{TRUNCATED}: the container states 4.52 s, 2.17 s can be read",)
