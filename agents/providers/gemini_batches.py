"""Batches as Gemini has them: a file of requests by the File API, a job over it, a file of answers and errors.

Reference: https://ai.google.dev/gemini-api/docs/batch-api and https://ai.google.dev/api/batch-api
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx2
from google.genai import types
from pydantic_core import to_json
from yarl import URL

from agents.calls.batching import JobLook
from agents.protocol import MediaLoader, Request, Response
from agents.providers.common import bad_reply
from agents.providers.file_batches import LISTED, TRANSFER_S, FileBatches
from agents.providers.gemini import GeminiProvider
from agents.providers.server import Server
from agents.providers.transport import OK
from schemas.errors import ProviderError

# Batches and files have no other.
VERSION = "v1beta"
MIME_TYPE = "application/jsonl"
# Of `metadata.state`: the API writes BATCH_STATE_..., its guide JOB_STATE_...
OVER = frozenset({"succeeded", "failed", "cancelled", "expired"})
# HTTP statuses of google.rpc.Code, in which errors of lines are told.
# Reference: https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto
STATUS = {3: 400, 4: 504, 5: 404, 6: 409, 7: 403, 8: 429, 9: 400, 10: 409, 11: 400, 12: 501, 14: 503, 16: 401}
CANCELLED = frozenset({1, 499})
LEAST_STATUS = 100


class GeminiBatches(FileBatches):
    """A line is the body that the library would send live, and the library reads its answer as it would live."""

    most_requests = 50_000  # no limit is told; a larger job loses more when it expires
    most_bytes = 2_000_000_000
    key_field = "key"
    gone_statuses = frozenset({"403", "404"})  # it says 403 for what is not there

    def __init__(self, live: GeminiProvider) -> None:
        headers = [("x-goog-api-key", live.key), ("content-type", "application/json")]
        super().__init__(Server(live.key, live.base_url, live.section.timeout_s), headers)
        self._live, self._nowhere = live, _Nowhere()
        self._library = live.client_over(httpx_client=httpx2.Client(transport=self._nowhere, trust_env=False))

    def line(self, key: str, request: Request, load: MediaLoader) -> bytes:
        with self._nowhere.answering(OK, b"{}"):
            self._library.models.generate_content(**self._live.asked(request, load))
            return b'{"key":' + to_json(key) + b',"request":' + self._nowhere.sent + b"}"

    async def upload(self, token: str, lines: Path) -> str:
        start = [
            *self.headers,
            ("x-goog-upload-protocol", "resumable"),
            ("x-goog-upload-command", "start"),
            ("x-goog-upload-header-content-length", str(lines.stat().st_size)),
            ("x-goog-upload-header-content-type", MIME_TYPE),
        ]
        about = to_json({"file": {"displayName": token, "mimeType": MIME_TYPE}})
        connections, url = self.server.connections, self.url(f"/upload/{VERSION}/files")
        reply = await self.server.answered(connections.send("POST", url, start, about))
        place = urlsplit(reply.headers.get("x-goog-upload-url") or "")
        if not place.path:
            raise bad_reply("no address to upload to", self.server.key)
        asked = urlsplit(self.server.base_url)  # whichever server is named: recordings go to this one
        url = URL(place._replace(scheme=asked.scheme, netloc=asked.netloc).geturl(), encoded=True)
        whole = [
            ("content-type", MIME_TYPE),
            ("x-goog-upload-offset", "0"),
            ("x-goog-upload-command", "upload, finalize"),
        ]
        with lines.open("rb") as file:
            reply = await self.server.answered(connections.upload(url, whole, file), TRANSFER_S)
        return self.read(reply.body, lambda data: str(data["file"]["name"]))

    async def create(self, token: str, file_id: str, model: str) -> str:
        named = model if "/" in model else f"models/{model}"
        job = {"batch": {"displayName": token, "inputConfig": {"fileName": file_id}}}
        path = f"/{VERSION}/{quote(named)}:batchGenerateContent"
        return await self.told("POST", path, lambda data: str(data["name"]), job)

    async def find(self, token: str) -> str | None:
        return await self._listed("batches", "operations", lambda job: job.get("metadata") or {}, token)

    async def uploaded(self, token: str) -> str | None:
        return await self._listed("files", "files", lambda file: file, token)

    async def _listed(
        self, kind: str, rows: str, about: Callable[[dict[str, Any]], dict[str, Any]], token: str
    ) -> str | None:
        """The name of the first in a list that is displayed as a token."""
        more = ""
        while True:
            page = await self.told("GET", f"/{VERSION}/{kind}?pageSize={LISTED}{more}", dict)
            for row in page.get(rows) or ():
                if about(row).get("displayName") == token:
                    return str(row["name"])
            if not page.get("nextPageToken"):
                return None
            more = f"&pageToken={quote(str(page['nextPageToken']), safe='')}"

    async def look(self, job: str) -> JobLook:
        return await self.told("GET", self.kept_path(job), _look)

    async def close(self) -> None:
        await self.server.close()
        self._library.close()
        await self._live.close()

    def result_path(self, file_id: str) -> str:
        return f"/download/{VERSION}/{quote(file_id)}:download?alt=media"

    def kept_path(self, name: str) -> str:
        return f"/{VERSION}/{quote(name)}"

    def end(self, row: dict[str, Any], line: bytes) -> Response:  # noqa: ARG002 - the library tells what is wrong
        error = row.get("error")
        if error is None:
            return self._read(OK, row["response"])
        if error.get("code") in CANCELLED:
            raise ProviderError("batch_cancelled", str(error.get("message") or "cancelled"), transient=True)
        code = int(error.get("code") or 0)
        return self._read(code if code >= LEAST_STATUS else STATUS.get(code, 500), {"error": error})

    def _read(self, status: int, body: dict[str, Any]) -> Response:
        """What a live question would have got by a reply; raises ProviderError."""
        with self._live.told(), self._nowhere.answering(status, json.dumps(body).encode()):
            once = types.GenerateContentConfig(automatic_continuation=False)
            answer = self._library.models.generate_content(model="any", contents="any", config=once)
        return self._live.response(answer)


class _Nowhere(httpx2.BaseTransport):
    """Stands where the network is: keeps what the library writes, and answers with what it is to read."""

    def __init__(self) -> None:
        self.sent = b""
        self._reply = (OK, b"")
        self._one = threading.Lock()

    @contextmanager
    def answering(self, status: int, body: bytes) -> Iterator[None]:
        """One at a time."""
        with self._one:
            self._reply = (status, body)
            yield

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self.sent = request.read()
        status, body = self._reply
        return httpx2.Response(status, content=body, headers={"content-type": "application/json"})


def _look(data: dict[str, Any]) -> JobLook:
    """An operation: it is done when it is over; `response` and `metadata.output` name the file of answers."""
    about = data.get("metadata") or {}
    state = str(about.get("state") or "").partition("_STATE_")[2].lower()
    if not data.get("done") and state not in OVER:
        return JobLook(over=False)
    output = data.get("response") or about.get("output") or {}
    files = (str(output["responsesFile"]),) if output.get("responsesFile") else ()
    said = (data.get("error") or {}).get("message")
    reason = "" if state == "succeeded" else f"{state}: {said}" if said else state
    source = (about.get("inputConfig") or {}).get("fileName")
    return JobLook(True, reason, files, (*((str(source),) if source else ()), str(data["name"])))
