"""Plain dictionaries of names to import paths, resolved late so that nothing heavy is imported early."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from typing import Any

from schemas.errors import UserError


def resolve(registry: Mapping[str, str], name: str, *, what: str) -> Any:
    """The object behind `name`, e.g. resolve(EXTRACTORS, "prosody", what="extractor").

    Raises:
        UserError: unknown name (lists the known ones), or a module that is not installed (names the package).
    """
    if name not in registry:
        near = difflib.get_close_matches(name, registry, n=1)
        hint = f'did you mean "{near[0]}"? ' if near else ""
        raise UserError(
            "unknown_name", f'unknown {what} "{name}"', f"{hint}known: {', '.join(sorted(registry))}"
        )
    module, _, attribute = registry[name].partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        raise UserError(
            "not_installed",
            f'{what} "{name}" needs the package "{error.name}", which is not installed',
            f"install it: uv pip install {error.name}",
        ) from error
