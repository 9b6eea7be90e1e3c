"""When a label may stand: by rule, by a person, by an adjudicator, or not yet. Pure; imports schemas only.

A machine label stands without a person only when every condition of the policy holds. Whatever fails is
named by a stable code: no_label, open_tie, conflict, low_margin, low_probability, low_confidence, low_score,
not_rated, too_few_annotators, no_modality, random_sample; where there are numbers alone no_number (of a
declared dimension) and wide_spread; and, after reviews: reviewers_disagree, cannot_tell, flagged.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from pipeline.policy_answers import (
    counted_label,
    counted_labels,
    decided_numbers,
    doubt_of_numbers,
    far_apart,
    fewest_numbers,
    near,
    people_means,
    tells,
    wide_spread,
)
from schemas.ids import content_id
from schemas.parts import LabelScore, MergedEvidence, Step
from schemas.records import Consensus, Decision, Review
from schemas.settings import PolicySection
from schemas.taxonomy import Taxonomy

POLICY_VERSION = "6"
NO_CONFLICT = frozenset({"consistent", "undetermined"})
MEASURED = frozenset({"text", "audio", "visual"})
Status = Literal["auto_accepted", "needs_review", "reviewed", "adjudicated"]


class Standing(NamedTuple):
    """The targets of one segment, by key: those that stand now, and those that ever stood beside another one."""

    keys: frozenset[str]
    told_apart: frozenset[str] = frozenset()

    def meant_by(self, key: str) -> str | None:
        """The target that a key means now: its own, else the only one there is, unless it was one of several."""
        if key in self.keys:
            return key
        return next(iter(self.keys)) if len(self.keys) == 1 and key not in self.told_apart else None


class Ruling(NamedTuple):
    """What the people say together. `status` None: nobody has said anything that counts."""

    status: Status | None
    code: str = ""  # why it still needs a review
    word: Review | None = None  # the review whose label and steps are taken
    words: tuple[Review, ...] = ()  # those whose numbers are taken


def decide(
    consensus: Consensus,
    reviews: Iterable[Review],
    sample_missing: Mapping[str, str],
    policy: PolicySection,
    *,
    taxonomy: Taxonomy,
    seed: int,
) -> Decision:
    """The decision on one segment and target from its consensus and all of its reviews.

    Reviews of another taxonomy, rubric ratings, and labels outside the taxonomy do not count. A reviewer's
    word is their latest revealed review, or the latest blind one when they never came to the reveal. A flag
    of either phase holds until the same reviewer takes it back.
    """
    counted = counted_reviews(reviews, taxonomy)
    ruling = _ruling(counted, policy, taxonomy)
    question = _question(consensus, counted, sample_missing, policy, taxonomy, seed)
    reasons = review_reasons(consensus, sample_missing, policy, taxonomy=taxonomy, seed=seed)
    if ruling.word is not None and ruling.status in ("reviewed", "adjudicated"):
        return _by_person(question, consensus, ruling, counted, policy, taxonomy)
    if ruling.status is None and not reasons:
        return Decision(
            **question,
            status="auto_accepted",
            label=consensus.label,
            labels=() if consensus.label is None else (LabelScore(label=consensus.label),),
            **decided_numbers(consensus, taxonomy),
            rationale=consensus.rationale,
            evidence=consensus.evidence,
        )
    return Decision(
        **question,
        status="needs_review",
        reasons=(ruling.code, *reasons) if ruling.code else reasons,
        priority=review_priority(consensus, taxonomy, policy, seed=seed),
        evidence=consensus.evidence,
    )


def decision_question(
    consensus: Consensus,
    reviews: Iterable[Review],
    sample_missing: Mapping[str, str],
    policy: PolicySection,
    *,
    taxonomy: Taxonomy,
    seed: int,
) -> str:
    """The id that the decision would get, without computing it."""
    counted = counted_reviews(reviews, taxonomy)
    question = _question(consensus, counted, sample_missing, policy, taxonomy, seed)
    return content_id(Decision.PREFIX, {**question, "target": question["target"].model_dump(mode="json")})


def _question(
    consensus: Consensus,
    counted: Sequence[Review],
    sample_missing: Mapping[str, str],
    policy: PolicySection,
    taxonomy: Taxonomy,
    seed: int,
) -> dict[str, Any]:
    return {
        "segment_id": consensus.segment_id,
        "target": consensus.target,
        "consensus_id": consensus.id,
        "review_ids": tuple(sorted(review.id for review in counted)),
        "policy": {
            **policy.model_dump(mode="json"),
            "seed": seed,
            "taxonomy": taxonomy.name,
            "labels": len(taxonomy.groups),
            "taxonomy_digest": taxonomy.digest,
            "missing": sorted(sample_missing),
        },
        "version": POLICY_VERSION,
    }


# --- the rule for machine labels -------------------------------------------------------------------


def review_reasons(
    consensus: Consensus,
    sample_missing: Mapping[str, str],
    policy: PolicySection,
    *,
    taxonomy: Taxonomy,
    seed: int,
) -> tuple[str, ...]:
    """Every reason why a person must look, as stable codes; empty: the machine label may stand.

    The best `s_final` is that of the annotations with the label. Where every judge of them failed, nothing is
    known of their quality: "not_rated", and no low score.
    """
    best = best_s_final(consensus)
    sure = {
        "low_confidence": best_confidence(consensus) < policy.accept_confidence,
        "low_score": best is not None and best < policy.accept_s_final,
        "not_rated": best is None,
    }
    if not taxonomy.asks_labels:
        told_by = fewest_numbers(consensus, taxonomy)
        failed = {
            "no_number": not told_by,
            "wide_spread": wide_spread(consensus, taxonomy, policy.max_spread),
            **(sure if consensus.spread else {}),
            "too_few_annotators": told_by < policy.min_labelled,
        }
    elif not consensus.distribution:
        failed = {"no_label": True, "too_few_annotators": True}
    else:
        annotators = {score.annotator for score in consensus.scores}
        probability = max(consensus.distribution.values())
        failed = {
            "open_tie": consensus.label is None,
            "conflict": consensus.conflict not in NO_CONFLICT,
            "low_margin": consensus.margin < policy.min_margin,
            "low_probability": probability < policy.accept_probability,
            **sure,
            "too_few_annotators": len(annotators) < policy.min_labelled,
        }
    failed["no_modality"] = set(sample_missing) >= MEASURED
    failed["random_sample"] = in_random_share(consensus.segment_id, policy.random_review_share, seed=seed)
    return tuple(code for code, holds in failed.items() if holds)


def best_s_final(consensus: Consensus) -> float | None:
    """The best score of an annotation with the consensus label; None when none was rated."""
    own = (score.s_final for score in consensus.scores if score.label == (consensus.label or ""))
    return max((value for value in own if value is not None), default=None)


def best_confidence(consensus: Consensus) -> float:
    """The highest confidence that an annotation with the consensus label stated.

    Several annotators that found nothing agree with each other, too: someone must have found something.
    """
    own = (score.confidence for score in consensus.scores if score.label == (consensus.label or ""))
    return max((value for value in own if value is not None), default=0.0)


def in_random_share(segment_id: str, share: float, *, seed: int) -> bool:
    """Whether a segment belongs to the random share that always goes to people.

    Drawn from the segment's id alone, so that neither the answers nor the other segments move it.
    """
    return _draw(f"{seed}|random_review|{segment_id}") < share


def review_priority(consensus: Consensus, taxonomy: Taxonomy, policy: PolicySection, *, seed: int) -> float:
    """What a review is worth, in [0, 1], highest first: mean of doubt, conflict and contradicted evidence.

    Doubt is the entropy as a share of the largest possible (1 without a label). A supported claim whose
    measurement was told proves only copying and lowers nothing. Items of the random share get a random priority,
    so that their place in the queue tells nothing and any part of the queue that is done holds a random part.
    """
    if in_random_share(consensus.segment_id, policy.random_review_share, seed=seed):
        return round(_draw(f"{seed}|priority|{consensus.segment_id}"), 6)
    most = math.log(max(2, len(taxonomy.groups)))
    doubt = min(1.0, consensus.entropy / most) if consensus.label is not None else 1.0
    if not taxonomy.asks_labels:
        doubt = doubt_of_numbers(consensus, taxonomy)
    contradicted = sum(item.verdict == "contradicted" for item in consensus.evidence)
    supported = sum(item.verdict == "supported" and not item.evidence.shown for item in consensus.evidence)
    share = contradicted / (contradicted + supported) if contradicted else 0.0
    conflict = float(consensus.conflict not in NO_CONFLICT)
    return round(0.5 * doubt + 0.25 * conflict + 0.25 * share, 6)


def _draw(text: str) -> float:
    """A number in [0, 1) that depends on `text` only."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64


# --- what people say -------------------------------------------------------------------------------


def reviews_about(target: str, standing: Standing, reviews: Iterable[Review]) -> list[Review]:
    """The reviews of a segment that are about one of its targets, told by its key.

    What was said of one person never decides another. But names of targets are made by machines: when another
    backend or a later declaration gives a segment's one target another name, what was said of it still holds.
    """
    return [review for review in reviews if standing.meant_by(review.target.key) == target]


def counted_reviews(reviews: Iterable[Review], taxonomy: Taxonomy) -> list[Review]:
    """The reviews that count under this taxonomy, in time order."""
    counted = [
        review
        for review in reviews
        if review.taxonomy == taxonomy.name
        and review.phase != "rubric"
        and all(taxonomy.has(score.label) for score in review.labels)
    ]
    return sorted(counted, key=lambda review: (review.at, review.id))


def reviewer_key(name: str) -> str:
    """What tells two reviewers apart: "Anna" and "anna" are one person."""
    return name.casefold()


def reviewer_words(counted: Sequence[Review]) -> list[Review]:
    """The standing review of each reviewer, in time order: the latest revealed, else the latest blind one."""
    words: dict[str, Review] = {}
    for phase in ("blind", "revealed"):
        words |= {reviewer_key(review.reviewer): review for review in counted if review.phase == phase}
    return sorted(words.values(), key=lambda review: (review.at, review.id))


def _is_flagged(counted: Sequence[Review]) -> bool:
    """Whether a reviewer's flag stands. A later review that merely says nothing of it does not take it back."""
    flags: dict[str, bool] = {}
    for review in counted:
        if review.flagged or review.flag_withdrawn:
            flags[reviewer_key(review.reviewer)] = review.flagged
    return any(flags.values())


def _ruling(counted: Sequence[Review], policy: PolicySection, taxonomy: Taxonomy) -> Ruling:
    """An adjudication decides alone (the latest one); else the reviewers' words, when they do not differ.

    Numbers differ when they lie further apart than the annotators' may.
    """
    adjudications = [review for review in counted if review.phase == "adjudication"]
    if adjudications:
        last = adjudications[-1]
        if not tells(last, taxonomy):
            return Ruling("needs_review", "cannot_tell")
        return Ruling("adjudicated", word=last, words=(last,))
    words = reviewer_words(counted)
    telling = [word for word in words if tells(word, taxonomy)]
    if _is_flagged(counted):
        return Ruling("needs_review", "flagged")
    if _differ(telling, policy, taxonomy):
        return Ruling("needs_review", "reviewers_disagree")
    if telling:
        return Ruling("reviewed", word=telling[-1], words=tuple(telling))
    return Ruling("needs_review", "cannot_tell") if words else Ruling(None)


def _differ(telling: Sequence[Review], policy: PolicySection, taxonomy: Taxonomy) -> bool:
    if not taxonomy.asks_labels:
        return far_apart(telling, taxonomy, policy.max_spread)
    return len({counted_label(word, taxonomy) for word in telling}) > 1


def _by_person(
    question: dict[str, Any],
    consensus: Consensus,
    ruling: Ruling,
    counted: Sequence[Review],
    policy: PolicySection,
    taxonomy: Taxonomy,
) -> Decision:
    """The decision that takes a person's word: their label, and a rationale that argues for this label.

    People's numbers are averaged. Words of an open vocabulary count as their cells.
    """
    word = ruling.word
    assert word is not None  # a ruling with a deciding status always names its review
    contradicted = contradicted_ids(consensus.evidence, person_marks(consensus, counted))
    return Decision(
        **question,
        status=ruling.status,
        label=counted_label(word, taxonomy),
        labels=counted_labels(word, taxonomy),
        **decided_numbers(consensus, taxonomy, ruling.words),
        rationale=standing_steps(_steps(consensus, ruling, counted, policy, taxonomy), contradicted),
        evidence=consensus.evidence,
    )


def _steps(
    consensus: Consensus, ruling: Ruling, counted: Sequence[Review], policy: PolicySection, taxonomy: Taxonomy
) -> Sequence[Step]:
    """The steps of the decision: the newest edited ones for this label, else those of the consensus.

    The steps of the consensus argue for its own label or numbers, so they are left out when people chose others.
    Edited steps of an older consensus keep their text but lose their citations: its evidence had other names.
    """
    word = ruling.word
    assert word is not None
    label = counted_label(word, taxonomy)
    words = [word] if word.phase == "adjudication" else reviewer_words(counted)
    edited = [w for w in words if w.rationale and tells(w, taxonomy) and counted_label(w, taxonomy) == label]
    if not edited:
        people = people_means(ruling.words, taxonomy)
        same = taxonomy.asks_labels or near(people, consensus, taxonomy, policy.max_spread)
        return consensus.rationale if same and label == consensus.label else ()
    if edited[-1].consensus_id == consensus.id:
        return edited[-1].rationale
    return [step.model_copy(update={"evidence_ids": ()}) for step in edited[-1].rationale]


def person_marks(consensus: Consensus, counted: Sequence[Review]) -> dict[str, str]:
    """Evidence id -> what people say of the claim; the latest mark wins, an adjudicator's over all others.

    Only marks on this very consensus count: in another one the same id names another claim.
    """
    adjudications = [review for review in counted if review.phase == "adjudication"][-1:]
    reviews = [*reviewer_words(counted), *adjudications]
    return {
        mark.evidence_id: mark.mark
        for review in reviews
        if review.consensus_id == consensus.id
        for mark in review.marks
    }


def contradicted_ids(evidence: Iterable[MergedEvidence], marks: Mapping[str, str]) -> set[str]:
    """The claims that must not stand in a rationale."""
    return {
        item.evidence.id for item in evidence if is_contradicted(item.verdict, marks.get(item.evidence.id))
    }


def is_contradicted(verdict: str, person_mark: str | None) -> bool:
    """Contradicted by a person, or by the signal unless a person marked the claim as supported."""
    return person_mark == "contradicted" or (verdict == "contradicted" and person_mark != "supported")


def standing_steps(steps: Iterable[Step], contradicted: Collection[str]) -> tuple[Step, ...]:
    """Steps that cite no contradicted claim, numbered anew.

    The whole step goes, since its text says what the claim says, whatever else it cites.
    """
    kept = [step for step in steps if not set(step.evidence_ids) & set(contradicted)]
    return tuple(step.model_copy(update={"n": n}) for n, step in enumerate(kept, start=1))
