"""Batches as OpenAI has them: a file of requests, a job over it, a file of answers and one of errors.

Reference: https://platform.openai.com/docs/guides/batch and https://platform.openai.com/docs/api-reference/batch
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
from pydantic_core import to_json

from agents.calls.batching import JobLook
from agents.protocol import MediaLoader, Request, Response
from agents.providers.file_batches import LISTED, TRANSFER_S, FileBatches
from agents.providers.openai_base import OpenAIBase
from agents.providers.openai_client import written
from agents.providers.transport import Reply, is_ok
from schemas.errors import ProviderError

OVER = frozenset({"completed", "failed", "expired", "cancelled"})
TOKEN = "emotrace_token"  # the name under which a job's own token stands in its metadata


class OpenAIBatches(FileBatches):
    """Lines are the bodies of a live provider, and it reads their answers."""

    most_requests = 50_000
    most_bytes = 200_000_000
    key_field = "custom_id"

    def __init__(self, live: OpenAIBase[Any]) -> None:
        super().__init__(live.client, live.client.headers)
        self._live, self._client = live, live.client
        # As OpenAI names it in the lines, whatever the address of the server: "/v1/responses".
        self._endpoint = f"/v1{live.path}"

    def line(self, key: str, request: Request, load: MediaLoader) -> bytes:
        body = written(lambda media: self._live.body(request, media), load)
        frame = to_json({"custom_id": key, "method": "POST", "url": self._endpoint})
        return frame[:-1] + b',"body":' + body + b"}"

    async def upload(self, token: str, lines: Path) -> str:
        with lines.open("rb") as file:
            form = aiohttp.FormData()
            form.add_field("purpose", "batch")
            form.add_field("file", file, filename=_file_name(token), content_type="application/jsonl")
            headers = [pair for pair in self.headers if pair[0].lower() != "content-type"]
            sent = self._client.connections.upload(self.url("/files"), headers, form)
            reply = await self._client.answered(sent, TRANSFER_S)
        return self.read(reply.body, lambda data: str(data["id"]))

    async def create(self, token: str, file_id: str, model: str) -> str:  # noqa: ARG002 - each line names it
        job = {
            "input_file_id": file_id,
            "endpoint": self._endpoint,
            "completion_window": "24h",
            "metadata": {TOKEN: token},
        }
        return await self.told("POST", "/batches", lambda data: str(data["id"]), job)

    async def find(self, token: str) -> str | None:
        return await self._listed("/batches?", lambda job: (job.get("metadata") or {}).get(TOKEN) == token)

    async def uploaded(self, token: str) -> str | None:
        return await self._listed(
            "/files?purpose=batch&", lambda row: row.get("filename") == _file_name(token)
        )

    async def _listed(self, path: str, is_it: Callable[[dict[str, Any]], bool]) -> str | None:
        """The id of the first in a list that is it."""
        after = ""
        while True:
            page = await self.told("GET", f"{path}limit={LISTED}{after}", dict)
            rows = page.get("data") or []
            for row in rows:
                if is_it(row):
                    return str(row["id"])
            before, after = after, f"&after={quote(str(rows[-1]['id']))}" if rows else ""
            # Some servers know of no pages: the same one comes again, and always has more.
            if not page.get("has_more") or after in ("", before):
                return None

    async def look(self, job: str) -> JobLook:
        return await self.told("GET", f"/batches/{quote(job, safe='')}", _look)

    async def close(self) -> None:
        await self._live.close()

    def result_path(self, file_id: str) -> str:
        return f"/files/{quote(file_id, safe='')}/content"

    def kept_path(self, name: str) -> str:
        return f"/files/{quote(name, safe='')}"

    def end(self, row: dict[str, Any], line: bytes) -> Response:
        reply, error = row.get("response"), row.get("error")
        # Lines without an answer and without an error have a status of 0 (seen in
        # https://github.com/tidyverse/ellmer/issues/830): nothing is known but that it may be asked again.
        if reply is None or not reply["status_code"]:
            code = str((error or {}).get("code") or "batch_error")
            raise ProviderError(code, str((error or {}).get("message") or code), transient=True)
        body = reply["body"]
        if not is_ok(int(reply["status_code"])):
            raise self._client.refused(Reply(int(reply["status_code"]), {}, to_json(body)))
        return self._client.read(lambda: body, line, self._live.paid, self._live.response)


def _file_name(token: str) -> str:
    return f"{token}.jsonl"


def _look(data: dict[str, Any]) -> JobLook:
    status = str(data["status"])
    files = tuple(str(name) for key in ("output_file_id", "error_file_id") if (name := data.get(key)))
    errors = (data.get("errors") or {}).get("data") or []
    said = "; ".join(str(error.get("message")) for error in errors[:3])
    reason = "" if status == "completed" else f"{status}: {said}" if said else status
    inputs = (str(data["input_file_id"]),) if data.get("input_file_id") else ()
    return JobLook(status in OVER, reason if status in OVER else "", files, inputs)
