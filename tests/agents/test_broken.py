"""Broken connections in words: what a person reads when a server is away."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

import aiohttp
import pytest

from agents.providers.broken import in_words

Peer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def asked(url: str) -> str:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientError) as caught:
            await session.get(url)
    return in_words(caught.value)


async def asked_of(peer: Peer, scheme: str = "http") -> str:
    server = await asyncio.start_server(peer, "127.0.0.1", 0)
    async with server:
        return await asked(f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}/")


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    writer.close()


def test_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but nobody listens
        port = taken.getsockname()[1]
        told = asyncio.run(asked(f"http://127.0.0.1:{port}/"))
    assert told == f"cannot connect to 127.0.0.1:{port} (connection refused)"


def test_a_server_that_hangs_up() -> None:
    assert asyncio.run(asked_of(hang_up)) == "the server ended the connection without an answer"


def test_a_server_without_encryption() -> None:
    told = asyncio.run(asked_of(hang_up, "https"))
    assert "127.0.0.1" in told
    assert "ssl:default" not in told.partition(": ")[0]


def test_a_name_that_nobody_knows() -> None:
    assert asyncio.run(asked("http://no-such-host.invalid/")) == "no address is known of no-such-host.invalid"


def test_what_the_system_says_of_a_broken_pipe() -> None:
    assert in_words(BrokenPipeError(32, "Broken pipe")) == "the connection broke (broken pipe)"
    assert in_words(aiohttp.ClientPayloadError("cut")) == "the connection broke: ClientPayloadError: cut"
