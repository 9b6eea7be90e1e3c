"""What the two providers of OpenAI's APIs share: how one is made, asked, and closed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Generic, TypeVar

from agents.protocol import MediaLoader, Request, Response
from agents.providers.openai_client import VENDOR_URL, Media, OpenAIClient
from agents.providers.options import Options, read_options
from schemas.parts import Usage
from schemas.settings_models import ModelSection

O = TypeVar("O", bound=Options)  # noqa: E741 - of options


class OpenAIBase(ABC, Generic[O]):
    """A body goes to one path, and its answer is read; the subclass knows both."""

    vendor = "openai"
    wire = True
    vendor_url = VENDOR_URL
    options: type[O]
    path: ClassVar[str]

    def __init__(self, section: ModelSection) -> None:
        """Raises UserError: an unknown option, a key that is not set, or what the API has no place for."""
        self.section, self.chosen = section, read_options(self.options, section)
        self.refuse(section)
        self.client = OpenAIClient(section, self.path)
        self.base_url = self.client.base_url

    async def complete(self, request: Request, load: MediaLoader) -> Response:
        """Ask once.

        Raises:
            ProviderError: refused, unreachable, too slow, or an answer that is not of the protocol.
        """
        return await self.client.ask(lambda media: self.body(request, media), load, self.paid, self.response)

    async def close(self) -> None:
        await self.client.close()

    @classmethod
    @abstractmethod
    def refuse(cls, section: ModelSection) -> None:
        """Raises UserError: the section asks for what the API has no place for."""

    @abstractmethod
    def body(self, request: Request, media: Media) -> dict[str, Any]:
        """The question as the API takes it."""

    @abstractmethod
    def paid(self, data: dict[str, Any]) -> Usage | None:
        """What an answer says of its tokens."""

    @abstractmethod
    def response(self, data: dict[str, Any], paid: Usage | None) -> Response:
        """An answer as it is kept; raises ProviderError where it says it has failed."""
