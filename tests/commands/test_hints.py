"""What is printed as a command can be pasted into the shell that it was printed in."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pipeline.commands import hints

MESSAGE = "put it back, then: emotrace run"


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(sys, "argv", ["emotrace", "run"])
    return monkeypatch


def install(folder: Path) -> Path:
    program = folder / "emotrace"
    folder.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return program


def test_the_project_that_was_given_is_written_into_every_command(
    called: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    called.setattr(sys, "argv", [str(install(tmp_path / "bin")), "run", "--project", "my project"])
    assert hints.complete(MESSAGE) == "put it back, then: emotrace run --project 'my project'"
    assert hints.complete("emotrace run --project P") == "emotrace run --project P"
    assert (
        hints.complete("the terminal of emotrace reviews nothing")
        == "the terminal of emotrace reviews nothing"
    )
    called.setattr(sys, "argv", ["emotrace", "run", "--project=P", "--json"])
    output = {"error": {"remedy": "emotrace ingest a && emotrace run", "message": "emotrace run"}}
    assert hints.completed(output) == {
        "error": {
            "remedy": "emotrace ingest --project P a && emotrace run --project P",
            "message": "emotrace run",
        }
    }


def test_a_program_that_is_not_on_the_path_is_named_by_its_path(
    called: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = install(tmp_path / "bin")
    called.setattr(sys, "argv", [str(program), "run"])
    assert hints.complete(MESSAGE) == MESSAGE
    elsewhere = install(tmp_path / "my env")
    called.setattr(sys, "argv", [str(elsewhere), "run"])
    assert hints.complete(MESSAGE) == f"put it back, then: '{elsewhere}' run"
    assert hints.command("verify", Path("a b")) == f"'{elsewhere}' verify 'a b'"
    called.setattr(sys, "argv", ["/somewhere/pytest"])
    assert hints.complete(MESSAGE) == MESSAGE
