"""The answers of one annotator over instruction variants and samples, as one voice. Pure.

Voting and averaging over instructions: Shou et al. 2025, https://arxiv.org/abs/2509.24322, section 3.1.
Samples of one question are marginalised over their rationales: the share of the samples that end in a label, or
the mean of their distributions, estimates the label's probability whatever the reasons that lead there.
Reference: Wang et al. 2023, self-consistency, https://arxiv.org/abs/2203.11171.
Contextual calibration divides what a model says by what it says to content-free questions.
Reference: Zhao et al. 2021, https://arxiv.org/abs/2102.09690.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal, NamedTuple

from schemas.parts import Voice
from schemas.records import Annotation
from schemas.settings_models import AnnotatorSection
from schemas.taxonomy import Taxonomy

Distribution = dict[str, float]


@dataclass(frozen=True)
class Hearing:
    """How the answers of one annotator are combined. `priors`: its answers to the content-free questions."""

    combine: Literal["vote", "mean"] = "vote"
    calibrate: bool = False
    priors: tuple[Annotation, ...] = ()

    @property
    def params(self) -> dict[str, Any]:
        """What of it changes the voice, as the question of a consensus tells it."""
        if not self.calibrate:
            return {"combine": self.combine}
        priors = sorted(f"{prior.id}:{prior.digest}" for prior in self.priors)
        return {"combine": self.combine, "priors": priors}


ONE_VOTE_EACH = Hearing()
# How many answers are added to the content-free ones for each class, so that none has a prior of 0. A vote is one
# draw of chance, so that one of each class is added (Laplace); a distribution tells what is rare by itself.
ADDED = {"vote": 1.0, "mean": 0.01}


def hearings(
    sections: Iterable[AnnotatorSection], priors: Mapping[str, Sequence[Annotation]]
) -> dict[str, Hearing]:
    """By annotator; only of those that are not heard as every other one. `priors`: those of each annotator."""
    found = {
        one.name: Hearing(one.prompting.combine, one.prompting.calibrate, tuple(priors.get(one.name, ())))
        for one in sections
    }
    return {name: hearing for name, hearing in found.items() if hearing != ONE_VOTE_EACH}


def prior_of(hearing: Hearing, variant: int, taxonomy: Taxonomy) -> Distribution | None:
    """What the annotator says to content-free questions in one wording, sums to 1; None: that is not known."""
    labels = taxonomy.groups
    asked = [p for p in hearing.priors if p.variant == variant and p.outcome == "labelled"]
    given = [d for d, source in (opinion(p, hearing, taxonomy) for p in asked) if _tells(hearing, source)]
    if not given:
        return None
    added = ADDED[hearing.combine]
    total = len(given) + added * len(labels)
    return {label: (math.fsum(d.get(label, 0.0) for d in given) + added) / total for label in labels}


def _tells(hearing: Hearing, source: str | None) -> bool:
    """Whether an opinion can be calibrated: a stated confidence says nothing of the other labels."""
    return hearing.combine == "vote" or source == "logprobs"


def calibrated(distribution: Distribution, prior: Distribution) -> Distribution:
    """Divided by the prior; sums to 1."""
    parts = {label: p / prior[label] for label, p in distribution.items()}
    total = math.fsum(parts.values())
    return {label: p / total for label, p in parts.items()}


class Heard(NamedTuple):
    """A voice with its weight among the voices: the mean of the weights of its answers."""

    annotator: str
    weight: float
    distribution: Distribution
    prob_sources: tuple[str, ...]
    calibrated: bool


def hear(
    votes: Sequence[Annotation],
    weights: Sequence[float],
    hearings: Mapping[str, Hearing],
    taxonomy: Taxonomy,
) -> list[Heard]:
    """One voice per annotator, sorted by name. `weights` are >= 0, one per labelled annotation.

    Labels are what they count as in the taxonomy; where numbers alone are asked, voices have no distribution.
    """
    pairs = sorted(zip(votes, weights, strict=True), key=lambda pair: (pair[0].annotator, pair[0].id))
    return [
        _voice(name, list(group), hearings.get(name, ONE_VOTE_EACH), taxonomy)
        for name, group in groupby(pairs, key=lambda pair: pair[0].annotator)
    ]


def _voice(
    name: str, pairs: Sequence[tuple[Annotation, float]], hearing: Hearing, taxonomy: Taxonomy
) -> Heard:
    weights = [weight for _, weight in pairs]
    weight = math.fsum(weights) / len(pairs)
    if weight == 0:  # heard by nobody, but it still has something to say
        weights = [1.0] * len(pairs)
    opinions = [opinion(annotation, hearing, taxonomy) for annotation, _ in pairs]
    sources = tuple(sorted({source for _, source in opinions if source}))
    variants = [annotation.variant for annotation, _ in pairs]
    priors = {variant: prior_of(hearing, variant, taxonomy) for variant in set(variants)}
    known = {variant: prior for variant, prior in priors.items() if prior is not None}
    own = {label for distribution, _ in opinions for label in distribution}
    possible = hearing.calibrate and len(known) == len(priors) and bool(own) and own <= set(taxonomy.groups)
    if not possible or not all(_tells(hearing, source) for _, source in opinions):
        return Heard(name, weight, mean([d for d, _ in opinions], weights), sources, calibrated=False)
    parts, totals = [], []
    for variant, prior in sorted(known.items()):
        mine = [n for n, other in enumerate(variants) if other == variant]
        of_variant = [weights[n] for n in mine]
        if any(of_variant):
            parts.append(calibrated(mean([opinions[n][0] for n in mine], of_variant), prior))
            totals.append(math.fsum(of_variant))
    return Heard(name, weight, mean(parts, totals), sources, calibrated=True)


def opinion(annotation: Annotation, hearing: Hearing, taxonomy: Taxonomy) -> tuple[Distribution, str | None]:
    """The distribution that a labelled answer stands for, and where its probabilities come from; None: a vote."""
    label = _label(annotation, taxonomy)
    if label is None:
        return {}, None
    if hearing.combine == "vote":
        return {label: 1.0}, None
    if annotation.probabilities:
        return dict(annotation.probabilities), annotation.prob_source
    confidence = None if annotation.answer is None else annotation.answer.confidence
    if confidence is None:  # it told no probability: its vote is all there is
        return {label: 1.0}, None
    return stated(label, confidence, taxonomy.groups), "stated"


def stated(label: str, confidence: float, labels: Sequence[str]) -> Distribution:
    """The stated confidence on the label; the rest evenly on the others, of which nothing is known."""
    others = [name for name in labels if name != label]
    if not others:
        return {label: 1.0}
    return {label: confidence, **dict.fromkeys(others, (1 - confidence) / len(others))}


def mean(distributions: Sequence[Mapping[str, float]], weights: Sequence[float]) -> Distribution:
    """The weighted mean. `fsum` makes it independent of the order."""
    total = math.fsum(weights)
    names = sorted({name for distribution in distributions for name in distribution})
    pairs = list(zip(distributions, weights, strict=True))
    return {
        name: math.fsum(weight * distribution.get(name, 0.0) for distribution, weight in pairs) / total
        for name in names
    }


def voice_records(
    annotations: Sequence[Annotation],
    heard: Sequence[Heard],
    hearings: Mapping[str, Hearing],
    taxonomy: Taxonomy,
) -> tuple[Voice, ...]:
    """What a consensus tells of its voices: of those that were asked more than once, or are heard otherwise.

    A voice is about labels: there is none where numbers alone are asked.
    """
    if not taxonomy.asks_labels:
        return ()
    by_name = {one.annotator: one for one in heard}
    ordered = sorted(annotations, key=lambda annotation: annotation.annotator)
    found = []
    for name, group in groupby(ordered, key=lambda annotation: annotation.annotator):
        asked = list(group)
        if len(asked) > 1 or name in hearings:
            hearing = hearings.get(name, ONE_VOTE_EACH)
            found.append(_record(name, asked, by_name.get(name), hearing, taxonomy))
    return tuple(found)


def _record(
    name: str, asked: Sequence[Annotation], heard: Heard | None, hearing: Hearing, taxonomy: Taxonomy
) -> Voice:
    given = Counter(_label(annotation, taxonomy) for annotation in asked if annotation.outcome == "labelled")
    return Voice(
        annotator=name,
        distribution={} if heard is None else {k: min(1.0, p) for k, p in heard.distribution.items()},
        asked=len(asked),
        labelled=given.total(),
        variants=len({annotation.variant for annotation in asked}),
        agreement=max(given.values(), default=0) / len(asked),
        combine=hearing.combine,
        prob_sources=() if heard is None else heard.prob_sources,
        calibrated=heard is not None and heard.calibrated,
    )


def _label(annotation: Annotation, taxonomy: Taxonomy) -> str | None:
    """What the first label counts as; None where there is none."""
    label = None if annotation.answer is None else annotation.answer.primary
    return None if label is None else taxonomy.group(label)
