"""Ways to ask that depend less on wording, chance and habit: their effect on models with a known habit."""

from __future__ import annotations

import json
import re
from collections import Counter
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest

from agents.questions.prompting import PROMPT_DIR, VARIANTS
from pipeline.policy import review_reasons
from schemas.ports import TokenLogprob
from schemas.settings import PolicySection
from schemas.settings_models import MAX_VARIANTS
from tests.wire.material import taxonomy
from tests.wire.robust import asking, chance, data_of, system_of, thinks
from tests.wire.server import FakeModels, Reply

FIRST_WORDS = "You annotate emotion in short recordings of people."


def set_off_by_a_wording(body: dict[str, Any]) -> Reply:
    """Right (joy), but for one wording of the task that makes it say anger."""
    return Reply(label="anger" if FIRST_WORDS in system_of(body) else "joy")


def right_in_six_of_ten(body: dict[str, Any]) -> Reply:
    """Joy in 60 % of the samples; else one of the other labels, whichever chance has it."""
    drawn = chance(data_of(body), body["seed"])
    others = ("neutral", "anger", "disgust", "fear", "sadness", "surprise")
    return Reply(label="joy" if drawn < 0.6 else others[int((drawn - 0.6) / 0.4 * len(others))])


def test_every_variant_is_another_wording_of_the_same_task() -> None:
    texts = {name: (PROMPT_DIR / "variants" / f"{name}.md").read_text(encoding="utf-8") for name in VARIANTS}
    assert len(set(texts.values())) == len(VARIANTS) == MAX_VARIANTS
    assert sorted(path.stem for path in (PROMPT_DIR / "variants").iterdir()) == sorted(VARIANTS)
    for text in texts.values():  # each says that claims are checked, and none that the data could be obeyed
        assert "program" in text
        assert "recording" in text
        assert "$" not in text


def test_one_wording_that_sets_a_model_off_is_outvoted_by_the_others(tmp_path: Path) -> None:
    with FakeModels(mind=set_off_by_a_wording) as models:
        alone = asking(models, tmp_path / "1")
        (tmp_path / "3").mkdir()
        several = asking(models, tmp_path / "3", "variants = 3")
    assert alone.labels == ["anger"]
    assert several.labels == ["joy"]
    said = {one.variant: one.answer.primary for one in several.annotations if one.answer}
    assert said == {0: "anger", 1: "joy", 2: "joy"}
    (voice,) = several.consensus[0].voices
    assert (voice.asked, voice.labelled, voice.variants) == (3, 3, 3)
    assert voice.agreement == pytest.approx(2 / 3)
    assert voice.distribution == pytest.approx({"anger": 1 / 3, "joy": 2 / 3})
    assert several.consensus[0].distribution == pytest.approx(voice.distribution)


def test_more_variants_ask_only_what_is_new(tmp_path: Path) -> None:
    with FakeModels(mind=set_off_by_a_wording) as models:
        sent = []
        for variants in (1, 3, 3, 1):
            told = asking(models, tmp_path, f"variants = {variants}")
            sent.append(len(models.requests))
        assert sent == [1, 3, 3, 3]
    assert told.labels == ["anger"]  # the two answers more are history again
    assert told.consensus[0].voices == ()


def test_samples_that_are_right_in_six_of_ten_are_right_together(tmp_path: Path) -> None:
    """One sample is right in 60 % of the clips; that joy is in front among nine has a probability of 0.95."""
    right = {}
    with FakeModels(mind=right_in_six_of_ten) as models:
        for samples in (1, 9):
            folder = tmp_path / str(samples)
            folder.mkdir()
            told = asking(models, folder, settings=f"replicates = {samples}\nseed = 0", clips=40)
            right[samples] = told.labels.count("joy") / 40
    assert 0.45 <= right[1] <= 0.75
    assert right[9] >= 0.9
    shares = [one.voices[0].agreement for one in told.consensus]
    assert 0.5 <= sum(shares) / len(shares) <= 0.7  # the samples agree as often as they are right


def test_what_failed_is_among_the_asked_and_is_no_vote(tmp_path: Path) -> None:
    def mind(body: dict[str, Any]) -> Reply:
        return Reply(status=400) if body["seed"] == 1 else Reply(label="joy" if body["seed"] else "fear")

    with FakeModels(mind=mind) as models:
        told = asking(models, tmp_path, settings="replicates = 4\nseed = 0")
    (voice,) = told.consensus[0].voices
    assert (voice.asked, voice.labelled, voice.agreement) == (4, 3, 0.5)
    assert voice.distribution == pytest.approx({"fear": 1 / 3, "joy": 2 / 3})
    assert told.consensus[0].outcomes == {"failed": 1, "labelled": 3}


def test_show_and_status_tell_which_question_was_answered_how_and_how_the_answers_agree(
    tmp_path: Path,
) -> None:
    def mind(body: dict[str, Any]) -> Reply:
        if body["seed"] == 1 and FIRST_WORDS in system_of(body):
            return Reply(status=400)
        return set_off_by_a_wording(body)

    with FakeModels(mind=mind) as models:
        settings = "replicates = 2\nseed = 0"
        told = asking(models, tmp_path, "variants = 3", settings=settings, clips=2)
    shown = [line.strip() for line in told.shown[0]]
    assert sum(line.startswith("model, wording 2, sample") for line in shown) == 2
    assert "model, wording 1, sample 1: anger, confidence 0.70" in shown
    in_all = "model in all: joy 0.80, anger 0.20 (5 of 6 answers have a label, 67% agree)"
    assert in_all in shown
    voice = told.totals.voices["model"]
    assert (voice.clips, voice.asked, voice.labelled, voice.variants) == (2, 12, 10, 3)
    assert voice.agreement == pytest.approx(2 / 3, abs=1e-4)
    with FakeModels(mind=mind) as models:
        (tmp_path / "once").mkdir()
        once = asking(models, tmp_path / "once")
    assert once.totals.voices == {}
    assert any(line.strip().startswith("model: ") for line in once.shown[0])


def test_the_mean_of_stated_probabilities_lets_the_sure_answer_win(tmp_path: Path) -> None:
    def mind(body: dict[str, Any]) -> Reply:
        sure = FIRST_WORDS in system_of(body)
        return Reply(label="joy" if sure else "fear", confidence=0.95 if sure else 0.3)

    with FakeModels(mind=mind) as models:
        folders = [tmp_path / name for name in ("vote", "mean")]
        for folder in folders:
            folder.mkdir()
        vote, mean = (asking(models, at, f'variants = 3\ncombine = "{at.name}"') for at in folders)
    assert (vote.labels, mean.labels) == (["fear"], ["joy"])
    (voice,) = mean.consensus[0].voices
    # joy: 0.95 once, and twice an equal part of the 0.7 that were not put on fear
    assert voice.distribution["joy"] == pytest.approx((0.95 + 2 * 0.7 / 6) / 3)
    assert sum(voice.distribution.values()) == pytest.approx(1)
    assert (voice.combine, voice.prob_sources, vote.consensus[0].voices[0].prob_sources) == (
        "mean", ("stated",), (),
    )  # fmt: skip


# --- rationale, then verbalizer ---------------------------------------------------------------------


def fields_of(body: dict[str, Any]) -> list[str]:
    return list(body["response_format"]["json_schema"]["schema"]["properties"])


def led_by_its_own_label(body: dict[str, Any]) -> Reply:
    """Asked for all at once it has a label in mind and finds reasons for it. Asked for reasons alone it sees the
    lowered brows, and from these, when they stand in the question, it concludes anger."""
    asked = fields_of(body)
    if "labels" in asked and "evidence" in asked:
        return Reply(label="joy")
    if "evidence" in asked:
        claim = {
            "id": "e1", "modality": "visual", "start_s": 0.5, "end_s": 1.5, "cue": "AU04",
            "direction": "present", "quote": None, "description": "the brows are lowered",
        }  # fmt: skip
        step = {"n": 1, "text": "Lowered brows and a hard look.", "evidence_ids": ["e1"]}
        return Reply(text=json.dumps({"evidence": [claim], "rationale": [step], "abstain_reason": None}))
    return Reply(label="anger" if "Lowered brows" in data_of(body) else "surprise")


TWO_STEPS = 'style = "rationale_then_verbalizer"'


def test_reasons_that_are_asked_for_first_lead_to_the_label(tmp_path: Path) -> None:
    with FakeModels(mind=led_by_its_own_label) as models:
        (tmp_path / "one").mkdir()
        at_once = asking(models, tmp_path / "one")
        one = len(models.requests)
        (tmp_path / "two").mkdir()
        told = asking(models, tmp_path / "two", TWO_STEPS)
        again = asking(models, tmp_path / "two", TWO_STEPS)
        asked = [request.body for request in models.requests[one:]]
    assert (at_once.labels, told.labels, again.labels) == (["joy"], ["anger"], ["anger"])
    assert len(asked) == 2  # and nothing for the second run
    (annotation,) = told.annotations
    assert annotation.answer is not None
    assert annotation.answer.rationale[0].text == "Lowered brows and a hard look."
    assert (annotation.usage.input_tokens, annotation.usage.output_tokens) == (200, 40)  # of both calls
    assert annotation.usage.input_by_modality == {}


def test_the_first_step_has_no_place_for_a_label_and_the_second_begins_with_it(tmp_path: Path) -> None:
    with FakeModels(mind=led_by_its_own_label) as models:
        asking(models, tmp_path, TWO_STEPS)
        first, second = (request.body for request in models.requests)
    assert fields_of(first) == ["evidence", "rationale", "abstain_reason"]
    assert '"joy"' not in json.dumps(first["response_format"])
    assert fields_of(second)[0] == "labels"
    assert not {"evidence", "rationale"} & set(fields_of(second))
    assert data_of(second).startswith(data_of(first))
    assert "Do not name an" in system_of(first)


@pytest.mark.parametrize(
    ("reply", "outcome", "reason"),
    [
        (Reply(refusal="no", times=0), "refused", "refusal"),
        (Reply(text="so angry", times=0), "unparsed", "not_json"),
        (
            Reply(text='{"evidence": [], "rationale": [], "abstain_reason": "black"}'),
            "abstained",
            "abstained",
        ),
        (Reply(text='{"evidence": [', finish_reason="length"), "unparsed", "truncated"),
    ],
)
def test_a_first_answer_that_ends_it_is_the_only_call(
    reply: Reply, outcome: str, reason: str, tmp_path: Path
) -> None:
    with FakeModels(mind=led_by_its_own_label) as models:
        models.script(reply)
        told = asking(models, tmp_path, TWO_STEPS)
        assert len(models.requests) == 1
    assert [(one.outcome, one.reason) for one in told.annotations] == [(outcome, reason)]


def test_a_second_step_that_failed_is_asked_again_alone_and_the_record_keeps_its_id(tmp_path: Path) -> None:
    with FakeModels(mind=led_by_its_own_label) as models:
        models.script(Reply(match="Lowered brows", status=400))
        failed = asking(models, tmp_path, TWO_STEPS)
        healed = asking(models, tmp_path, TWO_STEPS, retry_failed=True)
        steps = Counter("evidence" in fields_of(request.body) for request in models.requests)
    assert [one.outcome for one in (*failed.annotations, *healed.annotations)] == ["failed", "labelled"]
    assert failed.annotations[0].id == healed.annotations[0].id
    assert steps == {True: 1, False: 2}


# --- contextual calibration -------------------------------------------------------------------------

LABELS = ("neutral", "joy", "sadness", "anger", "fear", "disgust", "surprise")
CLIPS = 42


def clip_of(body: dict[str, Any]) -> int | None:
    """Which of the clips of `asking` is shown, by its length; None: there is no clip."""
    found = re.search(r"length of the clip: (\d+)", data_of(body))
    return None if found is None else int(found[1]) - 3


def truth(clip: int) -> str:
    return LABELS[clip % len(LABELS)]


def fond_of_joy(clip: int | None) -> dict[str, float]:
    """What it thinks of a clip: the signs, times a habit of joy. In every second clip the signs are weaker than
    the habit: joy is said more than twice as often as it is true. Without a clip there is the habit alone."""
    habit = {label: 12.0 if label == "joy" else 1.0 for label in LABELS}
    signs = dict.fromkeys(LABELS, 1.0)
    if clip is not None:
        signs[truth(clip)] = 8.0 if clip % 2 else 60.0
    both = {label: habit[label] * signs[label] for label in LABELS}
    return {label: p / sum(both.values()) for label, p in both.items()}


def draws(body: dict[str, Any]) -> Reply:
    """One label by chance, as likely as it thinks it."""
    thought = fond_of_joy(clip_of(body))
    up_to = list(accumulate(thought.values()))
    drawn = chance(clip_of(body), data_of(body), body["seed"])
    return Reply(label=next(label for label, end in zip(thought, up_to, strict=True) if drawn < end + 1e-9))


def right(labels: list[str | None]) -> int:
    return sum(label == truth(clip) for clip, label in enumerate(labels))


def test_a_habit_shows_in_questions_without_content_and_is_taken_off_the_votes(tmp_path: Path) -> None:
    settings = "replicates = 9\nseed = 0\nconcurrency = 32"
    with FakeModels(mind=draws) as models:
        raw = asking(models, tmp_path, settings=settings, clips=CLIPS)
        sent = len(models.requests)
        told = asking(models, tmp_path, "calibrate = true", settings=settings, clips=CLIPS)
        again = asking(models, tmp_path, "calibrate = true", settings=settings, clips=CLIPS)
        without_clip = [request.body for request in models.requests[sent:]]
    true = [truth(clip) for clip in range(CLIPS)].count("joy")
    assert (true, sent, len(without_clip)) == (6, 9 * CLIPS, 9 * 3)
    assert {clip_of(body) for body in without_clip} == {None}
    assert raw.labels.count("joy") >= 2 * true
    assert true - 2 <= told.labels.count("joy") <= true + 2
    assert right(told.labels) >= right(raw.labels) + 3
    assert again.labels == told.labels
    assert all(one.voices[0].calibrated for one in told.consensus)
    assert not any(one.voices[0].calibrated for one in raw.consensus)
    # What the model said stands as it was said, and what it said of nothing stands nowhere.
    assert {one.id: one.answer for one in told.annotations} == {one.id: one.answer for one in raw.annotations}
    assert told.totals.annotations.labelled == 9 * CLIPS
    assert told.counts["content_free.labelled"] == 27


def test_questions_without_content_show_nothing_and_ask_the_same(tmp_path: Path) -> None:
    with FakeModels(mind=draws) as models:
        asking(models, tmp_path, "calibrate = true\nvariants = 2", settings="replicates = 2\nseed = 0")
        bodies = [request.body for request in models.requests]
    free = [body for body in bodies if clip_of(body) is None]
    shown = [body for body in bodies if clip_of(body) is not None]
    assert (len(free), len(shown)) == (3 * 2 * 2, 2 * 2)
    assert bodies[: len(free)] == free  # they come first
    texts = Counter(re.sub(r"data-\w+", "", data_of(body)) for body in free)
    assert set(texts.values()) == {4}
    assert any("<Text>\nN/A\n</Text>" in text for text in texts)
    bare = {re.sub(r"data-\w+", "", system_of(body)) for body in shown}
    assert {re.sub(r"data-\w+", "", system_of(body)) for body in free} == bare
    assert all(body["response_format"] == shown[0]["response_format"] for body in free)


def test_a_prior_that_is_not_known_calibrates_nothing_and_is_asked_for_again(tmp_path: Path) -> None:
    with FakeModels(mind=draws) as models:
        models.script(Reply(match="<Context>\\n", status=400, times=0))
        models.replies[-1] = models.replies[-1].model_copy(update={"match": "</Context>\\n<Text>\\nN/A"})
        models.script(Reply(match="[MASK]", status=400, times=0))
        models.script(Reply(match="<Context>\\n\\n</Context>", status=400, times=0))
        settings = "replicates = 3\nseed = 0"
        failed = asking(models, tmp_path, "calibrate = true", settings=settings)
        models.replies.clear()
        healed = asking(models, tmp_path, "calibrate = true", settings=settings, retry_failed=True)
    assert [one.voices[0].calibrated for one in (*failed.consensus, *healed.consensus)] == [False, True]
    assert len([1 for stage, _ in failed.failures if stage == "calibrate"]) == 9
    assert failed.consensus[0].id != healed.consensus[0].id
    assert not healed.failures


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        ("I cannot identify emotions.\nLabel: neutral", "labelled"),
        ("I cannot identify emotions.", "refused"),
        ("I see nothing", "unparsed"),
    ],
)
def test_what_a_model_says_of_nothing_in_lines_has_an_outcome(
    said: str, outcome: str, tmp_path: Path
) -> None:
    def mind(body: dict[str, Any]) -> Reply:
        return Reply(text=said) if clip_of(body) is None else Reply(label="joy")

    with FakeModels(mind=mind) as models:
        settings = "replicates = 2\nseed = 0\ngives = []"
        told = asking(models, tmp_path, "calibrate = true", settings=settings)
    assert told.counts[f"content_free.{outcome}"] == 6


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (Reply(text='{"labels": [], "abstain_reason": "nothing is there"}', times=0), "abstained"),
        (Reply(text="I see nothing", times=0), "unparsed"),
        (Reply(refusal="no", times=0), "refused"),
        (Reply(text='{"labels": ["joy"]}', times=0), "labelled"),
        (Reply(text='{"labels": "joy"}', times=0), "labelled"),
        (Reply(text="Label: joy", times=0), "unparsed"),
        (Reply(text='{"labels": {"label": "joy"}}', times=0), "labelled"),
        (Reply(text='{"labels": ["joy"]}\n\nWait.\nIt should be anger.', times=0), "unparsed"),
        (Reply(text="I cannot identify emotions.", times=0), "refused"),
    ],
)
def test_what_a_model_says_of_nothing_has_an_outcome(reply: Reply, outcome: str, tmp_path: Path) -> None:
    def mind(body: dict[str, Any]) -> Reply:
        return reply if clip_of(body) is None else Reply(label="joy")

    with FakeModels(mind=mind) as models:
        told = asking(models, tmp_path, "calibrate = true", settings="replicates = 2\nseed = 0")
    assert told.counts[f"content_free.{outcome}"] == 6
    assert told.consensus[0].voices[0].calibrated == (outcome == "labelled")


def test_the_habit_of_a_model_that_writes_lines_is_known_too(tmp_path: Path) -> None:
    def mind(body: dict[str, Any]) -> Reply:
        label = draws(body).label
        if clip_of(body) is None:
            return Reply(text=f"There is nothing to see.\n\n**Label:** {label}, intensity 1\nConfidence: 0.2")
        said = "Evidence:\n- text: what is said (0.1-0.5 s)\nStep 1: One hears it. [e1]\n"
        return Reply(text=f"{said}Label: {label}\nConfidence: 0.8")

    with FakeModels(mind=mind) as models:
        settings = "replicates = 3\nseed = 0\ngives = []"
        told = asking(models, tmp_path, "calibrate = true", settings=settings)
    assert told.counts["content_free.labelled"] == 9
    assert told.consensus[0].voices[0].calibrated


# --- log-probabilities ------------------------------------------------------------------------------

TOKENS = 'gives = ["json_schema", "logprobs"]\ntop_logprobs = 12'


def torn_between_words(body: dict[str, Any]) -> Reply:
    """It means joy, in three words; the one word for sadness is likelier than each of these."""
    return thinks(body, {"sadness": 0.4, "joy": 0.25, "happiness": 0.2, "happy": 0.1, "anger": 0.05})


def test_words_of_one_meaning_outweigh_the_likeliest_word(tmp_path: Path) -> None:
    with FakeModels(mind=torn_between_words) as models:
        vote = asking(models, tmp_path, settings=TOKENS)
        mean = asking(models, tmp_path, 'combine = "mean"', settings=TOKENS)
        assert len(models.requests) == 1  # the tokens are kept with the answer
    assert (vote.labels, mean.labels) == (["sadness"], ["joy"])
    (annotation,) = mean.annotations
    assert annotation.answer is not None
    assert (annotation.answer.primary, annotation.prob_source) == ("sadness", "logprobs")
    assert annotation.probabilities["joy"] == pytest.approx(0.55)
    assert sum(annotation.probabilities.values()) == pytest.approx(1)
    consensus = mean.consensus[0]
    assert consensus.voices[0].prob_sources == ("logprobs",)
    assert consensus.distribution["joy"] == pytest.approx(0.55)
    # Nobody gave reasons for joy: there is no rationale to release, and the label waits for a person.
    assert (consensus.rationale, consensus.best_annotation_id) == ((), None)
    policy = PolicySection(accept_confidence=0, accept_s_final=0)
    reasons = review_reasons(consensus, {}, policy, taxonomy=taxonomy(), seed=0)
    assert "not_rated" in reasons


def test_a_vendor_that_tells_no_tokens_leaves_what_is_stated(tmp_path: Path) -> None:
    def mind(body: dict[str, Any]) -> Reply:
        return Reply(label="joy", logprobs=[TokenLogprob("other tokens", -0.1)])

    with FakeModels(mind=mind) as models:
        told = asking(models, tmp_path, 'combine = "mean"', settings=TOKENS)
    (annotation,) = told.annotations
    assert (annotation.prob_source, annotation.probabilities) == ("stated", {})
    assert told.consensus[0].voices[0].prob_sources == ("stated",)
    assert told.consensus[0].distribution["joy"] == pytest.approx(0.7)


def tells_what_it_thinks(body: dict[str, Any]) -> Reply:
    return thinks(body, fond_of_joy(clip_of(body)))


def test_a_habit_is_taken_off_the_probabilities_and_every_label_is_right(tmp_path: Path) -> None:
    with FakeModels(mind=tells_what_it_thinks) as models:
        raw = asking(models, tmp_path, 'combine = "mean"', settings=TOKENS, clips=CLIPS)
        sent = len(models.requests)
        told = asking(models, tmp_path, 'combine = "mean"\ncalibrate = true', settings=TOKENS, clips=CLIPS)
        assert len(models.requests) == sent + 3
    true = [truth(clip) for clip in range(CLIPS)].count("joy")
    assert raw.labels.count("joy") > 2 * true
    assert right(raw.labels) < CLIPS
    assert (told.labels.count("joy"), right(told.labels)) == (true, CLIPS)
    assert all(one.voices[0].calibrated for one in told.consensus)


def test_tokens_are_asked_for_in_the_second_step_alone(tmp_path: Path) -> None:
    def mind(body: dict[str, Any]) -> Reply:
        if "evidence" in fields_of(body):
            return led_by_its_own_label(body)
        return thinks(body, {"anger": 0.9, "joy": 0.1})

    with FakeModels(mind=mind) as models:
        told = asking(models, tmp_path, TWO_STEPS, settings=TOKENS)
        asked = [request.body.get("top_logprobs") for request in models.requests]
    assert asked == [None, 12]
    assert told.annotations[0].probabilities["anger"] == pytest.approx(0.9)
