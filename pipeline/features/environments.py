"""Environments of the workers that a project names: made before the first clip, so that people see it happen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from pipeline.features.backends import FACTS, built
from pipeline.features.host import Host, hosted
from pipeline.features.select import pick_extractor
from pipeline.features.worker import WORKERS, build_environment
from schemas.settings import FeatureSection


def prepare_environments(features: Mapping[str, FeatureSection], note: Callable[[str, str], None]) -> None:
    """Make what the backends that the settings name still miss; `note` is a progress's.

    A backend that `auto` takes is here already, or made when the first clip needs it. Missing weights are told
    before gigabytes are installed for them.

    Raises:
        UserError: "worker_unavailable"; what the backend itself misses.
    """
    for stage, section in features.items():
        key = f"{stage}.{section.backend}"
        facts = FACTS.get(key)
        if not section.enabled or facts is None or facts.worker is None or built(key):
            continue
        with hosted(Host(partial(note, stage))):
            pick_extractor(stage, section.backend, section.options, Path())
        note(key, f"installing {facts.download}")
        build_environment(WORKERS / facts.worker)
        built.cache_clear()
