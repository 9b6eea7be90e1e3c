"""Before the first recording is decoded: is everything that the settings name there, and every key set?"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from agents.asking import Model
from agents.prices import price_of
from pipeline.aggregate import AGGREGATORS
from pipeline.features.select import backend_names, refuse_unknown_options
from pipeline.pictures import LIKENESS
from schemas.errors import UserError
from schemas.registry import resolve
from schemas.settings import Settings
from schemas.settings_file import pointing_at
from schemas.settings_models import AnnotatorSection, ModelSection, PromptingSection


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
        for option in section.options:
            with pointing_at(root, "features", stage, option):
                refuse_unknown_options(stage, section.backend, [option])
    with pointing_at(root, "select", "key_frame_method"):
        resolve(LIKENESS, settings.select.key_frame_method, what="way to choose key frames")()
    with pointing_at(root, "aggregate", "method"):
        resolve(AGGREGATORS, settings.aggregate.method, what="aggregation method")
    priced = settings.budget.usd is not None
    _check_models(root, "annotators", settings.annotators, priced=priced)
    _check_models(root, "judges", settings.judges, priced=priced)


def _check_models(root: Path, table: str, sections: Sequence[ModelSection], *, priced: bool) -> None:
    """`priced`: every call has to have a price."""
    names: dict[str, str] = {}  # identity -> the first section that has it
    for number, section in enumerate(sections):
        with pointing_at(root, table, number):
            model = Model(section)
            if isinstance(section, AnnotatorSection) and not model.wire:
                _refuse_prompting(section)
            asyncio.run(model.open().close())
            first = names.setdefault(model.identity, section.name)
            if first != section.name:
                raise _twins(first, section.name)
            if priced and model.wire and price_of(section) is None:
                raise _unpriced(section)


def _refuse_prompting(section: AnnotatorSection) -> None:
    if section.prompting != PromptingSection():
        message = f'"{section.name}" reads no prompt, so that there is nothing to vary'
        raise UserError("no_prompt", message, f"remove prompting, or replace the provider {section.provider}")


def _unpriced(section: ModelSection) -> UserError:
    return UserError(
        "missing_price",
        f'budget.usd cannot be kept: "{section.name}" lacks a price, and none is known of "{section.model}"',
        "set usd_per_million_input_tokens and usd_per_million_output_tokens (0 where calls are free)",
    )


def _twins(first: str, second: str) -> UserError:
    """Every answer of the one would be a copy of the other's, and count as a second voice."""
    return UserError(
        "same_model_twice",
        f'"{second}" would be asked exactly what "{first}" is asked',
        "set replicates to ask a model again, or deployment where two servers serve different weights",
    )
