"""A file of many lines, read one at a time: it may be larger than memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path


async def lines_of(path: Path) -> AsyncIterator[bytes]:
    """The lines that hold something, without their ends; the file is gone when all are read."""
    try:
        with path.open("rb") as file:
            while line := await asyncio.to_thread(file.readline):
                if line.strip():
                    yield line.rstrip(b"\r\n")
    finally:
        path.unlink(missing_ok=True)
