"""Show: found by path, name or the start of any id; one clear answer when there is none or several."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from rich.console import Console

from pipeline.commands.show import decision_rows, print_show, show
from pipeline.commands.show_text import item_lines
from pipeline.ingest import ingest
from pipeline.live import live_items
from pipeline.project import Project
from pipeline.reasons import outcome_code
from pipeline.release.build import release
from pipeline.run import local_engine, run
from schemas.errors import UserError
from schemas.parts import SpeakerTurn, Target, Word
from schemas.records import Sample, Segment, Source
from tests.media_io.make import make_sound, tone
from tests.pipeline.records import Quiet, project_in
from tests.release.builder import annotation, check, consensus_of, evidence, judgement

SETTINGS = (
    "[segment]\nrule = 'fixed'\nwindow_s = 1.0\nmin_s = 0.2\n[select]\nrequire = 'any'\n"
    "[features.au]\nenabled = false\n[features.asr]\nenabled = false\n"
    "[release]\nsplit_policy = 'single'\ninclude_undecided = true\n"
)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    root = tmp_path_factory.mktemp("show")
    for name, length_s in (("a/one.wav", 2.0), ("b/one.wav", 3.0), ("two.wav", 1.0)):
        path = root / "sounds" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        make_sound(path, tone(length_s))
    with project_in(root / "project", SETTINGS) as opened:
        ingest(opened, [str(root / "sounds")], facts={"speaker": "ann", "license": "cc0-1.0"})
        run(opened, local_engine(), progress=Quiet())
        yield opened


def path_of(project: Project, name: str) -> str:
    (path,) = [path for path in project.store.paths() if path.endswith(name)]
    return path


def test_a_recording_is_found_by_path_and_by_a_name_of_its_own(project: Project) -> None:
    by_path = show(project, path_of(project, "b/one.wav"))
    assert (by_path.kind, len(by_path.items), by_path.paths) == ("source", 3, [path_of(project, "b/one.wav")])
    assert by_path.facts["speaker"] == "ann"
    assert by_path.source["media"]["duration_s"] == pytest.approx(3.0)
    assert show(project, "two.wav").paths == [path_of(project, "two.wav")]


def test_any_id_or_its_start_leads_to_its_segment(project: Project) -> None:
    for sample in project.store.live(Sample):
        found = show(project, sample.id)
        assert (found.kind, found.items[0]["segment"]["id"]) == ("item", sample.segment_id)
    segment = project.store.live(Segment)[0]
    assert show(project, segment.id[:16]) == show(project, segment.id)
    source = show(project, segment.source_id)
    assert (source.kind, source.source["id"]) == ("source", segment.source_id)


@pytest.mark.parametrize("what", ["nobody.wav", "seg_000000", "seg", "", "%", "_"])
def test_what_is_not_there_is_said(project: Project, what: str) -> None:
    with pytest.raises(UserError) as error:
        show(project, what)
    assert error.value.code == "unknown_item"


def test_several_of_one_name_are_listed(project: Project) -> None:
    with pytest.raises(UserError) as error:
        show(project, "one.wav")
    assert error.value.code == "ambiguous"
    assert all(path_of(project, f"{folder}/one.wav") in error.value.remedy for folder in "ab")
    with pytest.raises(UserError) as error:
        show(project, "src_")
    assert all(source.id in error.value.remedy for source in project.store.all(Source))


def test_a_part_of_a_name_that_only_one_has_is_enough(project: Project) -> None:
    assert show(project, "wo.w").paths == [path_of(project, "two.wav")]
    for part in ("one", ".wav"):
        with pytest.raises(UserError) as error:
            show(project, part)
        assert error.value.code == "ambiguous"
        assert "one.wav (src_" in error.value.remedy


def text_of(project: Project, what: str) -> str:
    console = Console(record=True, file=io.StringIO(), width=300)
    print_show(console, show(project, what))
    return console.export_text()


def test_the_text_tells_votes_decision_and_claims(project: Project) -> None:
    text = text_of(project, "two.wav")
    found = show(project, "two.wav").items[0]
    (decision, consensus) = (found["decision"], found["consensus"])
    assert f"decision: {decision['label'] or 'open'} ({decision['status']}" in text
    assert all(reason in text for reason in decision["reasons"])
    assert "lexicon: abstained (no_text)" in text
    assert "facial: abstained (no_video_stream)" in text
    for label, p in consensus["distribution"].items():
        assert f"{label} {p:.2f}" in text
    claims = [line for line in text.splitlines() if re.match(r"  e\d+ ", line)]
    assert [line.split()[0] for line in claims] == [e["evidence"]["id"] for e in consensus["evidence"]]
    assert all(
        verdict["verdict"] in line for verdict, line in zip(consensus["evidence"], claims, strict=True)
    )


WORDS = tuple(
    Word(text=text, start_s=0.1, end_s=0.4, speaker=who)
    for text, who in (("so", "SPEAKER_00"), ("no", "SPEAKER_01"), ("good", "SPEAKER_00"))
)
HEARD = "pocketsphinx (low quality)"


def test_a_claim_is_told_with_its_time_verdict_and_supporters() -> None:
    said = annotation("smp_x", "a", "joy", items=(evidence("e1", "quote", 0.1, 0.9, quote="so good"),))
    made = consensus_of([said], [check(said, {"e1": "contradicted"})])
    rated = judgement(said, 0.5)
    hidden = {
        "kind": "second_look",
        "outcome": "answered",
        "implied_label": "fear",
        "flags": ("label_mismatch",),
    }
    judged = [
        rated,
        rated.model_copy(update=hidden),
        rated.model_copy(update={"outcome": "failed", "reason": "timeout"}),
    ]
    item = {
        "segment": {"source_start_s": 1.0, "source_end_s": 2.0, "id": "seg_x"},
        "sample": Sample(
            segment_id="seg_x",
            feature_digests=(),
            baseline_ids=(),
            view_version="1",
            duration_s=1.0,
            words=WORDS,
            words_source=HEARD,
            missing={"visual": "no_face"},
            target=Target(speaker="SPEAKER_00", face_track="f1"),
            others=(Target(speaker="SPEAKER_01"),),
            turns=tuple(SpeakerTurn(start_s=0, end_s=1, speaker=f"SPEAKER_0{n}") for n in range(2)),
        ).as_json(),
        "annotations": [{**said.as_json(), "judgements": [one.as_json() for one in judged]}],
        "not_annotated": None,
        "planned_split": {"split": "test", "group": "grp_x"},
        "third_parties": True,
        "consensus": made.as_json(),
        "decision": None,
    }
    lines = list(item_lines(item))
    assert '  e1 0.10-0.90 s text: "so good": contradicted, measured 0.6 intensity (a)' in lines
    at = lines.index("  a: joy, confidence 0.75")
    assert lines[at + 1 : at + 4] == [
        "    rules: s_rec 0.50, s_reason 0.80, s_cot 0.60",
        "    rules: failed (timeout)",
        "    rules: with the label hidden, the reasons imply fear (label_mismatch)",
    ]
    assert "  said (pocketsphinx, low quality): so good" in lines
    assert "  missing: visual (no_face)" in lines
    assert "  planned split: test, with grp_x" in lines
    assert "  target: speaker SPEAKER_00, face f1, one of 2" in lines


def test_what_nobody_was_asked_about_says_why(tmp_path: Path) -> None:
    sound = make_sound(tmp_path / "hum.wav", tone(2.0))
    with project_in(tmp_path / "project", SETTINGS.replace("'any'", "'face'")) as opened:
        ingest(opened, [str(sound)])
        run(opened, local_engine(), progress=Quiet())
        assert [item["not_annotated"] for item in show(opened, "hum").items] == ["no_face"] * 2
        assert "not annotated: no_face" in text_of(opened, "hum")


def test_a_release_tells_why_rules_abstained(project: Project, tmp_path: Path) -> None:
    path = release(
        project.store, project.settings, project.taxonomy, version="1.0.0", out_dir=tmp_path / "releases"
    ).path
    (data,) = (path / "data").glob("train-*.parquet")
    for row in pq.read_table(data).to_pylist():
        said = {one["annotator"]: (one["outcome"], one["reason"]) for one in row["annotations"]}
        assert said["lexicon"] == ("abstained", "no_text")


def test_what_a_model_says_in_its_own_words_is_no_code() -> None:
    said = annotation("smp_x", "a", None).model_copy(
        update={"outcome": "abstained", "reason": "abstained", "detail": "The face is hidden."}
    )
    assert outcome_code(said) == "abstained"
    assert outcome_code(said.model_copy(update={"detail": "no_face"})) == "no_face"
    assert outcome_code(annotation("smp_x", "a", None)) == "timeout"
    assert outcome_code(annotation("smp_x", "a", "joy")) == ""


def test_decision_rows_tell_votes_and_why(project: Project) -> None:
    rows = decision_rows(live_items(project.store))
    assert len(rows) == 6
    assert {row["speaker"] for row in rows} == {"ann"}
    for row in rows:
        assert "lexicon" in row["votes"]
        assert row["status"] in ("needs_review", "auto_accepted")
        assert bool(row["reasons"]) == (row["status"] == "needs_review")


def test_answers_of_one_who_is_asked_repeatedly_are_counted(project: Project) -> None:
    said = [("b", "joy", 0), ("a", "joy", 0), ("a", "fear", 1), ("a", "joy", 2)]
    answers = tuple(annotation("smp_x", name, label, replicate=n) for name, label, n in said)
    item = next(iter(live_items(project.store)))
    (row,) = decision_rows([replace(item, annotations=answers)])
    assert row["votes"] == "b joy, a joy x2 fear x1"
