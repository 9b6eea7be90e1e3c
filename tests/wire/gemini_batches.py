"""Gemini's File API and batches as the local server has them: a job is done when it is looked at."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.wire.batches import PAGE, BatchShop
from tests.wire.vendors import Reply, reply_body

LONGEST_FILE_ID = 40  # a file of results has a longer one, and can be read, but not deleted
NO_SUCH_FILE = {"error": {"code": 403, "message": "or it may not exist.", "status": "PERMISSION_DENIED"}}
STATES = {"completed": "SUCCEEDED", "failed": "FAILED", "expired": "EXPIRED", "cancelled": "CANCELLED"}
CODES = {400: 3, 401: 16, 429: 8, 500: 13}  # google.rpc.Code of HTTP statuses


class GeminiShop(BatchShop):
    """`files` are those that were uploaded and not deleted, by name; `results` those of jobs."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.results: dict[str, bytes] = {}
        self.begun: dict[str, dict[str, Any]] = {}  # uploads, by their id

    def serve(self, method: str, path: str, headers: dict[str, str], raw: str) -> tuple[Reply, bytes] | None:
        place, query = (
            urlsplit(path),
            {name: values[0] for name, values in parse_qs(urlsplit(path).query).items()},
        )
        if place.path == "/upload/v1beta/files":
            return self._upload(query, headers, raw)
        if re.match(
            r"/(download/)?v1beta/(batches|files)|/v1beta/models/[^/]+:batchGenerateContent", place.path
        ):
            assert headers["x-goog-api-key"]
            status, body = self._told(method, place.path, query, headers, raw)
            return Reply(status=status), json.dumps(body).encode() if isinstance(body, dict) else body
        return None

    def _upload(self, query: dict[str, str], headers: dict[str, str], raw: str) -> tuple[Reply, bytes]:
        if headers["x-goog-upload-command"] == "start":
            if (refused := self.refused("POST files")) is not None:
                return Reply(status=refused[0]), refused[1]
            assert headers["x-goog-upload-protocol"] == "resumable"
            assert headers["x-goog-api-key"]
            name = f"u{len(self.begun) + 1}"
            size_bytes = int(headers["x-goog-upload-header-content-length"])
            self.begun[name] = {**json.loads(raw)["file"], "sizeBytes": str(size_bytes)}
            # A client that goes where it is told sends recordings to somebody else.
            url = f"http://elsewhere.invalid/upload/v1beta/files?upload_id={name}&upload_protocol=resumable"
            return Reply(headers={"x-goog-upload-url": url, "x-goog-upload-status": "active"}), b""
        assert headers["x-goog-upload-command"] == "upload, finalize"
        assert headers["x-goog-upload-offset"] == "0"
        about = self.begun[query["upload_id"]]
        assert len(raw.encode()) == int(about["sizeBytes"])
        name = f"files/{query['upload_id']}"
        self.files[name] = raw.encode()
        file = {**about, "name": name, "state": "ACTIVE"}
        return Reply(headers={"x-goog-upload-status": "final"}), json.dumps({"file": file}).encode()

    def _told(
        self, method: str, path: str, query: dict[str, str], headers: dict[str, str], raw: str
    ) -> tuple[int, dict[str, Any] | bytes]:
        kind, _, name = path.rpartition("v1beta/")[2].partition("/")
        if method == "POST":
            if (refused := self.refused("POST batches")) is not None:
                return refused
            return 200, self._begun(name.partition(":")[0], json.loads(raw)["batch"])
        self.seen[f"{method} {kind}"] += 1
        if path.startswith("/download/"):
            assert query == {"alt": "media"}
            file = f"files/{name.removesuffix(':download')}"
            return (200, self.results[file]) if file in self.results else (403, NO_SUCH_FILE)
        if method == "DELETE":
            return self._deleted(kind, name)
        if not name:
            start = int(query.get("pageToken", 0))
            if kind == "files":
                files = [{"name": f"files/{name}", **self.begun[name]} for name in self.begun]
                return 200, self._rows("files", [one for one in files if one["name"] in self.files], start)
            return 200, self._rows("operations", self.listed(), start)
        if f"batches/{name}" not in self.jobs:
            return 404, {"error": {"code": 404, "message": "no such batch", "status": "NOT_FOUND"}}
        return 200, self._looked(self.jobs[f"batches/{name}"], headers)

    def _begun(self, model: str, asked: dict[str, Any]) -> dict[str, Any]:
        lines = self.files[asked["inputConfig"]["fileName"]].decode().splitlines()
        self.submitted.update(json.loads(line)["key"] for line in lines)
        name = f"batches/{len(self.jobs) + 1:036d}"
        metadata = {**asked, "model": f"models/{model}", "name": name, "state": "BATCH_STATE_PENDING"}
        self.jobs[name] = {"name": name, "metadata": metadata, "looked": 0}
        return self.jobs[name]

    def _rows(self, kind: str, rows: list[dict[str, Any]], start: int) -> dict[str, Any]:
        more = {"nextPageToken": str(start + PAGE)} if start + PAGE < len(rows) else {}
        return {kind: rows[start : start + PAGE], **more}

    def _deleted(self, kind: str, name: str) -> tuple[int, dict[str, Any]]:
        if kind == "files" and len(name) > LONGEST_FILE_ID:
            message = "File ID (name excluding 'files/') cannot be more than 40 characters."
            return 400, {"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}}
        del (self.files if kind == "files" else self.jobs)[f"{kind}/{name}"]
        return 200, {}

    def _looked(self, job: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
        job["looked"] += 1
        about = job["metadata"]
        if about["state"] in ("BATCH_STATE_PENDING", "BATCH_STATE_RUNNING"):
            end = "RUNNING" if job["looked"] <= self.looks else STATES[self.end]
            about["state"] = f"BATCH_STATE_{end}"
            if end == "FAILED":
                job.update(done=True, error={"code": 3, "message": "scripted failure"})
            elif end != "RUNNING":
                job["done"] = True
                if end != "EXPIRED":  # such a job has no results, the guide says
                    self._worked(job, headers)
        return job

    def _worked(self, job: dict[str, Any], headers: dict[str, str]) -> None:
        about, rows = job["metadata"], []
        path = f"/v1beta/{about['model']}:generateContent"
        for n, line in enumerate(self.files[about["inputConfig"]["fileName"]].decode().splitlines()):
            key = json.loads(line)["key"]
            if self.answers is not None and n >= self.answers:
                rows.append({"key": key, "error": {"code": 1, "message": "The batch was cancelled."}})
                continue
            raw = line.partition('"request":')[2][:-1]
            reply = self.take(path, headers, raw)
            self.done()
            body = json.loads(reply_body(path, raw, reply))
            if reply.status == 200:
                rows.append({"response": body, "key": key})
            else:
                rows.append({"key": key, "error": {"code": CODES[reply.status], **_message(body)}})
        name = f"files/batch-{job['name'].removeprefix('batches/')}"
        self.results[name] = "\n".join(map(json.dumps, rows)).encode()
        job["response"] = about["output"] = {"responsesFile": name}


def _message(body: dict[str, Any]) -> dict[str, Any]:
    return {"message": body["error"]["message"]}
