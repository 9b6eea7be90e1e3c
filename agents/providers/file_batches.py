"""What vendors' batches have in common that are files: lines go up, a job works on them, results come down."""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar, TypeVar
from urllib.parse import urlsplit

from pydantic_core import to_json
from yarl import URL

from agents.calls.batching import JobLook
from agents.protocol import Response
from agents.providers.common import NOT_OF_THE_PROTOCOL, bad_reply
from agents.providers.lines import lines_of
from agents.providers.server import Server
from agents.providers.transport import Headers
from schemas.errors import ProviderError

T = TypeVar("T")
TRANSFER_S = 3600.0  # for a file of a job
LISTED = 100  # jobs on a page


class FileBatches(ABC):
    """Sends what the vendors' APIs want; the subclass knows their paths and how their lines are written."""

    key_field: ClassVar[str]  # where a line of results names its question
    gone_statuses = frozenset({"404"})

    def __init__(self, server: Server, headers: Headers) -> None:
        self.server, self.headers = server, headers

    @abstractmethod
    def result_path(self, file_id: str) -> str:
        """Where a file of results is read."""

    @abstractmethod
    def kept_path(self, name: str) -> str:
        """Where something is deleted that the vendor keeps of a job."""

    @abstractmethod
    def end(self, row: dict[str, Any], line: bytes) -> Response:
        """The answer in a line of results.

        Raises:
            ProviderError: the one that a live question would have got, or code "batch_..." where none was asked.
        """

    async def results(
        self, file_id: str, folder: Path
    ) -> AsyncIterator[tuple[str, Response | ProviderError]]:
        path = folder / "results.jsonl"
        sent = self.server.connections.download(self.url(self.result_path(file_id)), self.headers, path)
        await self.server.answered(sent, TRANSFER_S)
        async for line in lines_of(path):
            yield await asyncio.to_thread(self._end, line)

    async def forget(self, look: JobLook) -> None:
        for name in (*look.inputs, *look.files):
            with suppress(ProviderError):  # the vendor deletes it by itself, only later
                await self.told("DELETE", self.kept_path(name), dict)

    def _end(self, line: bytes) -> tuple[str, Response | ProviderError]:
        """Call key and end of a line; the key is "" where it names no question, which is then not answered."""
        key = ""
        try:
            row = json.loads(line)
            key = str(row[self.key_field])
            return key, self.end(row, line)
        except ProviderError as wrong:
            return key, wrong
        except NOT_OF_THE_PROTOCOL as wrong:
            return key, bad_reply(f"not a line of results ({type(wrong).__name__})", self.server.key)

    def url(self, path: str) -> URL:
        base = urlsplit(self.server.base_url)
        return URL(base._replace(path=base.path.rstrip("/")).geturl() + path, encoded=True)

    async def told(
        self, method: str, path: str, read: Callable[[dict[str, Any]], T], body: dict[str, Any] | None = None
    ) -> T:
        """What `read` makes of a reply; raises ProviderError."""
        content = b"" if body is None else to_json(body)
        sent = self.server.connections.send(method, self.url(path), self.headers, content)
        return self.read((await self.server.answered(sent)).body, read)

    def read(self, body: bytes, read: Callable[[dict[str, Any]], T]) -> T:
        """The same of a reply that has come."""
        try:
            return read(json.loads(body))
        except NOT_OF_THE_PROTOCOL as error:
            problem = f"not a reply of the batch protocol ({type(error).__name__})"
            raise bad_reply(problem, self.server.key) from None
