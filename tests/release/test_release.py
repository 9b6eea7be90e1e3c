"""Releases from a real store: the same bytes twice, never half, never changed; readable by the usual readers."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from pipeline.live import live_items
from pipeline.release.build import build_release, current_items, release, release_record
from pipeline.release.files import file_names
from pipeline.release.progress import Silent
from pipeline.release.rows import make_row
from pipeline.release.verify import verify
from schemas.errors import UserError
from schemas.parts import Target
from schemas.records import (
    Annotation,
    Check,
    Consensus,
    Decision,
    Judgement,
    Release,
    Sample,
    Source,
)
from schemas.settings import Settings
from schemas.settings_models import AnnotatorSection
from schemas.store import StoredPath
from tests.release.builder import TAXONOMY, Project, blind, mark, review, settings, small_project


def make(project: Project, out: Path, version: str = "1.0.0") -> tuple[Path, str]:
    made = release(project.store, project.settings, TAXONOMY, version=version, out_dir=out)
    return made.path, made.outcome


def empty(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def rows(path: Path) -> list[dict]:
    files = sorted((path / "data").glob("*.parquet"))
    return [row for file in files for row in pq.read_table(file).to_pylist()]


def contents(path: Path) -> dict[str, bytes]:
    return {name: (path / name).read_bytes() for name in file_names(path)}


def test_twice_gives_the_same_and_is_unchanged(tmp_path: Path) -> None:
    project = small_project(tmp_path)
    path, outcome = make(project, tmp_path / "releases")
    before = contents(path)
    assert (path, outcome) == (tmp_path / "releases" / "1.0.0", "created")
    assert make(project, tmp_path / "releases") == (path, "unchanged")
    assert contents(path) == before
    assert sorted(p.name for p in path.parent.iterdir()) == ["1.0.0"]
    assert len(project.store.all(Release)) == 1


def test_another_place_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = (Path(tmp_path / name) for name in ("one", "two"))
    paths = []
    for folder in (first, second):
        folder.mkdir()
        project = small_project(folder)
        paths.append(
            build_release(
                live_items(project.store),
                settings=project.settings,
                taxonomy=TAXONOMY,
                version="1.0.0",
                date="2026-02-03",
                out=empty(folder / "out"),
            ).path
        )
    assert contents(paths[0]) == contents(paths[1])


def test_a_changed_record_is_refused_and_nothing_is_overwritten(tmp_path: Path) -> None:
    project = small_project(tmp_path)
    path, _ = make(project, tmp_path / "r")
    before = contents(path)
    segment = project.decisions()[0].segment_id
    project.store.add([review(segment, "sadness")])
    project.decide()
    with pytest.raises(UserError) as raised:
        make(project, tmp_path / "r")
    assert raised.value.code == "release_differs"
    assert "README.md differs" in raised.value.message
    assert "new version" in raised.value.remedy
    assert contents(path) == before
    assert [p.name for p in path.parent.iterdir()] == ["1.0.0"]
    assert make(project, tmp_path / "r", "1.0.1")[1] == "created"


@pytest.mark.parametrize("fault", ["altered", "missing", "extra"])
def test_a_touched_release_is_not_taken_for_unchanged(tmp_path: Path, fault: str) -> None:
    project = small_project(tmp_path)
    path, _ = make(project, tmp_path / "r")
    if fault == "extra":
        (path / "note.txt").write_text("x")
    elif fault == "missing":
        (path / "LICENSE").unlink()
    else:
        (path / "LICENSE").write_text("mine")
    with pytest.raises(UserError, match=r"note\.txt|LICENSE"):
        make(project, tmp_path / "r")


def test_killed_between_folder_and_record(tmp_path: Path) -> None:
    """The folder stands without its record: the next call proves it with the date in it, and records it."""
    project = small_project(tmp_path)
    items = current_items(project.store, project.settings, TAXONOMY)
    common = {"settings": project.settings, "taxonomy": TAXONOMY, "version": "1.0.0"}
    report = build_release(items, date="2020-01-01", out=empty(tmp_path / "r" / "1.0.0"), **common)
    assert make(project, tmp_path / "r")[1] == "unchanged"
    record = release_record(project.store, "1.0.0")
    assert record is not None
    assert (record.date, record.manifest_sha256) == ("2020-01-01", report.manifest_sha256)


def test_deleted_folder_comes_back_the_same(tmp_path: Path) -> None:
    project = small_project(tmp_path)
    common = {"version": "1.0.0", "date": "2020-01-01"}
    path = release(project.store, project.settings, TAXONOMY, out_dir=tmp_path / "a", **common).path
    again, outcome = make(project, tmp_path / "b")
    assert outcome == "created"
    assert contents(again) == contents(path)
    project.store.add([review(project.decisions()[0].segment_id, "sadness")])
    project.decide()
    with pytest.raises(UserError, match="2020-01-01 with other contents"):
        make(project, tmp_path / "c")
    assert not (tmp_path / "c" / "1.0.0").exists()


def test_a_folder_that_is_no_release_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "r" / "1.0.0").mkdir(parents=True)
    with pytest.raises(UserError, match="is not a release"):
        make(small_project(tmp_path), tmp_path / "r")


@pytest.mark.parametrize("version", ["1", "1.0", "v1.0.0", "1.0.0-rc1", "01.0.0", "../1.0.0", ""])
def test_bad_versions(tmp_path: Path, version: str) -> None:
    with pytest.raises(UserError, match=r"1\.0\.0"):
        make(small_project(tmp_path), tmp_path / "r", version)


def test_nothing_to_release_says_what_to_do(tmp_path: Path) -> None:
    project = Project(tmp_path)
    with pytest.raises(UserError, match="emotrace run"):
        make(project.finish(), tmp_path / "r")
    project.clip(1, ("joy", "anger", None))
    with pytest.raises(UserError, match=r"1 clip \(waiting for a person\).*emotrace review"):
        make(project.finish(), tmp_path / "r")
    assert list((tmp_path / "r").iterdir()) == []


def unheard(project: Project, live: bool = True) -> None:
    """A clip without words, speech or face, about which nobody was asked."""
    segment = project.clip(90)
    project.finish()
    for kind in (Annotation, Check, Judgement, Consensus, Decision):
        project.store.set_live(kind, [])
    (sample,) = project.store.by_parent(Sample, [segment.id])[segment.id]
    silent = sample.model_copy(update={"words": (), "feature_digests": ("silence",)})
    project.store.add([silent])
    project.store.set_live(Sample, [silent.id] if live else [])


@pytest.mark.parametrize(
    ("live", "left_out", "remedy"),
    [
        (True, "1 clip (dropped by select.require: neither speech nor face", "look at [select]"),
        (False, "1 clip (not measured: ", "see emotrace status, then run: emotrace run"),
    ],
)
def test_the_remedy_fits_the_reason(tmp_path: Path, live: bool, left_out: str, remedy: str) -> None:
    project = Project(tmp_path)
    unheard(project, live)
    with pytest.raises(UserError) as raised:
        make(project, tmp_path / "r")
    assert left_out in raised.value.message
    assert remedy in raised.value.remedy


def test_recordings_that_were_never_run_are_counted(tmp_path: Path) -> None:
    project = small_project(tmp_path)
    release(project.store, project.settings, TAXONOMY, version="1.0.0", out_dir=tmp_path / "r")
    late = project.store.all(Source)[0].model_copy(update={"sha256": "f" * 64})
    project.store.add([late])
    project.store.set_paths([StoredPath("/late.wav", 9, 1, 99, late.id)])
    made = release(project.store, project.settings, TAXONOMY, version="1.0.0", out_dir=tmp_path / "r")
    assert (made.report.recordings_not_run, made.report.left_out) == (1, {"needs_review": 1})
    assert made.outcome == "unchanged"  # what is ingested later is no part of a version
    card = (made.path / "README.md").read_text()
    assert "Left out: 1 clip (waiting for a person)." in card


def test_only_a_recording_that_was_never_run(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.store.set_paths([StoredPath("/late.wav", 9, 1, 99, "src_late")])
    with pytest.raises(UserError, match=r"not run yet -> run: emotrace run"):
        make(project.finish(), tmp_path / "r")


def test_one_folder_is_built_in(tmp_path: Path) -> None:
    """Every folder that is opened for writing stands directly in the folder of releases, and goes away."""
    seen: list[list[str]] = []

    class Look(Silent):
        def advance(self, stage: str, n: int = 1) -> None:
            if stage == "write":
                seen.append(sorted(p.relative_to(tmp_path / "r").as_posix() for p in folders(tmp_path / "r")))

    release(
        (project := small_project(tmp_path)).store, project.settings, TAXONOMY,
        version="1.0.0", out_dir=tmp_path / "r", progress=Look(),
    )  # fmt: skip
    assert [[name.count("/") for name in names] for names in seen] == [[0, 1]], "itself, and data/ in it"
    assert [path.name for path in (tmp_path / "r").iterdir()] == ["1.0.0"]


def folders(where: Path) -> list[Path]:
    return [path for path in where.rglob("*") if path.is_dir()]


def test_progress_is_told_to_the_end(tmp_path: Path) -> None:
    told = Counted()
    project = small_project(tmp_path)
    path = release(
        project.store, project.settings, TAXONOMY, version="1.0.0", out_dir=tmp_path, progress=told
    ).path
    assert (told.totals, told.done) == ({"collect": 7, "write": 6}, {"collect": 7, "write": 6})
    verify(path, load_with_datasets=False, progress=told)
    assert told.done["verify"] == told.totals["verify"] == 6


class Counted(Silent):
    """Adds up what is told."""

    def __init__(self) -> None:
        self.totals: dict[str, int] = {}
        self.done: Counter[str] = Counter()

    def start(self, stage: str, total: int) -> None:
        self.totals[stage] = total

    def advance(self, stage: str, n: int = 1) -> None:
        self.done[stage] += n


def test_undecided_only_when_asked_for_and_without_a_label(tmp_path: Path) -> None:
    project = small_project(tmp_path)
    assert len(rows(make(project, tmp_path / "a")[0])) == 6
    project.settings = settings(include_undecided=True)
    released = rows(make(project, tmp_path / "b", "2.0.0")[0])
    (open_row,) = [row for row in released if row["status"] == "needs_review"]
    assert (len(released), open_row["label"], open_row["labels"], open_row["rationale"]) == (7, None, [], [])
    assert open_row["reasons"][0] == "open_tie"
    assert {item["p"] for item in open_row["soft_labels"]} == {0.5}
    assert {a["outcome"]: a["label"] for a in open_row["annotations"]}["failed"] is None


def test_withdrawn_consent_is_left_out_and_counted(tmp_path: Path) -> None:
    project = small_project(tmp_path)
    first = next(live_items(project.store))
    project.store.add_facts(
        [(first.source.id, "consent", "withdrawn"), ("speaker:S1", "consent", "withdrawn")]
    )
    path, _ = make(project, tmp_path / "r")
    manifest = json.loads((path / "manifest.json").read_text())
    assert manifest["left_out"]["consent_withdrawn"] >= 2
    assert first.source.id not in {row["source_id"] for row in rows(path)}
    assert "S1" not in {row["speaker"] for row in rows(path)}


def test_a_review_counts_only_through_a_decision(tmp_path: Path) -> None:
    project = small_project(tmp_path)
    (open_decision,) = [d for d in project.decisions() if d.status == "needs_review"]
    consensus_id = open_decision.consensus_id
    word = review(
        open_decision.segment_id, "anger", phase="revealed", consensus_id=consensus_id,
        marks=(mark("e1", "contradicted"),),
    )  # fmt: skip
    project.store.add([word])
    with pytest.raises(UserError, match=r"older than its reviews.*emotrace run"):
        make(project, tmp_path / "r")
    project.decide()
    released = rows(make(project, tmp_path / "r")[0])
    (row,) = [row for row in released if row["segment_id"] == open_decision.segment_id]
    assert (row["status"], row["label"], row["human"]["reviewers"]) == ("reviewed", "anger", 1)
    assert {claim["id"]: claim["person_mark"] for claim in row["evidence"]}["e1"] == "contradicted"
    stored = project.store.get(Decision, row["provenance"]["decision_id"])
    assert stored is not None
    assert stored.digest == row["provenance"]["decision_digest"]


def changed(section: str, **fields: Any) -> Callable[[Settings], Settings]:
    def change(now: Settings) -> Settings:
        return now.model_copy(update={section: getattr(now, section).model_copy(update=fields)})

    return change


def annotators(*names: str, **fields: Any) -> Callable[[Settings], Settings]:
    def change(now: Settings) -> Settings:
        by_name = {section.name: section for section in now.annotators}
        template = now.annotators[0]
        kept = tuple(
            by_name.get(name, template.model_copy(update={"name": name})).model_copy(update=fields)
            for name in names
        )
        return now.model_copy(update={"annotators": kept})

    return change


@pytest.mark.parametrize(
    "change",
    [
        changed("aggregate", method="majority"),
        changed("aggregate", alpha=0.2, beta=0.3, gamma=0.5),
        changed("project", seed=1),
        changed("policy", min_margin=0.9),
        annotators("facial", "lexicon"),
        annotators("facial", "lexicon", "prosody", "newcomer"),
        annotators("facial", "lexicon", "prosody", model="another"),
        annotators("facial", "lexicon", "prosody", replicates=2),
        annotators("facial", "lexicon", "prosody", temperature=0.5),
        annotators("facial", "lexicon", "prosody", options={"answers": [{"answer": "another"}]}),
        lambda now: now.model_copy(
            update={"judges": (now.judges[0].model_copy(update={"temperature": 1.0}),)}
        ),
        lambda now: now.model_copy(update={"judges": (now.judges[0].model_copy(update={"name": "strict"}),)}),
    ],
)
def test_settings_that_changed_since_the_run_ask_for_a_run(
    tmp_path: Path, change: Callable[[Settings], Settings]
) -> None:
    project = small_project(tmp_path)
    project.settings = change(project.settings)
    with pytest.raises(UserError, match=r"older than .*emotrace run") as raised:
        make(project, tmp_path / "r")
    assert raised.value.code == "stale_decisions"
    assert list((tmp_path / "r").iterdir()) == []


def test_a_model_that_consent_keeps_away_lacks_nothing(tmp_path: Path) -> None:
    project = small_project(tmp_path)
    cloud = AnnotatorSection(name="cloud", provider="openai_compatible", model="large")
    with_cloud = (*project.settings.annotators, cloud)
    project.settings = project.settings.model_copy(update={"annotators": with_cloud})
    with pytest.raises(UserError, match="older than the annotators"):
        make(project, tmp_path / "r")
    sources = {source.id for source in project.store.all(Source)}
    project.store.add_facts((name, "consent", "local_only") for name in sources)
    assert make(project, tmp_path / "r")[1] == "created"


def test_a_speaker_renamed_since_the_run_asks_for_a_run(tmp_path: Path) -> None:
    """Its group and split would follow the new name, its target and words the old one."""
    project = small_project(tmp_path)
    project.store.add_facts([(project.source_of(1), "speaker", "Eve")])
    with pytest.raises(UserError, match=r"older than what was said of its speaker.*emotrace run") as raised:
        make(project, tmp_path / "r")
    assert raised.value.code == "stale_decisions"
    project.store.add_facts([(project.source_of(1), "consent", "withdrawn")])
    assert make(project, tmp_path / "r")[1] == "created", "what is left out anyway needs no run"


def test_another_taxonomy_since_the_run_asks_for_a_run(tmp_path: Path) -> None:
    project = small_project(tmp_path)
    *kept, (_, last) = TAXONOMY.labels.items()
    other = TAXONOMY.model_copy(update={"labels": {**dict(kept), "another": last}})
    with pytest.raises(UserError, match="emotrace run") as raised:
        release(project.store, project.settings, other, version="1.0.0", out_dir=tmp_path / "r")
    assert raised.value.code == "stale_decisions"


def test_settings_that_change_no_answer_ask_for_nothing(tmp_path: Path) -> None:
    project = small_project(tmp_path)
    project.settings = annotators("prosody", "lexicon", "facial", timeout_s=9.0)(project.settings)
    assert make(project, tmp_path / "r")[1] == "created"


def test_a_review_outlives_the_name_of_its_target(tmp_path: Path) -> None:
    """It was given when a face had been found; now there is none, or its speaker is declared."""
    project = small_project(tmp_path)
    (waiting,) = [d for d in project.decisions() if d.status == "needs_review"]
    project.store.add([review(waiting.segment_id, "anger", target=Target(speaker="S9", face_track="f1"))])
    project.decide()
    released = rows(make(project, tmp_path / "r")[0])
    (row,) = [row for row in released if row["segment_id"] == waiting.segment_id]
    assert (row["status"], row["label"], row["human"]["blind"]) == ("reviewed", "anger", 1)


def test_a_row_carries_evidence_doubt_and_provenance(tmp_path: Path) -> None:
    row = rows(make(small_project(tmp_path), tmp_path / "r")[0])[0]
    supported, contradicted = row["evidence"]
    assert (supported["verdict"], supported["measured"], supported["reference"]) == ("supported", 0.6, 0.3)
    assert (contradicted["verdict"], contradicted["supporters"]) == (
        "contradicted",
        ["facial", "lexicon", "prosody"],
    )
    assert [step["evidence_ids"] for step in row["rationale"]] == [["e1"]]
    assert row["transcript"] == "so good"
    assert row["missing"] == [{"modality": "visual", "reason": "no_video_stream"}]
    assert row["uncertainty"] == {"probability": 1.0, "margin": 1.0, "entropy_nats": 0.0, "s_final": 0.75}
    assert row["provenance"]["extractors"][0]["name"] == "sidecar"
    assert len(row["annotations"]) == 3


def test_a_row_tells_which_question_an_annotation_answers_and_what_its_probabilities_are(
    tmp_path: Path,
) -> None:
    project = small_project(tmp_path)
    told = rows(make(project, tmp_path / "r")[0])[0]["annotations"][0]
    assert (told["variant"], told["prob_source"], told["probabilities"]) == (0, "stated", [])
    item = next(item for item in live_items(project.store) if item.decision and item.consensus)
    changes = {"variant": 2, "prob_source": "logprobs", "probabilities": {"joy": 0.7, "anger": 0.3}}
    first = item.annotations[0].model_copy(update=changes)
    changed = replace(item, annotations=(first, *item.annotations[1:]))
    assert changed.consensus is not None
    assert changed.decision is not None
    said = make_row(changed, changed.consensus, changed.decision, TAXONOMY)["annotations"]
    (found,) = [one for one in said if one["id"] == first.id]
    assert (found["variant"], found["prob_source"]) == (2, "logprobs")
    assert found["probabilities"] == [{"label": "anger", "p": 0.3}, {"label": "joy", "p": 0.7}]


def test_a_row_tells_what_each_judge_says_and_a_judge_that_failed_gave_no_score(tmp_path: Path) -> None:
    project = small_project(tmp_path)
    told = rows(make(project, tmp_path / "r")[0])[0]["annotations"][0]["judgements"]
    assert [(one["judge"], one["outcome"], one["s_rec"], one["s_reason"]) for one in told] == [
        ("rules", "scored", None, 0.8)
    ]
    item = next(item for item in live_items(project.store) if item.decision and item.consensus)
    first = item.annotations[0]
    common = {"annotation_id": first.id, "provider": "p", "model": "m"}
    look = {"kind": "second_look", "implied_label": "fear", "flags": ("label_mismatch",)}
    said = (
        Judgement(**common, judge="j", request_digest="1", outcome="failed", reason="timeout"),
        Judgement(**common, judge="j", request_digest="2", outcome="answered", model_version="m-1", **look),
        Judgement(**common, judge="e", request_digest="3", outcome="answered", kind="mme_emotion"),
    )
    changed = replace(item, judgements={first.id: said})
    assert changed.consensus is not None
    assert changed.decision is not None
    row = make_row(changed, changed.consensus, changed.decision, TAXONOMY)
    (found,) = [one["judgements"] for one in row["annotations"] if one["id"] == first.id]
    assert [(one["kind"], one["outcome"], one["reason"]) for one in found] == [
        ("rating", "failed", "timeout"),
        ("second_look", "answered", None),
    ]
    assert (found[0]["s_rec"], found[0]["s_reason"], found[0]["s_cot"]) == (None, None, None)
    assert (found[1]["implied_label"], found[1]["flags"]) == ("fear", ["label_mismatch"])
    assert found[1]["model_version"] == "m-1"


def test_no_path_of_the_machine_leaves_it(tmp_path: Path) -> None:
    path, _ = make(small_project(tmp_path), tmp_path / "r")
    assert all(row["source_name"].endswith(".wav") and "/" not in row["source_name"] for row in rows(path))
    everything = b"".join(contents(path).values()) + json.dumps(rows(path)).encode()
    assert b"/home/someone" not in everything
    assert str(tmp_path).encode() not in everything


def test_sums_are_those_of_sha256sum(tmp_path: Path) -> None:
    path, _ = make(small_project(tmp_path), tmp_path / "r")
    done = subprocess.run(["sha256sum", "-c", "--strict", "SHA256SUMS"], cwd=path, capture_output=True)
    assert done.returncode == 0
    record = hashlib.sha256((path / "manifest.json").read_bytes()).hexdigest()
    assert (path / "SHA256SUMS").read_text().count(record) == 1


def reviewed_project(folder: Path, clips: int = 30) -> Project:
    """Every clip labelled blind by two people: all splits can be filled."""
    project = Project(folder)
    for n in range(clips):
        segment = project.clip(n, speaker=f"S{n}")
        project.store.add(blind(segment.id, "joy", "anna", "ben"))
    project.finish().decide()
    return project


def test_people_labels_fill_all_splits(tmp_path: Path) -> None:
    path, _ = make(reviewed_project(tmp_path), tmp_path / "r")
    manifest = json.loads((path / "manifest.json").read_text())
    assert manifest["counts"]["split"] == {"test": 3, "train": 24, "validation": 3}
    assert {row["human"]["blind"] for row in rows(path)} == {2}


def test_one_person_under_two_spellings_is_one_blind_reviewer(tmp_path: Path) -> None:
    project = Project(tmp_path)
    for n in range(4):
        project.store.add(blind(project.clip(n).id, "joy", "anna", "Anna"))
    project.finish().decide()
    path, _ = make(project, tmp_path / "r")
    assert {(row["split"] == "test", row["human"]["blind"]) for row in rows(path)} == {(False, 1)}
    assert {row["human"]["reviewers"] for row in rows(path)} == {1}


@pytest.mark.slow
def test_datasets_loads_the_folder_offline(tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    path, _ = make(reviewed_project(tmp_path), tmp_path / "r")
    script = (
        "import sys, json, datasets\n"
        "data = datasets.load_dataset(sys.argv[1])\n"
        "row = data['test'][0]\n"
        "rows = {name: split.num_rows for name, split in data.items()}\n"
        "print(json.dumps([rows, row['evidence'][0]['verdict'], row['label']]))"
    )
    offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)],
        env={**os.environ, **offline},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "card" not in done.stderr, done.stderr  # it would say what of the card it does not take
    loaded = json.loads(done.stdout.splitlines()[-1])
    assert loaded == [{"train": 24, "validation": 3, "test": 3}, "supported", "joy"]


def test_duckdb_reads_nested_columns(tmp_path: Path) -> None:
    path, _ = make(small_project(tmp_path), tmp_path / "r")
    with duckdb.connect() as connection:
        found = connection.execute(
            "select verdict, count(*) from (select unnest(evidence, recursive := true) from read_parquet(?)) "
            "group by verdict order by verdict",
            [f"{path}/data/*.parquet"],
        ).fetchall()
    assert found == [("contradicted", 6), ("supported", 6)]


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    project = small_project(tmp_path)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError) as raised:
        make(project, tmp_path / "file" / "r")
    assert raised.value.code == "cannot_write_release"
