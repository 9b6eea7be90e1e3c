"""MME-Emotion's scores of a chain of steps: recognition, reasoning, chain of thought, mean number of steps.

A judge gives every step 0 or 1; the last step is the label alone. Of an answer with the step scores s_1..s_N:
Rec = s_N, Rea = the mean of the others (0 when there are none), CoT = a Rec + (1 - a) Rea with a = 0.5. Printed
are the means over the answers, times 100. CoT is a mixture of the other two and no rating of its own: it is for
evaluation and never part of S_final.

"As published" does what the published scorer does: a reply is read only where `<score>` and its end stand on one
line, replies that cannot be read leave the denominator, the number of steps is not checked, and the last step of
an answer with several labels counts found labels only (recall). "Strict" reads replies of several lines, refuses
a reply whose number of steps is not the answer's, keeps what cannot be read in the denominator (as nothing
earned), and takes the F1 of the labels.

Reference: Zhang et al. 2025, https://arxiv.org/abs/2508.09210; its code: eval_cot/Overall/metrics/cal_metrics.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from math import fsum
from typing import Literal, NamedTuple

ALPHA = 0.5
Mode = Literal["strict", "as_published"]
_SCORES = re.compile(r"<score>(.*?)</score>", re.DOTALL)
_SCORES_AS_PUBLISHED = re.compile(r"<score>(.*?)</score>")
_STEP = re.compile(r":\s*(\d+)/(\d+)")


class Rated(NamedTuple):
    """A judge's reply about one answer; `reply` None: none came. `steps` counts the label as the last one."""

    reply: str | None
    steps: int
    gold_labels: int = 1
    claimed_labels: int = 1


class Chain(NamedTuple):
    """The scores of one answer, each in [0, 1] (as published, a reply may claim more)."""

    rec: float
    rea: float
    steps: int

    @property
    def cot(self) -> float:
        return ALPHA * self.rec + (1 - ALPHA) * self.rea


class Printed(NamedTuple):
    """What the benchmark prints, in percent; None where nothing counts. `n` is the denominator."""

    rec_s: float | None
    rea_s: float | None
    cot_s: float | None
    average_steps: float | None
    n: int
    unread: int


def chain_of(rated: Rated, mode: Mode) -> Chain | None:
    """The scores of one answer; None when the reply cannot be read."""
    found = (_SCORES if mode == "strict" else _SCORES_AS_PUBLISHED).search(rated.reply or "")
    given = [(int(won), int(of)) for won, of in _STEP.findall(found[1])] if found else []
    if not given:
        return None
    if mode == "as_published":
        scores = [won / of if of else 0.0 for won, of in given]
        return Chain(scores[-1], _reasoning(scores), len(scores))
    if len(given) != rated.steps or not _are_steps(given, rated):
        return None
    scores = [float(won) for won, _ in given[:-1]]
    return Chain(_f1(given[-1][0], rated), _reasoning([*scores, 0.0]), len(given))


def printed(rated: Iterable[Rated], mode: Mode) -> Printed:
    """The table's row over all answers."""
    chains = [chain_of(one, mode) for one in rated]
    read = [chain for chain in chains if chain is not None]
    n = len(chains) if mode == "strict" else len(read)
    if n == 0:
        return Printed(None, None, None, None, 0, len(chains) - len(read))
    rec, rea = (fsum(chain[place] for chain in read) / n for place in (0, 1))
    # What was not read has no steps to count.
    steps = fsum(chain.steps for chain in read) / len(read) if read else None
    cot = ALPHA * rec + (1 - ALPHA) * rea
    return Printed(100 * rec, 100 * rea, 100 * cot, steps, n, len(chains) - len(read))


def _reasoning(scores: list[float]) -> float:
    before = scores[:-1]
    return fsum(before) / len(before) if before else 0.0


def _are_steps(given: list[tuple[int, int]], rated: Rated) -> bool:
    """Steps are 0 or 1; the last one names how many of the gold labels were found."""
    *steps, (found, of) = given
    whole = of == rated.gold_labels and found <= min(of, rated.claimed_labels)
    return whole and all(size == 1 and won <= 1 for won, size in steps)


def _f1(found: int, rated: Rated) -> float:
    return 2 * found / (rated.gold_labels + rated.claimed_labels)
