"""The HTTP client that the vendors' libraries send with: no redirects, nothing taken from the environment.

A redirect would carry the key and somebody's recording to whoever a server names, and a proxy that is set for
other programs would see both. What is honoured of the environment is `SSL_CERT_FILE` and `SSL_CERT_DIR`: the
certificates that are trusted in place of the system's.
"""

from __future__ import annotations

import httpx2


def http_client(timeout_s: float) -> httpx2.AsyncClient:
    """A client for one event loop; whoever makes it closes it."""
    return httpx2.AsyncClient(
        timeout=timeout_s,
        follow_redirects=False,
        trust_env=False,
        verify=httpx2.create_ssl_context(trust_env=True),
        limits=httpx2.Limits(max_connections=None, max_keepalive_connections=None),
    )
