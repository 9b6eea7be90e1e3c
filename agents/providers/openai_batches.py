"""Batches as OpenAI has them: a file of requests, a job over it, a file of answers and one of errors.

Reference: https://platform.openai.com/docs/guides/batch and https://platform.openai.com/docs/api-reference/batch
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import aiohttp
from pydantic_core import to_json
from yarl import URL

from agents.batching import JobLook
from agents.protocol import MediaLoader, Request, Response
from agents.providers.common import bad_reply
from agents.providers.lines import lines_of
from agents.providers.openai_base import OpenAIBase
from agents.providers.openai_client import NOT_OF_THE_PROTOCOL, written
from agents.providers.transport import Reply
from schemas.errors import ProviderError

T = TypeVar("T")
OVER = frozenset({"completed", "failed", "expired", "cancelled"})
LISTED = 100  # jobs on a page
TRANSFER_S = 3600.0  # for a file of up to 200 MB
TOKEN = "emotrace_token"  # the name under which a job's own token stands in its metadata


class OpenAIBatches:
    """Lines are the bodies of a live provider, and it reads their answers."""

    most_requests = 50_000
    most_bytes = 200_000_000

    def __init__(self, live: OpenAIBase[Any]) -> None:
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
            form.add_field("file", file, filename=f"{token}.jsonl", content_type="application/jsonl")
            headers = [pair for pair in self._client.headers if pair[0].lower() != "content-type"]
            sent = self._client.connections.upload(self._url("/files"), headers, form)
            return await self._told(sent, lambda data: str(data["id"]), TRANSFER_S)

    async def create(self, token: str, file_id: str, model: str) -> str:  # noqa: ARG002 - each line names it
        job = {
            "input_file_id": file_id,
            "endpoint": self._endpoint,
            "completion_window": "24h",
            "metadata": {TOKEN: token},
        }
        return await self._told(self._send("POST", "/batches", job), lambda data: str(data["id"]))

    async def find(self, token: str) -> str | None:
        after = ""
        while True:
            page = await self._told(self._send("GET", f"/batches?limit={LISTED}{after}"), dict)
            jobs = page.get("data") or []
            for job in jobs:
                if (job.get("metadata") or {}).get(TOKEN) == token:
                    return str(job["id"])
            if not page.get("has_more") or not jobs:
                return None
            after = f"&after={quote(str(jobs[-1]['id']))}"

    async def look(self, job: str) -> JobLook:
        return await self._told(self._send("GET", f"/batches/{quote(job, safe='')}"), _look)

    async def results(
        self, file_id: str, folder: Path
    ) -> AsyncIterator[tuple[str, Response | ProviderError]]:
        path = folder / "results.jsonl"
        url = self._url(f"/files/{quote(file_id, safe='')}/content")
        sent = self._client.connections.download(url, self._client.headers, path)
        await self._client.answered(sent, TRANSFER_S)
        async for line in lines_of(path):
            yield await asyncio.to_thread(self._end, line)

    async def forget(self, look: JobLook) -> None:
        for file_id in (*look.inputs, *look.files):
            await self._told(self._send("DELETE", f"/files/{quote(file_id, safe='')}"), dict)

    async def close(self) -> None:
        await self._live.close()

    def _end(self, line: bytes) -> tuple[str, Response | ProviderError]:
        """What became of one line: as the answer or the error of the same question would be read live.

        Raises:
            ProviderError: the line names no question.
        """
        try:
            row = json.loads(line)
            key, reply, error = str(row["custom_id"]), row.get("response"), row.get("error")
        except NOT_OF_THE_PROTOCOL as wrong:
            raise bad_reply(f"not a line of results ({type(wrong).__name__})", self._client.key) from None
        try:
            if reply is None:
                code = str((error or {}).get("code") or "batch_error")
                return key, ProviderError(code, str((error or {}).get("message") or code), transient=True)
            body = reply["body"]
            if reply["status_code"] != 200:
                return key, self._client.refused(Reply(int(reply["status_code"]), {}, to_json(body)))
            return key, self._client.read(lambda: body, line, self._live.paid, self._live.response)
        except ProviderError as wrong:
            return key, wrong
        except NOT_OF_THE_PROTOCOL as wrong:
            return key, bad_reply(f"not a line of results ({type(wrong).__name__})", self._client.key)

    def _url(self, path: str) -> URL:
        base = urlsplit(self._client.base_url)
        return URL(base._replace(path=base.path.rstrip("/")).geturl() + path, encoded=True)

    def _send(self, method: str, path: str, body: dict[str, Any] | None = None) -> Coroutine[Any, Any, Reply]:
        content = b"" if body is None else to_json(body)
        return self._client.connections.send(method, self._url(path), self._client.headers, content)

    async def _told(
        self,
        sent: Coroutine[Any, Any, Reply],
        read: Callable[[dict[str, Any]], T],
        timeout_s: float | None = None,
    ) -> T:
        """What `read` makes of a reply; raises ProviderError."""
        reply = await self._client.answered(sent, timeout_s)
        try:
            return read(json.loads(reply.body))
        except NOT_OF_THE_PROTOCOL as error:
            problem = f"not a reply of the batch protocol ({type(error).__name__})"
            raise bad_reply(problem, self._client.key) from None


def _look(data: dict[str, Any]) -> JobLook:
    status = str(data["status"])
    files = tuple(str(name) for key in ("output_file_id", "error_file_id") if (name := data.get(key)))
    errors = (data.get("errors") or {}).get("data") or []
    said = "; ".join(str(error.get("message")) for error in errors[:3])
    reason = "" if status == "completed" else f"{status}: {said}" if said else status
    inputs = (str(data["input_file_id"]),) if data.get("input_file_id") else ()
    return JobLook(status in OVER, reason if status in OVER else "", files, inputs)
