"""Files beside recordings that cannot be taken: one clear failure, and the other recordings go on."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.ingest import ingest
from pipeline.outputs import RunOutput
from pipeline.project import Project
from pipeline.run import Execute, Work, local_engine, run
from schemas.records import Features, Sample
from tests.features.test_transcripts_meld import HEAD, ROW
from tests.pipeline.records import Quiet, project_in
from tests.pipeline.test_bad_input import sound

SETTINGS = '[segment]\nrule = "whole"\n[select]\nrequire = "any"\n'
TABLE = "time_s,pitch_hz\n" + "".join(f"{n / 100:.2f},150\n" for n in range(100))


def run_local(project: Project) -> RunOutput:
    return run(project, local_engine(), progress=Quiet())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two recordings with words."""
    sound(tmp_path / "recordings" / "good.wav")
    sound(tmp_path / "recordings" / "talk.wav", 0.4)
    return tmp_path / "recordings"


@pytest.mark.parametrize(
    ("ending", "code", "stage"),
    [
        (".srt", "unreadable_transcript", "asr"),
        (".prosody.csv", "unreadable_prosody", "prosody"),
        (".csv", "unreadable_table", "au"),
        (".series.csv", "unreadable_series", "series"),
        (".rttm", "unreadable_rttm", "diarize"),
    ],
)
def test_a_link_that_leads_nowhere_fails_its_recording_alone(
    ending: str, code: str, stage: str, folder: Path
) -> None:
    link = folder / f"talk{ending}"
    link.unlink(missing_ok=True)
    link.symlink_to(folder / ".git" / "annex" / "objects" / "not_fetched")
    with project_in(folder.parent / "project", SETTINGS) as project:
        ingest(project, [str(folder / "good.wav"), str(folder / "talk.wav")])
        for done in (run_local(project), run_local(project)):
            assert [(item.stage, item.code) for item in done.failed_items] == [(stage, code)]
            (item,) = done.failed_items
            assert item.message == f"{link} is a link to a file that is not here"
            assert item.retry.startswith(
                "fetch the file (git annex get, datalad get) or remove the link, then"
            )
            assert len(project.store.live(Sample)) == 1, "the other recording has its sample"
        link.unlink()
        assert (run_local(project).failed_items, len(project.store.live(Sample))) == ([], 2)


def test_languages_that_nobody_chose_beside_two_copies(folder: Path) -> None:
    text = (folder / "talk.srt").read_text()
    (folder / "talk.srt").unlink()
    (folder / "copy").mkdir()
    shutil.copy(folder / "talk.wav", folder / "copy")
    for place in (folder, folder / "copy"):
        for language in ("en", "de"):
            (place / f"talk.{language}.srt").write_text(text)
    with project_in(folder.parent / "project", SETTINGS) as project:
        ingest(project, [str(folder)])
        (item,) = run_local(project).failed_items
        assert (item.stage, item.code) == ("asr", "ambiguous_transcript")
        assert len(project.store.live(Sample)) == 1


def test_what_stands_beside_the_second_copy_is_taken(folder: Path) -> None:
    (folder / "talk.srt").unlink()
    for place in ("copy a", "copy b"):
        (folder / place).mkdir()
        shutil.copy(folder / "talk.wav", folder / place / "dia0_utt1.wav")
    (folder / "talk.wav").unlink()
    (folder / "copy b" / "dia0_utt1.prosody.csv").write_text(TABLE)
    (folder / "copy b" / "dev_sent_emo.csv").write_text(HEAD + ROW)
    with project_in(folder.parent / "project", SETTINGS) as project:
        ingest(project, [str(folder / "copy a"), str(folder / "copy b")])
        assert run_local(project).failed_items == []
        live = project.store.live(Features)
        assert {(f.stage, f.extractor) for f in live} >= {("prosody", "csv"), ("asr", "meld")}


def test_a_table_that_goes_away_during_a_run_fails_its_recording_alone(folder: Path) -> None:
    table = folder / "talk.prosody.csv"
    table.write_text(TABLE)

    def engine(body: Callable[[Execute], None]) -> None:
        def execute(stage: str, shards: list[list[Any]], work: Work) -> None:
            if stage == "prosody":
                table.unlink()
            for shard in shards:
                work(shard)

        body(execute)

    with project_in(folder.parent / "project", SETTINGS + '[features.prosody]\nbackend = "csv"\n') as project:
        (folder / "good.prosody.csv").write_text(TABLE.replace("150", "151"))
        ingest(project, [str(folder)])
        done = run(project, engine, progress=Quiet())
        assert [(item.stage, item.code) for item in done.failed_items] == [("prosody", "prosody_missing")]
        assert len(project.store.live(Sample)) == 1
