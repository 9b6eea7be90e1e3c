"""Before the first recording is decoded: is everything that the settings name there, and every key set?"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from agents.asking import Model
from pipeline.aggregate import AGGREGATORS
from pipeline.features.select import backend_names
from schemas.errors import UserError
from schemas.registry import resolve
from schemas.settings import ModelSection, Settings
from schemas.settings_file import pointing_at


def preflight(root: Path, settings: Settings) -> None:
    """Open every annotator and judge once, and look every other name up; nothing is asked of anybody.

    Raises:
        UserError: an unknown name or a key that is not set, with file and line.
    """
    for stage, section in settings.features.items():
        if section.backend not in ("auto", *backend_names(stage)):
            with pointing_at(root, "features", stage, "backend"):
                known = ", ".join(("auto", *backend_names(stage)))
                message = f'unknown {stage} backend "{section.backend}"'
                raise UserError("unknown_backend", message, f"known: {known}")
    with pointing_at(root, "aggregate", "method"):
        resolve(AGGREGATORS, settings.aggregate.method, what="aggregation method")
    _open_all(root, "annotators", settings.annotators)
    _open_all(root, "judges", settings.judges)


def _open_all(root: Path, table: str, sections: Sequence[ModelSection]) -> None:
    for number, section in enumerate(sections):
        with pointing_at(root, table, number):
            asyncio.run(Model(section).open().close())
