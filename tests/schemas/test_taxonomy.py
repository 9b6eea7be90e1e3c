from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import UserError
from schemas.taxonomy import (
    TAXONOMY_DIR,
    Dimension,
    Head,
    LabelClass,
    Taxonomy,
    load_taxonomy,
    shipped_taxonomies,
)

SHIPPED = shipped_taxonomies()
OWN = """
name = "own"
instruction = "which?"
[labels.yes]
verbalizers = ["aye"]
[labels.no]
verbalizers = []
[dimensions.tension]
low = 0
high = 10
[heads.intent]
question = "What for?"
labels_of = "mintrec20"
"""


def written(folder: Path, text: str) -> str:
    file = folder / "own.toml"
    file.write_text(text, encoding="utf-8")
    return str(file)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_taxonomies_have_words_of_one_meaning(name: str) -> None:
    taxonomy = load_taxonomy(name)
    assert taxonomy.name == name
    assert taxonomy.source
    for label in taxonomy.names:
        assert {taxonomy.match(word) for word in taxonomy.words(label)} == {label}


def test_the_usual_sets_are_there_under_their_published_names() -> None:
    known = {
        "merr9": "neutral angry happy sad worried surprise fear contempt doubt",
        "mer6": "neutral angry happy sad worried surprise",
        "dfew7": "happiness sadness neutral anger surprise disgust fear",
        "iemocap4": "angry happy neutral sad",
        "emorynlp7": "neutral joyful peaceful powerful mad sad scared",
    }
    for name, labels in known.items():
        assert " ".join(load_taxonomy(name).names) == labels
    assert len(load_taxonomy("mintrec20").names) == 20
    assert len(load_taxonomy("mintrec30").names) == 30
    sentiment = load_taxonomy("sentiment-continuous").dimensions["sentiment"]
    assert (sentiment.low, sentiment.high) == (-3, 3)


@pytest.mark.parametrize(
    ("word", "label"), [("Happy", "joy"), ("MATTER of fact", "neutral"), (" mad! ", "anger"), ("bored", None)]
)
def test_words_are_matched_whole_whatever_their_case(word: str, label: str | None) -> None:
    assert load_taxonomy("ekman7").match(word) == label


@pytest.mark.parametrize(
    ("text", "label"),
    [
        (" Nostalgic!", "nostalgic"),
        ("self-conscious", "self-conscious"),
        ("Let  down", "let down"),
        ("", None),
        ("?!", None),
        ("he is happy because she came home", None),
        ("x" * 41, None),
    ],
)
def test_an_open_label_is_a_short_text_in_small_letters(text: str, label: str | None) -> None:
    assert load_taxonomy("open").match(text) == label


@given(st.text(max_size=60))
def test_an_open_label_means_itself(text: str) -> None:
    taxonomy = load_taxonomy("open")
    label = taxonomy.match(text)
    if label is not None:
        assert taxonomy.match(label) == label
        assert taxonomy.has(label)
        assert taxonomy.group(label) in (taxonomy.cell(label), label)


def test_open_labels_count_as_their_cell_and_others_as_themselves() -> None:
    taxonomy = load_taxonomy("open")
    assert [taxonomy.group(word) for word in ("joyful", "happy", "worried", "neutral")] == [
        "happy", "happy", "scared", "neutral",
    ]  # fmt: skip
    assert not taxonomy.differ("joyful", "happiness")
    assert taxonomy.differ("happy", "neutral")
    assert not taxonomy.differ("happy", None)
    assert load_taxonomy("ekman7").group("joy") == "joy"
    assert set(taxonomy.groups) == {"mad", "disgusted", "sad", "happy", "surprised", "scared"}


def test_an_unknown_taxonomy_lists_the_known_ones_and_the_nearest() -> None:
    with pytest.raises(UserError, match='"ekman8", did you mean "ekman7"') as caught:
        load_taxonomy("ekman8")
    assert "iemocap4" in caught.value.remedy


def test_a_taxonomy_of_ones_own(tmp_path: Path) -> None:
    taxonomy = load_taxonomy(written(tmp_path, OWN))
    assert taxonomy.match("aye") == "yes"
    assert taxonomy.dimensions["tension"].scaled(0) == 5
    assert tuple(taxonomy.heads["intent"].labels) == load_taxonomy("mintrec20").names


@pytest.mark.parametrize(
    ("old", "new", "line", "message", "remedy"),
    [
        ("instruction =", "instructions =", 3, 'unknown key "instructions"', '"instruction"'),
        ("verbalizers = []", "verbalisers = []", 7, 'unknown key "labels.no.verbalisers"', '"verbalizers"'),
        ("high = 10", "hihg = 10", 10, 'unknown key "dimensions.tension.hihg"', '"high"'),
        ("labels_of =", "labelsof =", 13, 'unknown key "heads.intent.labelsof"', '"labels_of"'),
        ("high = 10", "high = 0", 8, "high (0) must be above low (0)", ""),
        ('verbalizers = []', 'verbalizers = ["Aye!"]', None, "means yes and no", ""),
        ("low = 0\n", "", 8, "dimensions.tension.low: is missing", ""),
        ('"mintrec20"', '"vad"', 13, 'heads.intent.labels_of: "vad"', ""),
        ('name = "own"', 'name = "own', 2, "not readable as TOML", ""),
        ("[dimensions.tension]", "[dimensions.Tension]", 8, "dimensions.Tension", ""),
        ('name = "own"', 'name = "own"\nkind = "opne"', 3, "kind: Input should be 'closed', 'open'", ""),
        ('name = "own"', 'name = "own"\nkind = "open"', None, "has no labels", ""),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_file_is_told_with_its_line(
    tmp_path: Path, old: str, new: str, line: int | None, message: str, remedy: str
) -> None:
    assert old in OWN
    path = written(tmp_path, OWN.replace(old, new))
    with pytest.raises(UserError) as caught:
        load_taxonomy(path)
    assert message in caught.value.message
    assert remedy in caught.value.remedy
    assert (caught.value.file, caught.value.line) == (path, line)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"kind": "dimensions"},
        {"kind": "open"},
        {"kind": "open", "wheel": "wheel9"},
        {"labels": {"a": LabelClass(verbalizers=())}, "wheel": "wheel1"},
        {"kind": "dimensions", "dimensions": {"x": Dimension(low=0, high=1)}, "wheel": "wheel1"},
    ],
)
def test_a_kind_without_what_it_asks_for_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"wheel|labels|dimensions"):
        Taxonomy.model_validate({"name": "x", "instruction": "", **fields})


def test_the_digest_changes_with_anything_shown_and_with_nothing_else(tmp_path: Path) -> None:
    taxonomy = load_taxonomy(written(tmp_path, OWN))

    def but(**changes: object) -> str:
        fields = {name: getattr(taxonomy, name) for name in Taxonomy.model_fields}
        return Taxonomy(**{**fields, **changes}).digest

    yes, no = taxonomy.labels.items()
    head = taxonomy.heads["intent"]
    others = [
        but(name="other"),
        but(instruction="which one?"),
        but(multi_label=False),
        but(labels={"yes": LabelClass(verbalizers=("aye", "yea")), "no": no[1]}),
        but(labels=dict([no, yes])),
        but(dimensions={}),
        but(dimensions={"tension": Dimension(low=0, high=9)}),
        but(dimensions={"tension": Dimension(low=0, high=10, high_means="unbearable")}),
        but(heads={}),
        but(heads={"intent": Head(question="Why?", labels=head.labels)}),
        but(heads={"intent": Head(question=head.question, labels=dict(reversed(head.labels.items())))}),
    ]
    assert len({taxonomy.digest, *others}) == len(others) + 1
    assert but(source="somewhere") == but() == taxonomy.digest


def test_shipped_taxonomies_are_different_questions() -> None:
    assert len({load_taxonomy(name).digest for name in SHIPPED}) == len(SHIPPED)


def test_the_package_takes_all_data_files_along() -> None:
    project = tomllib.loads((TAXONOMY_DIR.parents[2] / "pyproject.toml").read_text("utf-8"))
    patterns = project["tool"]["setuptools"]["package-data"]
    for room in ("schemas", "agents"):
        base = TAXONOMY_DIR.parents[2] / room
        taken = {path for pattern in patterns[room] for path in base.glob(pattern) if path.is_file()}
        data = {path for path in base.rglob("*") if path.suffix in (".toml", ".json", ".csv", ".md", ".txt")}
        assert data <= taken
