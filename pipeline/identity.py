"""What is looked through once and then found again, though it holds too much to be compared."""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")


class Same(Generic[T]):
    """A key for a cache: equal when it holds the very same object, whatever that holds.

    Nobody may change the object. It is kept alive with the key, so that no other takes its identity.
    """

    def __init__(self, held: T) -> None:
        self.held = held

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self.held is other.held

    def __hash__(self) -> int:
        return id(self.held)
