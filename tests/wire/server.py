"""A local server that speaks three protocols: OpenAI chat completions and responses, Gemini generateContent;
and the batches of both vendors (`tests.wire.batches`, `tests.wire.gemini_batches`).

In a test: `with FakeModels() as models: models.script(Reply(status=429))`, then `models.requests`. As a process:
`python -m tests.wire.server --port 0 --answers FILE --log FILE` prints its port on the first line, then serves
until it is ended. Without a scripted reply it answers every question validly, from the question's own schema.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from tests.wire.batches import BatchShop
from tests.wire.gemini_batches import GeminiShop
from tests.wire.vendors import Reply, reply_body


class Recorded(BaseModel):
    """One request as it arrived; `raw` keeps the order of the keys."""

    path: str
    headers: dict[str, str]
    raw: str
    digest: str

    @property
    def body(self) -> dict[str, Any]:
        return dict(json.loads(self.raw))


class FakeModels:
    """The server and what it has seen. `most_at_once` counts requests that were open at the same time.

    `mind` chooses the reply to a body that no scripted reply is for: a model with a known habit. With `counting`
    it reports the usage that `tests.wire.counting` makes of each request, else a few tokens.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        log: Path | None = None,
        delay_s: float = 0,
        mind: Callable[[dict[str, Any]], Reply] | None = None,
        counting: bool = False,
    ) -> None:
        self.mind, self.counting = mind, counting
        self.replies: list[Reply] = []
        self.requests: list[Recorded] = []
        self.log, self.delay_s = log, delay_s
        self.open_now = self.most_at_once = 0
        self.lock = threading.Lock()
        self.batches = BatchShop(self.take, self.done)
        self.gemini_batches = GeminiShop(self.take, self.done)
        self.http = _Server(("127.0.0.1", port), _Handler)
        self.http.models = self

    @property
    def port(self) -> int:
        return int(self.http.server_address[1])

    @property
    def openai_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def gemini_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def script(self, *replies: Reply) -> None:
        self.replies += replies

    def __enter__(self) -> FakeModels:
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()

    def take(self, path: str, headers: dict[str, str], raw: str) -> Reply:
        """Record a request durably, then choose its reply."""
        digest = hashlib.sha256(raw.encode()).hexdigest()
        with self.lock:
            self.requests.append(Recorded(path=path, headers=headers, raw=raw, digest=digest))
            self.open_now += 1
            self.most_at_once = max(self.most_at_once, self.open_now)
            if self.log is not None:
                with self.log.open("a", encoding="utf-8") as file:
                    file.write(f"{digest} {path}\n")
                    file.flush()
                    os.fsync(file.fileno())
            for position, reply in enumerate(self.replies):
                if reply.match in raw:
                    if reply.times == 1:
                        del self.replies[position]
                    elif reply.times > 1:
                        self.replies[position] = reply.model_copy(update={"times": reply.times - 1})
                    return reply
        return Reply() if self.mind is None else self.mind(json.loads(raw))

    def done(self) -> None:
        with self.lock:
            self.open_now -= 1


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256
    models: FakeModels

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are part of the tests; anything else is shown."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        self._answer("")

    def do_DELETE(self) -> None:
        self._answer("")

    def do_POST(self) -> None:
        length = self.headers["content-length"]
        self._answer((self._chunked() if length is None else self.rfile.read(int(length))).decode())

    def _chunked(self) -> bytes:
        """The body of a request whose length nobody told."""
        pieces = []
        while size := int(self.rfile.readline(), 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def _answer(self, raw: str) -> None:
        models = self.server.models
        headers = {k.lower(): v for k, v in self.headers.items()}
        for shop in (models.batches, models.gemini_batches):
            if (served := shop.serve(self.command, self.path, headers, raw)) is not None:
                self._send(*served)
                return
        reply = models.take(self.path, headers, raw)
        try:
            time.sleep(reply.delay_s or models.delay_s)
            if reply.reset:
                self._reset()
            else:
                self._send(reply, reply_body(self.path, raw, reply, models.counting))
        finally:
            models.done()

    def _send(self, reply: Reply, body: bytes) -> None:
        self.send_response(reply.status)
        for name, value in {"content-type": "application/json", **reply.headers}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        pieces = 8 if reply.slow_bytes_s else 1
        size = -(-len(body) // pieces)
        for start in range(0, len(body), size or 1):
            time.sleep(reply.slow_bytes_s)
            self.wfile.write(body[start : start + size])
            self.wfile.flush()

    def _reset(self) -> None:
        """Close with RST, as a dying server or a middlebox does."""
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close_connection = True
        self.connection.close()

    def log_message(self, *_: Any) -> None:
        return None


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Local stand-in for model vendors")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--answers", type=Path, help="JSONL, one Reply a line, see Reply")
    parser.add_argument("--log", type=Path, help="one line per request: digest of its body, path")
    parser.add_argument("--delay", type=float, default=0, help="seconds before every answer")
    given = parser.parse_args(arguments)
    models = FakeModels(port=given.port, log=given.log, delay_s=given.delay)
    if given.answers:
        lines = given.answers.read_text(encoding="utf-8").splitlines()
        models.script(*(Reply.model_validate_json(line) for line in lines if line.strip()))
    print(models.port, flush=True)
    try:
        models.http.serve_forever()
    except KeyboardInterrupt:
        models.http.server_close()


if __name__ == "__main__":
    main()
