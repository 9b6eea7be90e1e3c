"""Two people in one segment, from their turns to a verified release: each has a sample, a label and a row."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents.questions.serialise import sample_text
from pipeline.commands.show import decision_rows, show
from pipeline.features.transcripts import find_sidecar
from pipeline.ingest import ingest
from pipeline.live import LiveItem, live_items
from pipeline.outputs import RunOutput
from pipeline.project import Project
from pipeline.release.build import release
from pipeline.release.verify import verify
from pipeline.run import local_engine, run
from pipeline.stages.decide import bring_decisions_up_to_date
from review_ui.app import create_app
from schemas.errors import UserError
from schemas.records import Annotation, Check, Decision, Features, Review, Sample
from tests.features.test_diarize_rttm import line
from tests.media_io.make import AUDIO_RATE_HZ, make_sound
from tests.pipeline.project import voice
from tests.pipeline.records import Quiet, project_in
from tests.review_ui.conftest import ORIGIN, TOKEN, Browser

LOW_HZ, HIGH_HZ = 110.0, 240.0
A, B = "SPEAKER_00", "SPEAKER_01"
SETTINGS = """
[project]
name = "two"
language = "en"
[segment]
rule = "whole"
[policy]
accept_probability = 1.0
accept_s_final = 1.0
random_review_share = 0.0
[release]
license = "cc-by-4.0"
split_policy = "single"
"""
SAID = """1
00:00:00,100 --> 00:00:04,000
I am so happy, what a wonderful picnic!

2
00:00:04,700 --> 00:00:08,400
I hate this invoice, it makes me furious.
"""


def talk(folder: Path, name: str, turns: str) -> Path:
    """A low voice, then a high one, with what they say, and when, beside the recording."""
    parts = [voice(4.2, LOW_HZ, 1), np.zeros(round(0.3 * AUDIO_RATE_HZ), np.float32), voice(4.0, HIGH_HZ, 2)]
    path = folder / f"{name}.wav"
    make_sound(path, np.concatenate(parts))
    path.with_suffix(".srt").write_text(SAID, encoding="utf-8")
    path.with_suffix(".rttm").write_text(turns, encoding="utf-8")
    assert find_sidecar(path, "en")
    return path


def both(name: str, first: str = A, second: str = B) -> str:
    return line(name, first, 0.0, 4.2) + line(name, second, 4.5, 4.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "recordings"
    folder.mkdir()
    talk(folder, "pair", both("pair"))
    return folder


@pytest.fixture
def project(folder: Path, tmp_path: Path) -> Iterator[Project]:
    with project_in(tmp_path / "project", SETTINGS) as opened:
        ingest(opened, [str(folder)])
        yield opened


@pytest.fixture
def reviewer(project: Project) -> Iterator[Browser]:
    app = create_app(project.root, token=TOKEN)
    with Browser(app, base_url=ORIGIN, follow_redirects=False) as browser:
        browser.get(f"/?token={TOKEN}")
        browser.start("ann")
        yield browser
    app.state.desk.store.close()


def up_to_date(project: Project, **flags: Any) -> RunOutput:
    done = run(project, local_engine(), progress=Quiet(), **flags)
    assert done.failed_items == []
    return done


def items(project: Project) -> dict[str, LiveItem]:
    """By who it is about."""
    found = {item.sample.target.key.removesuffix("/-"): item for item in live_items(project.store)}
    assert len(found) == len(project.store.live_ids(Sample))
    return found


def measure(item: LiveItem, name: str) -> float:
    (value,) = [m.value for m in item.sample.prosody if m.name == name]
    assert value is not None
    return value


def label(browser: Browser, sample_id: str, name: str) -> None:
    """Blind, then revealed."""
    path = f"/item/{sample_id}"
    blind = browser.submit(path, {**browser.fields(path), "label": name})
    assert blind.headers["location"].startswith(f"{path}/reveal"), blind.text
    revealed = {**browser.fields(f"{path}/reveal"), "label": name, "unmarked": "1"}
    assert browser.submit(f"{path}/reveal", revealed).status_code == 303


def labels(project: Project) -> dict[str, tuple[str, str | None]]:
    bring_decisions_up_to_date(project)
    decisions = {key: item.decision for key, item in items(project).items()}
    return {key: (d.status, d.label) for key, d in decisions.items() if d}


def test_each_is_measured_where_they_alone_speak(project: Project) -> None:
    up_to_date(project)
    found = items(project)
    assert set(found) == {A, B}
    assert measure(found[A], "pitch_median_hz") == pytest.approx(LOW_HZ, rel=0.15)
    assert measure(found[B], "pitch_median_hz") == pytest.approx(HIGH_HZ, rel=0.15)
    for item, (start_s, end_s) in ((found[A], (0.0, 4.2)), (found[B], (4.5, 8.5))):
        assert {f.stage for f in item.features} == {"asr", "prosody", "au", "speakers"}
        (heard,) = [f for f in item.features if f.stage == "prosody"]
        for series in heard.series:
            known = [t for t, value in zip(series.times_s, series.values, strict=True) if value is not None]
            assert start_s <= min(known) <= max(known) <= end_s
        assert all(start_s <= event.start_s <= event.end_s <= end_s for event in heard.events)
        assert [target.key for target in item.sample.others] == [f"{A if item is found[B] else B}/-"]
    assert [word.text for word in found[A].sample.own_words][:4] == ["I", "am", "so", "happy,"]
    assert {word.speaker for word in found[A].sample.words} == {A, B}


def test_each_is_labelled_by_their_own_words_and_voice(project: Project) -> None:
    up_to_date(project)
    said = {
        key: {a.annotator: a.answer.primary for a in item.annotations if a.answer}
        for key, item in items(project).items()
    }
    assert (said[A]["lexicon"], said[B]["lexicon"]) == ("joy", "anger")
    text = sample_text(items(project)[B].sample)
    own, context = text.partition("<Text>")[2].partition("</Text>")[0], text.partition("</Context>")[0]
    assert "invoice" in own
    assert "picnic" not in own
    assert "picnic" in context
    assert f"0.00-4.20 s speaker {A} speaks" in context
    checks = project.store.live(Check)
    assert {v.verdict for check in checks for v in check.verdicts} <= {"supported", "not_measurable"}
    assert len(checks) == sum(a.outcome == "labelled" for a in project.store.live(Annotation))


def test_a_second_run_makes_nothing_and_tells_the_same(project: Project) -> None:
    up_to_date(project)
    before = {cls: project.store.live_ids(cls) for cls in (Features, Sample, Check, Decision)}
    again = up_to_date(project).this_run
    assert (again.samples, again.decodes, again.annotations.labelled) == (0, 0, 0)
    assert {cls: project.store.live_ids(cls) for cls in before} == before
    shown = show(project, "pair.wav")
    assert [item["features"]["prosody"]["params"]["where"] for item in shown.items] == [
        [[0.0, 4.2]],
        [[4.5, 8.5]],
    ]
    assert [row["speaker"] for row in decision_rows(live_items(project.store))] == [A, B]


def test_a_label_of_one_never_decides_the_other_and_both_are_released(
    project: Project, reviewer: Browser, tmp_path: Path
) -> None:
    up_to_date(project)
    found = items(project)
    page = reviewer.get(f"/item/{found[A].sample.id}").text
    assert f"speaker {A}" in page
    assert "0:04" in page
    label(reviewer, found[A].sample.id, "joy")
    assert labels(project) == {A: ("reviewed", "joy"), B: ("needs_review", None)}
    assert reviewer.get("/next").headers["location"] == f"/item/{found[B].sample.id}"
    label(reviewer, found[B].sample.id, "anger")
    assert reviewer.get("/next").status_code == 200  # nothing is left
    assert labels(project) == {A: ("reviewed", "joy"), B: ("reviewed", "anger")}

    out = tmp_path / "releases"
    made = release(project.store, project.settings, project.taxonomy, version="1.0.0", out_dir=out)
    assert made.report.rows == 2
    assert verify(made.path, load_with_datasets=False).ok
    rows = {row["target"]["speaker"]: row for row in read_rows(made.path)}
    assert {key: row["label"] for key, row in rows.items()} == {A: "joy", B: "anger"}
    assert len({row["id"] for row in rows.values()}) == 2
    assert len({(row["segment_id"], row["group"], row["split"]) for row in rows.values()}) == 1
    assert {row["speaker"] for row in rows.values()} == {None}  # nobody was declared
    assert "invoice" in rows[B]["transcript"]
    assert "picnic" not in rows[B]["transcript"]


def read_rows(folder: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    return [row for file in sorted(folder.glob("data/*.parquet")) for row in pq.read_table(file).to_pylist()]


def test_what_is_declared_of_one_is_not_said_of_the_other(project: Project, tmp_path: Path) -> None:
    up_to_date(project)
    source_id = items(project)[A].source.id
    project.store.add_facts([(source_id, "speaker", "anna"), ("speaker:anna", "consent", "given")])
    with pytest.raises(UserError, match="what was said of its speaker"):
        release(project.store, project.settings, project.taxonomy, version="1.0.0", out_dir=tmp_path)
    up_to_date(project)
    found = items(project)
    assert set(found) == {"anna", B}  # the low voice speaks most
    assert (found["anna"].facts["speaker"], found["anna"].facts["consent"]) == ("anna", "given")
    assert found[B].facts.keys().isdisjoint({"speaker", "consent"})
    assert {turn.speaker for turn in found[B].sample.turns} == {"anna", B}

    project.store.add_facts([("speaker:anna", "consent", "withdrawn")])
    assert {item.facts["consent"] for item in live_items(project.store)} == {
        "withdrawn"
    }  # both are in the clip


def test_a_label_outlives_another_name_of_a_segments_one_target(
    project: Project, folder: Path, reviewer: Browser
) -> None:
    (folder / "pair.rttm").write_text(line("pair", A, 0.0, 8.5), encoding="utf-8")
    up_to_date(project)
    (item,) = items(project).values()
    label(reviewer, item.sample.id, "joy")
    project.store.add_facts([(item.source.id, "speaker", "anna")])
    up_to_date(project)
    assert labels(project) == {"anna": ("reviewed", "joy")}
    assert reviewer.get("/next").status_code == 200
    # As soon as two people are told apart, it is not known whom of them the label is about.
    (folder / "pair.rttm").write_text(both("pair"), encoding="utf-8")
    up_to_date(project)
    assert labels(project) == {"anna": ("needs_review", None), B: ("needs_review", None)}
    assert len(project.store.all(Review)) == 2


def test_a_label_of_one_of_two_is_not_the_label_of_who_is_left(
    project: Project, folder: Path, reviewer: Browser
) -> None:
    up_to_date(project)
    label(reviewer, items(project)[B].sample.id, "anger")
    (folder / "pair.rttm").write_text(line("pair", A, 0.0, 8.5), encoding="utf-8")
    up_to_date(project)
    assert labels(project) == {A: ("needs_review", None)}
    (folder / "pair.rttm").write_text(both("pair"), encoding="utf-8")
    up_to_date(project)
    assert labels(project) == {A: ("needs_review", None), B: ("reviewed", "anger")}
