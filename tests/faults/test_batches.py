"""`kill -9` around vendors' batch jobs: no job is submitted twice, no answer is paid twice, the records are the
ones of live questions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.material import Driven, StampedModels, ingest_command, make_project, same_records

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.timeout(1200)]

BATCH = 'deployment = "any port"\nmode = "batch"\ngives = ["json_schema", "batches"]'
KILLS = (  # with how many jobs the vendor has then; the judge has one about the answers of rules
    ("within batch.begin_batch 1", 0),
    ("after batch.upload 1", 0),
    ("after batch.create 1", 1),  # begun, and its id is known to nobody
    ("before call.receipt 1", 2),
    ("within call.receipt 1", 2),
    ("before batch.end_batch 1", 2),
)


def _in_batches(project: Path, *, gemini: bool = False) -> Path:
    """The same project; its annotator and its judge are asked in batches."""
    path = project / "emotrace.toml"
    text = path.read_text("utf-8").replace('deployment = "any port"', BATCH)
    if gemini:
        text = text.replace('"openai_compatible"', '"gemini"\napi_key_env = "FAULTS_KEY"').replace(
            '/v1"', '"'
        )
    path.write_text(text, encoding="utf-8")
    return project


def _run_until_all_is_there(driven: Driven) -> None:
    while True:
        status, text = driven.run("run", "--local")
        assert status == 0, text
        if "under way" not in text:
            return


@pytest.mark.parametrize(("kill", "jobs"), KILLS)
def test_killed_around_a_job(
    kill: str,
    jobs: int,
    tmp_path: Path,
    recordings: Path,
    whole: Driven,
    record_property: Callable[[str, object], None],
) -> None:
    with StampedModels() as models:
        models.batches.looks = 0
        driven = Driven(_in_batches(make_project(tmp_path / "project", models)), models)
        assert driven.run(*ingest_command(recordings))[0] == 0
        for _ in range(4):  # a kill that falls into collecting comes a run later than the others
            status, text = driven.run("run", "--local", kill=kill)
            if status == -9:
                break
        assert status == -9, f"{kill} was not reached: {text}"
        assert len(models.batches.jobs) == jobs
        _run_until_all_is_there(driven)
        driven.tell_hits(record_property)
        assert set(models.batches.submitted.values()) == {1}
        assert set(models.asked().values()) == {1}
        assert driven.asked_again() == {}
        status, text = driven.run("release", "--version", "0.1.0")
        assert status == 0, text
        same_records(driven, whole)
        assert models.batches.files == {}  # nor one whose run was killed before it could note it


def test_killed_after_a_job_of_gemini_was_begun(
    tmp_path: Path,
    recordings: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    """Its id is known to nobody: it is found by its display name."""
    monkeypatch.setenv("FAULTS_KEY", "sk-test")
    with StampedModels() as models:
        shop = models.gemini_batches
        shop.looks = 0
        driven = Driven(_in_batches(make_project(tmp_path / "project", models), gemini=True), models)
        assert driven.run(*ingest_command(recordings))[0] == 0
        assert driven.run("run", "--local", kill="after batch.create 1")[0] == -9
        assert len(shop.jobs) == 1
        _run_until_all_is_there(driven)
        driven.tell_hits(record_property)
        assert set(shop.submitted.values()) == {1}
        assert set(models.asked().values()) == {1}
        assert driven.asked_again() == {}
        assert (shop.files, shop.jobs) == ({}, {})
        status, text = driven.run("release", "--version", "0.1.0")
        assert status == 0, text
