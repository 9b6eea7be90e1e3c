"""Few-shot examples: clips that people verified, chosen for a question by relevance and diversity. Pure.

An example shows what a clip was like, why people found what they found, and the label, in this order.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.questions.embeddings import EMBEDDINGS, Vector
from schemas.ids import content_digest
from schemas.parts import Step
from schemas.records import Sample
from schemas.registry import resolve

POOL_PER_EXAMPLE = 8  # diversity is sought among so many of the most relevant ones for each that is wanted
VOLUME_LEFT = 1e-9
DIGITS = (
    9  # two machines add in another order: the choice, and so the question, must not hang on the last bits
)
MODALITIES_SHOWN = ("text", "audio", "visual")


class Example(NamedTuple):
    """A verified clip. `label` is what people decided; `rationale` the reasons that go with it.

    `ties` name its source, its speakers and its group: what shares one of them is too near.
    """

    sample: Sample
    ties: frozenset[str]
    label: str
    rationale: tuple[Step, ...]

    @property
    def modalities(self) -> frozenset[str]:
        return frozenset(MODALITIES_SHOWN) - set(self.sample.missing)


Choose = Callable[[Sample], tuple[Example, ...]]  # the examples that are shown with a sample


class Bank:
    """The examples that there are to choose from, in the order of their samples' ids; never changed.

    `version` counts how often the project froze one; `embedding` names what relevance is measured by.
    """

    def __init__(self, examples: Sequence[Example], *, version: int, embedding: str) -> None:
        self.examples = tuple(sorted(examples, key=lambda example: example.sample.id))
        self.version, self.embedding = version, embedding
        self._embed: Callable[[Sample], Vector] = resolve(EMBEDDINGS, embedding, what="embedding")

    def __len__(self) -> int:
        return len(self.examples)

    @cached_property
    def digest(self) -> str:
        return content_digest([self.version, self.embedding, [(e.sample.id, e.label) for e in self.examples]])

    @cached_property
    def _vectors(self) -> NDArray[np.float64]:
        return np.stack([self._embed(example.sample) for example in self.examples])

    @cached_property
    def _tie_places(self) -> Mapping[str, list[int]]:
        found: dict[str, list[int]] = {}
        for place, example in enumerate(self.examples):
            for tie in example.ties:
                found.setdefault(tie, []).append(place)
        return found

    def choose(
        self, sample: Sample, ties: Collection[str], count: int, diversity: str
    ) -> tuple[Example, ...]:
        """At most `count` examples for a question about `sample`, the most relevant one last.

        `ties` are the sample's own: no example shares source, speaker or group with it. `diversity` is a name in
        `DIVERSITIES`. The same bank and sample give the same choice; equally good ones go by their samples' ids.
        """
        if not self.examples or count < 1:
            return ()
        apart = np.ones(len(self.examples), dtype=bool)
        for tie in ties:
            apart[self._tie_places.get(tie, [])] = False
        relevance = np.round(self._vectors @ self._embed(sample), DIGITS)
        pool = _most_relevant(relevance, np.flatnonzero(apart), POOL_PER_EXAMPLE * count)
        alike = self._alike(pool)
        diverse: Diversity = resolve(DIVERSITIES, diversity, what="diversity")
        chosen = diverse(relevance[pool], alike, min(count, len(pool)))
        return tuple(self.examples[pool[place]] for place in sorted(chosen, reverse=True))

    def _alike(self, pool: Sequence[int]) -> NDArray[np.float64]:
        """How alike two examples are, in [0, 1]: mean of their likeness, same emotion, and shared modalities.

        Each of the three is a positive semi-definite kernel, so their mean is one.
        """
        vectors = self._vectors[list(pool)]
        examples = [self.examples[place] for place in pool]
        same = [[float(a.label == b.label) for b in examples] for a in examples]
        shared = [[_jaccard(a.modalities, b.modalities) for b in examples] for a in examples]
        likeness = np.round(vectors @ vectors.T + 1, DIGITS) / 2
        mean: NDArray[np.float64] = (likeness + np.array(same) + np.array(shared)) / 3
        return mean


def _most_relevant(relevance: NDArray[np.float64], places: NDArray[np.intp], most: int) -> list[int]:
    """At most so many of `places`, in order, the most relevant first; equally relevant ones by their place."""
    if len(places) > most:  # to find the least that gets in takes less than to sort all
        least = np.partition(relevance[places], -most)[-most]
        places = places[relevance[places] >= least]
    order = np.argsort(-relevance[places], kind="stable")
    return [int(place) for place in places[order[:most]]]


# (relevance of each of n in [-1, 1], shape (n,); how alike they are, shape (n, n); how many) -> places chosen
Diversity = Callable[[NDArray[np.float64], NDArray[np.float64], int], list[int]]
DIVERSITIES: dict[str, str] = {
    "max_min": "agents.questions.examples:max_min",
    "determinantal": "agents.questions.examples:determinantal",
}


def max_min(relevance: NDArray[np.float64], alike: NDArray[np.float64], count: int) -> list[int]:
    """First the most relevant one, then always the one that is least like those that are chosen.

    Reference: Gonzalez 1985, https://doi.org/10.1016/0304-3975(85)90224-5 (farthest-point traversal).
    """
    chosen: list[int] = []
    nearest = np.full(len(relevance), -np.inf)
    while len(chosen) < count:
        order = np.lexsort((np.arange(len(relevance)), -relevance, nearest))
        place = int(next(p for p in order if p not in chosen))
        chosen.append(place)
        nearest = np.maximum(nearest, alike[place])
    return chosen


def determinantal(relevance: NDArray[np.float64], alike: NDArray[np.float64], count: int) -> list[int]:
    """The greedy most probable set of a determinantal point process whose quality is exp(relevance).

    Ends early, and goes on by relevance, where what is left adds nothing new.

    Reference: Chen, Zhang and Zhou 2018, https://arxiv.org/abs/1709.05135 (fast greedy MAP inference).
    """
    quality = np.exp(relevance)
    kernel = quality[:, None] * alike * quality[None, :]
    gain = np.diag(kernel).copy()
    rows = np.zeros((count, len(relevance)))
    chosen: list[int] = []
    for step in range(count):
        place = int(np.argmax(gain))
        if gain[place] <= VOLUME_LEFT:
            break
        row = (kernel[place] - rows[:step, place] @ rows[:step]) / np.sqrt(gain[place])
        rows[step] = row
        gain -= row**2
        chosen.append(place)
        gain[chosen] = -np.inf
    left = [int(place) for place in np.argsort(-relevance, kind="stable") if place not in chosen]
    return chosen + left[: count - len(chosen)]


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / len(one | other) if one | other else 1.0
