from __future__ import annotations

from pathlib import Path

import pytest

from schemas.errors import UserError
from schemas.taxonomy import TAXONOMY_DIR, load_taxonomy


@pytest.mark.parametrize("path", sorted(TAXONOMY_DIR.glob("*.toml")), ids=lambda path: path.stem)
def test_shipped_taxonomies_have_words_of_one_meaning(path: Path) -> None:
    taxonomy = load_taxonomy(path.stem)
    assert taxonomy.name == path.stem
    for name, label in taxonomy.labels.items():
        assert {taxonomy.match(word) for word in (name, *label.verbalizers)} == {name}


@pytest.mark.parametrize(
    ("word", "label"), [("Happy", "joy"), ("MATTER of fact", "neutral"), (" mad! ", "anger"), ("bored", None)]
)
def test_words_are_matched_whole_whatever_their_case(word: str, label: str | None) -> None:
    assert load_taxonomy("ekman7").match(word) == label


def test_an_unknown_taxonomy_lists_the_known_ones() -> None:
    with pytest.raises(UserError, match="ekman7"):
        load_taxonomy("ekman8")


def test_a_taxonomy_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "two.toml"
    file.write_text(
        "name='two'\ninstruction='which?'\n[labels.yes]\nverbalizers=['aye']\n[labels.no]\nverbalizers=[]\n"
    )
    assert load_taxonomy(str(file)).match("aye") == "yes"
    file.write_text("name='two'\n")
    with pytest.raises(UserError, match=r"two\.toml"):
        load_taxonomy(str(file))
