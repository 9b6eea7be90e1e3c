"""What the demo's project, its release and what it printed must hold: check_demo.py DEMO_DIR PRINTED."""

from __future__ import annotations

import hashlib
import json
import shlex
import sys
from pathlib import Path
from typing import Any

import jsonschema
from calls import emotrace

REPO = Path(__file__).parents[1]
SMILES = {"ada_joy.mp4", "ada_smile_sad_words.mp4", "bea_joy.mp4", "bea_silent_smile.mp4"}
FROWN = {"cleo_anger.mp4"}
DRAWN = {
    "ada_joy.mp4": "joy",
    "bea_surprise.mp4": "surprise",
    "cleo_anger.mp4": "anger",
    "cleo_sad.mp4": "sadness",
    "cleo_neutral.mp4": "neutral",
}
COLUMNS = ["recording", "label", "decision", "why", "votes"]
EXPRESSED = 0.3  # intensity above which an action unit counts as seen


def main(folder: Path, printed: Path) -> None:
    media = sorted(p.name for p in (folder / "media").iterdir() if p.suffix in (".mp4", ".wav"))
    found = {name: emotrace("show", name, "--project", str(folder)) for name in media}
    check_recordings(found)
    check_faces(found)
    check_decisions(found, folder)
    check_printed(printed.read_text("utf-8"), folder, set(found))
    check_release(folder)
    check_again(folder)
    check_json(folder, found)
    print(f"the demo holds: {len(media)} recordings, release verified, second run did nothing")


def check_recordings(found: dict[str, dict[str, Any]]) -> None:
    assert len(found) >= 8
    assert len({f["facts"]["speaker"] for f in found.values()}) >= 3
    facts = {name: f["source"]["media"] for name, f in found.items()}
    assert sum(m["video"] is None for m in facts.values()) == 1, "one recording is sound only"
    assert sum(not m["audio"] for m in facts.values()) == 1, "one recording has no sound"
    assert all(m["video"] is None or m["video"]["codec"] == "h264" for m in facts.values())
    assert found["cleo_no_face.mp4"]["items"][0]["sample"]["missing"]["visual"] == "no_face"


def check_faces(found: dict[str, dict[str, Any]]) -> None:
    """AU12 only where somebody smiles, AU04 only in the frown; the rules of the face read what was drawn."""
    for cue, where in (("AU12", SMILES), ("AU04", FROWN)):
        events = {name for name, f in found.items() if cue in strong_events(f)}
        assert events == where, f"{cue} was seen in {sorted(events)}, expected {sorted(where)}"
    read = {name: facial_label(found[name]) for name in DRAWN}
    assert read == DRAWN, f"the faces are read as {read}"


def strong_events(found: dict[str, Any]) -> set[str]:
    events = [event for item in found["items"] for event in item["sample"]["events"]]
    return {event["cue"] for event in events if event["unit"] == "intensity" and event["size"] >= EXPRESSED}


def facial_label(found: dict[str, Any]) -> str | None:
    """The label of the annotator that reads the face of the recording's one item."""
    (item,) = found["items"]
    (facial,) = (one for one in item["annotations"] if one["annotator"] == "facial")
    (label,) = facial["answer"]["labels"] or [{"label": None}]
    return label["label"]


def check_decisions(found: dict[str, dict[str, Any]], folder: Path) -> None:
    items = [item for f in found.values() for item in f["items"]]
    labels = {item["consensus"]["label"] for item in items} - {None}
    assert len(labels) >= 3, f"only {sorted(labels)} came out"
    assert {item["decision"]["status"] for item in items} == {"auto_accepted", "needs_review"}
    assert all(item["decision"]["reasons"] for item in items if item["decision"]["status"] == "needs_review")
    settings = (folder / "emotrace.toml").read_text()
    assert "[policy]" not in settings, "the demo has no threshold of its own"
    assert "[aggregate]" not in settings


def check_printed(text: str, folder: Path, names: set[str]) -> None:
    """A table of what was decided and why, where the release is, and the command that opens the page."""
    lines = [line.rstrip() for line in text.splitlines()]
    (top,) = (n for n, line in enumerate(lines) if line.split() == COLUMNS)
    rows = [line.split() for line in lines[top + 1 : top + 1 + len(names)]]
    assert {row[0] for row in rows} == names, "one row per recording"
    assert all({"auto", "needs"} & set(row) for row in rows), "every row says what was decided"
    assert f"release: {folder / 'releases' / '0.1.0'} (verified)" in lines
    (page,) = (line for line in lines if line.startswith("review page: "))
    assert shlex.split(page)[-3:] == ["review", "--project", str(folder)]


def check_json(folder: Path, found: dict[str, dict[str, Any]]) -> None:
    """The demo called again is cheap, and what it tells fits the published schema."""
    again = emotrace("demo", "--project", str(folder))
    jsonschema.validate(again, json.loads((REPO / "docs" / "json" / "demo.schema.json").read_text("utf-8")))
    assert again["verified"]
    assert {item["name"] for item in again["items"]} == set(found)
    assert again["run"]["this_run"]["samples"] == again["run"]["this_run"]["decodes"] == 0


def check_release(folder: Path) -> None:
    release = folder / "releases" / "0.1.0"
    assert emotrace("verify", str(release))["ok"]
    assert "single" in (release / "README.md").read_text()
    import pyarrow.parquet as pq

    (data,) = (release / "data").iterdir()
    assert data.name.startswith("train-"), "near-duplicates by design: one split"
    rows = pq.read_table(data).to_pylist()
    assert rows
    assert all(evidence["verdict"] for row in rows for evidence in row["evidence"])


def check_again(folder: Path) -> None:
    """A second run does nothing, and the same version again gives the same bytes."""
    release = folder / "releases" / "0.1.0"
    before = {p: hashlib.sha256(p.read_bytes()).hexdigest() for p in release.rglob("*") if p.is_file()}
    this_run = emotrace("run", "--project", str(folder))["this_run"]
    assert (this_run["decodes"], this_run["provider_calls"]) == (0, 0)
    again = emotrace("release", "--project", str(folder), "--version", "0.1.0")
    assert again["outcome"] == "unchanged"
    assert before == {
        p: hashlib.sha256(p.read_bytes()).hexdigest() for p in release.rglob("*") if p.is_file()
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
