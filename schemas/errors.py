"""Errors a caller can act on. `UserError` is printed as one line with its remedy; anything else is a bug."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from schemas.parts import Usage


@dataclass
class UserError(Exception):
    """The user must change something: exit status 2.

    `code` is a stable snake_case name; `remedy` says what to do; `file` and `line` say where, when known.
    `place` is the key within the table that is being looked at, for whoever knows where that table stands.
    """

    code: str
    message: str
    remedy: str = ""
    file: str | None = None
    line: int | None = None
    place: tuple[str, ...] = ()

    def __str__(self) -> str:
        where = "" if self.file is None else f"{self.file}:{self.line}: " if self.line else f"{self.file}: "
        return f"{where}{self.message}" + (f" -> {self.remedy}" if self.remedy else "")


@dataclass
class ItemError(Exception):
    """One item cannot be processed; the others go on. Becomes a failed outcome in the store."""

    code: str
    message: str
    retry: str = "emotrace run"

    def __str__(self) -> str:
        return self.message


class MediaError(ItemError):
    """A recording cannot be read or decoded."""


@dataclass
class ProviderError(Exception):
    """A model could not be asked. `transient` errors are retried by the engine's one loop, others are not.

    `usage` when it was paid for all the same.
    """

    code: str
    message: str
    transient: bool
    retry_after_s: float | None = None
    details: dict[str, str] = field(default_factory=dict)
    usage: Usage | None = None

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"
