"""Many questions at once through the engine: how near to the limit, and CPU against the client of openai.

A server in a process of its own answers each question after a set time, so that no client can do more than
concurrency / latency calls a second. Both send the same question: text, answer schema, and a picture of 300 KB.
`python -m benchmarks.fanout serve` is that server.
"""

from __future__ import annotations

import asyncio
import base64
import json
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import openai

from agents.calls.call import Job, Outcome
from agents.calls.engine import SystemClock, ask_all
from agents.protocol import Provider, TextPart
from agents.providers import PROVIDERS
from agents.questions.prompting import annotation_request
from benchmarks.paired import cpu_s, emit
from pipeline.ledger import Ledger
from schemas.parts import KeyFrame, MediaRef, Target, Word
from schemas.records import Sample
from schemas.registry import resolve
from schemas.settings_models import AnnotatorSection, BudgetSection
from schemas.store import Store
from schemas.taxonomy import load_taxonomy

RUNS = 5
PICTURE_BYTES = 300_000
LEAST_OF_LIMIT = 0.9
HIGHEST_CPU_RATIO = 0.5
ANSWER = json.dumps(
    {
        "model": "m-1",
        "choices": [{"message": {"role": "assistant", "content": "{}" * 300}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 900, "completion_tokens": 300},
    }
).encode()


class Setting(NamedTuple):
    concurrency: int
    latency_s: float
    questions: int

    @property
    def limit_per_s(self) -> float:
        return self.concurrency / self.latency_s


SETTINGS = (Setting(64, 0.2, 64 * 12), Setting(256, 2.0, 256 * 4))


class Run(NamedTuple):
    """Share of the limit that was reached, and CPU of the client in milliseconds a call."""

    share: float
    cpu_ms: float


def main(*arguments: str) -> None:
    if arguments[:1] == ("serve",):
        asyncio.run(serve(float(arguments[1])))
        return
    runs = int(arguments[0]) if arguments else RUNS
    picture = random.Random(7).randbytes(PICTURE_BYTES)
    for setting in SETTINGS:
        with tempfile.TemporaryDirectory() as folder, Server(setting.latency_s) as server:
            bench = Bench(setting, server, picture, Path(folder))
            bench.report(runs)


class Bench:
    """Both ways of asking, in turn, at one setting."""

    def __init__(self, setting: Setting, server: Server, picture: bytes, folder: Path) -> None:
        self.setting, self.server, self.picture = setting, server, picture
        self.store = Store.open(f"sqlite:///{folder / 'emotrace.db'}")
        self.section = AnnotatorSection(
            name="a",
            provider="openai_compatible",
            model="m",
            base_url=server.url,
            concurrency=setting.concurrency,
            key_frames=1,
        )
        self.taxonomy = load_taxonomy("ekman7")
        self.asked = 0

    def report(self, runs: int) -> None:
        self.ours(), self.default()  # imports and caches are not measured
        pairs = [(self.ours(), self.default()) for _ in range(runs)]
        self.store.close()
        name = f"fanout_{self.setting.concurrency}x{self.setting.latency_s:g}s"
        for which, found in (("engine", [a for a, _ in pairs]), ("openai", [b for _, b in pairs])):
            shares = ", ".join(f"{run.share:.3f}" for run in found)
            costs = ", ".join(f"{run.cpu_ms:.2f}" for run in found)
            print(f"{name} {which}: of the limit {shares}; CPU ms a call {costs}")
        share = statistics.median(a.share for a, _ in pairs)
        ratio = statistics.median(a.cpu_ms / b.cpu_ms for a, b in pairs)
        ours_ms = statistics.median(a.cpu_ms for a, _ in pairs)
        emit(f"{name}_cpu", ours_ms, "CPU ms", ratio, HIGHEST_CPU_RATIO, ratio <= HIGHEST_CPU_RATIO, runs)
        emit(name, share, "of the limit", share, LEAST_OF_LIMIT, share >= LEAST_OF_LIMIT, runs)

    def ours(self) -> Run:
        return self.measured(lambda: asyncio.run(self.ask_all()))

    def default(self) -> Run:
        return self.measured(lambda: asyncio.run(self.ask_by_default()))

    def measured(self, job: Callable[[], object]) -> Run:
        """Raises AssertionError when the server did not get each question once."""
        before, cpu, wall = self.server.count(), cpu_s(), time.perf_counter()
        job()
        wall, cpu = time.perf_counter() - wall, cpu_s() - cpu
        assert self.server.count() - before == self.setting.questions
        return Run(
            self.setting.questions / wall / self.setting.limit_per_s, 1000 * cpu / self.setting.questions
        )

    def samples(self) -> Iterator[Sample]:
        frame = MediaRef(kind="image", source_id="src_1", source_start_s=0.5, source_end_s=0.5)
        for _ in range(self.setting.questions):
            self.asked += 1
            yield Sample(
                segment_id=f"seg_{self.asked}",
                target=Target(),
                feature_digests=(),
                baseline_ids=(),
                view_version="1",
                duration_s=2.0,
                words=(Word(start_s=0.1, end_s=0.5, text=f"word{self.asked}"),),
                key_frames=(KeyFrame(time_s=0.5, ref=frame, reason="middle"),),
            )

    def load(self, _: MediaRef) -> bytes:
        return self.picture

    async def ask_all(self) -> None:
        provider: Provider = resolve(PROVIDERS, self.section.provider, what="provider")(self.section)
        unanswered = 0

        def see(_: int, outcome: Outcome) -> None:
            nonlocal unanswered
            unanswered += outcome.response is None

        try:
            await ask_all(
                (
                    (n, Job(annotation_request(sample, self.taxonomy, self.section), provider, self.section))
                    for n, sample in enumerate(self.samples())
                ),
                journal=Ledger(self.store, BudgetSection()),
                clock=SystemClock(),
                load=self.load,
                on_outcome=see,
            )
        finally:
            await provider.close()
        assert not unanswered

    async def ask_by_default(self) -> None:
        """The same questions by openai's client as it comes, as its documentation shows it."""
        client = openai.AsyncOpenAI(api_key="none", base_url=self.server.url, max_retries=0)
        slots = asyncio.Semaphore(self.setting.concurrency)

        async def ask(sample: Sample) -> None:
            request = annotation_request(sample, self.taxonomy, self.section)
            async with slots:
                url = f"data:image/jpeg;base64,{base64.b64encode(self.picture).decode('ascii')}"
                content: list[Any] = [
                    {"type": "text", "text": part.text}
                    if isinstance(part, TextPart)
                    else {"type": "image_url", "image_url": {"url": url}}
                    for part in request.parts
                ]
                schema: Any = {"name": "annotate", "strict": True, "schema": request.answer_schema}
                answer = await client.chat.completions.create(
                    model="m",
                    messages=[
                        {"role": "system", "content": request.system},
                        {"role": "user", "content": content},
                    ],
                    response_format={"type": "json_schema", "json_schema": schema},
                )
                assert answer.choices[0].message.content

        async with client:
            await asyncio.gather(*(ask(sample) for sample in self.samples()))


class Server:
    """The server as a process; it counts what it is asked and is ended with the block."""

    def __init__(self, latency_s: float) -> None:
        self.latency_s = latency_s

    def __enter__(self) -> Server:
        command = [sys.executable, "-m", "benchmarks.fanout", "serve", str(self.latency_s)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def count(self) -> int:
        """Questions answered so far."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/count") as answer:
            return int(answer.read())


class Answering(asyncio.BufferedProtocol):
    """One connection: a question is passed over unread and answered after a while; /count tells how many."""

    answered = 0

    def __init__(self, latency_s: float) -> None:
        self.latency_s, self.buffer, self.head, self.missing = latency_s, bytearray(1 << 18), b"", 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def get_buffer(self, _: int) -> bytearray:
        return self.buffer

    def buffer_updated(self, size: int) -> None:
        if self.missing:
            self.missing -= size
        else:
            self.head += self.buffer[:size]
            head, ended, body = self.head.partition(b"\r\n\r\n")
            if not ended:
                return
            length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
            self.missing = (int(length[1]) if length else 0) - len(body)
        if self.missing == 0:
            counting, self.head = self.head.startswith(b"GET /count"), b""
            asyncio.get_running_loop().call_later(0 if counting else self.latency_s, self.answer, counting)

    def answer(self, counting: bool) -> None:
        body = str(Answering.answered).encode() if counting else ANSWER
        Answering.answered += not counting
        head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        self.transport.write(head.encode() + body)


async def serve(latency_s: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Answering(latency_s), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
