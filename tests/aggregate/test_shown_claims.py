"""A claim whose measurement stood in the prompt never raises a score: not of the judge, not of a consensus."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.cue_rules.judge import rate
from pipeline.aggregate import AGGREGATORS
from pipeline.aggregate.base import Ballot
from schemas.parts import Evidence, Readings, Step, Verdict, VerdictName
from schemas.records import Annotation, Check, Sample
from schemas.registry import resolve
from schemas.settings import AggregateSection
from tests.agents import cue_samples as make
from tests.release.builder import TARGET, TAXONOMY, annotation, judgement

METHODS = sorted(AGGREGATORS)
VERDICTS: list[VerdictName] = ["supported", "contradicted", "not_measurable", "outside_clip"]
CUES = (("AU12", "visual"), ("loud", "audio"), ("quote", "text"))
Claimed = tuple[int, VerdictName, bool]  # which of the CUES, what the check says, whether it was shown


class Scores(NamedTuple):
    s_reason: float
    s_cot: float
    s_final: float
    posterior: float


claims = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from(VERDICTS), st.booleans()), min_size=1, max_size=5
)
texts = st.sampled_from(["It shows.", "So it is joy.", "This is anger.", "Joy, not anger."])
steps = st.lists(st.tuples(texts, st.sets(st.integers(0, 5), max_size=3)), max_size=4)
others = st.lists(st.tuples(st.sampled_from(["joy", "anger"]), st.floats(0, 1)), max_size=3)
readings = st.builds(
    Readings, text=st.sampled_from([None, "joy"]), audio=st.sampled_from([None, "anger"]), visual=st.none()
)
missing = st.sampled_from([{}, {"audio": "no_audio_stream"}, {"visual": "no_face", "text": "no_speech"}])


class Case(NamedTuple):
    """One annotation that says joy, beside others that were rated already."""

    claims: list[Claimed]
    steps: list[tuple[str, set[int]]]
    others: list[tuple[str, float]]
    readings: Readings
    missing: dict[str, str]


cases = st.builds(Case, claims, steps, others, readings, missing)


def scores(case: Case, method: str) -> Scores:
    """What the judge's rules and an aggregation make of a case."""
    items = [
        Evidence(id=f"e{n}", modality=CUES[cue][1], cue=CUES[cue][0], start_s=n, end_s=n + 1)
        for n, (cue, _, _) in enumerate(case.claims)
    ]
    rationale = [
        Step(n=n, text=text, evidence_ids=tuple(f"e{k}" for k in sorted(cited)))
        for n, (text, cited) in enumerate(case.steps, start=1)
    ]
    mine = annotation("smp_x", "mine", "joy", items=items, steps=rationale, readings=case.readings)
    check = checked(mine, case.claims)
    sample: Sample = make.face_sample(words=make.said("how nice"), missing=case.missing)
    rated = rate(sample, mine, check, TAXONOMY)
    votes, judged = [mine], [judgement(mine, None, rated.s_reason, rated.s_cot)]  # type: ignore[arg-type]
    for n, (label, score) in enumerate(case.others):
        other = annotation("smp_x", f"other{n}", label)
        votes.append(other)
        judged.append(judgement(other, None, score, score))
    ballot = Ballot("seg_x", TARGET, "smp_x", tuple(votes), (check,), tuple(judged))
    run = resolve(AGGREGATORS, method, what="aggregation")
    (consensus,) = run([ballot], taxonomy=TAXONOMY, params=AggregateSection(method=method), seed=0)
    score = next(score for score in consensus.scores if score.annotator == "mine")
    final = -1.0 if score.s_final is None else score.s_final
    assert score.s_reason is not None
    assert score.s_cot is not None
    return Scores(score.s_reason, score.s_cot, final, consensus.distribution.get("joy", 0.0))


def checked(said: Annotation, claims: list[Claimed]) -> Check:
    verdicts = tuple(
        Verdict(evidence_id=f"e{n}", verdict=name, shown=shown) for n, (_, name, shown) in enumerate(claims)
    )
    return make.check(*verdicts).model_copy(
        update={"annotation_id": said.id, "annotation_digest": said.digest}
    )


def never_above(after: Scores, before: Scores) -> None:
    for name, now, then in zip(Scores._fields, after, before, strict=True):
        assert now <= then + 1e-9, name


@pytest.mark.parametrize("method", METHODS)
@given(case=cases, data=st.data())
@settings(max_examples=150, deadline=None)
def test_to_be_told_a_measurement_never_raises_what_its_claim_earned(
    method: str, case: Case, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(case.claims) - 1))
    cue, _, _ = case.claims[at]
    blind, told = list(case.claims), list(case.claims)
    blind[at], told[at] = (cue, "supported", False), (cue, "supported", True)
    never_above(scores(case._replace(claims=told), method), scores(case._replace(claims=blind), method))


@pytest.mark.parametrize("method", METHODS)
@given(case=cases, cue=st.integers(0, 2), citing=st.sets(st.integers(0, 3)))
@settings(max_examples=150, deadline=None)
def test_a_further_claim_about_what_was_told_never_raises_a_score(
    method: str, case: Case, cue: int, citing: set[int]
) -> None:
    """Whichever steps cite it as well, be they without any evidence before."""
    new = len(case.claims)
    cited = [(text, ids - {new}) for text, ids in case.steps]  # an id that names nothing yet
    before = case._replace(steps=cited)
    more = [(text, ids | {new} if n in citing else ids) for n, (text, ids) in enumerate(cited)]
    after = case._replace(claims=[*case.claims, (cue, "supported", True)], steps=more)
    never_above(scores(after, method), scores(before, method))


@pytest.mark.parametrize("method", METHODS)
def test_what_was_not_told_does_raise_them(method: str) -> None:
    """Else the properties above would hold for scores that look at no claim."""
    base = Case([(0, "not_measurable", False)], [("So it is joy.", {0})], [("anger", 0.5)], Readings(), {})
    more = [(0, "not_measurable", False), (1, "supported", False)]
    low, high = scores(base, method), scores(base._replace(claims=more), method)
    assert high.s_reason > low.s_reason
    told = scores(base._replace(claims=[more[0], (1, "supported", True)]), method)
    assert told.s_reason <= low.s_reason
    if method != "majority":
        assert high.posterior > told.posterior
