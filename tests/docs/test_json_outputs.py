"""Real calls of the commands: their JSON fits the published schemas, their help ends with an example."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import wave
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import typer

from pipeline.cli import app
from tests.docs.pages import REPO

GROUP: Any = typer.main.get_command(app)
OWN = ("EMOTRACE__", "OPENAI_", "GEMINI_", "GOOGLE_", "PREFECT_")


def emotrace(*arguments: object) -> tuple[int, str]:
    """(exit status, standard output) of a real call."""
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", *map(str, arguments)],
        cwd=REPO,
        env={key: value for key, value in os.environ.items() if not key.startswith(OWN)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout


def fitting(name: str, output: str) -> dict[str, Any]:
    """The one JSON object of an output, which must fit the published schema of a command."""
    schema = json.loads((REPO / "docs" / "json" / f"{name}.schema.json").read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    value: dict[str, Any] = json.loads(output)
    jsonschema.validate(value, schema)
    assert value["schema_version"] == 1
    return value


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with one silent recording, ingested by the real command."""
    folder = tmp_path_factory.mktemp("docs")
    (folder / "recordings").mkdir()
    with wave.open(str(folder / "recordings" / "hush.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(np.zeros(16_000, np.int16).tobytes())
    (folder / "recordings" / "broken.mp4").write_bytes(b"no video")
    status, output = emotrace("init", folder / "project", "--json")
    assert status == 0
    assert Path(fitting("init", output)["settings"]).is_file()
    status, output = emotrace("ingest", "--project", folder / "project", folder / "recordings", "--json")
    assert status == 1
    ingested = fitting("ingest", output)
    assert (ingested["new"], len(ingested["failed_items"])) == (1, 1)
    return folder / "project"


def test_status_and_show_fit_their_schemas(project: Path) -> None:
    status, output = emotrace("status", "--project", project, "--json")
    assert status == 1
    assert fitting("status", output)["failed_items"][0]["stage"] == "ingest"
    status, output = emotrace("show", "--project", project, "hush.wav", "--json")
    assert status == 0
    assert fitting("show", output)["kind"] == "source"


def test_a_plan_fits_its_schema_and_asks_for_a_price_by_its_status(project: Path, tmp_path: Path) -> None:
    status, output = emotrace("plan", "--project", project, "--json")
    assert status == 0
    assert fitting("plan", output)["lines"] == []
    copy = shutil.copytree(project, tmp_path / "copy")
    model = '[[annotators]]\nname = "a"\nprovider = "openai_compatible"\nmodel = "nobodys"\n'
    (copy / "emotrace.toml").write_text(f'{model}takes = ["text"]\n[select]\nrequire = "any"\n', "utf-8")
    status, output = emotrace("plan", "--project", copy, "--json")
    told = fitting("plan", output)
    assert status == 2
    assert [one["name"] for one in told["missing"]] == ["a"]
    assert [(line["calls"], line["usd"]) for line in told["lines"]] == [(1, None)]


def test_backends_fit_their_schema() -> None:
    status, output = emotrace("backends", "--json")
    assert status == 0
    assert len(fitting("backends", output)["backends"]) >= 5


def test_doctor_fits_its_schema(project: Path) -> None:
    _, output = emotrace("doctor", "--project", project, "--json")
    checks = {check["check"] for check in fitting("doctor", output)["checks"]}
    assert {"python", "settings", "store"} <= checks


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("init", "{project}"), "project_exists"),
        (("ingest", "--project", "{project}", "nothing-here"), "missing_input"),
        (("run", "--project", "nothing-here"), "no_project"),
        (("release", "--project", "{project}", "--version", "one"), "bad_version"),
        (("verify", "nothing-here"), "no_release"),
        (("run", "--no-such-option"), "usage"),
        (("no-such-command",), "usage"),
    ],
)
def test_errors_fit_their_schema(project: Path, arguments: tuple[str, ...], code: str) -> None:
    status, output = emotrace(*(word.format(project=project) for word in arguments), "--json")
    assert status == 2
    error = fitting("error", output)["error"]
    assert error["code"] == code
    assert error["message"]
    assert error["remedy"]


@pytest.mark.parametrize("name", GROUP.commands)
def test_help_ends_with_an_example_of_the_command(name: str) -> None:
    command = GROUP.commands[name]
    context = command.context_class(command, info_name=name, terminal_width=100)
    last = command.get_help(context).strip().splitlines()[-1].strip()
    assert last.startswith(f"Example: emotrace {name}")
    known = {option for param in command.params for option in param.opts}
    assert {word for word in last.split() if word.startswith("--")} <= known
    assert {"--project", "--json"} <= known


def test_a_schema_refuses_what_it_does_not_know(project: Path) -> None:
    _, output = emotrace("status", "--project", project, "--json")
    with pytest.raises(jsonschema.ValidationError):
        fitting("status", json.dumps({**json.loads(output), "surprise": 1}))
