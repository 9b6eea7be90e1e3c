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
from collections.abc import Callable, Collection
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from chat_protocol import Answer, Json, Question, RefusedError, completion, models, read_question

MAX_BODY_BYTES = 256 * 2**20
LOOK_EVERY_S = 0.2  # whether the asker of a question is still there
IDLE_S = 120.0  # a connection on which nobody says anything
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


class Desk:
    """Questions wait here in the order in which they came; one that finds no place is told when to come again."""

    def __init__(self, served: Served, places: int) -> None:
        self.served = served
        self._places = threading.BoundedSemaphore(1 + places)  # and the one that is being answered
        self._lock, self._inside, self._usual_s = threading.Lock(), 0, FIRST_GUESS_S
        self._device = ThreadPoolExecutor(1, thread_name_prefix="device")

    def ask(self, question: Question, gone: Gone) -> Answer:
        """The answer, when it is this question's turn.

        Raises:
            RefusedError: there is no place, or the model refuses it.
            CancelledError: nobody waits for it any more.
        """
        if not self._places.acquire(blocking=False):
            wait_s = max(1, math.ceil(self._usual_s * self._inside))
            message = f"{self._inside} questions are here already"
            raise RefusedError(message, "queue_full", status=429, retry_after_s=wait_s)
        with self._lock:
            self._inside += 1
        try:
            left = threading.Event()
            return self._waited(self._device.submit(self._answer, question, left.is_set), left, gone)
        finally:
            with self._lock:
                self._inside -= 1
            self._places.release()

    def _waited(self, future: Future[Answer], left: threading.Event, gone: Gone) -> Answer:
        while True:
            try:
                return future.result(LOOK_EVERY_S)
            except NotYet:
                if future.done():  # the model's own
                    raise
            if gone() and not left.is_set():
                left.set()
                future.cancel()

    def _answer(self, question: Question, left: Gone) -> Answer:
        began = time.monotonic()
        answer = self.served.answer(question, left)
        if left():
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
        body = self._body()  # read in any case: what is left of it would break the connection
        self._check_key()
        if self.path != "/v1/chat/completions":
            raise RefusedError(f"there is no {self.path}", "not_found", status=404)
        served = self.desk.served
        question = read_question(body, served.name, served.takes, served.gives)
        answer = self.desk.ask(question, self._gone)
        return completion(answer, served.name, served.version)

    def _body(self) -> Any:
        # A page in a browser may send text to any address without asking; JSON it may not.
        if self.headers.get_content_type() != "application/json":
            raise self._unread("the body must be application/json", "invalid_body", 415)
        told = self.headers.get("content-length", "")
        if not told.isdecimal():
            raise self._unread("the length of the body must be told", "invalid_body", 411)
        if int(told) > MAX_BODY_BYTES:
            raise self._unread(f"a body may have {MAX_BODY_BYTES} bytes", "too_large", 413)
        try:
            return json.loads(self.rfile.read(int(told)))
        except (ValueError, RecursionError) as error:
            raise RefusedError("the body is no JSON", "invalid_body") from error

    def _unread(self, message: str, code: str, status: int) -> RefusedError:
        self.close_connection = True  # what follows on it is the body
        return RefusedError(message, code, status=status)

    def _check_key(self) -> None:
        given = self.headers.get("authorization", "").removeprefix("Bearer ").encode()
        if self.key and not hmac.compare_digest(given, self.key.encode()):
            raise RefusedError("the key is wrong", "invalid_api_key", status=401)

    def _gone(self) -> bool:
        """Whether the asker has closed the connection."""
        readable, _, _ = select.select([self.connection], [], [], 0)
        try:
            return bool(readable) and not self.connection.recv(1, socket.MSG_PEEK)
        except OSError:
            return True

    def _reply_with(self, make: Callable[[], Json]) -> None:
        try:
            status, body, retry_after_s = 200, make(), 0
        except RefusedError as error:
            status, body, retry_after_s = error.status, error.body, error.retry_after_s
        except (CancelledError, ConnectionError, TimeoutError):
            self.close_connection = True
            return
        except Exception as error:  # noqa: BLE001  one bad question must not end the server
            traceback.print_exc()
            refused = RefusedError(f"{type(error).__name__}: {error}", "server_error", status=500)
            status, body, retry_after_s = refused.status, refused.body, 0
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if retry_after_s:
            self.send_header("Retry-After", str(retry_after_s))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a question is nobody's business, and its asker keeps a ledger."""


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that broke is no error of the server."""


def serve(served: Served, host: str, port: int, *, places: int, key: str = "") -> Server:
    """A server that listens; `serve_forever` makes it answer. Port 0: any that is free."""
    handler = type("BoundHandler", (Handler,), {"desk": Desk(served, places), "key": key})
    return Server((host, port), handler)
