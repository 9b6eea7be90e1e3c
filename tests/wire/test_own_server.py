"""The server of the worker `serve_video` without a model: its protocol, its queue, its errors, its media."""

from __future__ import annotations

import base64
import http.client
import importlib
import io
import json
import socket
import sys
import threading
import tomllib
import urllib.error
import urllib.request
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from pipeline.features.worker import WORKERS
from schemas.settings_models import AnnotatorSection

TAKES, GIVES = ("text", "images", "audio", "video"), ("json_schema", "logprobs")
TEXT = [{"role": "user", "content": "Who is glad?"}]


@dataclass
class Own:
    """The worker's parts that need no torch."""

    protocol: Any
    server: Any
    media: Any


@pytest.fixture(scope="module")
def own() -> Iterator[Own]:
    sys.path.insert(0, str(WORKERS))
    try:
        yield Own(*(importlib.import_module(f"chat_{name}") for name in ("protocol", "server", "media")))
    finally:
        sys.path.remove(str(WORKERS))


@dataclass
class StandIn:
    """A model that answers when it may."""

    own: Own
    may: threading.Event = field(default_factory=threading.Event)
    began: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    asked: list[Any] = field(default_factory=list)
    left: threading.Event = field(default_factory=threading.Event)
    logprob: float = -0.5

    def answer(self, question: Any, gone: Callable[[], bool]) -> Any:
        self.asked.append(question)
        self.began.release()
        while not self.may.wait(0.02):
            if gone():
                self.left.set()
                break
        if question.messages[0].pieces[0].text == "Fail!":
            raise OSError("the disk is gone")
        token = self.own.protocol.Token("é".encode()[:1], self.logprob, ((b"e", -1.0),))
        return self.own.protocol.Answer("é", "stop", 7, 1, {"text": 4, "video": 3}, (token,))


@dataclass
class Line:
    """A running server."""

    model: StandIn
    url: str

    def ask(self, body: Any, **headers: str) -> tuple[int, Any, dict[str, str]]:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(
            f"{self.url}/chat/completions", data, {"Content-Type": "application/json", **headers}
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:
                return reply.status, json.load(reply), dict(reply.headers)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error), dict(error.headers)


def running(own: Own, *, places: int = 1, key: str = "", logprob: float = -0.5) -> Iterator[Line]:
    model = StandIn(own, logprob=logprob)
    served = own.server.Served("tiny", "abc", TAKES, GIVES, model.answer)
    server = own.server.serve(served, "127.0.0.1", 0, places=places, key=key)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield Line(model, f"http://127.0.0.1:{server.server_port}/v1")
    finally:
        model.may.set()
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def line(own: Own) -> Iterator[Line]:
    yield from running(own)


def body(**more: Any) -> dict[str, Any]:
    return {"model": "tiny", "messages": TEXT, **more}


def test_an_answer_has_the_shape_of_the_protocol(line: Line) -> None:
    line.model.may.set()
    status, told, _ = line.ask(body(logprobs=True, top_logprobs=1, max_completion_tokens=9, fps=4.0))
    assert status == 200
    choice = told["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("é", "stop")
    (token,) = choice["logprobs"]["content"]
    assert (token["bytes"], token["logprob"]) == ([0xC3], -0.5)
    assert token["top_logprobs"] == [{"token": "e", "logprob": -1.0, "bytes": [0x65]}]
    assert told["usage"] == {
        "prompt_tokens": 7,
        "completion_tokens": 1,
        "total_tokens": 8,
        "prompt_tokens_details": {"text_tokens": 4, "video_tokens": 3},
    }
    assert told["model"] == "tiny@abc"
    (asked,) = line.model.asked
    assert (asked.max_tokens, asked.fps, asked.max_frames, asked.top_logprobs) == (9, 4.0, 64, 1)


def test_the_list_of_models_says_what_to_declare(line: Line) -> None:
    with urllib.request.urlopen(f"{line.url}/models") as reply:
        (row,) = json.load(reply)["data"]
    assert row["id"] == "tiny"
    assert row["emotrace"] == {"takes": list(TAKES), "gives": list(GIVES)}


@pytest.mark.parametrize("takes", [("text", "images"), TAKES])
def test_the_section_that_it_prints_is_one_that_a_project_takes(own: Own, takes: tuple[str, ...]) -> None:
    served = own.server.Served('tiny "1"', "abc", takes, GIVES, StandIn(own).answer)
    (row,) = tomllib.loads(own.server.section(served, "http://127.0.0.1:8000/v1", "OWN_KEY"))["annotators"]
    declared = AnnotatorSection.model_validate(row)
    assert (declared.model, declared.api_key_env) == ('tiny "1"', "OWN_KEY")
    assert declared.takes == (("text", "audio", "video") if "video" in takes else takes)
    looked = {"extra_body": {"fps": own.protocol.FPS, "max_frames": own.protocol.MAX_FRAMES}}
    assert declared.options == (looked if "video" in takes else {})


def part(kind: str, **value: Any) -> dict[str, Any]:
    return body(messages=[{"role": "user", "content": [{"type": kind, kind: value}]}])


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        (b"{", 400, "invalid_body"),
        (b"[]", 400, "invalid_body"),
        (b"[" * 100_000, 400, "invalid_body"),
        (body(model="other"), 404, "model_not_found"),
        (body(tools=[]), 400, "unknown_parameter"),
        (body(stream=True), 400, "unsupported_value"),
        (body(n=2), 400, "unsupported_value"),
        (body(n=True), 400, "unsupported_value"),
        (body(stream="yes"), 400, "unsupported_value"),
        (body(logprobs="no"), 400, "invalid_type"),
        (body(logprobs=5), 400, "invalid_type"),
        (body(temperature=float("nan")), 400, "invalid_body"),
        (body(fps=float("inf")), 400, "invalid_body"),
        (b'{"model": "tiny", "temperature": 1e400}', 400, "invalid_type"),
        (body(seed=2**63), 400, "invalid_value"),
        (body(seed=-(2**70)), 400, "invalid_value"),
        (body(max_completion_tokens=3, max_tokens="many"), 400, "invalid_type"),
        (body(max_tokens=0), 400, "invalid_value"),
        (body(max_tokens=True), 400, "invalid_type"),
        (body(temperature="hot"), 400, "invalid_type"),
        (body(temperature=3), 400, "invalid_value"),
        (body(fps=0), 400, "invalid_value"),
        (body(top_logprobs=3), 400, "invalid_value"),
        (body(logprobs=True, top_logprobs=21), 400, "invalid_value"),
        (body(response_format={"type": "json_object"}), 400, "unsupported_value"),
        (body(response_format={"type": "json_schema", "json_schema": {}}), 400, "invalid_type"),
        (body(response_format={"type": "json_schema", "json_schema": 3}), 400, "invalid_type"),
        (body(response_format={"type": ["json_schema"]}), 400, "unsupported_value"),
        (body(response_format="xml"), 400, "unsupported_value"),
        (body(messages=[]), 400, "invalid_type"),
        (body(messages=[{"role": "tool", "content": "x"}]), 400, "invalid_value"),
        (body(messages=[{"role": "user", "content": 3}]), 400, "invalid_type"),
        (body(messages=[{"role": "user", "content": []}]), 400, "invalid_type"),
        (body(messages=[{"role": ["user"], "content": "x"}]), 400, "invalid_value"),
        (body(messages=[{"role": "user", "content": "x", "name": "Bob"}]), 400, "unknown_parameter"),
        (body(messages=[{"role": "user", "content": "\ud83d"}]), 400, "invalid_value"),
        (part("text", text="no text in it"), 400, "invalid_value"),
        (part("image_url", url="data:image/png;base64,", detail="low"), 400, "unsupported_value"),
        (part("image_url", url=["data:"]), 400, "invalid_value"),
        (part("image_url", url="https://example.com/face.jpg"), 400, "no_fetching"),
        (part("video_url", url="file:///etc/passwd"), 400, "no_fetching"),
        (part("video_url", url="data:video/mp4,plain"), 400, "invalid_value"),
        (part("video_url", url="data:video/mp4;base64,%%%%"), 400, "invalid_value"),
        (part("video_url", url=3), 400, "invalid_value"),
        (part("input_audio", format="wav"), 400, "invalid_value"),
        (part("file", id="x"), 400, "invalid_value"),
    ],
)
def test_what_it_does_not_know_is_refused_and_never_left_out(
    line: Line, asked: Any, status: int, code: str
) -> None:
    got, told, _ = line.ask(asked)
    assert (got, told["error"]["code"]) == (status, code)
    assert set(told["error"]) == {"message", "type", "param", "code"}
    assert line.model.asked == []


def test_a_body_that_is_not_said_to_be_json_is_not_read(line: Line) -> None:
    status, told, _ = line.ask(body(), **{"Content-Type": "text/plain"})
    assert (status, told["error"]["code"]) == (415, "invalid_body")


def test_what_is_null_is_as_good_as_not_said(line: Line) -> None:
    line.model.may.set()
    asked = body(n=None, stream=None, seed=None, logprobs=None, response_format=None)
    asked["messages"] = [{"role": "assistant", "content": "x", "refusal": None}]
    assert line.ask(asked)[0] == 200


def test_streaming_is_refused_in_the_words_of_json(line: Line) -> None:
    assert line.ask(body(stream=True))[1]["error"]["message"] == "'stream' can only be false here"


def test_an_error_does_not_say_back_all_that_was_sent(line: Line) -> None:
    long = "x" * 1_000_000
    for asked in (body(**{long: 1}), body(messages=[{"role": long, "content": "x"}]), part(long)):
        _, told, _ = line.ask(asked)
        assert len(json.dumps(told)) < 2_000


@pytest.mark.parametrize("length", ["9" * 5000, "-1", "1e3", str(2**40)])
def test_a_length_that_is_none_is_refused_and_the_connection_ended(line: Line, length: str) -> None:
    host, port = line.url.split("/")[2].split(":")
    head = f"POST /v1/chat/completions HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: {length}"
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(f"{head}\r\n\r\n{{}}".encode())
        reply = b"".join(iter(lambda: connection.recv(4096), b""))
    assert reply.split()[1] in (b"411", b"413")


def test_a_connection_goes_on_after_a_refusal(own: Own) -> None:
    """Whatever was refused before its body was read."""
    for line in running(own, key="secret"):
        line.model.may.set()
        host, port = line.url.split("/")[2].split(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=30)
        key, kind = {"Authorization": "Bearer secret"}, {"Content-Type": "application/json"}
        told = []
        for path, headers, sent in (
            ("/v1/chat/completions", kind, b"x" * 10_000_000),
            ("/v1/elsewhere", {**kind, **key}, b"x" * 10_000_000),
            ("/v1/chat/completions", {**key, "Content-Type": "text/plain"}, b"x" * 10_000_000),
            ("/v1/chat/completions", {**kind, **key}, json.dumps(body()).encode()),
        ):
            connection.request("POST", path, sent, headers)
            with connection.getresponse() as reply:
                told.append((reply.status, json.load(reply).get("error", {}).get("code")))
        connection.close()
        assert told == [(401, "invalid_api_key"), (404, "not_found"), (415, "invalid_body"), (200, None)]


@pytest.mark.parametrize(("logprob", "told"), [(-float("inf"), -9999.0), (-20000.0, -9999.0)])
def test_what_is_impossible_has_a_log_probability_that_json_can_write(
    own: Own, logprob: float, told: float
) -> None:
    token = own.protocol.Token(b"a", -0.5, ((b"a", -0.5), (b"b", logprob)))
    rows = own.protocol.completion(own.protocol.Answer("a", "stop", 1, 1, {}, (token,)), "tiny", "v")
    (row,) = rows["choices"][0]["logprobs"]["content"]
    assert [one["logprob"] for one in row["top_logprobs"]] == [-0.5, told]


def test_a_model_whose_numbers_are_none_has_failed(own: Own) -> None:
    for line in running(own, logprob=float("nan")):
        line.model.may.set()
        status, told, _ = line.ask(body(logprobs=True))
        assert (status, told["error"]["type"]) == (500, "server_error")


def test_a_model_that_fails_costs_one_question(line: Line) -> None:
    line.model.may.set()
    failing = [{"role": "user", "content": "Fail!"}]
    status, told, _ = line.ask(body(messages=failing))
    assert (status, told["error"]["type"]) == (500, "server_error")
    assert line.ask(body())[0] == 200


def test_a_full_queue_says_when_to_come_again(own: Own) -> None:
    for line in running(own, places=0):
        first = threading.Thread(target=line.ask, args=(body(),))
        first.start()
        assert line.model.began.acquire(timeout=30)
        status, told, headers = line.ask(body())
        assert (status, told["error"]["type"]) == (429, "rate_limit_exceeded")
        assert int(headers["Retry-After"]) >= 1
        assert line.ask(b"{")[0] == 429, "a body is read when there is a place for it"
        line.model.may.set()
        first.join()
        assert line.ask(body())[0] == 200, "there is a place again"


def test_a_server_that_ends_leaves_off_what_it_answers(own: Own) -> None:
    model = StandIn(own)
    server = own.server.serve(
        own.server.Served("tiny", "abc", TAKES, GIVES, model.answer), "127.0.0.1", 0, places=2
    )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    line, lost = Line(model, f"http://127.0.0.1:{server.server_port}/v1"), []

    def ask() -> None:
        with pytest.raises(OSError):
            line.ask(body())
        lost.append(1)

    askers = [threading.Thread(target=ask) for _ in range(2)]
    for asker in askers:
        asker.start()
    assert model.began.acquire(timeout=30)
    server.shutdown()
    server.server_close()
    thread.join()
    for asker in askers:
        asker.join(30)
    assert model.left.is_set()
    assert (len(model.asked), len(lost)) == (1, 2), "the second question was not begun"


def test_questions_wait_for_their_turn(line: Line) -> None:
    replies: list[int] = []
    askers = [threading.Thread(target=lambda: replies.append(line.ask(body())[0])) for _ in range(2)]
    for asker in askers:
        asker.start()
    assert line.model.began.acquire(timeout=30)
    assert not line.model.began.acquire(timeout=0.5), "one at a time"
    line.model.may.set()
    for asker in askers:
        asker.join()
    assert replies == [200, 200]


def test_a_question_whose_asker_went_away_is_left_off(own: Own) -> None:
    for line in running(own, places=0):
        host, port = line.url.split("/")[2].split(":")
        data = json.dumps(body()).encode()
        head = "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)
            assert line.model.began.acquire(timeout=30)
        assert line.model.left.wait(30)


def test_a_key_is_asked_for_where_one_is_set(own: Own) -> None:
    for line in running(own, key="secret"):
        line.model.may.set()
        assert line.ask(body())[0] == 401
        assert line.ask(body(), Authorization="Bearer wrong")[0] == 401
        assert line.ask(body(), Authorization="Bearer secret")[0] == 200


# --- media --------------------------------------------------------------------------------------------


def film(times_ms: list[int]) -> bytes:
    """A video whose frames are as bright as their number, at these times."""
    out = io.BytesIO()
    with av.open(out, "w", format="matroska") as container:
        stream = container.add_stream("ffv1", rate=1000)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "yuv420p"
        for number, time_ms in enumerate(times_ms):
            grey = np.full((16, 16, 3), 10 * number, np.uint8)
            frame = av.VideoFrame.from_ndarray(grey, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = time_ms, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return out.getvalue()


def test_frames_are_those_that_are_shown_at_the_moment(own: Own) -> None:
    """Frames at 0, 0.1, 0.9, 1.0 and 2.4 s: at 0.5 s the second is still shown, at 1.5 and 2.0 s the fourth."""
    found = own.media.frames(film([0, 100, 900, 1000, 2400]), 2.0, 64, own.media.Room())
    assert found.times_s == (0.0, 0.1, 1.0)
    assert [round(float(one.mean()) / 10) for one in found.pictures] == [0, 1, 3]


def test_a_long_video_is_looked_at_evenly(own: Own) -> None:
    times_s = [n / 10 for n in range(100)]
    assert own.media.moments(times_s, 10.0, 2.0, 5) == [0, 20, 40, 60, 80]
    assert own.media.moments([0.0], 0.04, 2.0, 64) == [0]


def test_a_frame_in_motion_keeps_its_true_time(own: Own, media: Callable[[str], Path]) -> None:
    found = own.media.frames(media("video/pyfeat_single_face.mp4").read_bytes(), 2.0, 64, own.media.Room())
    steps = np.diff(found.times_s)
    assert len(found.times_s) == len(found.pictures) >= 4
    assert np.allclose(steps, 0.5, atol=0.05)


@pytest.mark.parametrize("data", [b"", b"no media", film([0])[:80]])
def test_media_that_cannot_be_read_are_refused(own: Own, data: bytes) -> None:
    for read in (
        lambda: own.media.frames(data, 2.0, 64, own.media.Room()),
        lambda: own.media.sound(data, 16_000, own.media.Room()),
    ):
        with pytest.raises(own.protocol.RefusedError):
            read()
    with pytest.raises(own.protocol.RefusedError):
        own.media.picture(data, own.media.Room())


def png(width: int, height: int) -> bytes:
    out = io.BytesIO()
    Image.new("1", (width, height)).save(out, "PNG")
    return out.getvalue()


def wav(rate_hz: int, samples: int) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(bytes(2 * samples))
    return out.getvalue()


def test_few_bytes_that_stand_for_very_many_are_refused(own: Own) -> None:
    """Each is read, and a second one is not, where there is room for one only."""
    media = own.media
    for size_bytes, read in (
        (3 * 4000 * 4000, lambda room: media.picture(png(4000, 4000), room)),
        (3 * 16 * 16 * 5, lambda room: media.frames(film([0, 500, 1000, 1500, 2000]), 2.0, 64, room)),
        (4 * 16_000, lambda room: media.sound(wav(8000, 8000), 16_000, room)),
    ):
        room = media.Room(size_bytes * 3 // 2)
        read(room)
        with pytest.raises(own.protocol.RefusedError, match="lower fps or max_frames"):
            read(room)


@pytest.mark.parametrize("rate_hz", [1, 900, 4_000_000_000])
def test_a_sound_of_an_absurd_rate_is_refused(own: Own, rate_hz: int) -> None:
    data = bytearray(wav(8000, 8000))
    data[24:28] = rate_hz.to_bytes(4, "little")
    with pytest.raises(own.protocol.RefusedError):
        own.media.sound(bytes(data), 16_000, own.media.Room())


def test_a_picture_that_is_broken_in_the_middle_is_refused(own: Own) -> None:
    out = io.BytesIO()
    Image.effect_noise((24, 20), 50).save(out, "PNG")
    data = out.getvalue()
    at = data.index(b"IDAT") - 4
    shorter = int.from_bytes(data[at : at + 4], "big") - 100  # what follows is no chunk
    broken = data[:at] + shorter.to_bytes(4, "big") + data[at + 4 :]
    with pytest.raises(SyntaxError), Image.open(io.BytesIO(broken)) as opened:
        opened.load()
    with pytest.raises(own.protocol.RefusedError):
        own.media.picture(broken, own.media.Room())


def test_a_picture_and_a_sound_are_what_they_were(own: Own, media: Callable[[str], Path]) -> None:
    out = io.BytesIO()
    Image.new("RGBA", (3, 2), (255, 0, 0, 255)).save(out, "PNG")
    assert np.asarray(own.media.picture(out.getvalue(), own.media.Room())).tolist() == [[[255, 0, 0]] * 3] * 2
    heard = own.media.sound(media("audio/jfk.flac").read_bytes(), 16_000, own.media.Room())
    assert (heard.dtype, heard.ndim) == (np.float32, 1)
    assert len(heard) == pytest.approx(11 * 16_000, abs=400)


def test_bytes_come_through(own: Own, line: Line) -> None:
    line.model.may.set()
    url = f"data:video/mp4;base64,{base64.b64encode(b'film').decode()}"
    assert line.ask(part("video_url", url=url))[0] == 200
    assert line.model.asked[0].messages[0].pieces[0] == own.protocol.Piece("video", data=b"film")
