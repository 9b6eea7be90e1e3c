"""Prefect as the engine: the same records as `--local`, visible task names, and no server without work."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from schemas.records import RECORDS
from tests.conftest import data_dir
from tests.pipeline.project import (
    CLI_TIMEOUT_S,
    EMOTRACE,
    EVERY_STAGE,
    REPO,
    Done,
    clean_environment,
    done_well,
    emotrace,
    file_sums,
    ingested,
    standing,
    talk,
    write_settings,
)
from tests.wire.server import FakeModels, Reply

pytestmark = [pytest.mark.flow, pytest.mark.slow, pytest.mark.worker]

SETTINGS = """
[project]
name = "flow-test"
[segment]
rule = "whole"
[features.au]
enabled = false
"""
MODEL = """
[[annotators]]
name = "m"
provider = "openai_compatible"
model = "m"
base_url = "{url}"
"""
STAGES = {
    "segment",
    "diarize",
    "asr",
    "au",
    "prosody",
    "speakers",
    "compose",
    "annotate",
    "check",
    "judge",
    "aggregate",
    "decide",
    "media",
}
READ_NAMES = """
import json
from prefect.client.orchestration import get_client
with get_client(sync_client=True) as client:
    flows, tasks = client.read_flow_runs(), client.read_task_runs()
    flow = client.read_flow(flows[0].flow_id)
print(json.dumps({
    "flow": flow.name,
    "runs": [[run.name, run.state_name] for run in flows],
    "tasks": [[run.name.partition(" ")[0], run.state_name] for run in tasks],
}))
"""
RUN_AND_TELL = """
import sys
from pipeline.cli import main
sys.argv = ["emotrace", *sys.argv[1:]]
try:
    main()
finally:
    print([name for name in ("prefect", "pipeline.flows") if name in sys.modules], file=sys.stderr)
"""
SIGNAL_TO_A_SHARD = """
import signal, sys, threading, time
from pipeline.flows import prefect_engine
from pipeline.run import local_engine
heard = threading.Event()
signal.signal(signal.SIGUSR1, lambda *_: heard.set())
def work(_shard):
    time.sleep(1)  # the main thread waits by now
    signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
    print("heard" if heard.wait(20) else "not heard")
engine = local_engine() if sys.argv[1] == "local" else prefect_engine("flow-test")
engine(lambda execute: execute("asr", [[1]], work))
"""


def python(code: str, *arguments: str | Path, home: Path) -> Done:
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=REPO, env=clean_environment(PREFECT_HOME=str(home)), capture_output=True, text=True,
        timeout=CLI_TIMEOUT_S, check=False,
    )  # fmt: skip
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recordings")
    talk(folder / "glad.mp4", text="I am so happy, this is wonderful!")
    talk(folder / "plain.mp4", text="The train leaves at nine from platform two.", seed=1)
    return folder


@pytest.fixture(scope="module")
def recordings_with_a_face(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, and a face where the shared media are there."""
    folder = Path(shutil.copytree(recordings, tmp_path_factory.mktemp("faces") / "recordings"))
    face = data_dir() / "media" / "video" / "wh_address_noaudio.mp4"
    if face.exists():
        shutil.copyfile(face, folder / face.name)
    return folder


@pytest.mark.timeout(900)
def test_prefect_and_local_give_the_same_records_and_nothing_starts_without_work(
    recordings_with_a_face: Path, tmp_path: Path
) -> None:
    home = tmp_path / "prefect"
    with FakeModels() as models:
        settings = EVERY_STAGE.format(name="flow-test", url=models.openai_url)
        by_prefect = ingested(tmp_path / "by_prefect", settings, recordings_with_a_face, "--speaker", "ann")
        local = ingested(tmp_path / "local", settings, recordings_with_a_face, "--speaker", "ann")
        done = emotrace("run", "--project", by_prefect, "--json", PREFECT_HOME=str(home))
        asked = sorted(request.digest for request in models.requests)
        local_run = done_well(emotrace("run", "--project", local, "--local", "--json"))
    flow_run = done_well(done)
    assert done.stderr == ""  # none of its own chatter
    assert standing(by_prefect) == standing(local)
    assert all(standing(local)[kind] for kind in RECORDS if kind not in ("baseline", "review", "release"))
    assert without_time(flow_run) == without_time(local_run)
    assert local_run["provider_calls"] == len(asked) > 0
    assert sorted(request.digest for request in models.requests) == sorted(2 * asked)

    seen: dict[str, Any] = json.loads(python(READ_NAMES, home=home).stdout)
    assert (seen["flow"], seen["runs"]) == ("emotrace", [["flow-test", "Completed"]])
    assert {name for name, _ in seen["tasks"]} == STAGES
    assert {state for _, state in seen["tasks"]} == {"Completed"}

    before = file_sums(home)
    again = python(RUN_AND_TELL, "run", "--project", by_prefect, "--json", home=home)
    assert done_well(again)["this_run"]["decodes"] == 0
    assert again.stderr == "[]\n"
    assert file_sums(home) == before
    untouched = tmp_path / "untouched"
    assert python(RUN_AND_TELL, "run", "--project", by_prefect, home=untouched).stderr == "[]\n"
    assert not untouched.exists()


def without_time(found: Any) -> Any:
    if not isinstance(found, dict):
        return found
    return {key: without_time(told) for key, told in found.items() if key not in ("wall_s", "items_per_s")}


def test_what_the_user_must_change_is_one_line_and_ctrl_c_keeps_what_is_done(
    recordings: Path, tmp_path: Path
) -> None:
    home = str(tmp_path / "prefect")
    with FakeModels() as models:
        text = SETTINGS + MODEL.format(url=models.openai_url)
        project = ingested(tmp_path / "project", f"{text}[budget]\ncalls = 0\n", recordings)
        refused = emotrace("run", "--project", project, PREFECT_HOME=home)
        assert refused.status == 2
        told, line = refused.stderr.splitlines()
        assert told == "annotate: 2 calls planned, nobody knows what they cost"
        assert line.startswith("emotrace: the budget of 0 calls is used up -> ")

        write_settings(project, text)
        models.script(Reply(delay_s=8, times=2))
        process = subprocess.Popen(
            [str(EMOTRACE), "run", "--project", str(project), "--json"],
            env=clean_environment(PREFECT_HOME=home), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        wait_for_question(models, process)
        process.send_signal(signal.SIGINT)
        out, stderr = process.communicate(timeout=CLI_TIMEOUT_S)
        assert (process.returncode, stderr) == (130, "")
        assert json.loads(out)["error"]["code"] == "interrupted"
        again = done_well(emotrace("run", "--project", project, "--local", "--json"))
    assert (again["annotations"]["labelled"], again["this_run"]["decodes"]) == (2, again["needs_review"])


@pytest.mark.parametrize("engine", ["local", "prefect"])
def test_a_signal_that_wakes_no_thread_is_heard_while_shards_are_worked_on(
    engine: str, tmp_path: Path
) -> None:
    """So comes a Ctrl-C in the moment before the main thread begins to wait."""
    done = python(SIGNAL_TO_A_SHARD, engine, home=tmp_path / "prefect")
    assert done.stdout == "heard\n", done.stderr


def test_a_killed_run_leaves_no_server_behind(recordings: Path, tmp_path: Path) -> None:
    with FakeModels() as models:
        project = ingested(tmp_path / "project", SETTINGS + MODEL.format(url=models.openai_url), recordings)
        models.script(Reply(delay_s=60, times=2))
        process = subprocess.Popen(
            [str(EMOTRACE), "run", "--project", str(project)],
            env=clean_environment(PREFECT_HOME=str(tmp_path / "prefect")),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for_question(models, process)
        servers = [pid for pid in children(process.pid) if "uvicorn" in command_line(pid)]
        assert servers
        process.kill()
        process.wait()
        for _ in range(600):
            if not any("uvicorn" in command_line(pid) for pid in servers):
                return
            time.sleep(0.05)
    raise AssertionError("the ephemeral server outlived its run")


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def command_line(pid: int) -> str:
    """What a process runs; empty when it is gone or only waits to be buried."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def wait_for_question(models: FakeModels, process: subprocess.Popen[str]) -> None:
    for _ in range(CLI_TIMEOUT_S * 20):
        if models.requests:
            return
        assert process.poll() is None, "the run ended before it asked"
        time.sleep(0.05)
    raise AssertionError("nothing was asked")
