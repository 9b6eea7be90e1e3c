"""The card of a release: what the columns hold, who the annotators are, what became of random clips."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from pipeline.policy import in_random_share
from pipeline.release.build import release
from pipeline.release.card import Tally, _evidence_text, render_card
from pipeline.release.columns import COLUMNS
from pipeline.release.rows import SCHEMA
from pipeline.release.verify import verify
from schemas.settings import PolicySection
from tests.docs.pages import text
from tests.release.builder import TAXONOMY, Project, blind, small_project

MODEL = {"role": "annotator", "name": "m", "provider": "gemini", "model": "g", "model_version": None}
RULE = {"role": "annotator", "name": "lexicon", "provider": "cues", "model": "lexicon", "model_version": "1"}


def released(project: Project, out: Path) -> Path:
    return release(project.store, project.settings, TAXONOMY, version="1.0.0", out_dir=out).path


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("card")
    return released(small_project(folder), folder / "releases")


def card_with(folder: Path, *models: dict[str, Any]) -> str:
    """The card that the release would have with other annotators."""
    tally = Tally()
    for path in sorted((folder / "data").iterdir()):
        for row in pq.read_table(path).to_pylist():
            tally.add(row)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert render_card(manifest, tally) == (folder / "README.md").read_text(), "the same as in the release"
    return render_card({**manifest, "models": models}, tally)


def test_every_column_is_explained(small: Path) -> None:
    assert list(COLUMNS) == SCHEMA.names
    card, page = (small / "README.md").read_text(), text("docs/release-format.md")
    for name, what in COLUMNS.items():
        assert f"| `{name}` | {what} |" in card
        assert f"`{name}`" in page


def test_the_header_is_what_readers_take(small: Path) -> None:
    header = yaml.safe_load((small / "README.md").read_text().split("---")[1])
    assert header["task_categories"] == [
        "video-classification",
        "audio-classification",
        "text-classification",
    ]
    rows = {split.name.split("-")[0]: pq.read_table(split).num_rows for split in (small / "data").iterdir()}
    assert {split["name"]: split["num_examples"] for split in header["dataset_info"]["splits"]} == rows
    assert all(split["num_bytes"] > 0 for split in header["dataset_info"]["splits"])


def test_it_says_when_annotators_are_rules(small: Path) -> None:
    said = "are rules over words, voice and face, not models"
    assert said not in card_with(small, MODEL)
    assert f"All annotators {said}" in card_with(small, RULE)
    assert f"The annotators that are called rules {said}" in card_with(small, RULE, MODEL)
    assert "- annotator `lexicon`: rules, not a model (1)" in card_with(small, RULE)
    assert said not in card_with(small, MODEL, {**RULE, "role": "judge"})


def test_random_clips_are_counted_as_they_are(tmp_path: Path) -> None:
    share = 0.5
    project = Project(tmp_path)
    policy = PolicySection(random_review_share=share)
    project.settings = project.settings.model_copy(update={"policy": policy})
    segments = [project.clip(n, speaker=f"S{n}").id for n in range(12)]
    drawn = [segment for segment in segments if in_random_share(segment, share, seed=0)]
    project.store.add(blind(drawn[0], "joy", "anna"))
    project.finish().decide()
    card = (released(project, tmp_path / "releases") / "README.md").read_text()
    assert 1 < len(drawn) < 12
    assert f"Drawn so far: {len(drawn)} of 12 clips; people have decided 1 of these." in card


def test_nothing_is_said_of_chance_when_nothing_is_drawn(small: Path) -> None:
    assert "random" not in (small / "README.md").read_text()


def test_it_says_where_the_words_come_from(tmp_path: Path, small: Path) -> None:
    project = Project(tmp_path)
    for n in range(3):
        project.clip(n, speaker=f"S{n}", words_source="pocketsphinx (low quality)" if n else "sidecar")
    card = (released(project.finish(), tmp_path / "releases") / "README.md").read_text()
    assert "| pocketsphinx (low quality) | 2 |" in card
    assert "| sidecar | 1 |" in card
    assert "The words of 2 clips come from a speech recogniser of low quality." in card
    assert "low quality" not in (small / "README.md").read_text()


def test_claims_that_were_shown_stand_apart() -> None:
    claims = [("supported", True), ("supported", True), ("supported", False), ("contradicted", False)]
    tally = Tally()
    tally.add(
        {
            **dict.fromkeys(SCHEMA.names),
            "split": "train",
            "human": {"reviewers": 0},
            **{name: [] for name in ("dimensions", "heads", "open_labels")},
            "evidence": [{"verdict": verdict, "shown": shown} for verdict, shown in claims],
        }
    )
    assert tally.as_json()["verdicts"] == {
        "contradicted": {"not_shown": 1},
        "supported": {"not_shown": 1, "shown": 2},
    }
    assert "| supported | 1 | 2 | 3 |" in _evidence_text(tally)


def test_one_is_one(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.clip(1)
    card = (released(project.finish(), tmp_path / "releases") / "README.md").read_text()
    assert not re.search(r"\b1 (clips|rows|claims|files|recordings|splits)\b", card)
    assert not re.search(
        r"\b1 (clips|rows|claims|files|columns|splits)\b", said(tmp_path / "releases" / "1.0.0")
    )


def said(folder: Path) -> str:
    return "\n".join(finding.detail for finding in verify(folder, load_with_datasets=False).findings)
