"""The stand-in server as a process of its own, as the fault tests use it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

from agents.annotators.annotator import Annotator
from agents.asking import collect
from schemas.records import Annotation
from tests.conftest import REPO
from tests.wire.material import InstantClock, make_sample, media_bytes, section, taxonomy


def test_as_a_process_it_answers_validly_and_counts_durably(tmp_path: Path) -> None:
    answers, log = tmp_path / "answers.jsonl", tmp_path / "log.txt"
    answers.write_text('{"status": 500, "match": "length of the clip: 3.5"}\n{"label": "fear", "times": 0}\n')
    command = [
        sys.executable,
        "-m",
        "tests.wire.server",
        "--port",
        "0",
        "--answers",
        str(answers),
        "--log",
        str(log),
    ]
    with subprocess.Popen(command, cwd=REPO, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            url = f"http://127.0.0.1:{int(server.stdout.readline())}/v1"
            annotator = Annotator(section(base_url=url, takes=("text",)), taxonomy())
            found: list[Annotation] = []
            asyncio.run(
                collect(
                    [(annotator, make_sample(duration_s=seconds), 0) for seconds in (2.5, 3.5)],
                    journal=None,
                    clock=InstantClock(),
                    load=media_bytes,
                    on_record=found.append,
                )
            )
        finally:
            server.terminate()
    assert [a.answer.primary for a in found if a.answer] == ["fear", "fear"]
    lines = [line.split() for line in log.read_text().splitlines()]
    assert len(lines) == 3
    assert len({digest for digest, _ in lines}) == 2
    assert {path for _, path in lines} == {"/v1/chat/completions"}
