"""Prefect at the edge: the engine of `emotrace run`. The only file that imports prefect.

One flow, one named task per stage over shards. Prefect gives the page, schedules and distribution; our own
keys give idempotency, so its caches and result stores are off.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

# Read by Prefect when it is imported: no telemetry, no chatter on the terminal, no hosted anything.
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("DO_NOT_TRACK", "1")
# The default of 20 s is too short on a busy machine.
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "180")
os.environ.setdefault("PREFECT_LOGGING_LEVEL", "ERROR")
# Errors stand in its page; the terminal is told once, by the command line.
os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
os.environ.setdefault("PREFECT_LOGGING_SERVER_LEVEL", "CRITICAL")

import httpx
from prefect import State, Task, flow
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.futures import wait
from prefect.server.api.server import SubprocessASGIServer
from prefect.settings import PREFECT_API_URL
from prefect.states import Completed
from prefect.task_runners import ThreadPoolTaskRunner

from pipeline.outputs import StageCounts
from pipeline.run import SIGNAL_POLL_S, Engine, Execute, Work
from pipeline.stages.base import Stopped
from schemas.errors import UserError


def prefect_engine(project_name: str, *, workers: int = 1) -> Engine:
    """Runs the stages inside one flow run named after the project; each shard is one task run.

    The ephemeral server is used unless `PREFECT_API_URL` names a real one.
    """

    def engine(body: Callable[[Execute], None]) -> None:
        @flow(
            name="emotrace",
            flow_run_name=project_name,
            task_runner=ThreadPoolTaskRunner(max_workers=workers),  # type: ignore[arg-type]
            validate_parameters=False,
            persist_result=False,
        )
        def emotrace_flow() -> None:
            body(_execute)

        _start_server()
        try:
            emotrace_flow()
        except httpx.TransportError as error:  # of Prefect's client: a provider's errors never come this far
            raise _unreachable(error) from error

    return engine


def _execute(stage: str, shards: list[list[Any]], work: Work) -> None:
    """One task run per shard. Shards stay in this process: Prefect is given their numbers only.

    A task run's end tells on Prefect's page how many items it worked on, how many failed, and how fast.

    Raises:
        Stopped: the run was interrupted; Prefect is not told by an exception, which it would retry to report.
    """
    stopped = threading.Event()

    def run_shard(shard: int) -> State[None]:
        try:
            return _told(work(shards[shard - 1]))
        except Stopped:
            stopped.set()
            return Completed(name="Stopped")

    task: Task[[int], State[None]] = Task(
        run_shard,
        name=stage,
        task_run_name=f"{stage} {{shard}} of {len(shards)}",
        cache_policy=NO_CACHE,
        persist_result=False,
    )
    futures = [task.submit(number) for number in range(1, len(shards) + 1)]
    while wait(futures, SIGNAL_POLL_S).not_done:
        pass
    for future in futures:
        future.result()
    if stopped.is_set():
        raise Stopped


def _told(counts: StageCounts | None) -> State[None]:
    if counts is None:
        return Completed(name="Stopped")
    per_s = counts.rated().items_per_s
    rate = f", {per_s:.3g}/s" if per_s else ""
    message = f"{counts.items} items, {counts.failed} failed{rate}"
    return Completed(name="Some failed" if counts.failed else "Completed", message=message)


def _start_server() -> None:
    """Start the ephemeral server before the flow does, deaf to Ctrl-C.

    A terminal sends Ctrl-C to every process of the group. The server must live until the run has ended in
    order; a child inherits the signals that are blocked where it is started.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with get_client(sync_client=True) as client:
            problem = client.api_healthcheck()
        if problem is not None:
            raise _unreachable(problem)
        _end_server_with_us()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _unreachable(error: Exception) -> UserError:
    address = PREFECT_API_URL.value() or "its own server"
    return UserError(
        "prefect_unreachable",
        f"Prefect does not answer at {address}: {type(error).__name__}; what is done is kept",
        "start that server, or unset PREFECT_API_URL, or run without Prefect: emotrace run --local",
    )


def _end_server_with_us() -> None:
    """A run that is killed must not leave its ephemeral server behind.

    A small process waits for our end of a pipe to close, which the system does however we end, and then ends
    the server.
    """
    server = SubprocessASGIServer().server_process
    if server is None:  # a real server, which is not ours to end
        return
    reading, _writing = os.pipe()
    wait_and_end = "import os, signal, sys; sys.stdin.read(); os.kill(int(sys.argv[1]), signal.SIGTERM)"
    arguments = [sys.executable, "-c", wait_and_end, str(server.pid)]
    quiet = os.open(os.devnull, os.O_WRONLY)
    actions = [
        (os.POSIX_SPAWN_DUP2, reading, 0),
        (os.POSIX_SPAWN_DUP2, quiet, 1),
        (os.POSIX_SPAWN_DUP2, quiet, 2),
    ]
    os.posix_spawn(sys.executable, arguments, os.environ, file_actions=actions, setsid=True)
    os.close(reading)
    os.close(quiet)
