"""Which face speaks: generated mouths; real talking, smiling and still faces through the real mesh worker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipeline.features.active_speaker import (
    MIN_STEPS,
    MOUTH_OPEN,
    SURE,
    motion,
    voices_of_faces,
    with_speaking,
)
from pipeline.features.au_mediapipe import MediapipeAus
from pipeline.features.base import Clip
from pipeline.media.decode import decode, read_audio
from pipeline.media.probe import probe
from pipeline.media.vad import VadParams, speech_regions
from schemas.ids import file_digest
from schemas.parts import FaceTrack, Series, Span
from schemas.records import Features, Segment, Source

Media = Callable[[str], Path]
STEP_S = 0.2
TALKS, RESTS = (0.02, 0.1, 0.16, 0.05, 0.12), (0.01, 0.012, 0.011)
SPEECHES = tuple(f"video/wh_address_{name}.mp4" for name in "abcd")
GRID = tuple(f"video/grid_{name}.mpg" for name in ("bbaf2n", "brbk7n", "lbax4n", "lrwp9a", "swiz3n"))
SMILE, NO_SOUND = "video/pyfeat_single_face.mp4", "video/wh_address_noaudio.mp4"


def mouth(values: Sequence[float | None], track: str = "f1", step_s: float = STEP_S) -> Series:
    times = tuple(round(n * step_s, 3) for n in range(len(values)))
    return Series(name=MOUTH_OPEN, unit="eye distances", times_s=times, values=tuple(values), track=track)


def over(length_s: float, shape: Sequence[float], start_s: float = 0.0) -> list[float]:
    """A mouth that goes through the shape again and again."""
    return [shape[n % len(shape)] for n in range(round(length_s / STEP_S))]


def face(name: str = "f1") -> FaceTrack:
    return FaceTrack(name=name, start_s=0, end_s=9, frames=9, box=(0.1, 0.1, 0.3, 0.3))


def span(start_s: float, end_s: float) -> Span:
    return Span(start_s=start_s, end_s=end_s)


def speaks(values: Sequence[float | None], *speech: Span) -> bool | None:
    (track,) = with_speaking([face()], [mouth(values)], speech)
    assert (track.speaking is None) == (track.speaking_confidence is None)
    assert track.speaking_confidence is None or SURE <= track.speaking_confidence <= 1
    return track.speaking


def test_a_mouth_that_moves_with_the_voice_speaks_and_one_that_rests_does_not() -> None:
    assert speaks(over(3, TALKS), span(0, 3)) is True
    assert speaks(over(3, RESTS), span(0, 3)) is False
    assert speaks([*over(2, TALKS), *over(2, RESTS)], span(0, 2)) is True
    assert speaks([*over(2, RESTS), *over(2, TALKS)], span(0, 2)) is False


def test_one_movement_is_a_smile() -> None:
    assert speaks([0.01] * 8 + [0.15] * 8, span(0, 3.2)) is False


def test_what_cannot_be_known_is_left_open() -> None:
    assert speaks(over(3, TALKS)) is None  # nobody is heard
    assert speaks(over(0.8, TALKS), span(0, 0.8)) is None  # too short
    assert speaks([None] * 15, span(0, 3)) is None  # the face is turned away
    assert speaks(over(6, TALKS), span(0, 3)) is None  # the mouth goes on when the voice has stopped
    (track,) = with_speaking([face("f9")], [mouth(over(3, TALKS))], [span(0, 3)])
    assert track.speaking is None  # of this face no mouth was measured


def test_a_mouth_that_was_seen_too_seldom_or_more_often_is_read_alike() -> None:
    slow = mouth(over(6, TALKS), step_s=0.8)
    assert motion(slow, [span(0, 60)]).steps == 0
    talking = [0.02 + 0.1 * abs(np.sin(np.pi * 2.6 * n / 25)) for n in range(75)]
    (track,) = with_speaking([face()], [mouth(talking, step_s=0.04)], [span(0, 3)])
    assert track.speaking is True


def test_of_two_voices_each_belongs_to_the_mouth_that_moves_with_it() -> None:
    tracks = [face("f1"), face("f2")]
    series = [
        mouth([*over(3, TALKS), *over(3, RESTS)], "f1"),
        mouth([*over(3, RESTS), *over(3, TALKS)], "f2"),
    ]
    pairs = voices_of_faces(tracks, series, {"A": [span(0, 2.9)], "B": [span(3.1, 6)]})
    assert set(pairs) == {"f1/A", "f2/B"}
    chewing = [mouth(over(6, TALKS), "f1")]
    assert voices_of_faces(tracks, chewing, {"A": [span(0, 2.9)], "B": [span(3.1, 6)]}) == {}
    assert voices_of_faces(tracks, series, {"A": []}) == {}


@given(st.lists(st.one_of(st.none(), st.floats(0, 0.5)), max_size=40), st.integers(0, 30), st.integers(0, 30))
def test_counts_and_probabilities_stay_in_their_bounds(
    values: list[float | None], start: int, length: int
) -> None:
    found = motion(mouth(values), [span(start / 5, (start + length) / 5)])
    assert 0 <= found.moved <= found.steps <= max(0, len(values) - 1)
    sure = found.probability
    assert (sure is None) == (found.steps < MIN_STEPS)
    assert sure is None or 0 < sure < 1 + 1e-9


# --- real faces --------------------------------------------------------------------------------------


def taken(path: Path, folder: Path) -> tuple[Clip, tuple[Span, ...]]:
    """A whole recording as the mesh worker is given it, and when a voice is heard in it."""
    facts = probe(path)
    source = Source(sha256=file_digest(path), size_bytes=path.stat().st_size, media=facts)
    part = Segment(
        source_id=source.id, rule="whole", version="1", index=0, source_start_s=0,
        source_end_s=facts.duration_s,
    )  # fmt: skip
    decoded = decode(path, facts, folder / path.name)
    heard = speech_regions(read_audio(decoded.audio), VadParams()) if decoded.audio else ()
    return Clip(source, part, path, None, decoded.frames), tuple(heard)


def side_by_side(left: Clip, right: Clip, out: Path) -> Clip:
    """Both pictures in one frame, on the clock of the left; the shorter one stands still at its end."""
    rows = [pq.read_table(clip.frames).to_pylist() for clip in (left, right)]
    frames = []
    for n, row in enumerate(rows[0]):
        pair = [row["jpeg"], rows[1][min(n, len(rows[1]) - 1)]["jpeg"]]
        frames.append((row["time_s"], _joined(pair)))
    table = {
        "time_s": [time for time, _ in frames],
        "jpeg": pa.array([jpeg for _, jpeg in frames], pa.binary()),
    }
    pq.write_table(pa.table(table), out)
    return Clip(left.source, left.segment, left.path, None, out)


def _joined(jpegs: Sequence[bytes]) -> bytes:
    from io import BytesIO

    pictures = [Image.open(BytesIO(jpeg)).convert("RGB").resize((320, 240)) for jpeg in jpegs]
    whole = Image.new("RGB", (640, 240))
    for n, picture in enumerate(pictures):
        whole.paste(picture, (320 * n, 0))
    out = BytesIO()
    whole.save(out, "JPEG", quality=92)
    return out.getvalue()


@pytest.mark.worker
@pytest.mark.media
def test_real_faces_speak_smile_and_rest(media: Media, tmp_path: Path) -> None:
    names = (*SPEECHES, *GRID, SMILE, NO_SOUND)
    clips = {name: taken(media(name), tmp_path) for name in names}
    talking, heard = clips[SPEECHES[1]]
    both = side_by_side(talking, clips[SMILE][0], tmp_path / "both.parquet")
    asked = [clip for clip, _ in clips.values()]
    found = {id(clip): result for clip, result in MediapipeAus().extract([*asked, both])}

    def tracks(clip: Clip, speech: Sequence[Span]) -> tuple[FaceTrack, ...]:
        features = found[id(clip)]
        assert isinstance(features, Features)
        return with_speaking(features.tracks, features.series, speech)

    said = {name: [t.speaking for t in tracks(clip, speech)] for name, (clip, speech) in clips.items()}
    assert said == {name: [None if name in (SMILE, NO_SOUND) else True] for name in names}
    # The same smile under another's voice is not speech.
    smiling, _ = clips[SMILE]
    assert [t.speaking for t in tracks(smiling, [span(0, 2.3)])] == [False]
    left, right = sorted(tracks(both, heard), key=lambda track: track.box[0])
    assert (left.speaking, right.speaking) == (True, False)
