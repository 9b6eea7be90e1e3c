"""A vendor's server: what it answers, and how it says that it does not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from typing import Any

import httpx2

from agents.providers.common import request_error, status_error, timeout_error
from agents.providers.transport import Connections, Reply, is_ok
from schemas.errors import ProviderError


class Server:
    """Where a section asks, with its key. `timeout_s` holds for what is sent without a limit of its own."""

    def __init__(self, key: str, base_url: str, timeout_s: float) -> None:
        self.key, self.base_url = key, base_url
        self._timeout_s = timeout_s
        self.connections = Connections()

    async def answered(self, reply: Coroutine[Any, Any, Reply], timeout_s: float | None = None) -> Reply:
        """A reply with a status of success (`timeout_s` None: as the section says).

        Raises:
            ProviderError: refused, unreachable, or too slow.
        """
        limit_s = timeout_s or self._timeout_s
        try:
            async with asyncio.timeout(limit_s):
                came = await reply
        except TimeoutError:
            raise timeout_error(limit_s) from None
        except httpx2.RequestError as error:
            raise request_error(error, self.key) from None
        if not is_ok(came.status):
            raise self.refused(came)
        return came

    def refused(self, reply: Reply) -> ProviderError:
        """The error of a reply with another status, also of one that stands in the results of a batch."""
        try:
            body = json.loads(reply.body)
        except (ValueError, RecursionError):
            body = reply.body.decode().strip()
        error = body.get("error", body) if isinstance(body, dict) else body
        message = error.get("message") if isinstance(error, dict) else error
        return status_error(reply.status, str(message or ""), reply.headers, self.key, body=error)

    async def close(self) -> None:
        await self.connections.close()
