"""The media of a question while it is asked: made before, let go after."""

from __future__ import annotations

import asyncio

from agents.protocol import MediaLoader, MediaPart, Request
from schemas.parts import MediaRef


class HeldMedia:
    """The media of one question, made before a call is written down: one that cannot be sent is not counted.

    It is let go when the question is done, whoever still knows this object.
    """

    def __init__(self) -> None:
        self._held: list[tuple[MediaRef, bytes]] = []

    async def fetch(self, request: Request, load: MediaLoader) -> None:
        """In a thread, where there is something to load.

        Raises:
            ItemError: some of it cannot be made.
        """
        refs = [part.ref for part in request.parts if isinstance(part, MediaPart)]
        if refs:
            await asyncio.to_thread(self._load, refs, load)

    def _load(self, refs: list[MediaRef], load: MediaLoader) -> None:
        for ref in refs:
            self._held.append((ref, load(ref)))

    def let_go(self) -> None:
        self._held.clear()

    def __call__(self, ref: MediaRef) -> bytes:
        return next(data for held, data in self._held if held == ref)

    @property
    def size_bytes(self) -> int:
        return sum(len(data) for _, data in self._held)
