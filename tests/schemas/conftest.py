"""A store on SQLite, and on a real PostgreSQL when Debian's is installed."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.store import Store

POSTGRES_DIRS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL prefix of a throw-away PostgreSQL server that listens on a Unix socket only."""
    pytest.importorskip("psycopg", reason="psycopg is not installed (extra postgres)")
    if not POSTGRES_DIRS:
        pytest.skip("PostgreSQL is not installed (Debian package postgresql)")
    folder = tmp_path_factory.mktemp("postgres")
    # The server refuses to run as root; Debian's package makes the user postgres.
    as_user = (
        ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.getuid() == 0 else []
    )
    if as_user:
        shutil.chown(folder, "postgres", "postgres")
        for parent in folder.parents:
            if parent.owner() == "root" and parent != Path("/") and not parent.stat().st_mode & 0o001:
                parent.chmod(parent.stat().st_mode | 0o011)

    def run(program: str, *arguments: str) -> None:
        command = [*as_user, str(POSTGRES_DIRS[0] / program), *arguments]
        # In a session of its own: a signal to the group of the tests is not for the server.
        subprocess.run(command, check=True, capture_output=True, cwd=folder, start_new_session=True)

    data = str(folder / "data")
    run("initdb", "-D", data, "-U", "emotrace", "-A", "trust")
    run(
        "pg_ctl",
        "-D",
        data,
        "-w",
        "-l",
        f"{folder}/log",
        "-o",
        f"-k {folder} -c listen_addresses=''",
        "start",
    )
    try:
        yield f"postgresql+psycopg://emotrace@/{{name}}?host={folder}"
    finally:
        stop = [*as_user, str(POSTGRES_DIRS[0] / "pg_ctl"), "-D", data, "-m", "immediate", "stop"]
        subprocess.run(stop, check=False, capture_output=True, cwd=folder)  # it is thrown away either way


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a new, empty store may be opened."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'a' / 'emotrace.db'}"
    import psycopg

    server: str = request.getfixturevalue("postgres")
    name = f"t{secrets.token_hex(6)}"
    host = server.partition("host=")[2]
    with psycopg.connect(f"host={host} user=emotrace dbname=postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return server.format(name=name)


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = Store.open(url)
    yield opened
    opened.close()
