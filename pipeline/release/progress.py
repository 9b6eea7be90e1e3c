"""Where `release` and `verify` tell how far they are: nowhere, unless somebody listens."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.stages.base import Progress


class Silent:
    """Tells nothing."""

    def start(self, stage: str, total: int) -> None: ...
    def advance(self, stage: str, n: int = 1) -> None: ...
    def finish(self, stage: str) -> None: ...
    def note(self, stage: str, text: str) -> None: ...


SILENT: Progress = Silent()
