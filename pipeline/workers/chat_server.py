"""An HTTP server for one model: one question at a time, a short queue, nothing else. Standard library only."""

from __future__ import annotations

import hmac
import json
import math
import select
import socket
import threading
import time
import traceback
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from chat_protocol import (
    FPS,
    MAX_FRAMES,
    Answer,
    Json,
    Question,
    RefusedError,
    completion,
    models,
    read_question,
)

MAX_BODY_BYTES = 256 * 2**20
PIECE_BYTES = 2**16
BODY_S = 300.0  # a body takes to arrive; it holds a place meanwhile
LOOK_EVERY_S = 0.2  # whether the asker of a question is still there
IDLE_S = 120.0  # a connection on which nobody says anything
MOST_DIGITS = 18  # of a length
FIRST_GUESS_S = 10.0  # how long an answer takes, before the first is there

Gone = Callable[[], bool]


@dataclass(frozen=True)
class Served:
    """The model of a server. `answer` is called from one thread alone, and leaves off when `gone` says so."""

    name: str
    version: str
    takes: Collection[str]
    gives: Collection[str]
    answer: Callable[[Question, Gone], Answer]


def section(served: Served, url: str, key_env: str | None = None) -> str:
    """What to write into a project file; how a video is looked at is said in it, as a part of each question.

    Where a clip is looked at, key frames beside it say nothing new, and not every model takes both at once.
    """
    takes = [one for one in served.takes if one != "images" or "video" not in served.takes]
    told = {"takes": takes, "gives": list(served.gives)} | ({"api_key_env": key_env} if key_env else {})
    lines = [f"{key} = {json.dumps(value)}" for key, value in told.items()]
    lines += ["concurrency = 1", "timeout_s = 600"]
    if "video" in served.takes:
        lines.append(f"options = {{ extra_body = {{ fps = {FPS}, max_frames = {MAX_FRAMES} }} }}")
    settings = "\n".join(lines)
    return f"""
[[annotators]]
name = "local"
provider = "openai_compatible"
model = {json.dumps(served.name, ensure_ascii=False)}
base_url = "{url}"
{settings}
"""


class Desk:
    """Questions wait here in the order in which they came; one that finds no place is told when to come again.

    A question takes its place before its body is read: so many bodies, and no more, are in memory.
    """

    def __init__(self, served: Served, places: int) -> None:
        self.served = served
        self._places = threading.BoundedSemaphore(1 + places)  # and the one that is being answered
        self._lock, self._inside, self._usual_s = threading.Lock(), 0, FIRST_GUESS_S
        self._closed = threading.Event()
        self._device = ThreadPoolExecutor(1, thread_name_prefix="device")

    @contextmanager
    def place(self) -> Iterator[None]:
        """Raises RefusedError: there is none."""
        if not self._places.acquire(blocking=False):
            wait_s = max(1, math.ceil(self._usual_s * self._inside))
            message = f"{self._inside} questions are here already"
            raise RefusedError(message, "queue_full", status=429, retry_after_s=wait_s)
        with self._lock:
            self._inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
            self._places.release()

    def ask(self, question: Question, gone: Gone) -> Answer:
        """The answer, when it is this question's turn.

        Raises:
            RefusedError: the model refuses it.
            CancelledError: nobody waits for it any more, or the server ends.
        """
        left = threading.Event()
        try:
            future = self._device.submit(self._answer, question, left.is_set)
        except RuntimeError as error:
            raise CancelledError from error
        return self._waited(future, left, gone)

    def close(self) -> None:
        """Leave off what is being answered; what waits is not begun."""
        self._closed.set()
        self._device.shutdown(wait=False, cancel_futures=True)

    def _waited(self, future: Future[Answer], left: threading.Event, gone: Gone) -> Answer:
        while not future.done():  # `wait` knows nothing of one that was cancelled before it began
            wait([future], LOOK_EVERY_S)
            if gone() and not left.is_set():
                left.set()
                future.cancel()
        return future.result()

    def _answer(self, question: Question, left: Gone) -> Answer:
        began = time.monotonic()

        def gone() -> bool:
            return left() or self._closed.is_set()

        answer = self.served.answer(question, gone)
        if gone():
            raise CancelledError
        self._usual_s += 0.3 * (time.monotonic() - began - self._usual_s)
        return answer


class Handler(BaseHTTPRequestHandler):
    """GET /v1/models and POST /v1/chat/completions."""

    protocol_version = "HTTP/1.1"
    timeout = IDLE_S
    desk: Desk
    key: str

    def do_GET(self) -> None:
        self._reply_with(self._models)

    def do_POST(self) -> None:
        self._reply_with(self._complete)

    def _models(self) -> Json:
        self._check_key()
        if self.path != "/v1/models":
            raise RefusedError(f"there is no {self.path}", "not_found", status=404)
        served = self.desk.served
        return models(served.name, served.takes, served.gives)

    def _complete(self) -> Json:
        self._check_key()
        if self.path != "/v1/chat/completions":
            raise RefusedError(f"there is no {self.path}", "not_found", status=404)
        served = self.desk.served
        with self.desk.place():
            question = read_question(self._body(), served.name, served.takes, served.gives)
            answer = self.desk.ask(question, self._gone)
        return completion(answer, served.name, served.version)

    def _body(self) -> Any:
        # A page in a browser may send text to any address without asking; JSON it may not.
        if self.headers.get_content_type() != "application/json":
            raise RefusedError("the body must be application/json", "invalid_body", status=415)
        if self._length is None:
            raise RefusedError("the length of the body must be told", "invalid_body", status=411)
        if self._length > MAX_BODY_BYTES:
            raise RefusedError(f"a body may have {MAX_BODY_BYTES} bytes", "too_large", status=413)
        body = bytearray()
        for piece in self._pieces():
            body += piece
        try:
            return json.loads(body, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise RefusedError("the body is no JSON", "invalid_body") from error

    @property
    def _length(self) -> int | None:
        """How long the body is, None where that is not told."""
        told = self.headers.get("content-length", "0" if self.command == "GET" else "")
        return int(told) if told.isdecimal() and len(told) <= MOST_DIGITS else None

    def _pieces(self) -> Iterator[bytes]:
        """What has not been read of the body yet.

        Raises:
            ConnectionError: it ends too early.
            TimeoutError: it does not end.
        """
        until_s = time.monotonic() + BODY_S
        while left := (self._length or 0) - self._read_bytes:
            piece = self.rfile.read1(min(left, PIECE_BYTES))
            if not piece:
                raise ConnectionAbortedError
            if time.monotonic() > until_s:
                raise TimeoutError
            self._read_bytes += len(piece)
            yield piece

    def _skip_body(self) -> None:
        """What is left of a body would be taken for the next question, and who is still sending hears nothing."""
        if self._length is None or self._length > MAX_BODY_BYTES:
            self.close_connection = True
            return
        for _ in self._pieces():
            pass

    def _check_key(self) -> None:
        given = self.headers.get("authorization", "").removeprefix("Bearer ").encode()
        if self.key and not hmac.compare_digest(given, self.key.encode()):
            raise RefusedError("the key is wrong", "invalid_api_key", status=401)

    def _gone(self) -> bool:
        """Whether the asker has closed the connection."""
        poll = select.poll()
        poll.register(self.connection, select.POLLIN)
        try:
            return bool(poll.poll(0)) and not self.connection.recv(1, socket.MSG_PEEK)
        except OSError:
            return True

    def _reply_with(self, make: Callable[[], Json]) -> None:
        self._read_bytes, retry_after_s = 0, 0
        try:
            status, data = 200, json.dumps(make(), allow_nan=False).encode()
        except (CancelledError, ConnectionError, TimeoutError):
            self.close_connection = True
            return
        except Exception as error:  # noqa: BLE001  one bad question must not end the server
            refused = error if isinstance(error, RefusedError) else _failed(error)
            status, retry_after_s = refused.status, refused.retry_after_s
            data = json.dumps(refused.body).encode()
            self._skip_body()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if retry_after_s:
            self.send_header("Retry-After", str(retry_after_s))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a question is nobody's business, and its asker keeps a ledger."""


def _failed(error: Exception) -> RefusedError:
    traceback.print_exception(error)
    return RefusedError(f"{type(error).__name__}: {error}", "server_error", status=500)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


class Server(ThreadingHTTPServer):
    daemon_threads = True
    desk: Desk

    def server_close(self) -> None:
        super().server_close()
        self.desk.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that broke is no error of the server."""


def serve(served: Served, host: str, port: int, *, places: int, key: str = "") -> Server:
    """A server that listens; `serve_forever` makes it answer. Port 0: any that is free."""
    desk = Desk(served, places)
    server = Server((host, port), type("BoundHandler", (Handler,), {"desk": desk, "key": key}))
    server.desk = desk
    return server
