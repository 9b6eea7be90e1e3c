"""What the twelve records have in common: frozen, with the id of a question and the digest of its answer."""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from schemas.ids import content_digest, content_id


class Record(BaseModel):
    """Base of the twelve. `PARENT` names the field that the store indexes for look-ups."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    PREFIX: ClassVar[str]
    QUESTION: ClassVar[tuple[str, ...]]
    PARENT: ClassVar[str | None] = None

    schema_version: Literal[1] = 1

    @cached_property
    def id(self) -> str:
        return content_id(self.PREFIX, self.model_dump(mode="json", include=set(self.QUESTION)))

    @cached_property
    def digest(self) -> str:
        # Without what stands at its default, so that a field that is added later moves no digest made before.
        answer = self.model_dump(mode="json", exclude=set(self.QUESTION), exclude_defaults=True)
        return content_digest(answer)

    @property
    def parent_id(self) -> str | None:
        return None if self.PARENT is None else str(getattr(self, self.PARENT))

    def as_json(self) -> dict[str, Any]:
        """The record as plain JSON with its id and digest in front, for people and other programs."""
        return {"id": self.id, "digest": self.digest, **self.model_dump(mode="json")}
