"""Embeddings of samples, by name: what a clip is like, as a unit vector. One function and one line add one."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from schemas.records import Sample

Vector: TypeAlias = NDArray[np.float64]

DIMENSIONS = 512
NOTABLE_SD = 1.0  # from so far from the speaker's usual level on, a measure counts as raised or lowered

# name -> function from a sample to a vector of length 1, or of zeros where there is nothing to go by
EMBEDDINGS: dict[str, str] = {"words_and_cues": "agents.questions.embeddings:words_and_cues"}


def words_and_cues(sample: Sample) -> Vector:
    """Words and word pairs of the target, what was seen and heard of it, and what is raised or lowered.

    Shape (512,), each token hashed to a place and a sign, its count damped by a logarithm.

    Reference: Weinberger et al. 2009, https://doi.org/10.1145/1553374.1553516 (feature hashing).
    """
    vector = np.zeros(DIMENSIONS)
    for token, count in Counter(_tokens(sample)).items():
        digest = hashlib.blake2b(token.encode(), digest_size=8).digest()
        place, sign = int.from_bytes(digest[:4], "big") % DIMENSIONS, 1 if digest[4] & 1 else -1
        vector[place] += sign * (1 + math.log(count))
    length = float(np.linalg.norm(vector))
    return vector / length if length else vector


def _tokens(sample: Sample) -> Iterator[str]:
    words = [word for spoken in sample.own_words for word in spoken.text.casefold().split()]
    words = [stripped for word in words if (stripped := word.strip(".,;:!?\"'()[]…-–"))]
    yield from (f"word {word}" for word in words)
    yield from (f"pair {first} {second}" for first, second in pairwise(words))
    yield from (f"cue {event.cue}" for event in sample.events)
    for measure in sample.prosody:
        if measure.z is not None and abs(measure.z) >= NOTABLE_SD:
            yield f"measure {measure.name} {'up' if measure.z > 0 else 'down'}"
