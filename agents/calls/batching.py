"""Vendors' batches: many questions in one job, answered within a day for less.

A question of a batch is the live question: the same body, the same call key, and its answer is read by the same
code. Only how it travels differs.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple, Protocol

from agents.calls.held_media import HeldMedia
from agents.protocol import MediaLoader, Request, Response
from agents.providers import PROVIDERS
from agents.servers import asks_the_vendor
from schemas.errors import ProviderError, UserError
from schemas.registry import resolve
from schemas.settings_models import ModelSection

# Provider -> whose batches take its questions.
BATCHES: dict[str, str] = {
    "gemini": "agents.providers.gemini_batches:GeminiBatches",
    "openai": "agents.providers.openai_batches:OpenAIBatches",
    "openai_compatible": "agents.providers.openai_batches:OpenAIBatches",
}
# Codes of lines that a job came to its end without asking.
NOT_ASKED = frozenset({"batch_expired", "batch_cancelled"})


class JobLook(NamedTuple):
    """A job as its vendor tells it. `over`: nothing more comes; `reason`: why not all of it was answered.

    `files` hold the results that there are; they and `inputs`, what else the vendor keeps of the job, can be
    deleted once these are kept here.
    """

    over: bool
    reason: str = ""
    files: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()


class BatchProvider(Protocol):
    """One file per vendor's batches. `most_requests` and `most_bytes` are the limits of one job, `gone_statuses`
    say of a file of results that it is there no more.
    """

    most_requests: int
    most_bytes: int
    gone_statuses: frozenset[str]

    def line(self, key: str, request: Request, load: MediaLoader) -> bytes:
        """A question as a line of a job's file, without the end of the line. Takes long: called in threads."""

    async def upload(self, token: str, lines: Path) -> str:
        """Hand over a job's file; the vendor's id of it. Nothing is asked yet.

        Raises:
            ProviderError: as of a live question.
        """

    async def uploaded(self, token: str) -> str | None:
        """The id of a file that was handed over with a token, by a run that could not note it."""

    async def create(self, token: str, file_id: str, model: str) -> str:
        """Begin the job; the vendor's id of it. `token` is written beside it, so that it can be found again.

        Raises:
            ProviderError: a transient one leaves open whether the job was begun.
        """

    async def find(self, token: str) -> str | None:
        """The id of the job that was begun with a token."""

    async def look(self, job: str) -> JobLook:
        """How a job is doing."""

    def results(self, file_id: str, folder: Path) -> AsyncIterator[tuple[str, Response | ProviderError]]:
        """Call key and end of each line of a file of results, which is kept in the folder while it is read.

        The key is "" where a line names none.
        """

    async def forget(self, look: JobLook) -> None:
        """Delete what the vendor keeps of a job whose results are kept here; what cannot be deleted, stays."""

    async def close(self) -> None: ...


class Desk(Protocol):
    """Where the engine leaves questions that are not asked live."""

    def end_of(self, key: str) -> ProviderError | None:
        """Why a question failed that a job has brought back in this run."""

    def is_under_way(self, key: str) -> bool:
        """Whether a job that is not over has the question."""

    def refused(self, section: ModelSection) -> ProviderError | None:
        """Why no further job of a section is begun in this run."""

    async def put(self, key: str, request: Request, section: ModelSection, media: HeldMedia) -> None:
        """Write a question into the next job of its section.

        Raises:
            UserError: code "budget_reached".
            ProviderError: a job that was full could not be begun.
        """


def refuse_without_batches(section: ModelSection) -> None:
    """Raises UserError: a section asks by batches of a server that has none."""
    if section.mode == "live":
        return
    place = ("mode",)
    if section.provider not in BATCHES:
        message = f'the provider "{section.provider}" of "{section.name}" has no batches'
        raise UserError("no_batches", message, 'remove mode = "batch"', place=place)
    if not asks_the_vendor(section) and "batches" not in section.gives:
        message = f'it is not said that the server of "{section.name}" has batches'
        raise UserError("no_batches", message, 'add "batches" to gives, or remove mode', place=place)


def batches_of(section: ModelSection) -> BatchProvider:
    """The batches that a section's questions go to; whoever opens them closes them.

    Raises:
        UserError: the variable that holds the key is not set, or there are none.
    """
    live = resolve(PROVIDERS, section.provider, what="provider")(section)
    found: BatchProvider = resolve(BATCHES, section.provider, what="batches")(live)
    return found
