"""What must hold for any claim and any measurement."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from agents.evidence.check import check_annotation
from schemas.cues import Cue, cue_table
from schemas.parts import Event, Evidence
from schemas.records import Baseline, Features
from tests.agents import cue_samples as make
from tests.agents.cue_samples import PAUSE, RISE, SMILE, verdict

TABLE = cue_table()
ALL = (
    SMILE,
    make.voice([160.0] * 100 + [None] * 100, events=(RISE, PAUSE), speech_rate_syl_s=5.0),
    make.asr("I am not happy about this"),
)
times = st.floats(0, 6, allow_nan=False)


@st.composite
def claims(draw: st.DrawFn) -> Evidence:
    cue = draw(st.one_of(st.sampled_from(sorted(TABLE.cues)), st.text(max_size=12)))
    own = TABLE.cues[cue].modality if cue in TABLE.cues else "text"
    start_s = draw(times)
    return Evidence(
        id=draw(st.sampled_from(["e1", "e2", "e3"])),
        modality=draw(st.sampled_from([own, own, own, "text", "audio", "visual", "context"])),
        start_s=start_s,
        end_s=start_s + draw(times),
        cue=cue,
        direction=draw(st.sampled_from(["up", "down", "present", "absent"])),
        quote=draw(st.none() | st.text(max_size=20) | st.just("not happy")),
        shown=draw(st.booleans()),
    )


some_features = st.lists(st.sampled_from(ALL), unique_by=id)
some_baselines = st.sampled_from([(), (make.baseline(),)])


@given(st.lists(claims(), max_size=4), some_features, some_baselines)
@settings(max_examples=200, deadline=None)
def test_one_verdict_per_item_in_order(
    items: list[Evidence], features: list[Features], baselines: tuple[Baseline, ...]
) -> None:
    answer = make.annotation(make.triplet(*items))
    found = check_annotation(answer, features, baselines, make.DURATION_S, TABLE)
    assert [v.evidence_id for v in found.verdicts] == [item.id for item in items]
    assert [v.shown for v in found.verdicts] == [item.shown for item in items]
    for result in found.verdicts:
        assert (result.reference is not None) == (result.verdict in ("supported", "contradicted"))
        none_found = "was found in the span" in result.reason
        assert (result.measured is None) == (result.reference is None or none_found)
        assert result.reason
    assert found.digest == check_annotation(answer, features, baselines, make.DURATION_S, TABLE).digest


@given(claims(), some_features, some_baselines)
@settings(max_examples=200, deadline=None)
def test_the_reverse_claim_has_the_reverse_verdict(
    item: Evidence, features: list[Features], baselines: tuple[Baseline, ...]
) -> None:
    reverse = {"supported": "contradicted", "contradicted": "supported"}
    there, gone = (
        verdict(item.model_copy(update={"direction": direction}), *features, baselines=baselines).verdict
        for direction in ("present", "absent")
    )
    assert gone == reverse.get(there, there)


SPLIT = [cue for cue in TABLE.cues.values() if cue.opposite and cue.operator == ">="]


@given(claims(), some_features, some_baselines, st.sampled_from(SPLIT))
@settings(max_examples=200, deadline=None)
def test_opposite_cues_are_never_both_supported(
    item: Evidence, features: list[Features], baselines: tuple[Baseline, ...], cue: Cue
) -> None:
    if cue.feature == "pitch_change":
        return  # a voice may rise and fall in one span
    poles = [
        verdict(item.model_copy(update=claimed), *features, baselines=baselines).verdict
        for claimed in (
            {"modality": "audio", "cue": cue.cue, "direction": "present"},
            {"modality": "audio", "cue": cue.opposite, "direction": "present"},
        )
    ]
    assert poles != ["supported", "supported"]


# What happens somewhere in the span also happens in every wider span.
HAPPENING = (
    "AU12",
    "smile",
    "AU43",
    "pause",
    "long_pause",
    "pitch_rise",
    "pitch_fall",
    "loud_burst",
    "quote",
)
levels = st.lists(st.one_of(st.none(), st.sampled_from([0.0, 0.05, 0.2, 0.5, 0.9])), min_size=1, max_size=20)
quarters = st.integers(0, 16).map(lambda n: n / 4)
moments = st.lists(quarters, min_size=4, max_size=4).map(sorted)
events = st.lists(
    st.builds(
        lambda cue, start_s, length_s: Event(
            cue=cue, modality="audio", start_s=start_s, end_s=start_s + length_s, size=12.0
        ),
        st.sampled_from(["pause", "pitch_rise", "pitch_fall", "loud_burst"]),
        quarters,
        quarters.map(lambda length_s: length_s + 0.1),
    ),
    max_size=3,
)


@given(levels, events, moments, st.sampled_from(HAPPENING))
@settings(max_examples=300, deadline=None)
def test_a_wider_span_holds_what_a_narrower_one_held(
    face: list[float | None], heard: list[Event], moments: list[float], cue: str
) -> None:
    features = (
        make.aus(dict.fromkeys(("AU01", "AU12", "AU43"), face)),
        make.voice([160.0] * 200, events=tuple(heard)),
        make.asr("no no I am not happy about this"),
    )
    wide, narrow = (
        verdict(make.claim(cue, start_s, end_s, quote="not happy"), *features).verdict
        for start_s, end_s in ((moments[0], moments[3]), (moments[1], moments[2]))
    )
    if narrow == "supported":
        assert wide == "supported"


odd_values = st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False))


@given(st.lists(odd_values, max_size=30), st.sampled_from(sorted(TABLE.cues)), times, times)
@settings(max_examples=200, deadline=None)
def test_odd_measurements_never_break_the_check(
    values: list[float | None], cue: str, start_s: float, length_s: float
) -> None:
    features = [make.voice(values), make.aus({f"AU{n:02d}": values for n in (1, 12, 43)})]
    item = make.claim(cue, start_s, start_s + length_s, quote="x")
    check_annotation(make.annotation(make.triplet(item)), features, [make.baseline()], 4.0, TABLE)
