"""Every benchmark can be started by its name and ends with the one line of JSON that is promised."""

from __future__ import annotations

import importlib
import inspect
import json
import subprocess

import pytest

from benchmarks.__main__ import benchmarks
from benchmarks.paired import emit, emit_limited
from tests.docs.pages import REPO

KEYS = ["name", "value", "unit", "ratio", "target", "ok", "runs", "machine"]


def make_bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "--silent", "--assume-old=.venv/dev.stamp", "bench", *arguments]
    return subprocess.run(command, cwd=REPO, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("name", benchmarks())
def test_a_benchmark_needs_no_argument_and_says_what_it_measures(name: str) -> None:
    module = importlib.import_module(f"benchmarks.{name}")
    inspect.signature(module.main).bind()
    assert benchmarks()[name]


def test_make_lists_the_benchmarks_and_refuses_what_is_none() -> None:
    listed = make_bench()
    assert listed.returncode == 0, listed.stderr
    assert [line.split()[0] for line in listed.stdout.splitlines()] == list(benchmarks())
    assert {"start", "pitch", "faces", "decode", "demo", "demo_frames"} <= set(benchmarks())
    for name in ("paired", "no_such_thing"):
        refused = make_bench(f"NAME={name}")
        assert refused.returncode == 2
        assert refused.stdout == ""
        assert (
            refused.stderr.splitlines()[0]
            == f"no benchmark {name} -> make bench NAME={'|'.join(benchmarks())}"
        )


@pytest.mark.parametrize(("value", "ratio", "ok"), [(0.25, 0.5, True), (0.5, 1.0, True), (0.75, 1.5, False)])
def test_a_result_is_one_line_of_eight_keys(
    value: float, ratio: float, ok: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    emit_limited("x", value, "s", 0.5, 3)
    (line,) = capsys.readouterr().out.splitlines()
    told = json.loads(line)
    assert list(told) == KEYS
    assert (told["value"], told["ratio"], told["target"], told["ok"], told["runs"]) == (
        value,
        ratio,
        0.5,
        ok,
        3,
    )


def test_a_result_against_a_peer_has_its_ratio(capsys: pytest.CaptureFixture[str]) -> None:
    emit("x", 2.0, "CPU s", 0.5, None, True, 5)
    told = json.loads(capsys.readouterr().out)
    assert list(told) == KEYS
    assert (told["ratio"], told["target"]) == (0.5, None)
