"""Second copies: the same clip in another encoding is found, another take or another moment is not."""

from __future__ import annotations

from collections.abc import Callable
from difflib import SequenceMatcher
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.features.loudness import loudness_curve, read_levels
from pipeline.media.decode import decode
from pipeline.media.probe import probe
from pipeline.pictures.base import picture_hash
from pipeline.pictures.choose import choose
from pipeline.pictures.difference import Difference
from pipeline.stages import duplicates
from pipeline.stages.duplicates import MAX_LENGTH_GAP_S, Look, second_copies
from pipeline.stages.keyframes import KEY_FRAMES, pictures_of
from schemas.records import Segment

RATE_HZ = 44_100


def look(name: str, **fields: object) -> Look:
    base: dict[str, object] = {
        "sample_id": name,
        "source_id": f"of {name}",
        "duration_s": 4.0,
        "words": ("well", "so"),
        "curve": tuple(range(16)) * 2,
        "pictures": (1, 2**200),
    }
    return Look(**(base | fields))  # type: ignore[arg-type]


def look_at(path: Path, folder: Path, *, end_s: float | None = None) -> Look:
    """A whole recording, or its beginning, as a sample of it would be known."""
    facts = probe(path)
    found = decode(path, facts, folder)
    end_s = facts.duration_s if end_s is None else end_s
    part = Segment(
        source_id=str(path), rule="whole", version="1", index=0, source_start_s=0.0, source_end_s=end_s
    )
    pictures = pictures_of(found.frames, part, None) if found.frames else []
    chosen = choose(pictures, Difference(), peak_s=None, most=KEY_FRAMES)
    curve = loudness_curve(read_levels(found.audio, 0.0, end_s)) if found.audio else None
    return Look(
        sample_id=str(path),
        source_id=str(path),
        duration_s=part.duration_s,
        words=(),
        curve=None if curve is None else tuple(int(digit, 16) for digit in curve),
        pictures=tuple(int(picture_hash(picture.gray), 16) for picture, _ in sorted(chosen, key=_time)),
    )


def _time(chosen: tuple[object, str]) -> float:
    return float(chosen[0].time_s)  # type: ignore[attr-defined]


def encoded_again(recording: Path, to: Path, *, width_px: int) -> Path:
    """Smaller, with a worse picture and sound."""
    with av.open(str(recording)) as given_, av.open(str(to), "w") as out:
        video = out.add_stream("libx264", rate=given_.streams.video[0].average_rate, options={"crf": "33"})
        shape = given_.streams.video[0]
        video.width, video.height = width_px, round(shape.height * width_px / shape.width / 2) * 2
        video.pix_fmt = "yuv420p"
        sound = out.add_stream("aac", rate=RATE_HZ) if given_.streams.audio else None
        resampler = av.AudioResampler(format="fltp", layout="stereo", rate=RATE_HZ)
        shown = 0
        for frame in given_.decode():
            if isinstance(frame, av.VideoFrame):
                small = frame.reformat(width_px, video.height, "yuv420p")
                small.pict_type, small.pts, small.time_base = 0, shown, 1 / video.codec_context.framerate
                shown += 1
                out.mux(video.encode(small))
            elif sound is not None:
                frame.pts = None
                for part in resampler.resample(frame):
                    out.mux(sound.encode(part))
        for stream in filter(None, (video, sound)):
            out.mux(stream.encode(None))
    return to


@pytest.mark.parametrize(
    "name", ["wh_address_b.mp4", "wh_address_d.mp4", "wh_address_noaudio.mp4", "grid_lrwp9a.mpg"]
)
def test_a_recording_in_another_encoding_is_a_copy(
    name: str, media: Callable[[str], Path], tmp_path: Path
) -> None:
    first = look_at(media(f"video/{name}"), tmp_path / "a")
    again = encoded_again(media(f"video/{name}"), tmp_path / "again.mp4", width_px=320)
    second = look_at(again, tmp_path / "b", end_s=first.duration_s)
    assert second_copies([first, second]) == {second.sample_id: first.sample_id}
    assert second_copies([second, first]) == {first.sample_id: second.sample_id}


def test_recordings_of_one_speaker_and_takes_of_one_sentence_are_no_copies(
    media: Callable[[str], Path], tmp_path: Path
) -> None:
    folders = media("video/wh_address_a.mp4").parent, media("audio/emodb_08a02Fe.wav").parent
    paths = [*folders[0].glob("wh_*.mp4"), *folders[0].glob("grid_*.mpg"), *folders[1].glob("emodb_*.wav")]
    looks = [look_at(path, tmp_path / path.stem, end_s=1.3) for path in sorted(paths)]
    assert len(looks) > 12
    assert second_copies(looks) == {}  # although all are taken to last equally long


# --- the rule, part by part -----------------------------------------------------------------------------

OTHER_CURVE = tuple(15 - n % 16 for n in range(32))
FAR, NEAR = (2**256 - 1, 2**128 - 1), (1, 2**200 + 2**10)


@pytest.mark.parametrize(
    ("fields", "is_copy"),
    [
        ({}, True),
        ({"duration_s": 4.15}, True),
        ({"duration_s": 4.3}, False),
        ({"source_id": "of a"}, False),
        ({"words": ()}, True),  # nobody knows what was said in it
        ({"words": ("well", "no")}, True),
        ({"words": ("never", "mind", "that")}, False),
        ({"curve": tuple(min(15, n + 1) for n in range(16)) * 2}, True),
        ({"curve": OTHER_CURVE}, False),
        ({"curve": None}, False),
        ({"pictures": NEAR}, True),
        ({"pictures": (1, *FAR[:1])}, True),  # half of the key frames
        ({"pictures": (1, *FAR)}, False),
        ({"pictures": FAR}, False),
        ({"pictures": ()}, False),
    ],
)
def test_what_makes_a_copy(fields: dict[str, object], is_copy: bool) -> None:
    assert bool(second_copies([look("a"), look("b", **fields)])) is is_copy
    assert bool(second_copies([look("b", **fields), look("a")])) is is_copy


@pytest.mark.parametrize(
    ("pictures", "is_copy"),
    [
        ((1, 2**200), True),
        (NEAR, True),
        ((2**200, 1), True),
        ((1,), False),
        ((1, FAR[0]), False),
        ((), False),
    ],
)
def test_without_sound_the_pictures_have_to_agree_one_by_one(
    pictures: tuple[int, ...], is_copy: bool
) -> None:
    mute = [look("a", curve=None), look("b", curve=None, pictures=pictures)]
    assert bool(second_copies(mute)) is is_copy


def test_without_pictures_the_sound_decides() -> None:
    assert second_copies([look("a", pictures=()), look("b", pictures=())]) == {"b": "a"}
    assert second_copies([look("a", pictures=(), curve=None), look("b", pictures=(), curve=None)]) == {}


@given(
    kinds=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=20),
    lengths=st.lists(st.floats(3.0, 3.6), min_size=20, max_size=20),
)
def test_what_stays_is_earlier_and_no_copy_itself(kinds: list[tuple[int, int]], lengths: list[float]) -> None:
    rng = np.random.default_rng(0)
    curves = [tuple(int(digit) for digit in rng.integers(0, 16, 32)) for _ in range(4)]
    looks = [
        look(str(n), source_id=str(source), curve=curves[kind], duration_s=lengths[n], pictures=())
        for n, (kind, source) in enumerate(kinds)
    ]
    copies = second_copies(looks)
    place = {one.sample_id: n for n, one in enumerate(looks)}
    kept = [one for one in looks if one.sample_id not in copies]
    for copy, first in copies.items():
        one, other = looks[place[copy]], looks[place[first]]
        assert place[first] < place[copy]
        assert first not in copies
        assert one.curve == other.curve
        assert one.source_id != other.source_id
        assert abs(one.duration_s - other.duration_s) <= MAX_LENGTH_GAP_S + 1e-9
    assert second_copies(kept) == {}


# --- the same as pair by pair ---------------------------------------------------------------------------


def is_copy(earlier: Look, later: Look) -> bool:
    """The rule for one pair, without a short cut."""
    one, other = sorted((earlier, later), key=lambda look: look.duration_s)
    if one.source_id == other.source_id or other.duration_s > one.duration_s + MAX_LENGTH_GAP_S:
        return False
    if one.words and other.words:
        said = SequenceMatcher(None, one.words, other.words, autojunk=False).ratio()
        if said < duplicates.MIN_COMMON_WORDS:
            return False
    if one.curve is None or other.curve is None:
        silent = one.curve is other.curve is None and len(one.pictures) == len(other.pictures) > 0
        return silent and all(map(duplicates._alike, one.pictures, other.pictures))
    gap = sum(abs(a - b) for a, b in zip(one.curve, other.curve, strict=True))
    return gap <= len(one.curve) * duplicates.MAX_CURVE_GAP and duplicates._seen_alike(one, other)


def pair_by_pair(looks: list[Look]) -> dict[str, str]:
    copies: dict[str, str] = {}
    for n, look in enumerate(looks):
        kept = (first for first in looks[:n] if first.sample_id not in copies)
        first = next((first for first in kept if is_copy(first, look)), None)
        if first is not None:
            copies[look.sample_id] = first.sample_id
    return copies


def near(rng: np.random.Generator, picture: int) -> int:
    """A picture in which about as many bits differ as may differ."""
    for bit in rng.choice(256, size=rng.integers(0, 13), replace=False):
        picture ^= 1 << int(bit)
    return picture


def some_looks(seed: int, number: int) -> list[Look]:
    """Samples that are copies of each other more often than not, or nearly so in one way or another."""
    rng = np.random.default_rng(seed)
    basic = [int.from_bytes(rng.bytes(32), "little") for _ in range(2)]
    curve = rng.integers(0, 16, 32)
    found = []
    for n in range(number):
        lively = np.clip(curve + rng.integers(-1, 2, 32) * rng.integers(0, 3), 0, 15)
        pictures = [near(rng, basic[k]) for k in rng.integers(0, 2, rng.integers(0, 4))]
        found.append(
            look(
                f"s{n}",
                source_id=f"r{rng.integers(0, 6)}",
                duration_s=float(rng.choice([4.0, 4.05, 4.2, 4.25, 4.4, 9.0])),
                words=tuple(str(word) for word in rng.choice(list("abc"), rng.integers(0, 4))),
                curve=tuple(int(digit) for digit in lively) if rng.integers(0, 3) else None,
                pictures=tuple(pictures),
            )
        )
    return found


@given(seed=st.integers(0, 2**32 - 1), number=st.integers(0, 60))
def test_what_is_dropped_is_what_a_look_at_every_pair_drops(seed: int, number: int) -> None:
    looks = some_looks(seed, number)
    assert second_copies(looks) == pair_by_pair(looks)


def test_many_copies_are_compared_with_what_is_kept_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = []
    rule = duplicates._said_and_seen_alike

    def counted(one: Look, other: Look) -> bool:
        pairs.append((one, other))
        return rule(one, other)

    monkeypatch.setattr(duplicates, "_said_and_seen_alike", counted)
    looks = [look(f"s{n}", source_id=f"r{n}", curve=None) for n in range(300)]
    assert second_copies(looks) == {f"s{n}": "s0" for n in range(1, 300)}
    assert len(pairs) == 299
    pairs.clear()
    assert second_copies([look(f"s{n}", source_id="r0", curve=None) for n in range(300)]) == {}
    assert pairs == []
