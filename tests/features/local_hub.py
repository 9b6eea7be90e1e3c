"""A model hub on this machine, with the protocol of the real one as far as a download needs it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

REVISION = "c" * 40
Repositories = Mapping[str, Mapping[str, bytes] | int]  # name -> files, or the status with which it refuses


@contextmanager
def local_hub(repositories: Repositories) -> Iterator[tuple[str, list[str]]]:
    """The address of a hub that holds these repositories, and the paths it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path).strip("/")
            asked.append(path)
            for name, files in repositories.items():
                if name in path:
                    self.answer(path, name, files)
                    return
            self.send(404, b"", {"X-Error-Code": "RepoNotFound"})

        do_HEAD = do_GET  # noqa: N815 - the name that http.server calls

        def answer(self, path: str, name: str, files: Mapping[str, bytes] | int) -> None:
            if isinstance(files, int):
                code = {401: "RepoNotFound", 403: "GatedRepo", 404: "RepoNotFound"}.get(files)
                self.send(files, b"", {"X-Error-Code": code} if code else {})
            elif path.startswith("api/") and "/tree/" in path:
                rows = [
                    {"type": "file", "path": file, "size": len(files[file]), "oid": "0"} for file in files
                ]
                self.send(200, json.dumps(rows).encode(), {"Content-Type": "application/json"})
            elif path.startswith("api/"):
                told = {"id": name, "sha": REVISION, "siblings": [{"rfilename": file} for file in files]}
                self.send(200, json.dumps(told).encode(), {"Content-Type": "application/json"})
            else:
                body = files[path.partition(f"/resolve/{REVISION}/")[2]]
                self.send(200, body, {"ETag": f'"{sha256(body).hexdigest()}"', "X-Repo-Commit": REVISION})

        def send(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
            self.send_response(status)
            for header, value in headers.items():
                self.send_header(header, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
