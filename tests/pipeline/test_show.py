"""Show: found by path, name or the start of any id; one clear answer when there is none or several."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pipeline.ingest import ingest
from pipeline.live import live_items
from pipeline.project import Project
from pipeline.run import local_engine, run
from pipeline.show import decision_rows, show
from schemas.errors import UserError
from schemas.records import Sample, Segment, Source
from tests.media_io.make import make_sound, tone
from tests.pipeline.records import Quiet, project_in

SETTINGS = (
    "[segment]\nrule = 'fixed'\nwindow_s = 1.0\nmin_s = 0.2\n[select]\nrequire = 'any'\n"
    "[features.au]\nenabled = false\n[features.asr]\nenabled = false\n"
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
    ids = {project.store.paths()[path_of(project, f"{folder}/one.wav")].source_id for folder in "ab"}
    assert error.value.code == "ambiguous"
    assert all(source_id in error.value.remedy for source_id in ids)
    with pytest.raises(UserError) as error:
        show(project, "src_")
    assert all(source.id in error.value.remedy for source in project.store.all(Source))


def test_decision_rows_tell_votes_and_why(project: Project) -> None:
    rows = decision_rows(live_items(project.store))
    assert len(rows) == 6
    assert {row["speaker"] for row in rows} == {"ann"}
    for row in rows:
        assert "lexicon" in row["votes"]
        assert row["status"] in ("needs_review", "auto_accepted")
        assert bool(row["reasons"]) == (row["status"] == "needs_review")
