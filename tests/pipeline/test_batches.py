"""Questions in vendors' batches: the same records as live, nothing sent twice, what waits is no failure."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import itertools
import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agents.calls.batching import BATCHES, BatchProvider
from agents.prices import price_of
from pipeline.batch_desk import Gathering
from pipeline.batches import one_over
from pipeline.preflight import preflight
from pipeline.project import Project
from pipeline.stages.annotate import AnnotateStage
from pipeline.stages.base import Run, Stopped, run_async
from pipeline.status import totals
from schemas.errors import ProviderError, UserError
from schemas.records import Annotation
from schemas.registry import resolve
from schemas.store import CallEvent
from tests.pipeline.records import make_run, project_in
from tests.pipeline.test_asking_stages import to_ask
from tests.pipeline.test_dead_letters import THIRD_CLIP, model
from tests.wire.material import InstantClock, section
from tests.wire.server import FakeModels, Reply

BATCH = 'mode = "batch"\ngives = ["json_schema", "batches"]\n'


class Vendor:
    """A provider with its batches, as the local server has them."""

    def __init__(self, provider: str, models: FakeModels) -> None:
        gemini = provider == "gemini"
        self.provider, self.models = provider, models
        self.shop = models.gemini_batches if gemini else models.batches
        self.url = models.gemini_url if gemini else models.openai_url

    def asks(self, more: str = BATCH) -> str:
        return model(self.url, more=more).replace("openai_compatible", self.provider)

    def expire_results(self) -> None:
        self.models.gemini_batches.results.clear()
        for name in [name for name in self.models.batches.files if name.startswith("file-output")]:
            del self.models.batches.files[name]

    @contextmanager
    def unnoted(self) -> Iterator[None]:
        """Files are handed over, among others, but nobody is told."""
        batches = resolve(BATCHES, self.provider, what="batches")
        hand_over = batches.upload

        async def upload(self: BatchProvider, token: str, lines: Path) -> str:
            for name in ("other-1", "other-2", token, "other-3"):
                await hand_over(self, name, lines)
            raise ProviderError("timeout", "no answer within 5 s", transient=True)

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(batches, "upload", upload)
            yield

    @contextmanager
    def unanswered(self, others: int = 0) -> Iterator[None]:
        """Jobs are begun, but nobody is told; `others` are begun after each, by somebody else."""
        batches = resolve(BATCHES, self.provider, what="batches")
        begin = batches.create

        async def create(self: BatchProvider, token: str, file_id: str, name: str) -> str:
            await begin(self, token, file_id, name)
            for other in range(others):
                await begin(self, f"other-{other}", file_id, name)
            raise ProviderError("timeout", "no answer within 5 s", transient=True)

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(batches, "create", create)
            yield


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeModels]:
    monkeypatch.setenv("GEMINI_API_KEY", "sk-test")
    with FakeModels() as server:
        yield server


@pytest.fixture(params=["openai_compatible", "gemini"])
def vendor(request: pytest.FixtureRequest, models: FakeModels) -> Vendor:
    return Vendor(request.param, models)


def run_once(project: Project, clips: int = 6, *, shards: int = 1) -> Run:
    """One run of the stage, after the jobs under way were looked at; nobody waits before a list is read again."""
    run, stage = make_run(project), AnnotateStage()
    run.batches.clock = InstantClock()
    run_async(run, run.batches.collect())
    for shard in to_ask(run, clips, stage):
        for n in range(shards):
            stage.work(run, shard[n::shards])
    stage.finish(run)
    return run


def standing(project: Project) -> set[tuple[str, str]]:
    return {(one.id, one.digest) for one in project.store.live(Annotation)}


def outcomes(project: Project) -> Counter[str]:
    return Counter(one.outcome for one in project.store.live(Annotation))


def calls(project: Project) -> dict[str, int]:
    return {name: int(n) for name, n in project.store.call_totals().items()}


@pytest.mark.parametrize("provider", ["openai_compatible", "openai", "gemini"])
def test_the_records_are_those_of_live_questions(provider: str, models: FakeModels, tmp_path: Path) -> None:
    vendor = Vendor(provider, models)
    with project_in(tmp_path / "live", vendor.asks("")) as live:
        run_once(live)
        expected, sent = standing(live), [request.raw for request in models.requests]
    models.requests.clear()
    with project_in(tmp_path / "batch", vendor.asks()) as project:
        first = run_once(project)
        assert (standing(project), first.failures, models.requests) == (set(), {}, [])
        assert len(first.waiting) == 6
        (job,) = totals(project.store).batches
        assert (job.name, job.questions) == ("m", 6)
        second = run_once(project)  # it is under way
        assert (standing(project), second.failures) == (set(), {})
        run_once(project)
        assert standing(project) == expected
        assert sorted(request.raw for request in models.requests) == sorted(sent)
        assert vendor.shop.seen["POST batches"] == 1
        assert totals(project.store).batches == []
        assert vendor.shop.files == {}  # nothing is left at the vendor
        assert (calls(project)["intent"], calls(project)["receipt"]) == (6, 6)


def test_a_question_under_way_is_not_asked_live_either(models: FakeModels, tmp_path: Path) -> None:
    with project_in(tmp_path, model(models.openai_url, more=BATCH)) as project:
        run_once(project)
    with project_in(tmp_path, model(models.openai_url)) as project:
        run = run_once(project)
        assert (models.requests, run.failures, len(run.waiting)) == ([], {}, 6)
        run_once(project)
        assert outcomes(project) == {"labelled": 6}
        assert len(models.requests) == 6


def test_a_line_that_fails_is_the_error_that_it_is_live(vendor: Vendor, tmp_path: Path) -> None:
    vendor.shop.looks = 0
    vendor.models.script(Reply(status=400, match=THIRD_CLIP, times=0))
    with project_in(tmp_path, vendor.asks()) as project:
        run_once(project)
        run = run_once(project)
        assert outcomes(project) == {"labelled": 5, "failed": 1}
        (told,) = run.failures.values()
        assert (told.status, told.code) == ("dead", "bad_request")
        assert "HTTP 400" in told.message
        run_once(project)
        assert len(vendor.models.requests) == 6  # a dead letter is in no further job


def test_lines_that_any_question_would_get_leave_their_questions_waiting(
    vendor: Vendor, tmp_path: Path
) -> None:
    vendor.shop.looks = 0
    vendor.models.script(Reply(status=401, times=0))
    with project_in(tmp_path, vendor.asks()) as project:
        run_once(project)
        run = run_once(project)
        (told,) = run.failures.values()
        assert (told.code, told.item, len(run.waiting)) == ("unauthorized", "m", 6)
        assert "6 questions wait" in told.message
        assert vendor.shop.seen["POST batches"] == 1


def test_a_job_that_fails_leaves_its_questions_to_the_next_run(vendor: Vendor, tmp_path: Path) -> None:
    vendor.shop.looks, vendor.shop.end = 0, "failed"
    with project_in(tmp_path, vendor.asks()) as project:
        run_once(project)
        run = run_once(project)
        assert vendor.shop.seen["POST batches"] == 1
        (told,) = run.failures.values()
        assert (told.code, told.item) == ("batch_over", "m")
        assert "scripted failure" in told.message
        vendor.shop.end = "completed"
        run_once(project)
        run_once(project)
        assert outcomes(project) == {"labelled": 6}
        assert vendor.shop.seen["POST batches"] == 2


def test_what_an_expired_job_has_answered_is_kept(models: FakeModels, tmp_path: Path) -> None:
    models.batches.looks, models.batches.end, models.batches.answers = 0, "expired", 2
    with project_in(tmp_path, model(models.openai_url, more=BATCH)) as project:
        run_once(project)
        run = run_once(project)
        assert outcomes(project) == {"labelled": 2}
        assert [told.code for told in run.failures.values()] == ["batch_over"]
        models.batches.end, models.batches.answers = "completed", None
        run_once(project)
        run_once(project)
        assert outcomes(project) == {"labelled": 6}
        assert len(models.requests) == 6  # nothing received was asked again


@pytest.mark.parametrize(
    ("step", "status"),
    [("POST files", 500), ("POST files", 401), ("POST batches", 429), ("POST batches", 500)],
)
def test_a_job_that_cannot_be_begun(step: str, status: int, vendor: Vendor, tmp_path: Path) -> None:
    vendor.shop.looks = 0
    vendor.shop.refuses[step] = status
    with project_in(tmp_path, vendor.asks()) as project:
        run = run_once(project)
        (told,) = run.failures.values()
        assert "6 questions wait" in told.message
        for _ in range(2):
            run_once(project)
        assert outcomes(project) == {"labelled": 6}
        assert vendor.shop.files == {}  # nor is the file of the first attempt
        assert calls(project)["intent"] == 6  # of a job that was never begun no call counts
        assert set(Counter(request.digest for request in vendor.models.requests).values()) == {1}


def test_a_file_that_nobody_was_told_of_does_not_stay(vendor: Vendor, tmp_path: Path) -> None:
    vendor.shop.looks = 0
    with project_in(tmp_path, "[budget]\ncalls = 6\n" + vendor.asks()) as project:
        with vendor.unnoted():
            run_once(project)
        assert len(vendor.shop.files) == 3  # those of others
        assert calls(project)["intent"] == 0
        for _ in range(2):
            run_once(project)
        assert outcomes(project) == {"labelled": 6}
        assert len(vendor.shop.files) == 3


def test_a_budget_of_calls_holds_for_jobs(models: FakeModels, tmp_path: Path) -> None:
    models.batches.looks = 0
    settings = "[budget]\ncalls = 4\n" + model(models.openai_url, more=BATCH)
    with project_in(tmp_path, settings) as project:
        for _ in range(3):
            assert "budget of 4 calls" in str(run_once(project).spent_up)
        assert calls(project)["intent"] == 4
        assert len(models.requests) == 4
        assert models.batches.seen["POST batches"] == 1


def test_questions_of_a_job_that_the_budget_refuses_wait_for_it(
    models: FakeModels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = "[budget]\ncalls = 6\n" + model(models.openai_url, more=BATCH)
    with project_in(tmp_path, settings) as project:
        submit_all = Gathering.submit_all

        async def after_others(self: Gathering) -> None:
            project.store.write_calls([CallEvent(f"other_{n}", "intent", "p", "m") for n in range(6)])
            await submit_all(self)

        monkeypatch.setattr(Gathering, "submit_all", after_others)
        run = run_once(project)
        (told,) = run.failures.values()
        assert (told.code, len(run.waiting), run.batches.under_way) == ("budget_reached", 6, set())
        assert "6 questions wait" in told.message
        assert models.batches.seen == {}


def test_a_run_elsewhere_leaves_a_job_that_is_handed_over_just_now(
    vendor: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vendor.shop.looks = 0
    batches = resolve(BATCHES, vendor.provider, what="batches")
    hand_over = batches.upload
    told: list[str] = []

    async def upload(self: BatchProvider, token: str, lines: Path) -> str:
        name: str = await hand_over(self, token, lines)
        elsewhere = make_run(replace(project, root=tmp_path / "elsewhere"))
        elsewhere.batches.clock = InstantClock()
        await elsewhere.batches.collect()
        told.extend(error.code for error in elsewhere.batches.refused.values())
        return name

    monkeypatch.setattr(batches, "upload", upload)
    with project_in(tmp_path, vendor.asks()) as project:
        run_once(project)
        assert (told, len(vendor.shop.files)) == (["batch_unclear"], 1)
        run_once(project)
        assert outcomes(project) == {"labelled": 6}
        assert set(vendor.shop.submitted.values()) == {1}


def test_money_that_jobs_under_way_will_cost_is_reserved(models: FakeModels, tmp_path: Path) -> None:
    more = f"{BATCH}usd_per_million_input_tokens = 0.0\nusd_per_million_output_tokens = 1000000.0\n"
    settings = "[budget]\nusd = 20.0\n" + model(models.openai_url, more=more)
    with project_in(tmp_path, settings) as project:
        for _ in range(2):
            assert "budget of 20 USD" in str(run_once(project).spent_up)
        assert models.batches.seen["POST batches"] == 1
        assert calls(project)["spent_usd"] == 0  # all of it is planned
        assert 1 <= calls(project)["intent"] < 6


def test_waiting_looks_until_a_job_is_over(models: FakeModels, tmp_path: Path) -> None:
    models.batches.looks = 3
    with project_in(tmp_path, model(models.openai_url, more=BATCH)) as project:
        run_once(project)
        clock = InstantClock()
        asyncio.run(one_over(project.store, project.settings, clock))
        assert len(clock.slept) == 3
        run_once(project)
        assert outcomes(project) == {"labelled": 6}


def test_what_is_under_way_is_planned_no_more(models: FakeModels, tmp_path: Path) -> None:
    with project_in(tmp_path, model(models.openai_url, more=BATCH)) as project:
        run_once(project)
        run, stage = make_run(project), AnnotateStage()
        to_ask(run, 6, stage)
        (line,) = run.meter.of_stage("annotate")
        assert (line.calls, line.answered, line.under_way) == (0, 0, 6)


@pytest.mark.parametrize("more", ['mode = "batch"\n', BATCH.replace('"batches"', '"logprobs"')])
def test_a_server_that_is_not_said_to_have_batches_is_refused(
    more: str, models: FakeModels, tmp_path: Path
) -> None:
    with (
        project_in(tmp_path, model(models.openai_url, more=more)) as project,
        pytest.raises(UserError, match="not said that the server") as caught,
    ):
        preflight(project.root, project.settings)
    assert caught.value.line is not None


@pytest.mark.parametrize(
    ("provider", "name", "cached"), [("openai", "gpt-4o", 0.5), ("gemini", "gemini-2.5-pro", 1.0)]
)
def test_a_batch_costs_what_its_vendor_takes_for_it(provider: str, name: str, cached: float) -> None:
    live = price_of(section(provider, model=name))
    batch = price_of(section(provider, model=name, mode="batch"))
    assert live is not None
    assert batch is not None
    assert live.batch_factor == 0.5
    assert batch.output == pytest.approx(live.output / 2)
    assert batch.inputs["text"] == pytest.approx(live.inputs["text"] / 2)
    assert live.cached is not None
    assert batch.cached == pytest.approx(live.cached * cached)


def test_a_job_that_its_vendor_has_lost_sets_its_questions_free(vendor: Vendor, tmp_path: Path) -> None:
    with project_in(tmp_path, vendor.asks()) as project:
        run_once(project)
        vendor.shop.jobs.clear()
        run_once(project)
        assert (totals(project.store).batches, calls(project)["failure"]) == ([], 6)
        vendor.shop.looks = 0
        run_once(project)
        run_once(project)
        assert outcomes(project) == {"labelled": 6}


def test_a_cancelled_job_of_gemini_keeps_what_it_has_answered(models: FakeModels, tmp_path: Path) -> None:
    vendor = Vendor("gemini", models)
    vendor.shop.looks, vendor.shop.end, vendor.shop.answers = 0, "cancelled", 2
    with project_in(tmp_path, vendor.asks()) as project:
        run_once(project)
        run = run_once(project)
        assert outcomes(project) == {"labelled": 2}
        assert [told.code for told in run.failures.values()] == ["batch_over"]


def test_an_expired_job_of_gemini_leaves_all_its_questions(models: FakeModels, tmp_path: Path) -> None:
    vendor = Vendor("gemini", models)
    vendor.shop.looks, vendor.shop.end = 0, "expired"
    with project_in(tmp_path, vendor.asks()) as project:
        run_once(project)
        (told,) = run_once(project).failures.values()
        assert "ended without 6 answers (expired)" in told.message
        vendor.shop.end = "completed"
        run_once(project)
        run_once(project)
        assert outcomes(project) == {"labelled": 6}


def test_a_question_that_is_refused_is_refused_as_live(vendor: Vendor, tmp_path: Path) -> None:
    vendor.models.script(Reply(refusal="blocked", usage=False, match=THIRD_CLIP, times=0))
    with project_in(tmp_path / "live", vendor.asks("")) as live:
        run_once(live)
        expected = standing(live)
        assert outcomes(live) == {"labelled": 5, "refused": 1}
    vendor.shop.looks = 0
    with project_in(tmp_path / "batch", vendor.asks()) as project:
        run_once(project)
        run_once(project)
        assert standing(project) == expected


def test_results_that_have_expired_leave_their_questions_to_the_next_run(
    vendor: Vendor, tmp_path: Path
) -> None:
    vendor.shop.looks = 0
    with project_in(tmp_path, vendor.asks()) as project:
        run_once(project)
        asyncio.run(one_over(project.store, project.settings, InstantClock()))
        vendor.expire_results()
        (told,) = run_once(project).failures.values()
        assert "ended without 6 answers (its results are gone" in told.message
        assert totals(project.store).batches == []
        run_once(project)
        run_once(project)
        assert outcomes(project) == {"labelled": 6}


def test_results_that_a_key_may_not_read_are_not_asked_for_again(models: FakeModels, tmp_path: Path) -> None:
    models.batches.looks = 0
    with project_in(tmp_path, Vendor("openai_compatible", models).asks()) as project:
        run_once(project)
        models.batches.refuses["GET files"] = 403
        (told,) = run_once(project).failures.values()
        assert "HTTP 403" in told.message
        assert [job.questions for job in totals(project.store).batches] == [6]
        run_once(project)
        assert outcomes(project) == {"labelled": 6}
        assert (models.batches.seen["POST batches"], len(models.requests)) == (1, 6)


def test_a_job_whose_begin_was_not_answered_is_found_on_a_later_page(vendor: Vendor, tmp_path: Path) -> None:
    with project_in(tmp_path, vendor.asks()) as project, vendor.unanswered(others=3):
        (told,) = run_once(project).failures.values()
        assert "6 questions wait" in told.message
    vendor.shop.looks = 0
    with project_in(tmp_path, vendor.asks()) as project:
        run_once(project)
        assert outcomes(project) == {"labelled": 6}
        assert len(vendor.models.requests) == 6


def test_a_job_of_an_older_store_is_collected(vendor: Vendor, tmp_path: Path) -> None:
    """Its keys were a list without bytes."""
    vendor.shop.looks = 0
    vendor.models.script(Reply(usage=False, times=0))
    with project_in(tmp_path, vendor.asks()) as project:
        run_once(project)
    with contextlib.closing(sqlite3.connect(tmp_path / "emotrace.db")) as connection:
        (keys,) = connection.execute("SELECT keys FROM batches WHERE event = 'begun'").fetchone()
        connection.execute(
            "UPDATE batches SET keys = ? WHERE event = 'begun'", [json.dumps(list(json.loads(keys)))]
        )
        connection.commit()
    with project_in(tmp_path, vendor.asks()) as project:
        run_once(project)
        assert outcomes(project) == {"labelled": 6}
        assert all(one.usage.input_tokens for one in project.store.live(Annotation))


def test_a_list_that_lags_behind_is_read_again(vendor: Vendor, tmp_path: Path) -> None:
    with project_in(tmp_path, vendor.asks()) as project:
        with vendor.unanswered():
            run_once(project)
        vendor.shop.looks, vendor.shop.late_lists = 0, 2
        run_once(project)
        assert outcomes(project) == {"labelled": 6}
        assert set(vendor.shop.submitted.values()) == {1}


def test_a_job_is_filled_over_the_shards_of_a_stage(vendor: Vendor, tmp_path: Path) -> None:
    vendor.shop.looks = 0
    with project_in(tmp_path, vendor.asks()) as project:
        run_once(project, shards=3)
        (job,) = totals(project.store).batches
        assert job.questions == 6
        assert job.size_bytes == sum(map(len, vendor.shop.files.values()))
        run = run_once(project, shards=3)
        assert outcomes(project) == {"labelled": 6}
        assert (run.ledger.read_of_batches, run.ledger.cached) == (6, 0)
        assert (run.ledger.reserved_calls, run.ledger.reserved_usd) == (0, 0)


def test_a_job_is_no_larger_than_it_may_be(
    vendor: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vendor.shop.looks = 0
    with project_in(tmp_path / "few", vendor.asks(f"{BATCH}batch_questions = 4\n")) as project:
        run_once(project, shards=2)
        assert [job.questions for job in totals(project.store).batches] == [4, 2]
        run_once(project)
        assert outcomes(project) == {"labelled": 6}
    most = 30_000  # a question is some ten thousand
    monkeypatch.setattr(resolve(BATCHES, vendor.provider, what="batches"), "most_bytes", most)
    with project_in(tmp_path / "small", vendor.asks()) as project:
        run_once(project)
        jobs = totals(project.store).batches
        assert sum(job.questions for job in jobs) == 6
        assert len(jobs) > 1
        assert all(job.size_bytes <= most for job in jobs)


def test_after_a_job_was_refused_no_other_is_begun_in_the_same_run(vendor: Vendor, tmp_path: Path) -> None:
    vendor.shop.refuses["POST files"] = 401
    with project_in(tmp_path, vendor.asks(f"{BATCH}batch_questions = 2\n")) as project:
        (told,) = run_once(project).failures.values()
        assert "6 questions wait" in told.message
        assert vendor.shop.seen["POST files"] == 1


def test_an_interrupted_run_submits_nothing(vendor: Vendor, tmp_path: Path) -> None:
    with project_in(tmp_path, vendor.asks()) as project:
        run, stage = make_run(project), AnnotateStage()
        (shard,) = to_ask(run, 6, stage)
        stage.work(run, shard[:4])
        run.cancelled.set()
        with pytest.raises(Stopped):
            stage.work(run, shard[4:])
        folder = project.artifacts.folder
        assert folder is not None
        assert len(list(folder.rglob("*.jsonl"))) == 1
        asyncio.run(run.gathering.drop())
        assert (vendor.shop.seen, totals(project.store).batches) == ({}, [])
        assert list(folder.rglob("*.jsonl")) == []


def test_what_was_gathered_before_the_disk_was_full_is_submitted(
    vendor: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vendor.shop.looks = 0
    opened, opens = Path.open, itertools.count()

    @contextlib.contextmanager
    def full(self: Path, *given: Any, **options: Any) -> Iterator[Any]:
        """The fifth line fits half, and so does every further one."""
        with opened(self, *given, **options) as file:
            if given == ("ab",) and next(opens) >= 4:
                file.write(b'{"custom_id": "cut off')
                raise OSError(errno.ENOSPC, "No space left on device")
            yield file

    with project_in(tmp_path, vendor.asks()) as project:
        with monkeypatch.context() as patched:
            patched.setattr(Path, "open", full)
            with pytest.raises(UserError, match="no space left"):
                run_once(project)
        assert len(vendor.shop.submitted) == 4
        run_once(project)
        run_once(project)
        assert outcomes(project) == {"labelled": 6}
        assert set(vendor.shop.submitted.values()) == {1}


def test_jobs_are_begun_before_others_are_asked_live(vendor: Vendor, tmp_path: Path) -> None:
    settings = model(vendor.models.openai_url, name="live") + vendor.asks()
    with project_in(tmp_path, settings) as project:
        run, stage = make_run(project), AnnotateStage()
        (shard,) = to_ask(run, 6, stage)
        stage.work(run, shard[:6])
        assert (vendor.shop.seen["POST batches"], vendor.models.requests) == (1, [])
        stage.work(run, shard[6:])
        stage.finish(run)
        assert outcomes(project) == {"labelled": 6}


def test_questions_in_two_steps_go_into_two_jobs(vendor: Vendor, tmp_path: Path) -> None:
    vendor.shop.looks = 0
    two = '[annotators.prompting]\nstyle = "rationale_then_verbalizer"\n'
    with project_in(tmp_path / "live", vendor.asks(two)) as live:
        run_once(live)
        expected = standing(live)
    vendor.models.requests.clear()
    with project_in(tmp_path / "batch", vendor.asks(BATCH + two)) as project:
        run_once(project)
        assert len(run_once(project).waiting) == 6  # the first steps are there, the second ones under way
        assert standing(project) == set()
        run_once(project)
        assert standing(project) == expected
        assert vendor.shop.seen["POST batches"] == 2
        assert len(vendor.models.requests) == 12
