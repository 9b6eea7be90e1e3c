"""The options of a provider: each one declares those that it knows, and every other is refused by name."""

from __future__ import annotations

import difflib
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, ValidationError

from schemas.errors import UserError
from schemas.settings_models import ModelSection
from schemas.settings_types import Section


def _beside_the_question(value: dict[str, Any]) -> dict[str, Any]:
    for name in ("model", "messages", "input", "instructions"):
        if name in value:
            raise ValueError(f'"{name}" is the question itself')
    return value


ExtraBody = Annotated[dict[str, Any], AfterValidator(_beside_the_question)]


class Options(Section):
    """Base of a provider's options, and those of a provider that has none."""


O_co = TypeVar("O_co", bound=Options)


def read_options(kind: type[O_co], section: ModelSection) -> O_co:
    """The options of a section as its provider knows them.

    Raises:
        UserError: an unknown option, with the nearest known one, or a bad value; `place` says which.
    """
    known = list(kind.model_fields)
    for name in section.options:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            remedy = (
                f'did you mean "{near[0]}"?' if near else f"known here: {', '.join(sorted(known)) or 'none'}"
            )
            message = f'the provider "{section.provider}" knows no option "{name}"'
            raise UserError("unknown_option", message, remedy, place=("options", name))
    try:
        return kind.model_validate(section.options)
    except ValidationError as error:
        first = error.errors()[0]
        place = tuple(part for part in first["loc"] if isinstance(part, str))
        message = f"options.{'.'.join(place)}: {first['msg']}"
        raise UserError("bad_option", message, "see docs/providers.md", place=("options", *place)) from error
