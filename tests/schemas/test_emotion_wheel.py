"""Words on the emotion wheel: as the published metric places them, and what is told of the others."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from schemas.emotion_wheel import WHEEL_FILE, Wheel, emotion_wheel
from tests.conftest import data_dir

SCRIPT = Path(__file__).parents[2] / ".ci" / "emotion_wheel.py"
WHEEL = emotion_wheel()


def test_the_tables_are_as_large_as_the_publishers_say() -> None:
    # 1,255 words, and the 7,386 forms that the metric's own source states.
    assert (len(WHEEL.forms), len(WHEEL.synonyms), len(WHEEL.roots)) == (1255, 1255, 7386)
    sizes = {
        name: (len(Wheel.cells(tree, 1)), len(Wheel.cells(tree, 2))) for name, tree in WHEEL.wheels.items()
    }
    assert sizes == {"wheel1": (6, 36), "wheel2": (7, 41)}


@pytest.mark.parametrize(
    ("word", "published", "own"),
    [
        ("happiness", "happy", "happy"),
        ("Worried", "scared", "scared"),
        ("frustrated", "sad", "mad"),  # the metric moves it, though wheel1 has it under "mad"
        ("excitedly", "surprised", "surprised"),
        ("neutral", None, None),
        ("", None, None),
    ],
)
def test_a_word_is_placed_by_its_forms_and_synonyms(
    word: str, published: str | None, own: str | None
) -> None:
    assert WHEEL.cell(word, "wheel1", 1, as_published=True) == published
    assert WHEEL.cell(word, "wheel1", 1) == own


def test_every_word_of_a_wheel_stays_in_its_cell() -> None:
    for name, tree in WHEEL.wheels.items():
        for first, inner in tree.items():
            for second, words in inner.items():
                for word in words:
                    places = {
                        a for a, b in tree.items() if word in (a, *b, *(w for ws in b.values() for w in ws))
                    }
                    assert WHEEL.cell(word, name, 1) in places
                assert WHEEL.cell(second, name, 1) is not None
            assert WHEEL.cell(first, name, 1) is not None


def test_words_off_the_wheel_are_counted_and_never_lost() -> None:
    grouped = WHEEL.grouped(["happy", "neutral", "joyful", "happy", "contempt"], "wheel1", 1)
    assert grouped.cells == {"happy": ("happy", "joyful")}
    assert grouped.off_wheel == ("neutral", "contempt")
    assert grouped.drop_rate == 0.5
    assert WHEEL.grouped([], "wheel1", 1).drop_rate is None


@pytest.mark.media
def test_the_data_file_is_what_the_script_makes_of_the_tables(tmp_path: Path) -> None:
    tables = data_dir() / "tables"
    if not (tables / "emotion_wheel_format.csv").exists():
        pytest.skip(f"test data not found: {tables}")
    target = tmp_path / "wheel.json"
    subprocess.run([sys.executable, str(SCRIPT), str(tables), str(target)], check=True)
    assert target.read_bytes() == WHEEL_FILE.read_bytes()
