"""The shipped cue table: complete, consistent, and found by the words that people and models use."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from schemas.cues import Cue, CueTable, _plain, cue_table

UNITS = {"deg", "share", "intensity", "sd", "semitone", "dB", "syllable/s", "s"}
DOC = Path(__file__).resolve().parents[2] / "docs" / "cues.md"
MEASURED_AUS = ("AU01", "AU02", "AU04", "AU05", "AU12", "AU15", "AU20", "AU25", "AU26", "AU43")


def test_opposites_exist_and_point_back() -> None:
    cues = cue_table().cues
    pairs = [cue for cue in cues.values() if cue.opposite]
    assert pairs
    for cue in pairs:
        other = cues[cue.opposite or ""]
        assert other.opposite == cue.cue
        assert {cue.operator, other.operator} == {">=", "<="}, "up and down must name one pole each"
        assert (cue.feature, cue.scale, cue.unit) == (other.feature, other.scale, other.unit)


def test_two_opposite_cues_never_hold_at_once() -> None:
    cues = cue_table().cues
    for cue in cues.values():
        if cue.opposite and cue.operator == ">=":
            assert cue.threshold > cues[cue.opposite].threshold


def test_names_and_synonyms_are_unique() -> None:
    names = Counter(
        _plain(name)
        for cue in cue_table().cues.values()
        for name in (cue.cue, *cue.synonyms, *cue.undirected)
    )
    assert [name for name, count in names.items() if count > 1] == []


def test_units_scales_and_references() -> None:
    for cue in cue_table().cues.values():
        assert cue.unit in UNITS, cue.cue
        assert (cue.scale == "z") == (cue.unit == "sd"), cue.cue
        assert cue.reference, cue.cue
        assert cue.min_duration_s >= 0


def test_covers_what_the_extractors_measure() -> None:
    cues = cue_table().cues
    assert set(MEASURED_AUS) <= set(cues)
    assert {"quote", "smile", "pitch_rise", "pitch_fall", "pause", "loud_burst", "speech", "silence"} <= set(
        cues
    )


@pytest.mark.parametrize(
    ("word", "cue"),
    [
        ("AU12", "AU12"), ("au 4", "AU04"), ("AU1", "AU01"), ("AU06 (cheek raiser)", "AU06"),
        ("Furrowed brow", "AU04"), ("smiling", "smile"), ("raised-pitch", "pitch_high"),
        ("monotone", "pitch_flat"), ("Raised voice", "loud"), ("quote", "quote"), ("pitch_rise", "pitch_rise"),
    ],
)  # fmt: skip
def test_find(word: str, cue: str) -> None:
    found = cue_table().find(word)
    assert found is not None
    assert found.cue == cue


@pytest.mark.parametrize("direction", ["up", "down"])
@pytest.mark.parametrize(
    ("word", "cue"),
    [
        ("F0", "pitch_high"), ("pitch", "pitch_high"), ("pitch change", "pitch_rise"), ("volume", "loud"),
        ("pitch range", "pitch_varied"), ("tempo", "fast"), ("lowered pitch", "pitch_low"),
    ],
)  # fmt: skip
def test_a_measure_is_found_with_its_direction(word: str, cue: str, direction: str) -> None:
    found = cue_table().find(word, direction)
    assert found is not None
    assert found.cue == cue


def test_a_measure_has_two_poles_and_its_high_one_stands_for_it() -> None:
    measures = [cue for cue in cue_table().cues.values() if cue.undirected]
    assert measures
    assert all(cue.opposite and cue.operator == ">=" for cue in measures)


def test_the_highest_reaches_up_and_the_lowest_down() -> None:
    """A glimpse decides such a cue only in this direction."""
    for cue in cue_table().cues.values():
        assert {"max": ">=", "min": "<="}.get(cue.statistic, cue.operator) == cue.operator


@pytest.mark.parametrize("word", ["pitch", "F0", "loudness", "tempo", "pitch change"])
@pytest.mark.parametrize("direction", ["present", "absent"])
def test_a_measure_alone_is_no_cue(word: str, direction: str) -> None:
    assert cue_table().find(word, direction) is None


@pytest.mark.parametrize(
    "word",
    [
        "AU6+AU12", "AU6+12", "AU99", "breathy voice", "", "?",
        "no AU12", "AU12 absent", "AU12 not active", "lack of AU4",
        "voice", "low voice", "speed", "slows", "falls silent", "quietness",
    ],
)  # fmt: skip
def test_find_guesses_nothing(word: str) -> None:
    assert cue_table().find(word) is None


def test_digest_follows_the_content() -> None:
    table = cue_table()
    smile = table.cues["smile"].model_copy(update={"threshold": 0.9})
    assert CueTable(cues=table.cues | {"smile": smile}).digest != table.digest
    assert CueTable(cues=dict(table.cues)).digest == table.digest


def test_the_page_holds_the_table() -> None:
    """Regenerate: python -m docs.generate."""
    page = DOC.read_text(encoding="utf-8")
    for row in cue_table().as_markdown().splitlines():
        assert row in page
    rows = [line for line in page.splitlines() if line.startswith("| `") and line.count("|") == 8]
    assert len(rows) == len(cue_table().cues), "a cue of the page is not in the table"


def test_the_page_lists_every_reference() -> None:
    page = DOC.read_text(encoding="utf-8")
    for cue in cue_table().cues.values():
        assert cue.reference in page, cue.cue


@pytest.mark.parametrize(
    ("statistic", "modality", "level"),
    [("length", "visual", None), ("share", "visual", None), ("max", "visual", 0.3)],
)
def test_a_row_has_a_level_where_its_statistic_needs_one(
    statistic: str, modality: str, level: float | None
) -> None:
    smile = cue_table().cues["smile"].model_dump()
    with pytest.raises(ValueError, match="level"):
        Cue(**(smile | {"statistic": statistic, "modality": modality, "level": level}))


def test_every_measured_unit_has_a_cue() -> None:
    """What Py-Feat 2 and OpenFace 2 give as intensities."""
    units = (1, 2, 4, 5, 6, 7, 9, 10, 11, 12, 14, 15, 17, 20, 23, 24, 25, 26, 28, 43, 45)
    assert {f"AU{unit:02d}" for unit in units} <= set(cue_table().cues)
