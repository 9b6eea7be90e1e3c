"""`python -m review_ui --project DIR`: the review server alone, on this machine only."""

from __future__ import annotations

import argparse
import secrets
import sys
from pathlib import Path

import uvicorn

from review_ui.app import create_app
from schemas.errors import UserError

HOST = "127.0.0.1"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m review_ui", description=__doc__)
    parser.add_argument("--project", type=Path, default=Path(), help="folder that holds emotrace.toml")
    parser.add_argument("--port", type=int, default=8765, help="0 takes a free one")
    parser.add_argument("--token", default="", help="a secret for the address; made up when left out")
    parser.add_argument("--reviewer", default=None, help="the name that the start page proposes")
    args = parser.parse_args()
    token = args.token or secrets.token_urlsafe(32)
    try:
        app = create_app(args.project, token=token, reviewer=args.reviewer)
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    config = uvicorn.Config(app, host=HOST, port=args.port, log_level="warning", access_log=False)
    listening = config.bind_socket()  # bound before the address is printed, so that port 0 can be told
    listening.listen()  # who opens the address at once waits for the page instead of being refused
    sys.stdout.write(f"http://{HOST}:{listening.getsockname()[1]}/?token={token}\n")
    sys.stdout.flush()
    uvicorn.Server(config).run(sockets=[listening])
    return 0


if __name__ == "__main__":
    sys.exit(main())
