"""Before the first recording is decoded: is everything that the settings name there, and every key set?"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from agents.annotator import Asked
from agents.judge import KEYLESS, KEYLESS_MODEL
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
            if table == "judges" and section.provider == KEYLESS:
                _check_rules(section)
            else:
                asyncio.run(Asked(section).open_provider().close())


def _check_rules(section: ModelSection) -> None:
    if section.model != KEYLESS_MODEL:
        message = f'the keyless judge has no model "{section.model}" (in "{section.name}")'
        raise UserError("unknown_model", message, f'set model to "{KEYLESS_MODEL}"')
