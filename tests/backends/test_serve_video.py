"""Published architectures with weights made on the spot, served by the worker: the protocol, then a whole run."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import socket
import sqlite3
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from pipeline.features.worker import FOREIGN_VARIABLES, WORKERS, build_environment, uv_binary
from schemas.records import Annotation
from tests.pipeline.project import emotrace, ingested, stored

SCRIPT = WORKERS / "serve_video.py"
VIDEO, OTHER, PICTURE, SOUND = (
    "video/pyfeat_single_face.mp4",
    "video/wh_address_d.mp4",
    "images/pyfeat_single_face.jpg",
    "audio/jfk.flac",
)
KINDS = ("qwen2_5_vl", "qwen2_5_omni", "smolvlm", "llava_onevision")
Media = Callable[[str], Path]
SCHEMA = {
    "type": "object",
    "properties": {
        "evidence": {"type": "array", "items": {"type": "string"}},
        "label": {"type": "string", "enum": ["joy", "anger"]},
        "confidence": {"type": "number"},
    },
    "required": ["evidence", "label", "confidence"],
    "additionalProperties": False,
}


@dataclass
class Line:
    """A server that runs, and what it printed."""

    kind: str
    url: str
    printed: str

    def ask(self, *parts: dict[str, Any], **more: Any) -> tuple[int, Any]:
        content = [{"type": "text", "text": "What do they feel? <|im_end|>"}, *parts]
        body = {"model": self.kind, "messages": [{"role": "user", "content": content}], "temperature": 0}
        data = json.dumps(body | {"max_tokens": 30, **more}).encode()
        request = urllib.request.Request(
            f"{self.url}/chat/completions", data, {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=120) as reply:
                return reply.status, json.load(reply)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def well(self, *parts: dict[str, Any], **more: Any) -> Any:
        status, told = self.ask(*parts, **more)
        assert status == 200, told
        return told


@pytest.fixture(scope="module")
def python() -> str:
    build_environment(SCRIPT)
    command = [uv_binary(), "python", "find", "--script", str(SCRIPT)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture(scope="module", params=KINDS)
def line(
    request: pytest.FixtureRequest, python: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Line]:
    kind = request.param
    folder = tmp_path_factory.mktemp("models") / kind
    environment = {name: value for name, value in os.environ.items() if name not in FOREIGN_VARIABLES}
    make = [python, str(Path(__file__).with_name("tiny_video_model.py")), kind, str(folder)]
    made = subprocess.run(make, capture_output=True, text=True, check=False, env=environment)
    assert made.returncode == 0, made.stderr[-2000:]
    (folder / "README.md").write_text("---\nlicense: other\nlicense_name: of-chance\n---\n", "utf-8")
    command = [python, str(SCRIPT), "--model", str(folder), "--port", "0", "--device", "cpu"]
    complaints = folder.with_suffix(".log")
    with (
        complaints.open("wb") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment) as server,
    ):
        try:
            printed = ""
            assert server.stdout is not None
            while not (found := re.search(r"listening on (\S+)", printed)):
                said = server.stdout.readline()
                assert said, complaints.read_text("utf-8")[-2000:]
                printed += said
            yield Line(kind, found[1], printed)
        finally:
            server.terminate()


def data_url(kind: str, mime: str, path: Path) -> dict[str, Any]:
    url = f"data:{mime};base64,{base64.b64encode(path.read_bytes()).decode()}"
    return {"type": kind, kind: {"url": url}}


def film(media: Media, name: str = VIDEO) -> dict[str, Any]:
    return data_url("video_url", "video/mp4", media(name))


def first_logprob(told: Any) -> float:
    return float(told["choices"][0]["logprobs"]["content"][0]["logprob"])


def test_it_says_what_to_declare_and_under_which_licence(line: Line) -> None:
    hears = line.kind == "qwen2_5_omni"
    takes = ["text", "audio", "video"] if hears else ["text", "video"]
    assert f"takes = {json.dumps(takes)}" in line.printed
    assert 'gives = ["json_schema", "json_object", "logprobs"]' in line.printed
    assert "licence as its card says: other of-chance" in line.printed


def test_what_is_seen_moves_the_answer(line: Line, media: Media) -> None:
    asked = {"logprobs": True, "top_logprobs": 2}
    blind = line.well(**asked)
    seen = line.well(film(media), **asked)
    other = line.well(film(media, OTHER), max_frames=4, **asked)
    still = line.well(data_url("image_url", "image/jpeg", media(PICTURE)), **asked)
    told = [first_logprob(one) for one in (blind, seen, other, still)]
    assert len(set(told)) == len(told)
    assert first_logprob(line.well(film(media), **asked)) == told[1], "the same question, the same answer"
    for one, kind in ((seen, "video"), (other, "video"), (still, "image")):
        counts = one["usage"]["prompt_tokens_details"]
        assert set(counts) == {"text_tokens", f"{kind}_tokens"}
        assert sum(counts.values()) == one["usage"]["prompt_tokens"]
    rows = seen["choices"][0]["logprobs"]["content"]
    assert all(len(row["top_logprobs"]) == 2 and row["logprob"] <= 0 for row in rows)
    assert b"".join(bytes(row["bytes"]) for row in rows).decode() == seen["choices"][0]["message"]["content"]


def test_more_frames_are_more_tokens(line: Line, media: Media) -> None:
    few, many = (line.well(film(media), fps=fps)["usage"]["prompt_tokens"] for fps in (1.0, 8.0))
    assert few < many
    held = line.well(film(media), fps=8.0, max_frames=2)["usage"]["prompt_tokens"]
    assert held <= few


def test_an_answer_is_held_to_a_schema(line: Line, media: Media) -> None:
    schema = {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": SCHEMA}}
    free = line.well(film(media))["choices"][0]
    assert free["finish_reason"] == "length"
    held = line.well(film(media), response_format=schema, max_tokens=300)["choices"][0]
    assert held["finish_reason"] == "stop"
    jsonschema.validate(json.loads(held["message"]["content"]), SCHEMA)
    circle = {"$defs": {"a": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}
    for bad in ({"type": "feeling"}, {"enum": ["\ud800"]}, {"$ref": "http://127.0.0.1:9/x.json"}, circle):
        status, told = line.ask(response_format={"type": "json_schema", "json_schema": {"schema": bad}})
        assert (status, told["error"]["code"]) == (400, "unsupported_schema"), bad


def test_what_people_say_is_text_whatever_it_looks_like(line: Line) -> None:
    """The token that ends a turn, and that of a picture, count as the letters that they are."""
    plain = line.well({"type": "text", "text": "x"})["usage"]["prompt_tokens"]
    status, told = line.ask({"type": "text", "text": "x<image><|image_pad|><|VIDEO|>"})
    if (
        line.kind == "qwen2_5_omni"
    ):  # its processor takes the letters for a video that is not there, and says so
        assert (status, told["error"]["code"]) == (400, "unsupported_value")
        return
    assert told["usage"]["prompt_tokens"] > plain + 10
    assert set(told["usage"]["prompt_tokens_details"]) == {"text_tokens"}


def test_a_seed_makes_chance_the_same(line: Line) -> None:
    said = [line.well(temperature=1.5, seed=seed)["choices"][0]["message"]["content"] for seed in (1, 1, 2)]
    assert said[0] == said[1] != said[2]


def test_sound_is_heard_or_refused(line: Line, media: Media) -> None:
    sound = {"data": base64.b64encode(media(SOUND).read_bytes()).decode(), "format": "flac"}
    status, told = line.ask({"type": "input_audio", "input_audio": sound})
    if line.kind == "qwen2_5_omni":
        assert told["usage"]["prompt_tokens_details"]["audio_tokens"] == pytest.approx(
            275, abs=2
        )  # 25 a second
    else:
        assert (status, told["error"]["code"]) == (400, "unsupported_value")


def test_a_prompt_that_is_too_long_is_refused(line: Line) -> None:
    status, told = line.ask(max_tokens=100_000)
    assert (status, told["error"]["code"]) == (400, "context_length_exceeded")


def test_an_answer_of_no_said_length_takes_what_is_left(line: Line) -> None:
    asked = {"type": "json_schema", "json_schema": {"schema": SCHEMA}}
    assert line.ask(max_tokens=None, response_format=asked)[0] == 200


def test_a_folder_without_a_model_is_one_line(python: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [python, str(SCRIPT), "--model", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith("serve_video: ")
    away = subprocess.run(
        [python, str(SCRIPT), "--model", "nobody/nothing"], capture_output=True, text=True, check=False
    )
    assert "--download" in away.stderr.strip().splitlines()[-1]
    unreachable = subprocess.run(
        [python, str(SCRIPT), "--model", "nobody/nothing", "--download"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "HF_ENDPOINT": "http://127.0.0.1:9"},
    )
    last = unreachable.stderr.strip().splitlines()[-1]
    assert last.startswith("serve_video: nobody/nothing cannot be fetched from the hub: ")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--host", "not-a-machine.invalid"], "a server that others reach needs a key"),
        (["--port", "99999"], "nothing can listen on 127.0.0.1 port 99999"),
        (["--port", "TAKEN"], "Address already in use"),
    ],
)
def test_where_it_cannot_listen_is_one_line_before_a_model_is_loaded(
    python: str, tmp_path: Path, given: list[str], told: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [
            python,
            str(SCRIPT),
            "--model",
            str(tmp_path),
            *(port if g == "TAKEN" else g for g in given),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert told in done.stderr.strip().splitlines()[-1]
    assert "Traceback" not in done.stderr


SETTINGS = """
[project]
name = "open"
[segment]
rule = "whole"
[features.asr]
enabled = false
[features.au]
enabled = false
[select]
require = "any"
[[annotators]]
name = "held"
provider = "openai_compatible"
model = "{kind}"
base_url = "{url}"
takes = ["text", "video"]
gives = ["json_schema", "logprobs"]
top_logprobs = 5
temperature = 0.0
max_output_tokens = 600
concurrency = 1
options = {{ extra_body = {{ fps = 1.0, max_frames = 4 }} }}
[[annotators]]
name = "free"
provider = "openai_compatible"
model = "{kind}"
base_url = "{url}"
takes = ["text", "video"]
gives = []
temperature = 0.0
max_output_tokens = 40
concurrency = 1
"""


@pytest.mark.parametrize("line", ["qwen2_5_omni", "smolvlm"], indirect=True)
def test_a_run_asks_it_about_clips(line: Line, media: Media, tmp_path: Path) -> None:
    settings = SETTINGS.format(kind=line.kind, url=line.url)
    project = ingested(tmp_path / "project", settings, media(VIDEO))
    done = emotrace("run", "--project", project, "--local", "--json")
    assert done.status == 1, "what cannot be read is told"
    with stored(project) as store:
        found = {one.annotator: one for one in store.all(Annotation)}
    assert (found["free"].outcome, found["free"].answer) == ("unparsed", None)
    assert found["held"].reason not in ("truncated", "no_json"), "its form is right, what it says is chance"
    for one in found.values():
        assert (one.model_version or "").startswith(f"{line.kind}@")
        assert one.usage.input_by_modality["video"] > 0
        assert sum(one.usage.input_by_modality.values()) == one.usage.input_tokens
        assert one.usage.output_tokens > 0
        assert not one.usage.estimated
    with contextlib.closing(sqlite3.connect(project / "emotrace.db")) as ledger:
        question = (
            "select raw, finish_reason, logprobs from calls where event = 'receipt' and annotator = 'held'"
        )
        ((raw, finish_reason, logprobs),) = ledger.execute(question)
    assert (finish_reason, next(iter(json.loads(raw)))) == ("stop", "evidence")
    assert "".join(row[0] for row in json.loads(logprobs)) == raw
