"""From one label set to another: by table, name or words, and never by a guess."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.label_maps import _tables, map_distribution, map_label
from schemas.taxonomy import Taxonomy, load_taxonomy, shipped_taxonomies
from tests.conftest import data_dir

ALL = [load_taxonomy(name) for name in shipped_taxonomies()]
CLOSED = [taxonomy for taxonomy in ALL if taxonomy.names]
EKMAN7, OPEN = load_taxonomy("ekman7"), load_taxonomy("open")


@pytest.mark.parametrize("taxonomy", CLOSED, ids=lambda taxonomy: taxonomy.name)
def test_mapping_to_itself_is_the_identity(taxonomy: Taxonomy) -> None:
    for label in taxonomy.names:
        assert map_label(label, taxonomy, taxonomy) == ((label,), "same")
    even = dict.fromkeys(taxonomy.names, 1 / len(taxonomy.names))
    assert map_distribution(even, taxonomy, taxonomy) == (even, {}, {})


@pytest.mark.parametrize(
    ("label", "source", "target", "found", "how"),
    [
        ("excited", "iemocap6", "iemocap4", ("happy",), "table"),
        ("frustrated", "iemocap6", "iemocap4", (), "table"),
        ("surprise", "ekman7", "sentiment3", ("negative", "positive"), "table"),
        ("peaceful", "emorynlp7", "sentiment3", ("positive",), "table"),
        ("surprise", "ekman7", "mer6", ("surprise",), "name"),
        ("fear", "ekman7", "merr9", ("fear",), "name"),
        ("worried", "merr9", "ekman7", ("fear",), "name"),
        ("joy", "ekman7", "iemocap4", ("happy",), "name"),
        ("happiness", "dfew7", "emorynlp7", ("joyful",), "name"),
        ("fear", "ekman7", "mer6", ("worried",), "words"),
        ("happiness", "dfew7", "ekman7", ("joy",), "name"),
        ("disgust", "ekman7", "mer6", (), "words"),
        ("peaceful", "emorynlp7", "ekman7", (), "words"),
        ("joy", "ekman7", "mintrec20", (), "table"),
        ("doubt", "merr9", "mintrec30", (), "table"),
        ("doubt", "mintrec30", "merr9", (), "table"),
        ("leave", "mintrec20", "open", (), "table"),
        ("plan", "mintrec30", "mintrec20", ("arrange",), "name"),
        ("happy", "iemocap4", "iemocap6", ("happy", "excited"), "table"),
        ("angry", "iemocap4", "iemocap6", ("angry",), "name"),
        ("let down", "open", "ekman7", (), "words"),
        ("furious", "open", "ekman7", ("anger",), "name"),
        ("joy", "ekman7", "open", ("joy",), "name"),
    ],
)
def test_labels_meet(label: str, source: str, target: str, found: tuple[str, ...], how: str) -> None:
    mapped = map_label(label, load_taxonomy(source), load_taxonomy(target))
    assert mapped == (found, how)
    assert mapped.one == (found[0] if len(found) == 1 else None)


def test_words_that_lead_to_several_classes_are_told_as_several() -> None:
    joy = {"joy": {"verbalizers": ["glad", "proud"]}}
    mine = Taxonomy.model_validate({"name": "mine", "instruction": "", "labels": joy})
    two = {"pride": {"verbalizers": ["proud"]}, "gladness": {"verbalizers": ["glad"]}}
    other = Taxonomy.model_validate({"name": "two", "instruction": "", "labels": two})
    assert map_label("joy", mine, other).labels == ("pride", "gladness")
    assert map_distribution({"joy": 1.0}, mine, other) == ({}, {"joy": 1.0}, {})


@given(st.sampled_from(CLOSED), st.sampled_from([*CLOSED, OPEN]), st.data())
def test_no_probability_is_lost_or_moved_in_silence(
    source: Taxonomy, target: Taxonomy, data: st.DataObject
) -> None:
    weights = data.draw(st.lists(st.floats(0, 1), min_size=len(source.names), max_size=len(source.names)))
    total = math.fsum(weights) or 1.0
    given_ = {name: weight / total for name, weight in zip(source.names, weights, strict=True)}
    mapped = map_distribution(given_, source, target)
    parts = [*mapped.distribution.values(), *mapped.several.values(), *mapped.none.values()]
    assert math.fsum(parts) == pytest.approx(math.fsum(given_.values()))
    assert all(target.has(label) for label in mapped.distribution)
    assert not set(mapped.several) & set(mapped.none)


def test_what_has_no_labels_is_refused() -> None:
    with pytest.raises(ValueError, match="no labels to map"):
        map_label("joy", EKMAN7, load_taxonomy("vad"))
    with pytest.raises(ValueError, match="not a label of ekman7"):
        map_label("bliss", EKMAN7, OPEN)


def test_the_shipped_tables_name_labels_that_exist() -> None:
    for (source, target), labels in _tables().items():
        known = load_taxonomy(target).names
        for label, found in labels.items():
            assert label in load_taxonomy(source).names
            assert set(found) <= set(known)


@pytest.mark.media
def test_the_sentiments_of_meld_are_those_of_its_own_table() -> None:
    import csv

    path = data_dir() / "tables" / "meld_dev_sent_emo.csv"
    if not path.exists():
        pytest.skip(f"test data not found: {path}")
    with path.open(encoding="utf-8") as file:
        said = {(row["Emotion"], row["Sentiment"]) for row in csv.DictReader(file)}
    sentiment3 = load_taxonomy("sentiment3")
    told = {(e, s) for e in EKMAN7.names for s in map_label(e, EKMAN7, sentiment3).labels}
    assert said == told
