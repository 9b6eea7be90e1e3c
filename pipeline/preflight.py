"""Before the first recording is decoded: is everything that the settings name there, and every key set?"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from agents.asking import Model
from agents.calls.batching import refuse_without_batches
from agents.judges.panel import kin_of
from agents.prices import price_of
from agents.questions.embeddings import EMBEDDINGS
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
        UserError: an unknown name, a key that is not set or a price that is missing, with file and line.
    """
    look_names_up(root, settings)
    priced = settings.budget.usd is not None
    for table, sections in (("annotators", settings.annotators), ("judges", settings.judges)):
        for number, section in enumerate(sections):
            with pointing_at(root, table, number):
                model = Model(section)
                if isinstance(section, AnnotatorSection) and not model.wire:
                    _refuse_prompting(section)
                asyncio.run(model.open().close())
                if priced and model.wire and price_of(section) is None:
                    raise _unpriced(section)


def look_names_up(root: Path, settings: Settings) -> None:
    """Everything that the settings name is there; no key is needed.

    Raises:
        UserError: an unknown name or option, what a provider cannot do, or one model twice, with file and line.
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
    with pointing_at(root, "examples", "embedding"):
        resolve(EMBEDDINGS, settings.examples.embedding, what="embedding")
    for table, sections in (("annotators", settings.annotators), ("judges", settings.judges)):
        for number, model in enumerate(sections):
            with pointing_at(root, table, number):
                Model(model).refuse_impossible()
                refuse_without_batches(model)
        _refuse_twins(root, table, sections)
    _check_kin(root, settings)


def _refuse_twins(root: Path, table: str, sections: Sequence[ModelSection]) -> None:
    names: dict[str, str] = {}  # identity -> the first section that has it
    for number, section in enumerate(sections):
        with pointing_at(root, table, number):
            first = names.setdefault(Model(section).identity, section.name)
            if first != section.name:
                raise _twins(first, section.name)


def _refuse_prompting(section: AnnotatorSection) -> None:
    if section.prompting != PromptingSection():
        message = f'"{section.name}" reads no prompt, so that there is nothing to vary'
        raise UserError("no_prompt", message, f"remove prompting, or replace the provider {section.provider}")


def _check_kin(root: Path, settings: Settings) -> None:
    """Where a judge refuses its own family, every family must be known, and somebody must be left to judge."""
    judged: set[str] = set()
    raters = [judge for judge in settings.judges if judge.rubric == "emotrace"]
    for number, judge in enumerate(settings.judges):
        if judge.rubric == "mme_emotion" and not Model(judge).wire:
            with pointing_at(root, "judges", number, "rubric"):
                message = f'"{judge.name}" reads no prompt: it cannot judge by MME-Emotion\'s rubric'
                raise UserError("no_prompt", message, "name a model, or remove rubric")
        kin = kin_of(judge, settings.annotators)
        judged.update(kin["other_family"] if judge in raters else ())
        if judge.self_preference != "refuse":
            judged.update(*(kin.values() if judge in raters else ()))
        elif kin["family_unknown"]:
            with pointing_at(root, "judges", number, "self_preference"):
                raise _unknown_family(judge.name, judge.model, kin["family_unknown"])
    for number, section in enumerate(settings.annotators if raters else ()):
        if section.name not in judged:
            with pointing_at(root, "annotators", number):
                raise UserError(
                    "no_judge_left",
                    f'nobody may judge "{section.name}": every judge is of its family and refuses that',
                    'add a judge of another family, or set self_preference = "warn"',
                )


def judge_notes(settings: Settings) -> list[str]:
    """What is to be told before anything is spent: nobody rates, or a judge may rate its own family."""
    notes = []
    if not any(judge.rubric == "emotrace" for judge in settings.judges):
        who = ", ".join(judge.name for judge in settings.judges)
        notes.append(
            f'no judge rates, only evaluations are asked for ({who}): clips wait as "not_rated", add a judge'
        )
    for judge in settings.judges:
        kin = kin_of(judge, settings.annotators)
        names = {which: ", ".join(kin[which]) for which in ("same_family", "family_unknown")}
        if judge.self_preference == "warn" and names["same_family"]:
            notes.append(
                f'judge "{judge.name}" rates its own model family ({names["same_family"]}): '
                "such ratings tend to be too high; they are flagged"
            )
        if judge.self_preference == "warn" and names["family_unknown"]:
            notes.append(
                f'whether judge "{judge.name}" rates its own model family '
                f"({names['family_unknown']}) is not known: set family in both"
            )
        if judge.self_preference == "refuse" and names["same_family"]:
            notes.append(f'judge "{judge.name}" does not rate its own family: {names["same_family"]}')
    return notes


def _unknown_family(judge: str, model: str, names: Sequence[str]) -> UserError:
    return UserError(
        "family_unknown",
        f'"{judge}" must not rate its own family, but whether {", ".join(names)} is of it is not known ({model})',
        'set family in both, e.g. family = "llama"',
    )


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
