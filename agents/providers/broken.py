"""A connection that could not be made, or that broke, in words for people."""

from __future__ import annotations

import os

import aiohttp


def in_words(error: aiohttp.ClientError | OSError) -> str:
    """What happened, and where; the library's own words only where nothing better is known."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"no address is known of {error.host}"
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
        return f"no trusted connection to {error.host}:{error.port}: {error}"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"cannot connect to {error.host}:{error.port}{_because(error.os_error)}"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "the server ended the connection without an answer"
    if isinstance(error, OSError) and error.errno is not None:
        return f"the connection broke{_because(error)}"
    return f"the connection broke: {type(error).__name__}: {error}"


def _because(error: OSError) -> str:
    """The system's word for it; of several tries at once it has none."""
    return f" ({os.strerror(error.errno).lower()})" if error.errno is not None else ""
