"""The command line's contract: names, help, exit statuses, one JSON object on stdout, errors as objects."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer.main

from pipeline import cli
from pipeline.outputs import OUTPUTS, ErrorOutput
from tests.pipeline.project import (
    CLI_TIMEOUT_S,
    EMOTRACE,
    REPO,
    Done,
    clean_environment,
    copy_project,
    done_well,
    emotrace,
    talk,
    write_settings,
)
from tests.wire.server import FakeModels, Reply

Invoke = Callable[..., Done]
COMMANDS = typer.main.get_command(cli.app).commands  # type: ignore[attr-defined]
PROMISED = {
    "demo",
    "init",
    "ingest",
    "run",
    "status",
    "show",
    "review",
    "release",
    "verify",
    "backends",
    "doctor",
}
TOTALS = {
    "sources", "segments", "samples", "annotations", "checks", "judgements", "provider_calls", "cached_calls",
    "spent_usd", "auto_accepted", "needs_review", "wall_s", "failed_items",
}  # fmt: skip
MORE_TOTALS = {
    "batches",
    "batch_answers",
    "unpriced_calls",
    "stages",
    "dropped",
    "planned_splits",
    "kept_here",
    "voices",
    "reviewed",
}
HEAVY = (
    "prefect",
    "av",
    "openai",
    "google",
    "sqlmodel",
    "sqlalchemy",
    "pyarrow",
    "numpy",
    "fastapi",
    "pydantic",
)
FAST = """
[project]
name = "small"
[segment]
rule = "whole"
[features.au]
enabled = false
[release]
license = "cc-by-4.0"
split_policy = "single"
include_undecided = true
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with one recording, up to date."""
    root = tmp_path_factory.mktemp("finished")
    project = write_settings(root / "project", FAST)
    clip = talk(root / "hello.mp4", text="I am so happy, this is wonderful!")
    done_well(emotrace("ingest", clip, "--speaker", "ann", "--project", project, "--json"))
    done_well(emotrace("run", "--project", project, "--local", "--json"))
    return project


def error_of(done: Done) -> dict[str, Any]:
    """The one error object of a command that the user must act on."""
    assert done.status == 2, done.stderr
    assert len(done.stdout.splitlines()) == 1
    return ErrorOutput.model_validate_json(done.stdout).error.model_dump()


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Invoke:
    """Runs the entry point in this process, which saves the imports of a new one; sees all that is written."""

    def run_main(*arguments: str | Path) -> Done:
        monkeypatch.setattr(sys, "argv", ["emotrace", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        told = capfd.readouterr()
        return Done(int(ended.value.code or 0), told.out, told.err)

    return run_main


# --- what every command has ----------------------------------------------------------------------------


def test_the_promised_commands_are_there() -> None:
    assert set(COMMANDS) >= PROMISED


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_project_json_and_help_with_an_example(name: str, invoke: Invoke) -> None:
    options = {option for parameter in COMMANDS[name].params for option in parameter.opts}
    assert options >= {"--project", "--json"}
    done = invoke(name, "--help")
    assert (done.status, done.stderr) == (0, "")
    assert f"Example: emotrace {name}" in done.stdout
    assert "--project" in done.stdout
    assert "--json" in done.stdout


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_a_wrong_option_is_told_as_an_object(name: str, invoke: Invoke) -> None:
    done = invoke(name, "--no-such-option", "--json")
    error = error_of(done)
    assert error["code"] == "usage"
    assert "--no-such-option" in error["message"]
    assert error["remedy"] == f"see: emotrace {name} --help"
    assert done.stderr == ""


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys\n"
        "sys.argv = ['emotrace', '--help']\n"
        "from pipeline.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=REPO, env=clean_environment(), capture_output=True, text=True, timeout=CLI_TIMEOUT_S, check=True,
    )  # fmt: skip
    assert "Usage: emotrace" in done.stdout
    assert done.stderr.strip() == "[]"


def test_without_arguments_the_help_is_shown(invoke: Invoke) -> None:
    done = invoke()
    assert (done.status, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage: emotrace")


def test_the_list_of_commands_is_not_cut_off(invoke: Invoke) -> None:
    listed = invoke("--help").stdout.partition("Commands:")[2]
    assert "plan  " in listed
    assert "..." not in listed


# --- JSON ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("run", ("run", "--local")),
        ("status", ("status",)),
        ("show", ("show", "hello.mp4")),
        ("release", ("release", "--version", "0.1.0")),
        ("verify", ("verify", "0.1.0")),
        ("backends", ("backends",)),
        ("doctor", ("doctor",)),
    ],
)
def test_json_is_one_object_and_stderr_is_silent(
    name: str, arguments: tuple[str, ...], finished: Path, tmp_path: Path, invoke: Invoke
) -> None:
    project = copy_project(finished, tmp_path / "copy")
    if name == "verify":
        assert invoke("release", "--version", "0.1.0", "--project", project).status == 0
    done = invoke(*arguments, "--project", project, "--json")
    assert done.status == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1
    assert done.json["schema_version"] == 1
    OUTPUTS[name].model_validate_json(done.stdout)
    assert done.stderr == ""


def test_run_tells_exactly_the_promised_totals(finished: Path, invoke: Invoke) -> None:
    found = done_well(invoke("run", "--project", finished, "--local", "--json"))
    assert set(found) == TOTALS | MORE_TOTALS | {"schema_version", "this_run"}
    assert set(found["this_run"]) == TOTALS | MORE_TOTALS | {"decodes", "planned_calls", "planned_usd"}
    assert set(found["annotations"]) == {"labelled", "abstained", "refused", "unparsed", "failed"}
    assert set(found["checks"]) == {"supported", "contradicted", "not_measurable", "outside_clip"}
    assert found["provider_calls"] == found["cached_calls"] == found["this_run"]["decodes"] == 0


def test_show_tells_everything_about_a_recording_and_an_item(finished: Path, invoke: Invoke) -> None:
    source = done_well(invoke("show", "hello.mp4", "--project", finished, "--json"))
    assert (source["kind"], source["facts"]["speaker"]) == ("source", "ann")
    media = source["source"]["media"]
    assert (media["kind"], media["video"]["codec"], media["audio"][0]["codec"]) == ("video", "h264", "aac")
    assert {"frames", "first_pts_s", "last_pts_s", "variable_frame_rate"} <= set(media["video"])
    assert source["shots"] == [{"start_s": 0.0, "end_s": pytest.approx(4.5, abs=0.1)}]
    assert source["speech"]
    (item,) = source["items"]
    assert set(item) == {
        "segment", "features", "baselines", "sample", "annotations", "consensus", "reviews", "decision",
        "not_annotated", "planned_split", "third_parties",
    }  # fmt: skip
    assert item["sample"]["words_source"] == "sidecar"
    assert [word["text"] for word in item["sample"]["words"]][:3] == ["I", "am", "so"]
    assert set(item["features"]) == {"asr", "prosody"}
    said = {annotation["annotator"]: annotation for annotation in item["annotations"]}
    assert set(said) == {"lexicon", "prosody", "facial"}
    assert said["lexicon"]["answer"]["labels"][0]["label"] == "joy"
    assert said["lexicon"]["check"]["verdicts"]
    assert said["lexicon"]["judgements"]
    for what in (item["segment"]["id"], item["decision"]["id"], said["prosody"]["id"]):
        alone = done_well(invoke("show", what, "--project", finished, "--json"))
        assert (alone["kind"], alone["items"]) == ("item", [item])


# --- exit statuses -----------------------------------------------------------------------------------------


def test_failed_items_give_status_1_and_the_others_go_on(
    finished: Path, tmp_path: Path, invoke: Invoke
) -> None:
    project = copy_project(finished, tmp_path / "copy")
    folder = tmp_path / "mixed"
    folder.mkdir()
    (folder / "empty.mp4").touch()
    talk(folder / "good.mp4", text="The train leaves at nine.", seed=3)
    done = invoke("ingest", folder, "--project", project, "--json")
    assert done.status == 1
    (failed,) = done.json["failed_items"]
    assert (done.json["new"], failed["stage"]) == (1, "ingest")
    assert failed["path"].endswith("empty.mp4")
    assert failed["retry"].startswith("mend the file, then: emotrace ingest --project ")
    assert failed["retry"].endswith(f" {failed['path']}")
    status = invoke("status", "--project", project, "--json")
    assert (status.status, status.json["failed_items"]) == (1, [failed])
    plain = invoke("status", "--project", project)
    assert plain.status == 1
    assert [line for line in plain.stderr.splitlines() if line.startswith("failed: ingest ")]


@pytest.mark.slow
def test_status_lists_the_clips_when_asked(finished: Path) -> None:
    table = emotrace("status", "--project", finished, "--clips").stdout
    data = done_well(emotrace("status", "--project", finished, "--clips", "--json"))
    assert data["clips"]
    for row in data["clips"]:
        (line,) = [line for line in table.splitlines() if f"{row['name']} {row['span']}" in line]
        assert row["status"].replace("_", " ") in line
    assert done_well(emotrace("status", "--project", finished, "--json"))["clips"] is None


def test_an_empty_project_says_what_comes_first(tmp_path: Path) -> None:
    project = write_settings(tmp_path / "project", "")
    done = emotrace("run", "--project", project)
    assert (done.status, done.stderr) == (0, "")
    assert f"emotrace ingest --project {project} FOLDER" in done.stdout


@pytest.mark.parametrize(
    ("text", "code", "line", "message", "remedy"),
    [
        ("[segment]\nrulle = 'fixed'\n", "unknown_setting", 2, 'unknown setting "segment.rulle"', '"rule"'),
        ("[segments]\nrule = 'fixed'\n", "unknown_setting", 1, 'unknown setting "segments"', '"segment"'),
        ("[policy]\n\nmin_margin = 7\n", "bad_setting", 3, "policy.min_margin", "7"),
        ("[project]\nname = \n", "bad_toml", 2, "not valid TOML", "mend"),
        (
            "[[annotators]]\nname = 'a'\nprovider = 'cues'\nmodel = 'lexicon'\napi_key = 'x'\n",
            "unknown_setting", 5, "api_key", "environment",
        ),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_told_with_file_line_and_remedy(
    text: str, code: str, line: int, message: str, remedy: str, tmp_path: Path, invoke: Invoke
) -> None:
    project = write_settings(tmp_path / "project", text)
    done = invoke("status", "--project", project, "--json")
    error = error_of(done)
    assert (error["code"], error["line"]) == (code, line)
    assert error["file"] == str(project / "emotrace.toml")
    assert message in error["message"]
    assert remedy in error["remedy"]
    assert done.stderr == ""
    plain = invoke("status", "--project", project)
    assert plain.status == 2
    assert plain.stdout == ""
    (told,) = plain.stderr.splitlines()
    assert told.startswith(f"emotrace: {project / 'emotrace.toml'}:{line}: ")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("ingest", "nowhere"), "missing_input"),
        (("run", "--local"), "unknown_name"),
        (("show", "nobody.mp4"), "unknown_item"),
        (("release", "--version", "one"), "bad_version"),
        (("release", "--version", "0.1.0"), "nothing_to_release"),
        (("verify", "0.9.0"), "no_release"),
        (("init",), "project_exists"),
        (("review", "--port", "99999"), "usage"),
    ],
)
def test_what_the_user_must_change_is_told_once(
    arguments: tuple[str, ...], code: str, tmp_path: Path, invoke: Invoke
) -> None:
    project = write_settings(
        tmp_path / "project", "[[annotators]]\nname = 'a'\nprovider = 'nobody'\nmodel = 'm'\n"
    )
    done = invoke(*arguments, "--project", project, "--json")
    error = error_of(done)
    assert error["code"] == code
    assert error["remedy"]
    assert done.stderr == ""


def test_settings_yield_to_the_environment_and_the_environment_to_a_flag(
    finished: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("status", "--project", finished, "--json")
    assert done_well(invoke(*arguments))["project"] == "small"
    monkeypatch.setenv("EMOTRACE__PROJECT__NAME", "other")
    assert done_well(invoke(*arguments))["project"] == "other"
    monkeypatch.setenv("EMOTRACE__POLICY__MIN_MARGIN", "high")
    assert error_of(invoke(*arguments))["file"] == "environment EMOTRACE__POLICY__MIN_MARGIN"
    monkeypatch.delenv("EMOTRACE__POLICY__MIN_MARGIN")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        monkeypatch.setenv("EMOTRACE__REVIEW__PORT", "1")
        flag = error_of(invoke("review", "--port", str(port), "--project", finished, "--json"))
    assert flag["code"] == "port_taken"
    assert f"127.0.0.1:{port}:" in flag["message"]


# --- interruption, progress, the served page -----------------------------------------------------------------


def started(*arguments: str | Path, stderr: int = subprocess.PIPE) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(EMOTRACE), *map(str, arguments)],
        env=clean_environment(), stdout=subprocess.PIPE, stderr=stderr, text=True,
    )  # fmt: skip


def wait_for(condition: Callable[[], Any], process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + CLI_TIMEOUT_S
    while not condition():
        assert process.poll() is None, "the command ended too early"
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


@pytest.mark.slow
def test_ctrl_c_leaves_a_resumable_state(finished: Path, tmp_path: Path) -> None:
    with FakeModels() as models:
        model = f"name = 'm'\nprovider = 'openai_compatible'\nmodel = 'm'\nbase_url = '{models.openai_url}'\n"
        project = copy_project(finished, tmp_path / "copy")
        (project / "emotrace.toml").write_text(f"{FAST}[[annotators]]\n{model}", encoding="utf-8")
        models.script(Reply(delay_s=5))
        process = started("run", "--project", project, "--local", "--json")
        wait_for(lambda: models.requests, process)
        process.send_signal(signal.SIGINT)
        out, stderr = process.communicate(timeout=CLI_TIMEOUT_S)
        assert process.returncode == 130
        assert json.loads(out)["error"]["code"] == "interrupted"
        assert stderr == ""
        again = done_well(emotrace("run", "--project", project, "--local", "--json"))
    assert (again["annotations"]["labelled"], again["this_run"]["decodes"]) == (1, 0)
    assert again["this_run"]["provider_calls"] == 1


@pytest.mark.slow
def test_progress_shows_on_a_terminal_and_only_there(finished: Path, tmp_path: Path) -> None:
    recording = talk(tmp_path / "more.mp4", text="The train leaves at nine.", seed=4)
    silent = copy_project(finished, tmp_path / "silent")
    done_well(emotrace("ingest", recording, "--project", silent, "--json"))
    done = emotrace("run", "--project", silent, "--local")
    assert (done.status, done.stderr) == (0, "")
    assert "recordings" in done.stdout

    seen = copy_project(finished, tmp_path / "seen")
    done_well(emotrace("ingest", recording, "--project", seen, "--json"))
    shown = terminal_text("run", "--project", seen, "--local").decode()
    assert re.search(r"segment .*1/1.*\d\.\d/s.*\d:\d\d:\d\d", shown), shown


def terminal_text(*arguments: str | Path) -> bytes:
    """What a command writes to stderr when that is a terminal."""
    ours, theirs = pty.openpty()
    process = started(*arguments, stderr=theirs)
    os.close(theirs)
    text = b""
    try:
        while block := os.read(ours, 65536):
            text += block
    except OSError:  # Linux reports the closed terminal as an input/output error
        pass
    finally:
        os.close(ours)
    process.communicate(timeout=CLI_TIMEOUT_S)
    assert process.returncode == 0
    return text


def test_review_tells_its_address_when_it_is_ready_and_stops_by_ctrl_c(finished: Path) -> None:
    process = started("review", "--project", finished, "--port", "0", "--json")
    assert process.stdout is not None
    try:
        told = OUTPUTS["review"].model_validate_json(process.stdout.readline())
        url = told.model_dump()["url"]
        assert url.startswith("http://127.0.0.1:")
        assert "token=" in url
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        with browser.open(url, timeout=CLI_TIMEOUT_S) as page:  # at once: it waits, it is not refused
            assert page.status == 200
        process.send_signal(signal.SIGINT)
        out, stderr = process.communicate(timeout=CLI_TIMEOUT_S)
    finally:  # a server that an assertion left behind would serve for ever
        process.kill()
        process.wait()
    assert (process.returncode, out, stderr) == (130, "", "")
