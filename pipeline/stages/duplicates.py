"""Which samples are second copies of others, by what is heard, seen and said in them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

import numpy as np
import numpy.typing as npt

from schemas.records import Sample

MAX_LENGTH_GAP_S = 0.2
CURVE_DIGITS = 32
MAX_CURVE_GAP = 1.0  # mean distance of the digits of two loudness curves
MAX_HASH_BITS = 10  # of 256 in which two pictures that look alike differ at most
QUARTER = 2**64 - 1
MIN_COMMON_WORDS = 0.5
WORD = re.compile(r"\w+")


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
    place = {look.sample_id: n for n, look in enumerate(looks)}
    like: dict[int, list[int]] = {}
    heard = [look for look in looks if look.curve is not None]
    silent = [look for look in looks if look.curve is None and look.pictures]
    for one, other in (*_sounding_alike(heard), *_looking_alike(silent)):
        first, second = sorted((place[one.sample_id], place[other.sample_id]))
        like.setdefault(second, []).append(first)
    copies: dict[int, int] = {}
    for second in sorted(like):
        kept = [first for first in like[second] if first not in copies]
        if kept:
            copies[second] = min(kept)
    return {looks[second].sample_id: looks[first].sample_id for second, first in copies.items()}


def _sounding_alike(looks: Sequence[Look]) -> Iterator[tuple[Look, Look]]:
    ordered = sorted(looks, key=lambda look: look.duration_s)
    curves = np.array([look.curve for look in ordered], dtype=np.int16).reshape(-1, CURVE_DIGITS)
    most = MAX_CURVE_GAP * CURVE_DIGITS
    # Sums of four digits differ by no more than the digits do: they leave few pairs to look at closely.
    coarse = np.ascontiguousarray(curves.reshape(-1, CURVE_DIGITS // 4, 4).sum(axis=2, dtype=np.int16).T)
    for n, end in _windows(ordered):
        near = (
            n + 1 + np.flatnonzero(np.abs(coarse[:, n + 1 : end] - coarse[:, n : n + 1]).sum(axis=0) <= most)
        )
        for other in near[np.abs(curves[near] - curves[n]).sum(axis=1) <= most]:
            pair = ordered[n], ordered[int(other)]
            if _other_recordings(*pair) and _said_alike(*pair) and _seen_alike(*pair):
                yield pair


def _looking_alike(looks: Sequence[Look]) -> Iterator[tuple[Look, Look]]:
    ordered = sorted(looks, key=lambda look: look.duration_s)
    # A quarter of the bits of the first picture leaves few pairs to look at closely.
    first = np.array([look.pictures[0] & QUARTER for look in ordered], dtype=np.uint64)
    for n, end in _windows(ordered):
        near = np.flatnonzero(np.bitwise_count(first[n + 1 : end] ^ first[n]) <= MAX_HASH_BITS)
        for other in near:
            pair = ordered[n], ordered[n + 1 + int(other)]
            if _other_recordings(*pair) and _said_alike(*pair) and _one_by_one(*pair):
                yield pair


def _windows(ordered: Sequence[Look]) -> Iterator[tuple[int, int]]:
    """Each with the end of those after it that are hardly longer; those with nobody are left out."""
    lengths: npt.NDArray[np.float64] = np.array([look.duration_s for look in ordered], dtype=np.float64)
    ends = np.searchsorted(lengths, lengths + MAX_LENGTH_GAP_S, side="right")
    return ((n, int(end)) for n, end in enumerate(ends) if end > n + 1)


def _other_recordings(one: Look, other: Look) -> bool:
    return one.source_id != other.source_id


def _said_alike(one: Look, other: Look) -> bool:
    if not (one.words and other.words) or one.words == other.words:
        return True
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
