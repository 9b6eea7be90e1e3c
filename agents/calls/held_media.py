"""The media of a question while it is asked: made before, let go after."""

from __future__ import annotations

import asyncio

from agents.protocol import MediaLoader, MediaPart, Request
from schemas.parts import MediaRef


class HeldMedia:
    """The media of one question, made before a call is written down: one that cannot be sent is not counted.

    It is let go when the question is done, whoever still knows this object.
    """

    def __init__(self, request: Request, load: MediaLoader) -> None:
        self._refs = [part.ref for part in request.parts if isinstance(part, MediaPart)]
        self._load = load
        self._held: list[tuple[MediaRef, bytes]] = []

    async def fetch(self) -> None:
        """In a thread, where there is something to load that is not held already.

        Raises:
            ItemError: some of it cannot be made.
        """
        if len(self._held) < len(self._refs):
            await asyncio.to_thread(self._fetch)

    def _fetch(self) -> None:
        for ref in self._refs[len(self._held) :]:
            self._held.append((ref, self._load(ref)))

    def let_go(self) -> None:
        self._held.clear()

    def __call__(self, ref: MediaRef) -> bytes:
        return next(data for held, data in self._held if held == ref)

    @property
    def size_bytes(self) -> int:
        return sum(len(data) for _, data in self._held)
