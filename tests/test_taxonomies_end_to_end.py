"""Every kind of taxonomy from recordings to a verified release, with a person's answer on the way.

The annotators are the keyless lexicon and two that follow a script; the person says their part through the page's
own form.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from agents.questions.answer_schema import asked_fields
from review_ui.forms import read_answer
from schemas.records import Decision, Review
from schemas.store import utc_now
from schemas.taxonomy import Taxonomy, load_taxonomy
from tests.pipeline.project import LEXICON_ALONE, done_well, emotrace, ingested, stored, talk
from tests.wire.material import answer

pytestmark = pytest.mark.slow

GLAD, SAD = "I am so happy, what a wonderful picnic!", "I am sad and lonely at her grave."
INTENTS = """
name = "emotion-and-intent"
instruction = "Which emotion, and what for?"
multi_label = false
[labels.joy]
verbalizers = ["happy"]
[labels.sadness]
verbalizers = ["sad"]
[labels.calm]
verbalizers = []
[heads.intent]
question = "What does the person want to do?"
labels_of = "mintrec20"
"""
SETTINGS = """
[project]
name = "kinds"
language = "en"
taxonomy = "{taxonomy}"
{lexicon}{scripted}
[policy]
random_review_share = 0
accept_probability = 0.7
accept_confidence = 0.3
accept_s_final = 0.2
[release]
license = "cc-by-4.0"
split_policy = "single"
"""
# What the two scripted annotators say of the glad and of the sad recording; of the sad one they differ.
SAYS: dict[str, tuple[tuple[Any, Any], tuple[Any, Any]]] = {
    "sentiment-continuous": (
        ({"sentiment": 2.0}, {"sentiment": 2.5}),
        ({"sentiment": -2.5}, {"sentiment": 2.5}),
    ),
    "vad": (
        (
            {"valence": 0.8, "arousal": 0.4, "dominance": 0.1},
            {"valence": 0.6, "arousal": 0.6, "dominance": 0.3},
        ),
        (
            {"valence": -0.9, "arousal": -0.4, "dominance": 0},
            {"valence": 0.9, "arousal": 0.9, "dominance": 0},
        ),
    ),
    "open": ((["joyful", "nostalgic"], ["delighted"]), (["neutral"], ["heartbroken"])),
    "own.toml": ((["joy"], ["joy"]), (["calm"], ["joy"])),
}
FORM = {
    "sentiment-continuous": {"dim-sentiment": "-2"},
    "vad": {"dim-valence": "-0.5", "dim-arousal": "-0,25"},
    "open": {"label": "Grieving!", "second": "lonely"},
    "own.toml": {"label": "sadness", "head-intent": "complain"},
}


def scripted(folder: Path, taxonomy: Taxonomy, which: int, says: Any) -> str:
    """A section of an annotator that follows a script, which is written beside the project file."""
    script = folder / f"script{which}.jsonl"
    rules = (
        {"text": word, "answer": said(taxonomy, says[clip][which], word)}
        for clip, word in enumerate(("picnic", "grave"))
    )
    script.write_text("".join(json.dumps(rule) + "\n" for rule in rules), encoding="utf-8")
    return (
        f'[[annotators]]\nname = "script{which}"\nprovider = "scripted"\nmodel = "m{which}"\n'
        f'options = {{ script = "{script}" }}\n'
    )


def said(taxonomy: Taxonomy, what: Any, word: str) -> dict[str, Any]:
    """A valid answer that quotes `word` and says `what`: numbers, or labels."""
    labels = what if taxonomy.asks_labels else []
    quote = {
        "id": "e1", "modality": "text", "start_s": 0.1, "end_s": 4.0, "cue": "quote", "direction": "present",
        "quote": word, "description": f"says {word}",
    }  # fmt: skip
    told = ", ".join(labels) or "these numbers"
    whole = answer(
        evidence=[quote],
        rationale=[{"n": 1, "text": f"The word speaks for {told}.", "evidence_ids": ["e1"]}],
        readings={"text": labels[0] if labels else None, "audio": None, "visual": None},
        labels=[{"label": label} for label in labels],
        dimensions=what if isinstance(what, dict) else {},
        heads=dict.fromkeys(taxonomy.heads, "praise"),
        trajectory=[],
    )
    return {name: whole[name] for name in asked_fields(taxonomy)}


def made(folder: Path, name: str) -> tuple[Path, Taxonomy]:
    """A project with this taxonomy, run once."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "own.toml").write_text(INTENTS, encoding="utf-8")
    taxonomy = load_taxonomy(name, folder)
    sections = "".join(scripted(folder, taxonomy, which, SAYS[name]) for which in (0, 1))
    recordings = folder / "recordings"
    recordings.mkdir()
    talk(recordings / "glad.mp4", text=GLAD, seed=0)
    talk(recordings / "sad.mp4", text=SAD, seed=1)
    settings = SETTINGS.format(taxonomy=name, lexicon=LEXICON_ALONE, scripted=sections)
    project = ingested(folder, settings, recordings, "--consent", "given", "--license", "cc-by-4.0")
    run = done_well(emotrace("run", "--project", project, "--local", "--json"))
    assert run["failed_items"] == []
    assert run["annotations"]["unparsed"] == run["annotations"]["failed"] == 0
    return project, taxonomy


def waiting(project: Path) -> Decision:
    """The one that the machine does not decide: of the sad recording; the glad one stands."""
    with stored(project) as store:
        found = store.live(Decision)
    assert sorted(decision.status for decision in found) == ["auto_accepted", "needs_review"]
    return next(decision for decision in found if decision.status == "needs_review")


def review(project: Path, taxonomy: Taxonomy, decision: Decision, form: dict[str, str]) -> None:
    """A person's blind answer."""
    told = read_answer(form, taxonomy)
    with stored(project) as store:
        store.add(
            [
                Review(
                    segment_id=decision.segment_id, target=decision.target, taxonomy=taxonomy.name,
                    reviewer="anna", phase="blind", at=utc_now(), labels=told.labels,
                    dimensions=told.dimensions, heads=told.heads, cannot_tell=told.cannot_tell,
                )
            ]
        )  # fmt: skip


@pytest.mark.parametrize("name", SAYS)
def test_a_project_of_this_kind_reaches_a_verified_release(name: str, tmp_path: Path) -> None:
    project, taxonomy = made(tmp_path / "project", name)
    sad = waiting(project)
    assert set(sad.reasons) & {"open_tie", "low_margin", "low_probability", "wide_spread"}
    assert emotrace("show", "glad.mp4", "--project", project).status == 0

    review(project, taxonomy, sad, FORM[name])
    assert done_well(emotrace("run", "--project", project, "--local", "--json"))["reviewed"] == 1
    released = done_well(emotrace("release", "--version", "0.1.0", "--project", project, "--json"))
    assert released["rows"] == 2
    folder = project / "releases" / "0.1.0"
    checked = done_well(emotrace("verify", folder, "--json"))
    assert checked["ok"], checked["findings"]
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    assert manifest["taxonomy"]["kind"] == taxonomy.kind
    (shard,) = (folder / "data").iterdir()
    rows = {row["source_name"]: row for row in pq.read_table(shard).to_pylist()}
    CHECKS[name](rows["glad.mp4"], rows["sad.mp4"], manifest, (folder / "README.md").read_text("utf-8"))


def numbers(row: dict[str, Any]) -> dict[str, Any]:
    return {item["name"]: (item["value"], item["by"]) for item in row["dimensions"]}


def check_sentiment(glad: dict[str, Any], sad: dict[str, Any], manifest: dict[str, Any], card: str) -> None:
    assert (glad["label"], glad["labels"], glad["soft_labels"]) == (None, [], [])
    (item,) = glad["dimensions"]
    assert (item["low"], item["high"], item["n"]) == (-3, 3, 3)  # the lexicon tells sentiment as well
    assert 1.5 < item["value"] == item["mean"] < 3
    assert glad["rationale"]
    assert numbers(sad) == {"sentiment": (-2.0, "people")}
    assert [a["dimensions"] for a in sad["annotations"] if a["annotator"] == "script1"] == [
        [{"name": "sentiment", "value": 2.5}]
    ]
    assert manifest["counts"]["dimensions"]["sentiment"]["rows"] == 2
    assert "| sentiment (-3 to 3) | 2 |" in card
    assert "numbers on scales (sentiment-continuous)" in card


def check_vad(glad: dict[str, Any], sad: dict[str, Any], manifest: dict[str, Any], card: str) -> None:
    assert {name: by for name, (_, by) in numbers(glad).items()} == dict.fromkeys(
        ("valence", "arousal", "dominance"), "annotators"
    )
    counted = {item["name"]: item["n"] for item in glad["dimensions"]}
    assert counted == {"valence": 3, "arousal": 3, "dominance": 2}  # the rules do not know dominance
    assert numbers(sad)["valence"] == (-0.5, "people")
    assert numbers(sad)["arousal"] == (-0.25, "people")
    assert numbers(sad)["dominance"] == (0.0, "annotators")  # the person left it open
    assert "| dominance (-1 to 1) | 2 |" in card


def check_open(glad: dict[str, Any], sad: dict[str, Any], manifest: dict[str, Any], card: str) -> None:
    assert glad["label"] == "happy"  # joyful, delighted and joy fall into one cell
    assert glad["soft_labels"] == [{"label": "happy", "p": 1.0}]
    words = {item["word"]: item["cell"] for item in glad["open_labels"]}
    assert words["joyful"] == words["delighted"] == words["joy"] == "happy"
    assert {a["label"] for a in glad["annotations"]} == {"joyful", "delighted", "joy"}
    assert sad["label"] == "sad"
    said = {item["word"]: (item["cell"], item["annotators"], item["people"]) for item in sad["open_labels"]}
    assert said["neutral"] == (None, 1, 0)  # off the wheel, and told
    assert said["grieving"] == ("sad", 0, 1)
    assert {soft["label"] for soft in sad["soft_labels"]} == {"heartbroken", "neutral", "sad"}
    counts = manifest["counts"]["open_labels"]
    off = sum(item["cell"] is None for row in (glad, sad) for item in row["open_labels"])
    assert (counts["words"], counts["off_wheel"]) == (len(glad["open_labels"]) + len(sad["open_labels"]), off)
    assert f"{off} of {counts['words']} words" in card


def check_heads(glad: dict[str, Any], sad: dict[str, Any], manifest: dict[str, Any], card: str) -> None:
    (head,) = glad["heads"]
    assert (head["name"], head["label"]) == ("intent", "praise")
    assert head["soft_labels"] == [{"label": "praise", "p": 1.0}]
    assert (sad["label"], sad["heads"][0]["label"]) == ("sadness", "complain")
    assert manifest["counts"]["heads"] == {"intent": {"complain": 1, "praise": 1}}
    assert "| praise | 1 |" in card


CHECKS = {
    "sentiment-continuous": check_sentiment,
    "vad": check_vad,
    "open": check_open,
    "own.toml": check_heads,
}
