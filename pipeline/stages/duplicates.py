"""Which samples are second copies of others, by what is heard, seen and said in them. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from typing import Literal

import numpy as np
import numpy.typing as npt

from schemas.records import Sample

MAX_LENGTH_GAP_S = 0.2
CURVE_DIGITS = 32
MAX_CURVE_GAP = 1.0  # mean distance of the digits of two loudness curves
MAX_HASH_BITS = 10  # of 256 in which two pictures that look alike differ at most
WORD_BITS, WORDS = 64, 4  # how a picture's hash is kept in arrays
MIN_COMMON_WORDS = 0.5
SHELF_S = 0.25  # more than MAX_LENGTH_GAP_S: what lasts equally long stands on neighbouring shelves
SKETCH_SIZE = 8
FIRST_ROOM = 64
WORD = re.compile(r"\w+")

Places = npt.NDArray[np.int64]  # of samples, in the order in which they are gone through
Shorts = npt.NDArray[np.int16]


@dataclass(frozen=True)
class Look:
    """What a sample is known by. `pictures`: hashes of its key frames in order of time."""

    sample_id: str
    source_id: str
    duration_s: float
    words: tuple[str, ...]
    curve: tuple[int, ...] | None
    pictures: tuple[int, ...]


def look_of(sample: Sample, source_id: str) -> Look:
    frames = sorted(sample.key_frames, key=lambda frame: frame.time_s)
    text = " ".join(word.text for word in sample.words).lower()
    return Look(
        sample_id=sample.id,
        source_id=source_id,
        duration_s=sample.duration_s,
        words=tuple(WORD.findall(text)),
        curve=None if sample.loudness_curve is None else tuple(int(c, 16) for c in sample.loudness_curve),
        pictures=tuple(int(frame.picture_hash, 16) for frame in frames if frame.picture_hash),
    )


def second_copies(looks: Sequence[Look]) -> dict[str, str]:
    """Sample -> the earlier one of `looks` that it is a copy of; that one is no copy itself.

    Two samples of different recordings are copies of each other when they last equally long (0.2 s), at least
    half of the words agree (where both have words), the loudness curves agree (one step of 15 in the mean), and
    the pictures look alike. With a sound that agrees, half of the key frames of each have to be found in the
    other, because another encoding may get other key frames. Where neither has a sound with a shape, the pictures
    are all there is: they have to agree one by one. Stretches of one recording are never copies of each other.
    """
    table = _Table(looks)
    copies: dict[str, str] = {}
    for place, look in enumerate(looks):
        like = (first for first in table.like(place) if _said_and_seen_alike(looks[first], look))
        first = next(like, None)
        if first is None:
            table.keep(place)
        else:
            copies[look.sample_id] = looks[first].sample_id
    return copies


Kind = Literal["sound", "sound and pictures", "pictures", "nothing"]
MOST: dict[Kind, float] = {
    "sound": MAX_CURVE_GAP * CURVE_DIGITS,
    "sound and pictures": MAX_CURVE_GAP * CURVE_DIGITS,
    "pictures": MAX_HASH_BITS,
}


def _kind(look: Look) -> Kind:
    """What a sample is compared by. Samples of two kinds are never copies of each other."""
    if look.curve is not None:
        return "sound and pictures" if look.pictures else "sound"
    return "pictures" if look.pictures else "nothing"


class _Table:
    """All samples as rows of arrays, and which of them are kept: so that one is compared with many at once.

    A sample is compared with those that are kept alone, and of those that are the same in all but their name,
    in one recording, with the first. However many copies there are, they cost no more than other samples.
    """

    def __init__(self, looks: Sequence[Look]) -> None:
        self._looks = looks
        self._kinds = [_kind(look) for look in looks]
        number = {source: n for n, source in enumerate(dict.fromkeys(look.source_id for look in looks))}
        self._sources = np.array([number[look.source_id] for look in looks], dtype=np.int64)
        self._lengths_s = np.array([look.duration_s for look in looks], dtype=np.float64)
        curves = [look.curve or (0,) * CURVE_DIGITS for look in looks]
        self._curves = np.array(curves, dtype=np.int16).reshape(-1, CURVE_DIGITS)
        self._pictures = _picture_rows(looks)
        self._sketches = self._sketch()
        self._shelves: dict[tuple[Kind, int], _Shelf] = {}
        self._kept: set[Look] = set()

    def _sketch(self) -> Shorts:
        """Eight numbers a sample, which differ, added up, by no more than the digits or bits that they count."""
        digits: Shorts = self._curves.reshape(-1, SKETCH_SIZE, CURVE_DIGITS // SKETCH_SIZE).sum(
            axis=2, dtype=np.int16
        )
        bits = np.bitwise_count(self._pictures[:, 0].view(np.uint32)).astype(np.int16)
        silent = np.array([kind == "pictures" for kind in self._kinds], dtype=bool)
        return np.where(silent[:, None], bits, digits)

    def keep(self, place: int) -> None:
        """Let later samples be compared with this one."""
        look, kind = self._looks[place], self._kinds[place]
        same = replace(look, sample_id="")
        if kind == "nothing" or same in self._kept:
            return
        self._kept.add(same)
        shelf = self._shelves.setdefault((kind, _shelf_of(look)), _Shelf())
        shelf.put(place, self._sketches[place])

    def like(self, place: int) -> list[int]:
        """The kept ones that a sample may be a copy of, the earliest first. Words are not looked at."""
        kind, on = self._kinds[place], _shelf_of(self._looks[place])
        shelves = [self._shelves[kind, n] for n in (on - 1, on, on + 1) if (kind, n) in self._shelves]
        found = [shelf.near(self._sketches[place], MOST[kind]) for shelf in shelves]
        if not any(map(len, found)):
            return []
        near = np.sort(np.concatenate(found))
        near = near[self._sources[near] != self._sources[place]]
        one, others = self._lengths_s[place], self._lengths_s[near]
        near = near[np.maximum(one, others) <= np.minimum(one, others) + MAX_LENGTH_GAP_S]
        if kind != "sound":
            near = near[self._share_a_picture(place, near)]
        if kind != "pictures":
            gaps = np.abs(self._curves[near] - self._curves[place]).sum(axis=1, dtype=np.int16)
            near = near[gaps <= MOST[kind]]
        return list(map(int, near))

    def _share_a_picture(self, place: int, near: Places) -> npt.NDArray[np.bool_]:
        """Which of them have a picture that looks like one of a sample's."""
        found = np.zeros(len(near), dtype=bool)
        theirs = self._pictures[near]
        for mine in self._pictures[place]:
            bits = np.bitwise_count(theirs ^ mine).sum(axis=2, dtype=np.int16)
            found |= (bits <= MAX_HASH_BITS).any(axis=1)
        return found


class _Shelf:
    """Sketches of kept samples that last about equally long; room is made by doubling."""

    def __init__(self) -> None:
        self._count = 0
        self._places = np.empty(FIRST_ROOM, dtype=np.int64)
        self._sketches = np.empty((SKETCH_SIZE, FIRST_ROOM), dtype=np.int16)

    def put(self, place: int, sketch: Shorts) -> None:
        if self._count == len(self._places):
            self._places = np.concatenate([self._places, np.empty_like(self._places)])
            self._sketches = np.concatenate([self._sketches, np.empty_like(self._sketches)], axis=1)
        self._places[self._count] = place
        self._sketches[:, self._count] = sketch
        self._count += 1

    def near(self, sketch: Shorts, most: float) -> Places:
        """Those whose sketches differ by no more than `most`."""
        gaps = np.abs(self._sketches[:, : self._count] - sketch[:, None]).sum(axis=0, dtype=np.int16)
        found: Places = self._places[: self._count][gaps <= most]
        return found


def _shelf_of(look: Look) -> int:
    return int(look.duration_s / SHELF_S)


def _picture_rows(looks: Sequence[Look]) -> npt.NDArray[np.uint64]:
    """Hashes, shape (samples, pictures, 4). Where there are fewer pictures the first one stands again."""
    most = max((len(look.pictures) for look in looks), default=0) or 1
    rows = np.zeros((len(looks), most, WORDS), dtype=np.uint64)
    for row, look in zip(rows, looks, strict=True):
        for n in range(most):
            picture = look.pictures[n if n < len(look.pictures) else 0] if look.pictures else 0
            row[n] = np.frombuffer(picture.to_bytes(WORDS * WORD_BITS // 8, "little"), dtype=np.uint64)
    return rows


def _said_and_seen_alike(earlier: Look, later: Look) -> bool:
    # The shorter one comes first: how many words agree may depend on which is compared with which.
    one, other = (later, earlier) if later.duration_s < earlier.duration_s else (earlier, later)
    seen = _one_by_one if one.curve is None else _seen_alike
    return seen(one, other) and _said_alike(one, other)


def _said_alike(one: Look, other: Look) -> bool:
    if not (one.words and other.words) or one.words == other.words:
        return True
    there = set(other.words)
    if 2 * sum(word in there for word in one.words) < MIN_COMMON_WORDS * (len(one.words) + len(other.words)):
        return False  # what stands in both, in any order, is more than what agrees
    return SequenceMatcher(None, one.words, other.words, autojunk=False).ratio() >= MIN_COMMON_WORDS


def _seen_alike(one: Look, other: Look) -> bool:
    if not one.pictures or not other.pictures:
        return not one.pictures and not other.pictures
    return _half_found(one, other) and _half_found(other, one)


def _half_found(one: Look, other: Look) -> bool:
    found = sum(any(_alike(mine, theirs) for theirs in other.pictures) for mine in one.pictures)
    return 2 * found >= len(one.pictures)


def _one_by_one(one: Look, other: Look) -> bool:
    same_number = len(one.pictures) == len(other.pictures)
    return same_number and all(map(_alike, one.pictures, other.pictures))


def _alike(one: int, other: int) -> bool:
    return (one ^ other).bit_count() <= MAX_HASH_BITS
