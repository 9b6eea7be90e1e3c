"""What verify says of rows whose numbers, further answers or open words do not hold."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.release.verify_rows import label_faults, number_faults

SCALE = {"name": "valence", "low": -1, "high": 1}
NUMBERS = {"kind": "dimensions", "labels": [], "dimensions": [SCALE], "heads": []}
OPEN = {"kind": "open", "labels": ["happy", "sad"], "dimensions": [], "heads": []}
INTENT = {
    "kind": "closed",
    "labels": ["joy"],
    "dimensions": [],
    "heads": [{"name": "intent", "labels": ["joke"]}],
}
VALUE = {
    "name": "valence",
    "value": 0.5,
    "by": "people",
    "mean": 0.4,
    "sd": 0.1,
    "n": 2,
    "low": -1,
    "high": 1,
}
HEAD = {"name": "intent", "label": "joke", "by": "people", "soft_labels": [{"label": "joke", "p": 1.0}]}
ROW: dict[str, Any] = {
    "status": "reviewed", "label": None, "labels": [], "soft_labels": [], "annotations": [], "open_labels": [],
    "dimensions": [VALUE], "heads": [], "human": {"reviewers": 1},
}  # fmt: skip
JOY: dict[str, Any] = {
    **ROW, "label": "joy", "labels": [{"label": "joy"}], "dimensions": [], "heads": [HEAD],
}  # fmt: skip
HAPPY = {"word": "joyful", "cell": "happy", "annotators": 1, "people": 0}
SAID: dict[str, Any] = {
    **JOY, "label": "happy", "labels": [{"label": "happy"}], "heads": [], "open_labels": [HAPPY],
    "annotations": [{"annotator": "a", "outcome": "labelled", "label": "joyful", "dimensions": []}],
}  # fmt: skip


def test_rows_that_hold_have_no_faults() -> None:
    for row, taxonomy in ((ROW, NUMBERS), (JOY, INTENT), (SAID, OPEN)):
        assert label_faults(row, taxonomy) + number_faults(row, taxonomy) == []
    undecided = {**ROW, "status": "needs_review", "dimensions": [{**VALUE, "value": None, "by": None}]}
    assert label_faults(undecided, NUMBERS) + number_faults(undecided, NUMBERS) == []


@pytest.mark.parametrize(
    ("row", "taxonomy", "fault"),
    [
        ({**ROW, "dimensions": []}, NUMBERS, "not those of the taxonomy"),
        ({**ROW, "dimensions": [{**VALUE, "value": 1.5}]}, NUMBERS, "valence is not on its scale"),
        ({**ROW, "dimensions": [{**VALUE, "mean": -1.5}]}, NUMBERS, "valence is not on its scale"),
        ({**ROW, "dimensions": [{**VALUE, "by": None}]}, NUMBERS, "without a maker"),
        (
            {**ROW, "dimensions": [{**VALUE, "value": None, "by": None}]},
            NUMBERS,
            "no value with status reviewed",
        ),
        ({**ROW, "status": "needs_review"}, NUMBERS, "nobody decided"),
        (
            {
                **ROW,
                "status": "auto_accepted",
                "dimensions": [VALUE, {**VALUE, "name": "arousal", "value": None, "by": None}],
            },
            {**NUMBERS, "dimensions": [SCALE, {**SCALE, "name": "arousal"}]},
            "nobody gave stands without a person",
        ),
        ({**JOY, "heads": [{**HEAD, "by": None}]}, INTENT, "without a maker"),
        ({**ROW, "label": "joy", "labels": [{"label": "joy"}]}, NUMBERS, "is not a label of the taxonomy"),
        ({**JOY, "heads": []}, INTENT, "further questions are not those"),
        ({**JOY, "heads": [{**HEAD, "label": "bow"}]}, INTENT, "'bow' is no answer to intent"),
        ({**SAID, "open_labels": []}, OPEN, "'joyful' is not a label"),
        ({**SAID, "open_labels": [{**HAPPY, "cell": "glee"}]}, OPEN, "'glee' is not a label"),
        ({**SAID, "label": "odd", "labels": [{"label": "odd"}]}, OPEN, "'odd' is not a label"),
        (
            {
                **ROW,
                "annotations": [{"annotator": "a", "outcome": "labelled", "label": None, "dimensions": []}],
            },
            NUMBERS,
            "outcome labelled",
        ),
    ],
)
def test_each_fault_is_told(row: dict[str, Any], taxonomy: dict[str, Any], fault: str) -> None:
    assert any(fault in told for told in label_faults(row, taxonomy) + number_faults(row, taxonomy))
