"""Start the review page: a bound socket, an access token, and the server that lives in `review_ui`."""

from __future__ import annotations

import importlib
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from schemas.errors import UserError

REVIEW_APP = "review_ui.app:create_app"  # by name: nothing imports review_ui


@contextmanager
def bind(host: str, port: int) -> Iterator[socket.socket]:
    """A listening socket, bound before the address is told to anybody.

    Raises:
        UserError: the port is taken or the address cannot be bound.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            raise UserError(
                "port_taken",
                f"cannot listen on {host}:{port}: {error.strerror}",
                "give another --port, or 0 for any",
            ) from error
        listener.listen()  # who opens the address at once waits for the page instead of being refused
        yield listener


def review_url(listener: socket.socket, name: str) -> tuple[str, str]:
    """(access token, address to open) of a page about to be served under a host name."""
    token = secrets.token_urlsafe(24)
    return token, f"http://{name}:{listener.getsockname()[1]}/?token={token}"


def serve(project_dir: Path, listener: socket.socket, token: str) -> None:
    """Serve until interrupted."""
    import uvicorn

    module, _, name = REVIEW_APP.partition(":")
    create_app = getattr(importlib.import_module(module), name)
    config = uvicorn.Config(create_app(project_dir, token=token), log_level="warning", access_log=False)
    uvicorn.Server(config).run(sockets=[listener])
