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
    names: dict[str, str] = {}  # identity -> the first section that has it
    for number, section in enumerate(sections):
        with pointing_at(root, table, number):
            model = Model(section)
            asyncio.run(model.open().close())
            first = names.setdefault(model.identity, section.name)
            if first != section.name:
                raise _twins(first, section.name)


def _twins(first: str, second: str) -> UserError:
    """Every answer of the one would be a copy of the other's, and count as a second voice."""
    return UserError(
        "same_model_twice",
        f'"{second}" would be asked exactly what "{first}" is asked',
        "set replicates to ask a model again, or deployment where two servers serve different weights",
    )
