"""The key test: recordings to a verified release through the command line, with nothing paid or done twice.

One project is built once, with the keyless annotators and a model behind a real socket; every test works on
a copy of it. The server's durable log says what was really asked.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from schemas.parts import LabelScore
from schemas.records import Annotation, Baseline, Decision, Review, Sample, Segment, Source
from tests.conftest import data_dir
from tests.media_io.make import make_video
from tests.pipeline.project import (
    EVERY_STAGE,
    REPO,
    clean_environment,
    copy_project,
    done_well,
    emotrace,
    file_sums,
    ingested,
    standing,
    stored,
    subtitle,
    talk,
)

pytestmark = [pytest.mark.worker, pytest.mark.slow]

SAID = {
    "glad": "I am so happy, what a wonderful picnic!",
    "angry": "I hate this invoice, it makes me furious.",
    "sad": "I am sad and lonely at her grave.",
    "plain": "The train leaves at nine from platform two.",
}
# What the model says where a word is said (none of them stands in a prompt); "surprise" makes an open tie.
LABELS = {"picnic": "surprise", "invoice": "anger", "grave": "sadness", "": "neutral"}
REAL = ("video/wh_address_a.mp4", "video/wh_address_noaudio.mp4", "video/pyfeat_no_face.mp4")
NEWCOMER = "We are happy and proud, what a wonderful day."


class Server:
    """The counting server in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "server.log"
        answers = folder / "answers.jsonl"
        rules = [{"match": word, "label": label, "times": 0} for word, label in LABELS.items()]
        answers.write_text("".join(json.dumps(rule) + "\n" for rule in rules), encoding="utf-8")
        command = [
            sys.executable,
            "-m",
            "tests.wire.server",
            "--answers",
            str(answers),
            "--log",
            str(self.log),
        ]
        self.process = subprocess.Popen(
            command, cwd=REPO, env=clean_environment(), stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.url = f"http://127.0.0.1:{int(self.process.stdout.readline())}/v1"

    def asked(self) -> list[str]:
        """Digests of the bodies of all questions so far, in order."""
        text = self.log.read_text(encoding="utf-8") if self.log.exists() else ""
        return [line.split()[0] for line in text.splitlines()]

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=20)
        if self.process.stdout is not None:
            self.process.stdout.close()


@dataclass(frozen=True)
class World:
    """The project as its first run left it, its recordings, the server, and what the first run told."""

    project: Path
    recordings: Path
    server: Server
    first: dict[str, Any]

    def copy(self, folder: Path) -> Path:
        return copy_project(self.project, folder / "copy")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    root = tmp_path_factory.mktemp("key")
    server = Server(root)
    try:
        recordings = make_recordings(root / "recordings")
        settings = EVERY_STAGE.format(name="key-test", url=server.url)
        project = ingested(root / "project", settings, recordings / "all.csv")
        yield World(project, recordings, server, up_to_date(project))
    finally:
        server.stop()


def make_recordings(folder: Path) -> Path:
    """Four clips of one speaker, one without sound, and real ones when they are there; and their manifest."""
    folder.mkdir()
    rows = ["path,speaker,license,consent"]
    for seed, (name, text) in enumerate(SAID.items()):
        talk(folder / f"{name}.mp4", text=text, seed=seed)
        rows.append(f"{name}.mp4,ann,cc-by-4.0,given")
    make_video(folder / "mute.mp4")
    rows.append("mute.mp4,,cc-by-4.0,given")
    for path in (data_dir() / "media" / name for name in REAL):
        if path.exists():
            shutil.copyfile(path, folder / path.name)
            rows.append(f"{path.name},,public-domain,given")
    (folder / "all.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


def up_to_date(project: Path, *flags: str) -> dict[str, Any]:
    """`emotrace run`, which must end well: the JSON object that it prints."""
    found: dict[str, Any] = done_well(emotrace("run", "--project", project, "--local", "--json", *flags))
    assert found["failed_items"] == []
    return found


def shown(project: Path, what: str) -> dict[str, Any]:
    found: dict[str, Any] = done_well(emotrace("show", what, "--project", project, "--json"))
    return found


def samples(project: Path) -> dict[str, Sample]:
    """Name of the recording -> its sample that stands."""
    with stored(project) as store:
        segments = {segment.id: segment.source_id for segment in store.live(Segment)}
        names = {path.source_id: Path(path.path).name for path in store.paths().values()}
        return {names[segments[sample.segment_id]]: sample for sample in store.live(Sample)}


def asked_samples(project: Path) -> dict[str, str]:
    """Annotation id -> sample id, of the model's annotations that stand."""
    with stored(project) as store:
        return {a.id: a.sample_id for a in store.live(Annotation) if a.annotator == "model"}


def calls_are_of(calls: int, *, samples: int, labelled: int) -> bool:
    """The model's one about each sample, the judge's rating of each label, and its second look at the reasons:
    reasons that read alike without the label are looked at once."""
    return samples + labelled < calls <= samples + 2 * labelled


def test_the_first_run_asks_every_question_once_and_leaves_nothing_out(world: World) -> None:
    first, asked = world.first, world.server.asked()
    sources = len(list(world.recordings.glob("*.m*")))
    worth_asking = first["samples"] - sum(first["dropped"].values())
    notes = first["annotations"]
    assert (first["sources"], first["segments"], first["samples"]) == (sources, sources, sources)
    assert first["dropped"]["no_speech_or_face"] >= 1  # the one without sound and face
    assert notes["labelled"] + notes["abstained"] == 4 * worth_asking
    assert notes["refused"] == notes["unparsed"] == notes["failed"] == 0
    assert first["judgements"] == 3 * notes["labelled"]  # the rules', and the model's rating and second look
    assert first["provider_calls"] == len(asked) == len(set(asked))
    assert calls_are_of(first["provider_calls"], samples=worth_asking, labelled=notes["labelled"])
    assert first["auto_accepted"] + first["needs_review"] == worth_asking
    assert first["auto_accepted"] > 0
    assert first["needs_review"] > 0
    assert sum(first["checks"].values()) > notes["labelled"]
    same = {key: value for key, value in first["this_run"].items() if key in first and key != "wall_s"}
    assert same == {key: first[key] for key in same}
    assert first["this_run"]["planned_calls"] == first["provider_calls"]


def test_a_second_run_asks_and_decodes_nothing(world: World, tmp_path: Path) -> None:
    project, asked, before = world.copy(tmp_path), world.server.asked(), standing(world.project)
    again = up_to_date(project)
    assert (again["this_run"]["provider_calls"], again["this_run"]["decodes"]) == (0, 0)
    assert again["this_run"]["annotations"]["labelled"] == again["this_run"]["judgements"] == 0
    assert world.server.asked() == asked
    assert standing(project) == before
    assert {
        key: again[key] for key in ("samples", "annotations", "checks", "judgements", "provider_calls")
    } == {
        key: world.first[key] for key in ("samples", "annotations", "checks", "judgements", "provider_calls")
    }


def test_answers_that_were_received_but_not_kept_are_read_from_the_ledger(
    world: World, tmp_path: Path
) -> None:
    project, asked, before = world.copy(tmp_path), world.server.asked(), standing(world.project)
    with contextlib.closing(sqlite3.connect(project / "emotrace.db")) as store, store:
        store.execute("DELETE FROM records WHERE kind IN ('annotation', 'judgement')")  # as if killed before
    run = up_to_date(project)["this_run"]
    assert run["annotations"] == world.first["annotations"]
    # Questions that read alike were sent once, and each finds the answer.
    assert run["provider_calls"] == 0
    assert run["cached_calls"] >= world.first["provider_calls"]
    assert world.server.asked() == asked
    assert standing(project) == before


def test_a_deleted_cache_costs_the_clips_for_people_and_no_call(world: World, tmp_path: Path) -> None:
    project, asked, before = world.copy(tmp_path), world.server.asked(), standing(world.project)
    clips_before = len(list((project / "cache").rglob("clip.mp4")))
    shutil.rmtree(project / "cache")
    again = up_to_date(project)
    assert again["this_run"]["provider_calls"] == 0
    assert again["this_run"]["decodes"] == again["needs_review"] == clips_before > 0
    assert len(list((project / "cache").rglob("clip.mp4"))) == clips_before
    assert world.server.asked() == asked
    assert standing(project) == before
    assert up_to_date(project)["this_run"]["decodes"] == 0


def test_a_new_file_of_a_known_speaker_re_buys_nothing(world: World, tmp_path: Path) -> None:
    project, asked, before = world.copy(tmp_path), world.server.asked(), samples(world.project)
    assert all(before[f"{name}.mp4"].baseline_ids for name in SAID)  # she has said enough to have a baseline
    newcomer = talk(tmp_path / "new.mp4", text=NEWCOMER, seed=9, pitch_hz=150)
    done_well(emotrace("ingest", newcomer, "--speaker", "ann", "--project", project, "--json"))

    added = up_to_date(project)
    after = samples(project)
    new = after.pop("new.mp4")
    assert after == before
    assert (
        new.baseline_ids != before["glad.mp4"].baseline_ids
    )  # measured against all that is known of her now
    assert (added["this_run"]["sources"], added["this_run"]["samples"]) == (1, 1)
    labelled = added["this_run"]["annotations"]["labelled"]
    assert calls_are_of(added["this_run"]["provider_calls"], samples=1, labelled=labelled)
    assert [i for i in asked_samples(project) if i not in asked_samples(world.project)] == [
        i for i, sample_id in asked_samples(project).items() if sample_id == new.id
    ]
    fresh = world.server.asked()[len(asked) :]
    assert len(fresh) == added["this_run"]["provider_calls"]
    assert not set(fresh) & set(asked)

    moved = up_to_date(project, "--rebaseline")
    latest = samples(project)
    assert {latest[f"{name}.mp4"].baseline_ids for name in SAID} == {new.baseline_ids}
    assert moved["this_run"]["provider_calls"] > 0  # on request the old clips are asked anew
    assert latest["new.mp4"] == new
    with stored(project) as store:
        assert [b.segments for b in store.all(Baseline)] == [4, 5]
    assert up_to_date(project)["this_run"]["provider_calls"] == 0


def test_an_edited_subtitle_changes_its_clip_only(world: World, tmp_path: Path) -> None:
    project, asked, before = world.copy(tmp_path), world.server.asked(), samples(world.project)
    try:
        subtitle(world.recordings / "plain.mp4", "The train is late, I am happy to wait.")
        run = up_to_date(project)["this_run"]
    finally:
        subtitle(world.recordings / "plain.mp4", SAID["plain"])
    after = samples(project)
    assert [name for name in before if before[name] != after[name]] == ["plain.mp4"]
    assert [word.text for word in after["plain.mp4"].words][-2:] == ["to", "wait."]
    # Its sound and pictures are known: opened only for the sound that the model hears and for a person's clip.
    assert (run["samples"], run["decodes"]) == (1, run["needs_review"])
    assert run["provider_calls"] == len(world.server.asked()) - len(asked)
    assert calls_are_of(run["provider_calls"], samples=1, labelled=run["annotations"]["labelled"])
    again = up_to_date(project)  # what was said before is asked no second time
    assert again["this_run"]["provider_calls"] == again["this_run"]["decodes"] == 0
    assert samples(project) == before


def test_a_release_is_the_same_bytes_however_often_it_is_made(world: World, tmp_path: Path) -> None:
    project = world.copy(tmp_path)
    made = done_well(emotrace("release", "--version", "0.1.0", "--project", project, "--json"))
    folder = project / "releases" / "0.1.0"
    sums = file_sums(folder)
    assert made["outcome"] == "created"
    assert made["rows"] == world.first["auto_accepted"] == sum(made["splits"].values())
    again = done_well(emotrace("release", "--version", "0.1.0", "--project", project, "--json"))
    assert (again["outcome"], again["rows"]) == ("unchanged", made["rows"])
    assert file_sums(folder) == sums
    shutil.rmtree(folder)
    assert done_well(emotrace("release", "--version", "0.1.0", "--project", project, "--json"))["rows"]
    assert file_sums(folder) == sums
    checked = done_well(emotrace("verify", folder, "--json"))
    assert checked["ok"]
    assert {f["check"] for f in checked["findings"] if f["status"] == "ok"} >= {
        "checksums",
        "loads with datasets",
    }
    assert loaded_rows(folder, tmp_path / "hf") == made["splits"]


def loaded_rows(folder: Path, home: Path) -> dict[str, int]:
    """Rows by split, as the library of its users reads the release without a network."""
    code = (
        "import datasets, json, sys\n"
        "datasets.disable_progress_bars()\n"
        "print(json.dumps({k: v.num_rows for k, v in datasets.load_dataset(sys.argv[1]).items()}))"
    )
    environment = clean_environment(HF_HUB_OFFLINE="1", HF_HOME=str(home))
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        env=environment, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, int] = json.loads(done.stdout)
    return found


def test_a_review_decides_and_a_released_version_stays_as_it_was(world: World, tmp_path: Path) -> None:
    project, asked = world.copy(tmp_path), world.server.asked()
    done_well(emotrace("release", "--version", "0.1.0", "--project", project, "--json"))
    folder = project / "releases" / "0.1.0"
    sums = file_sums(folder)
    with stored(project) as store:
        waiting = next(d for d in store.live(Decision) if d.status == "needs_review")
        store.add([person_says(waiting, "fear")])

    run = up_to_date(project)
    assert (run["reviewed"], run["this_run"]["reviewed"]) == (1, 1)
    assert run["needs_review"] == world.first["needs_review"] - 1
    assert (run["this_run"]["provider_calls"], run["this_run"]["decodes"]) == (0, 0)
    decision = shown(project, waiting.segment_id)["items"][0]["decision"]
    assert (decision["status"], decision["label"]) == ("reviewed", "fear")

    refused = emotrace("release", "--version", "0.1.0", "--project", project, "--json")
    assert refused.status == 2
    error = refused.json["error"]
    assert error["code"] == "release_differs"
    assert any(f"{name} " in error["message"] for name in sums)  # names the first file that differs
    assert "version" in error["remedy"]
    assert file_sums(folder) == sums
    assert sorted(path.name for path in folder.parent.iterdir()) == ["0.1.0"]  # nothing is left beside it
    new = done_well(emotrace("release", "--version", "0.2.0", "--project", project, "--json"))
    assert new["rows"] == world.first["auto_accepted"] + 1
    assert world.server.asked() == asked


def person_says(waiting: Decision, label: str) -> Review:
    return Review(
        segment_id=waiting.segment_id,
        target=waiting.target,
        taxonomy="ekman7",
        reviewer="anna",
        phase="blind",
        at="2026-01-01T00:00:00.000+00:00",
        labels=(LabelScore(label=label),),
    )


def test_a_copy_under_another_name_is_the_same_recording(world: World, tmp_path: Path) -> None:
    project, asked, before = world.copy(tmp_path), world.server.asked(), standing(world.project)
    twin = Path(shutil.copyfile(world.recordings / "glad.mp4", tmp_path / "another name.mp4"))
    subtitle(twin, SAID["glad"])
    taken = done_well(emotrace("ingest", twin, "--project", project, "--json"))
    assert (taken["new"], taken["duplicates"]) == (0, 1)
    assert up_to_date(project)["this_run"]["decodes"] == 0
    assert standing(project) == before
    assert world.server.asked() == asked
    with stored(project) as store:
        assert len(store.live_ids(Source)) == world.first["sources"]
