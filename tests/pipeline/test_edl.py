"""An edit decision list gives stretches: by clip name or reel, at the recording's own frame rate."""

from __future__ import annotations

import contextlib
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.importers.edl import _Event, _seconds, read_edl
from pipeline.ingest import ingest
from pipeline.run import local_engine, run
from schemas.errors import UserError
from schemas.records import Segment
from tests.media_io.make import make_sound, make_video, tone
from tests.pipeline.records import Quiet, project_in

LIST = """\
TITLE: first cut
FCM: NON-DROP FRAME

001  AX       V     C        00:00:01:00 00:00:02:12 00:00:00:00 00:00:01:12
* FROM CLIP NAME: talk.mp4
001  AX       A     C        00:00:01:00 00:00:02:12 00:00:00:00 00:00:01:12
* FROM CLIP NAME: talk.mp4
002  BL       V     C        00:00:00:00 00:00:01:00 00:00:01:12 00:00:02:12
003  other    AA/V  C        00:00:00:05 00:00:00:20 00:00:02:12 00:00:03:02
M2   other    012.5          00:00:00:05
004  AX       V     C        00:00:02:00 00:00:02:00 00:00:03:02 00:00:03:02
004  AX       V     D    025 00:00:00:00 00:00:01:00 00:00:03:02 00:00:04:02
* FROM CLIP NAME: other.mp4
* TO CLIP NAME: talk.mp4
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_video(tmp_path / "talk.mp4", frames=75)
    make_video(tmp_path / "other.mp4", frames=40)
    (tmp_path / "talk.srt").touch()
    return tmp_path


def write(folder: Path, text: str) -> Path:
    path = folder / "cut.edl"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_event_is_a_stretch_of_its_recording(folder: Path) -> None:
    rows = list(read_edl(write(folder, LIST)))
    told = [(row.path and row.path.name, row.start_s, row.end_s, row.line) for row in rows]
    assert told == [("talk.mp4", 1.0, 2.48, 4), ("other.mp4", 0.2, 0.8, 9), ("talk.mp4", 0.0, 1.0, 12)]


def test_it_is_ingested_and_cut_like_a_manifest(folder: Path) -> None:
    settings = "[segment]\nrule = 'given'\n[features.au]\nenabled = false\n[features.asr]\nenabled = false\n"
    with project_in(folder / "project", settings) as project:
        ingest(project, [str(write(folder, LIST))])
        assert run(project, local_engine(), progress=Quiet()).failed_items == []
        spans = sorted((s.source_start_s, s.source_end_s) for s in project.store.live(Segment))
    assert spans == [(0.0, 1.0), (0.2, 0.8), (1.0, 2.48)]


def event(start: str, end: str, clip: str = "talk.mp4") -> str:
    return f"001  AX       V     C        {start} {end} 00:00:00:00 00:00:01:00\n* FROM CLIP NAME: {clip}\n"


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        (event("00:00:02:00", "00:00:01:00"), 1, "ends before it begins"),
        (event("00:00:01:25", "00:00:02:00"), 1, "00:00:01:25 is no timecode at 25 frames"),
        (event("00:00:01:00", "00:61:02:00"), 1, "no timecode"),
        (event("00:00:01:00", "00:00:02:00", "gone.mp4"), 1, "no recording gone.mp4"),
        (event("00:00:01:00", "00:00:02:00", "sound.wav"), 1, "sound.wav has no frame rate"),
        ("TITLE: x\n001  AX       V     C        1.0 2.0\n", 2, "is no event"),
    ],
)
def test_mistakes_are_told_with_their_line(folder: Path, text: str, line: int, part: str) -> None:
    make_sound(folder / "sound.wav", tone(2.0))
    path = write(folder, text)
    with pytest.raises(UserError) as caught:
        list(read_edl(path))
    assert (caught.value.code, caught.value.file, caught.value.line) == ("bad_manifest", str(path), line)
    assert part in caught.value.message
    assert caught.value.remedy


def test_a_reel_that_two_recordings_have_is_told(folder: Path) -> None:
    make_sound(folder / "other.wav", tone(2.0))
    with pytest.raises(UserError, match=r"other\.mp4, other\.wav"):
        list(read_edl(write(folder, LIST)))


def test_a_recording_that_begins_at_one_hour_is_counted_from_there(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "tape.mov"), "w") as out:
        video = out.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        video.metadata["timecode"] = "01:00:00:00"
        for n in range(75):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), n, np.uint8), format="rgb24")
            frame.pts = n
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
    (row,) = read_edl(write(tmp_path, event("01:00:01:00", "01:00:02:00", "tape.mov")))
    assert (row.start_s, row.end_s) == (1.0, 2.0)
    with pytest.raises(UserError, match="whose timecode begins later"):
        list(read_edl(write(tmp_path, event("00:00:01:00", "00:00:02:00", "tape.mov"))))


def film(path: Path, frames: int, rate: Fraction) -> Path:
    """A film of any constant rate."""
    with av.open(str(path), "w") as out:
        video = out.add_stream("mpeg4", rate=rate)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        for n in range(frames):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), n, np.uint8), format="rgb24")
            frame.pts = n
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
    return path


def times(folder: Path, text: str) -> list[tuple[float | None, float | None]]:
    return [(row.start_s, row.end_s) for row in read_edl(write(folder, text))]


def test_a_phone_that_leaves_frames_out_is_counted_by_its_nominal_rate(tmp_path: Path) -> None:
    shown = [n / 30 for n in range(30 * 70) if n % 50]
    make_video(tmp_path / "phone.mp4", frames=len(shown), fps=30, times_s=shown, size=(64, 48))
    assert times(tmp_path, event("00:01:00:00", "00:01:02:15", "phone.mp4")) == [(60.0, 62.5)]


RATE = Fraction(30_000, 1001)
FIRST, SECOND = float(17982 / RATE), float(18012 / RATE)
PLAIN, LATER = float(18000 / RATE), float(18030 / RATE)


@pytest.mark.parametrize(
    ("head", "start", "end", "expected"),
    [
        ("", "00:10:00;00", "00:10:01;00", (FIRST, SECOND)),
        ("", "00;10;00;00", "00;10;01;00", (FIRST, SECOND)),
        ("FCM: DROP FRAME", "00:10:00:00", "00:10:01:00", (FIRST, SECOND)),
        ("fcm:drop frame", "00:10:00:00", "00:10:01:00", (FIRST, SECOND)),
        ("", "00:10:00:00", "00:10:01:00", (PLAIN, LATER)),
        ("FCM: NON-DROP FRAME", "00:10:00:00", "00:10:01:00", (PLAIN, LATER)),
        ("FCM: DROP FRAME\nFCM: NON DROP FRAME", "00:10:00:00", "00:10:01:00", (PLAIN, LATER)),
        ("FCM: NON-DROP FRAME", "00:10:00;00", "00:10:01;00", (FIRST, SECOND)),
    ],
)
def test_lists_say_in_several_ways_that_numbers_are_left_out(
    head: str, start: str, end: str, expected: tuple[float, float], tmp_path: Path
) -> None:
    film(tmp_path / "ntsc.mp4", 30, RATE)
    (found,) = times(tmp_path, f"TITLE: x\n{head}\n{event(start, end, 'ntsc.mp4')}")
    assert found == pytest.approx(expected, abs=0.001)


def test_a_source_without_left_out_numbers_may_stand_in_a_cut_that_leaves_some_out(tmp_path: Path) -> None:
    film(tmp_path / "ntsc.mp4", 30, RATE)
    line = event("00:10:00:00", "00:10:01:00", "ntsc.mp4").replace("00:00:00:00", "01;00;00;00")
    (found,) = times(tmp_path, f"FCM: DROP FRAME\n{line.replace('00:00:01:00', '01;00;01;00')}")
    assert found == pytest.approx((PLAIN, LATER), abs=0.001)


def test_a_playlist_is_no_recording(tmp_path: Path) -> None:
    """A list of other files is not followed, here as everywhere."""
    make_video(tmp_path / "real.ts", frames=50)
    (tmp_path / "all.m3u8").write_text(
        "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:2,\nreal.ts\n#EXT-X-ENDLIST\n"
    )
    with pytest.raises(UserError, match=r"cut\.edl:1: all\.m3u8 has no frame rate"):
        list(read_edl(write(tmp_path, event("00:00:00:05", "00:00:01:00", "all.m3u8"))))


def test_a_recording_with_a_tag_in_latin_1_is_read_or_refused_in_one_line(tmp_path: Path) -> None:
    path = make_video(tmp_path / "tagged.avi", frames=50, codec="mpeg4")
    data = bytearray(path.read_bytes())
    at = data.find(b"ISFT")  # the name of the program becomes a title in Latin-1
    data[at : at + 4], data[at + 8 : at + 14] = b"INAM", b"M\xfcller"
    path.write_bytes(data)
    with contextlib.suppress(UserError):  # one line, where a recording with such tags is refused
        assert times(tmp_path, event("00:00:00:05", "00:00:01:00", "tagged.avi")) == [(0.2, 1.0)]


EVENT = _Event(1, "AX", True, (), ())


def code(minutes: int, seconds: int, frame: int, sign: str) -> tuple[str, ...]:
    hours, minutes = divmod(minutes, 60)
    return (f"{hours:02d}", f"{minutes:02d}", f"{seconds:02d}", sign, f"{frame:02d}")


def test_drop_frames_follow_the_clock() -> None:
    def seconds(*at: int) -> float:
        return _seconds(Path("x"), EVENT, code(*at, ";"), RATE)

    assert seconds(0, 59, 29) == pytest.approx(1799 / RATE)
    assert seconds(1, 0, 2) == pytest.approx(1800 / RATE)  # numbers 0 and 1 are left out
    assert seconds(10, 0, 0) == pytest.approx(17982 / RATE)
    assert seconds(60, 0, 0) == pytest.approx(3600, abs=0.004)


@given(st.integers(0, 1439), st.integers(0, 59), st.integers(2, 29))
def test_drop_frame_stays_within_a_frame_or_three_of_the_clock(
    minutes: int, seconds: int, frame: int
) -> None:
    found = _seconds(Path("x"), EVENT, code(minutes, seconds, frame, ";"), RATE)
    assert found == pytest.approx(minutes * 60 + seconds + frame / RATE, abs=0.2)
    assert _seconds(Path("x"), EVENT, code(minutes, seconds, frame, ":"), RATE) >= found
