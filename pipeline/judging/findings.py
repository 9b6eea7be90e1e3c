"""What the numbers about a judge mean, in plain words, each with the number that it rests on."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.judging.parts import Comparison, Finding, JudgeReport, Measured

LEAST_HUMAN = 50  # human labels below which nothing is concluded
LEAST_RATED = 30  # the same for what needs no human labels
FAILED_SHARE = 0.05
STEADY = 0.01  # a standard deviation below this is no variation
NOTABLE = 0.2  # a rank correlation from which on a bias matters
NOTABLE_PLACE = 0.05  # a mean shift of the implied label's place
NOTABLE_EXCESS = 0.05  # of scores in [0, 1]
UNSTEADY = 0.1
ONE_IMPRESSION = 0.95  # a rank correlation from which on two scores tell the same
NEAR_EXPERT_KAPPA, NEAR_EXPERT_ICC = 0.8, 0.9
FAIR_KAPPA = 0.4  # about what people reach with each other on emotions (MELD: 0.43)
NAMES = {"s_rec": "the label", "s_reason": "the reasons", "s_cot": "the chain"}


def findings(report: JudgeReport) -> list[Finding]:
    """Everything that is to be known of a judge, what is worst first."""
    found = [
        *_failures(report),
        *_constant(report),
        *_scores_alike(report),
        *_people(report),
        *_length(report),
        *_position(report),
        *_kin(report),
        *_repeats(report),
        *_looks(report),
    ]
    return sorted(found, key=lambda finding: (finding.good is not False, finding.good is not None))


def _failures(report: JudgeReport) -> Iterator[Finding]:
    kinds = (
        ("ratings", report.outcomes, "they are no score, the others stand for them"),
        ("second looks", report.second_looks.outcomes, "they tell nothing"),
        ("evaluations", report.evaluations, "the table is of the others"),
    )
    for what, outcomes, meaning in kinds:
        asked = sum(outcomes.values())
        failed = {name: n for name, n in outcomes.items() if name not in ("scored", "answered")}
        lost = sum(failed.values())
        told = ", ".join(f"{n} {name}" for name, n in failed.items())
        if lost:
            left = meaning if lost < asked else "nothing is known from it"
            text = f"{lost} of {asked} {what} failed ({lost / asked:.0%}: {told}); {left}"
            yield Finding(code="fails", good=lost <= FAILED_SHARE * asked, text=text)
        elif asked:
            yield Finding(code="fails", good=True, text=f"none of {asked} {what} failed")


def _constant(report: JudgeReport) -> Iterator[Finding]:
    flat = [
        name
        for name, spread in report.spreads.items()
        if spread < STEADY and report.scored[name] >= LEAST_RATED
    ]
    if flat:
        told = ", ".join(f"{report.means[name]:.2f} for {NAMES[name]}" for name in flat)
        yield Finding(
            code="constant",
            good=False,
            text=f"gives nearly always the same ({told}): it does not tell good from bad",
        )


def _scores_alike(report: JudgeReport) -> Iterator[Finding]:
    same = [
        name for name, rho in report.alike.items() if rho.n >= LEAST_RATED and _above(rho, ONE_IMPRESSION)
    ]
    if same:
        least = min((report.alike[name] for name in same), key=lambda rho: rho.low or 0.0)
        text = f"{', '.join(same)} rank the annotations alike (rho {least.text}): they may be one impression"
        yield Finding(code="scores_alike", good=None, text=text)


def _people(report: JudgeReport) -> Iterator[Finding]:
    enough = [one for one in report.comparisons if not one.more_needed]
    if not enough and report.outcomes:
        most = max((one.n for one in report.comparisons), default=0)
        yield Finding(
            code="too_few_human_labels",
            good=None,
            text=f"{most} of its ratings can be compared with people; {LEAST_HUMAN - most} more are needed",
        )
    for one in enough:
        yield from _beside(one)


def _beside(one: Comparison) -> Iterator[Finding]:
    kappa, icc, shift = (one.metrics[name] for name in ("quadratic_kappa", "icc_a_1", "mean_difference"))
    near = _above(kappa, NEAR_EXPERT_KAPPA) and _above(icc, NEAR_EXPERT_ICC)
    # Without an interval, or with one of no width (a side that never varies), it cannot be told.
    told = kappa.low is not None and kappa.high is not None and kappa.low < kappa.high
    poor = told and (not _above(kappa, 0.0) or (kappa.value or 0.0) < FAIR_KAPPA)
    yield Finding(
        code="agreement",
        good=True if near else False if poor else None,
        text=f"on {NAMES[one.score]} it agrees with people's {one.people} by a weighted kappa of {kappa.text} "
        f"and an ICC(A,1) of {icc.text} (n = {one.n}); "
        f"near-expert is above {NEAR_EXPERT_KAPPA} and {NEAR_EXPERT_ICC}",
    )
    if shift.differs_from_0 and shift.value is not None and abs(shift.value) >= NOTABLE_EXCESS:
        high = shift.value > 0
        side, by = ("higher", shift) if high else ("lower", shift.negated)
        yield Finding(
            code="too_high" if high else "too_low",
            good=False,
            text=f"rates {NAMES[one.score]} {side} than people do, by {by.text}",
        )


def _length(report: JudgeReport) -> Iterator[Finding]:
    for name, plain in report.length.items():
        beside = report.length_beside_people.get(name)
        held = beside is not None and beside.value is not None and beside.n >= LEAST_HUMAN
        rho = beside if held and beside is not None else plain
        if rho.value is None or rho.n < LEAST_RATED:
            continue
        how = (
            "at the same human score"
            if held
            else "whether they are better cannot be told without human ratings"
        )
        if rho.differs_from_0 and abs(rho.value) >= NOTABLE:
            more = "higher" if rho.value > 0 else "lower"
            text = f"longer rationales get {more} ratings of {NAMES[name]} (rho {rho.text}; {how})"
            yield Finding(code="length_bias", good=False if held or rho.value > 0 else None, text=text)
        elif _within(rho, NOTABLE):
            text = f"length hardly moves its ratings of {NAMES[name]} (rho {rho.text})"
            yield Finding(code="length_bias", good=True, text=text)


def _position(report: JudgeReport) -> Iterator[Finding]:
    told = {
        "asked": ("the order in which annotations are asked about", NOTABLE),
        "claimed_label": ("where the claimed label stands in the list", NOTABLE),
        "implied_label": ("where a label stands in the list of the second look", NOTABLE_PLACE),
    }
    for name, found in report.position.items():
        what, limit = told[name]
        if found.value is None or found.n < LEAST_RATED:
            continue
        if found.differs_from_0 and abs(found.value) >= limit:
            side = "later" if found.value > 0 else "earlier"
            text = f"{what} matters: {side} is rated higher or chosen more often ({found.text})"
            yield Finding(code="position_bias", good=False, text=text)
        elif _within(found, limit):
            yield Finding(code="position_bias", good=True, text=f"{what} hardly matters ({found.text})")


def _kin(report: JudgeReport) -> Iterator[Finding]:
    kin, excess = report.kin, report.kin.excess
    if kin.unknown:
        text = f"whether {kin.unknown} annotations are of its own model family is not known: set family"
        yield Finding(code="kin_unknown", good=None, text=text)
    if excess is None:
        return
    beside = {
        "people": "beside people's labels",
        "other_judges": "beside the other judges",
        "nothing": "by its scores alone, which its kin may deserve",
    }[kin.beside]
    if excess.differs_from_0 and excess.value is not None and excess.value >= NOTABLE_EXCESS:
        good, text = False, f"rates its own model family higher by {excess.text}, {beside}"
    elif _within(excess, NOTABLE_EXCESS):
        good, text = True, f"does not prefer its own model family ({excess.text}, {beside})"
    else:
        good, text = (
            None,
            f"whether it prefers its own model family cannot be told yet ({excess.text}, {beside})",
        )
    if good is False and kin.beside == "nothing":
        good = None
    yield Finding(code="self_preference", good=good, text=text)


def _repeats(report: JudgeReport) -> Iterator[Finding]:
    if not report.repeated:
        return
    told = ", ".join(f"{spread:.2f} for {NAMES[name]}" for name, spread in report.repeat_spread.items())
    text = f"asked again it moves by {told} (mean standard deviation over {report.repeated} annotations)"
    yield Finding(code="unsteady", good=max(report.repeat_spread.values()) < UNSTEADY, text=text)


def _looks(report: JudgeReport) -> Iterator[Finding]:
    looks = report.second_looks
    if looks.not_blind:
        text = (
            f"in {looks.not_blind} second looks the label could not be hidden: nothing is concluded from them"
        )
        yield Finding(code="not_blind", good=None, text=text)
    if not looks.answered:
        return
    worst = max(looks.by_annotator.items(), key=lambda pair: pair[1][0] / pair[1][1])
    text = (
        "with the label hidden, the reasons imply another label in "
        f"{looks.mismatches or 'none'} of {looks.answered} annotations"
    )
    if looks.none_implied:
        text += f", none in {looks.none_implied}"
    if looks.mismatches:
        text += f"; most often those of {worst[0]} ({worst[1][0]} of {worst[1][1]})"
    yield Finding(code="label_mismatches", good=None, text=text)


def _above(found: Measured, limit: float) -> bool:
    return found.low is not None and found.low > limit


def _within(found: Measured, limit: float) -> bool:
    return found.low is not None and found.high is not None and found.low > -limit and found.high < limit
