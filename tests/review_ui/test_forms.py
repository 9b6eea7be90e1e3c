"""Whatever is posted: an answer that fits the records, or one line that says what to change."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from review_ui.auth import Keyring
from review_ui.forms import CANNOT_TELL, FormError, form_id, read_answer, read_name, seconds_since_served
from review_ui.pages import clock
from review_ui.queue import Phase, Queue
from schemas.records import Review
from schemas.taxonomy import Taxonomy, load_taxonomy, shipped_taxonomies
from tests.review_ui.project import Project

ALL = [load_taxonomy(name) for name in shipped_taxonomies()]
EKMAN7, OPEN, VAD = load_taxonomy("ekman7"), load_taxonomy("open"), load_taxonomy("vad")
INTENT = Taxonomy.model_validate(
    {
        "name": "both",
        "instruction": "",
        "labels": {"joy": {"verbalizers": []}},
        "heads": {
            "intent": {"question": "Why?", "labels": {n: {"verbalizers": []} for n in ("thank", "joke")}}
        },
    }
)
VALUES = st.one_of(
    st.text(), st.sampled_from([*EKMAN7.names, CANNOT_TELL, "", "1", "0.5", "-0,25", "inf", "nan", "1e400"])
)
FIELDS = [
    "label",
    "second",
    "cannot_tell",
    "certainty",
    "comment",
    "flag",
    "reviewer",
    "form",
    "dim-valence",
    "dim-sentiment",
]
FORMS = st.dictionaries(st.sampled_from(FIELDS), VALUES)


@given(st.sampled_from(ALL), FORMS)
def test_an_answer_is_whole_or_refused(taxonomy: Taxonomy, form: dict[str, str]) -> None:
    with contextlib.suppress(FormError):
        answer = read_answer(form, taxonomy)
        names = [score.label for score in answer.labels]
        assert all(taxonomy.has(name) for name in names)
        assert len(set(names)) == len(names)
        told = names if taxonomy.asks_labels else answer.dimensions.given
        assert answer.cannot_tell == (not told)
        for name, value in answer.dimensions.given.items():
            assert taxonomy.dimensions[name].low <= value <= taxonomy.dimensions[name].high
        assert "\x00" not in answer.comment  # no database takes it


def test_numbers_are_read_with_a_point_or_a_comma_and_stay_on_their_scale() -> None:
    answer = read_answer({"dim-valence": " -0,25 ", "dim-arousal": "1"}, VAD)
    assert answer.dimensions.given == {"valence": -0.25, "arousal": 1.0}
    for wrong in ("1.01", "-2", "high", "nan"):
        with pytest.raises(FormError, match="Valence is a number from -1 to 1"):
            read_answer({"dim-valence": wrong}, VAD)
    with pytest.raises(FormError, match="Give a number"):
        read_answer({}, VAD)
    with pytest.raises(FormError, match="stands alone"):
        read_answer({"dim-valence": "1", "cannot_tell": CANNOT_TELL}, VAD)
    assert read_answer({"cannot_tell": CANNOT_TELL}, VAD).cannot_tell
    assert read_answer({"label": "joy", "dim-valence": "0.5"}, EKMAN7).dimensions.valence == 0.5


def test_a_typed_word_is_put_into_the_form_that_counts() -> None:
    answer = read_answer({"label": " Let  DOWN! ", "second": "sad"}, OPEN)
    assert [score.label for score in answer.labels] == ["let down", "sad"]
    with pytest.raises(FormError, match="a word or two"):
        read_answer({"label": "she is sad because of the rain"}, OPEN)
    with pytest.raises(FormError, match="same as the first"):
        read_answer({"label": "Sad", "second": "sad"}, OPEN)
    assert read_answer({"cannot_tell": CANNOT_TELL}, OPEN).cannot_tell


def test_a_further_question_may_stay_open_but_takes_its_own_answers_only() -> None:
    assert read_answer({"label": "joy", "head-intent": "joke"}, INTENT).heads == {"intent": "joke"}
    assert read_answer({"label": "joy", "head-intent": ""}, INTENT).heads == {}
    with pytest.raises(FormError, match="not one of the set"):
        read_answer({"label": "joy", "head-intent": "joy"}, INTENT)


@given(st.text())
def test_a_name_fits_a_cookie_and_a_record(name: str) -> None:
    with contextlib.suppress(FormError):
        assert set(read_name({"reviewer": name})) <= set(
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"
        )


@given(st.text(), st.text(), st.text())
def test_a_signature_is_good_for_one_text_one_purpose_one_token(purpose: str, text: str, other: str) -> None:
    keyring = Keyring("one")
    signed = keyring.sign(purpose, text)
    assert keyring.verify(purpose, signed) == text
    assert Keyring("two").verify(purpose, signed) is None
    assert keyring.verify(purpose + "x", signed) is None
    assert keyring.verify(purpose, other) is None or other == signed


@given(FORMS)
def test_a_form_that_was_not_served_is_refused(form: dict[str, str]) -> None:
    keyring = Keyring("one")
    assert seconds_since_served(keyring, {"form": form_id(keyring, "smp_1", "blind")}, "smp_1", "blind") >= 0
    elsewhere: tuple[tuple[str, Phase], ...] = (("smp_2", "blind"), ("smp_1", "revealed"))
    for sample_id, phase in elsewhere:
        try:
            seconds_since_served(keyring, {"form": form_id(keyring, "smp_1", "blind")}, sample_id, phase)
        except FormError:
            continue
        raise AssertionError("accepted a form of another item or phase")
    try:
        seconds_since_served(keyring, form, "smp_1", "blind")
    except FormError:
        return
    raise AssertionError("accepted a form that nobody signed")


def test_a_clock_never_shows_sixty_seconds() -> None:
    assert [clock(t) for t in (0, 3.421, 59.999, 61.5)] == ["0:00.00", "0:03.42", "1:00.00", "1:01.50"]


def test_many_clicks_at_once_store_one_review(project: Project) -> None:
    queue = Queue(project.store, "ekman7")
    entry, sample = queue.entries()[0], project.waiting[0].sample
    reviews = [
        Review(
            segment_id=sample.segment_id,
            target=sample.target,
            taxonomy="ekman7",
            reviewer="ann",
            phase="blind",
            at=f"2026-01-01T00:00:{n:02d}",
        )
        for n in range(16)
    ]
    with ThreadPoolExecutor(8) as pool:
        stored = list(pool.map(lambda review: queue.store_once(entry, review, "f"), reviews))
    (kept,) = project.store.all(Review)
    assert {answer.review.id for answer in stored} == {kept.id}
    assert [answer.how for answer in stored].count("new") == 1
