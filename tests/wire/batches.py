"""OpenAI's files and batches as the local server has them: a job is done when it is looked at."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from tests.wire.vendors import Reply, reply_body

PAGE = 2  # jobs, whatever is asked for
Take = Callable[[str, dict[str, str], str], Reply]


class BatchShop:
    """`looks`: how often a job is under way when it is looked at, before it is over. `end`: its last status;
    `answers`: how many of its lines are asked before that, None: all. `refuses`: "POST files" -> status of the
    next reply to one; `seen` counts them.
    """

    def __init__(self, take: Take, done: Callable[[], None]) -> None:
        self.take, self.done = take, done
        self.looks, self.end = 1, "completed"
        self.answers: int | None = None
        self.files: dict[str, bytes] = {}
        self.file_names: dict[str, str] = {}  # as they were uploaded
        self.jobs: dict[str, dict[str, Any]] = {}
        self.refuses: dict[str, int] = {}
        self.seen: Counter[str] = Counter()
        self.submitted: Counter[str] = Counter()  # in how many jobs a call key is
        self.late_lists = 0  # how many lists know of no job yet

    def serve(self, method: str, path: str, headers: dict[str, str], raw: str) -> tuple[Reply, bytes] | None:
        """Status, headers and body; None: the path is another's."""
        told = self.told(method, path, headers, raw)
        return None if told is None else (Reply(status=told[0]), told[1])

    def refused(self, step: str) -> tuple[int, bytes] | None:
        """Counts a step; the reply where it is scripted to be refused."""
        self.seen[step] += 1
        if (status := self.refuses.pop(step, None)) is None:
            return None
        return status, json.dumps({"error": {"message": f"scripted {status}"}}).encode()

    def told(self, method: str, path: str, headers: dict[str, str], raw: str) -> tuple[int, bytes] | None:
        path, _, path_query = path.partition("?")
        found = re.fullmatch(r"/v1/(files|batches)(?:/([\w-]+))?(/content)?", path)
        if found is None:
            return None
        kind, name, content = found.groups()
        if (refused := self.refused(f"{method} {kind}")) is not None:
            return refused
        if kind == "files":
            return self._file(method, name, content, raw, path_query)
        if method == "POST":
            return 200, json.dumps(self._begin(json.loads(raw))).encode()
        if name is None:
            return 200, json.dumps(self._page(self.listed(), path_query)).encode()
        if name not in self.jobs:
            return 404, b'{"error": {"message": "no such batch"}}'
        return 200, json.dumps(self._look(self.jobs[name], headers)).encode()

    def _file(
        self, method: str, name: str | None, content: str | None, raw: str, query: str
    ) -> tuple[int, bytes]:
        if method == "POST":
            assert 'name="purpose"' in raw
            lines = [line for line in raw.splitlines() if line.startswith('{"custom_id"')]
            name = f"file-{len(self.file_names) + 1}"
            self.files[name] = "".join(f"{line}\n" for line in lines).encode()
            self.file_names[name] = raw.partition('filename="')[2].partition('"')[0]
            return 200, json.dumps({"id": name, "object": "file"}).encode()
        if name is None:
            rows = [
                {"id": name, "filename": self.file_names[name]}
                for name in self.files
                if name in self.file_names
            ]
            return 200, json.dumps(self._page(rows, query)).encode()
        if name not in self.files:
            return 404, b'{"error": {"message": "no such file"}}'
        if method == "DELETE":
            del self.files[name]
            return 200, json.dumps({"id": name, "deleted": True}).encode()
        assert content
        return 200, self.files[name]

    def _begin(self, asked: dict[str, Any]) -> dict[str, Any]:
        assert asked["completion_window"] == "24h"
        name = f"batch_{len(self.jobs) + 1}"
        lines = self.files[asked["input_file_id"]].decode().splitlines()
        self.submitted.update(json.loads(line)["custom_id"] for line in lines)
        fields = {"input_file_id", "endpoint", "completion_window", "metadata"}
        job = {"id": name, "object": "batch", "status": "validating", "looked": 0}
        self.jobs[name] = {**job, **{key: asked[key] for key in fields}}
        return self.jobs[name]

    def listed(self) -> list[dict[str, Any]]:
        """The jobs that the list knows, the newest first."""
        self.late_lists -= 1
        return [] if self.late_lists >= 0 else list(self.jobs.values())[::-1]

    def _page(self, rows: list[dict[str, Any]], query: str) -> dict[str, Any]:
        after = parse_qs(query).get("after", [""])[0]
        start = next((n + 1 for n, row in enumerate(rows) if row["id"] == after), 0)
        more = start + PAGE < len(rows)
        return {"object": "list", "data": rows[start : start + PAGE], "has_more": more}

    def _look(self, job: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
        job["looked"] += 1
        if job["status"] in ("validating", "in_progress"):
            job["status"] = "in_progress" if job["looked"] <= self.looks else self.end
            if job["status"] == "failed":
                job["errors"] = {"data": [{"message": "scripted failure"}]}
            elif job["status"] != "in_progress":
                self._work(job, headers)
        return job

    def _work(self, job: dict[str, Any], headers: dict[str, str]) -> None:
        good, bad = [], []
        for n, line in enumerate(self.files[job["input_file_id"]].decode().splitlines()):
            asked = json.loads(line)
            row: dict[str, Any] = {
                "id": f"r{n}",
                "custom_id": asked["custom_id"],
                "response": None,
                "error": None,
            }
            if self.answers is not None and n >= self.answers:
                row["error"] = {
                    "code": "batch_expired",
                    "message": "not asked in time",
                }
                bad.append(row)
                continue
            raw = line.partition('"body":')[2][:-1]
            reply = self.take(asked["url"], headers, raw)
            self.done()
            body = json.loads(reply_body(asked["url"], raw, reply))
            row["response"] = {"status_code": reply.status, "request_id": f"q{n}", "body": body}
            (good if reply.status == 200 else bad).append(row)
        for key, rows in (("output_file_id", good), ("error_file_id", bad)):
            if rows:
                job[key] = f"file-{key}-{job['id']}"
                self.files[job[key]] = "\n".join(map(json.dumps, rows)).encode()
