"""The only reader of the project file: settings from it and the environment, and where something is wrong."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_settings import SettingsError

from schemas.errors import UserError
from schemas.settings import ENV_PREFIX, FEATURE_STAGES, MORE_STAGES, PROJECT_FILE, SOURCE_STAGES, Settings
from schemas.settings_models import AnnotatorSection, JudgeSection
from schemas.settings_types import Section

SECRET_WORDS = ("key", "secret", "token", "password", "url")  # addresses may hold a password
KEY_OF_DICT = "[key]"  # how pydantic says that a key, and not its value, is wrong


def load_settings(project_dir: Path) -> Settings:
    """Read `emotrace.toml` of a project and lay the environment over it.

    Raises:
        UserError: no project, bad TOML, unknown key (with the nearest known one), bad value; file and line given.
    """
    path = project_dir / PROJECT_FILE
    if not path.is_file():
        raise UserError(
            "no_project",
            f"no {PROJECT_FILE} in {project_dir}",
            "run: emotrace init DIR, or give --project DIR",
        )
    try:
        text = path.read_text(encoding="utf-8")
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"line (\d+)", str(error))
        raise UserError(
            "bad_toml",
            f"not valid TOML: {error}",
            "mend this line" if line else "close what is open: a bracket or a quote",
            str(path),
            int(line[1]) if line else None,
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            "unreadable_project", str(error), "make the file readable (UTF-8)", str(path)
        ) from error
    _refuse_unknown_sections()
    try:
        return Settings(**data)
    except SettingsError as error:
        name = re.search(r'field "(\w+)"', str(error))
        variable = ENV_PREFIX + (name[1].upper() if name else "")
        remedy = f"set single keys, such as {ENV_PREFIX}SEGMENT__MAX_S; lists of tables stand in the file"
        raise UserError("bad_setting", "not JSON", remedy, f"environment {variable}") from error
    except ValidationError as error:
        raise _user_error(error, text, data, path) from error


def _user_error(error: ValidationError, text: str, data: dict[str, Any], path: Path) -> UserError:
    """The first complaint of pydantic as one line with file, line and remedy."""
    # An unknown key is told before a missing one: it is most often the missing one, misspelt.
    first = min(error.errors(), key=lambda e: not _is_unknown(e["type"], e["loc"]))
    unknown = _is_unknown(first["type"], first["loc"])
    told = first.get("ctx", {})
    place = told.get("place", ())  # within a table that is wrong as a whole
    loc = tuple(part for part in (*first["loc"], *place) if part != KEY_OF_DICT)
    name = ".".join(str(part) for part in loc)
    variable = ENV_PREFIX + "__".join(str(part) for part in loc).upper()
    set_there = any(f"{key.upper()}__".startswith(f"{variable}__") for key in os.environ)
    in_environment = set_there and not _stands_in(loc, data)
    where = (f"environment {variable}", None) if in_environment else (str(path), line_of(loc, text))
    if unknown:
        return UserError("unknown_setting", f'unknown setting "{name}"', _nearest(loc), *where)
    if first["type"] == "tuple_type" and isinstance(first["input"], dict):
        return UserError("bad_setting", f"[{name}] is a list of tables", f"write [[{name}]]", *where)
    message = first["msg"].removeprefix("Value error, ")
    remedy = told.get("remedy") or _remedy(loc, first["type"], first["input"])
    return UserError("bad_setting", f"{name}: {message}", remedy, *where)


def _remedy(loc: tuple[int | str, ...], kind: str, value: Any) -> str:
    """What was given, where it is one value that cannot be a secret."""
    if loc and loc[-1] == "api_key_env":
        return (
            "name the variable here and put the key in the environment; replace a key that stood in this file"
        )
    if kind == "missing":
        return f"add {loc[-1]}"
    plain = isinstance(value, int | float) or (isinstance(value, str) and not _may_be_secret(loc))
    return f"given: {value!r}"[:120] if plain else "see docs/configuration.md"


def _may_be_secret(loc: tuple[int | str, ...]) -> bool:
    return any(word in str(part).lower() for part in loc for word in SECRET_WORDS)


def _is_unknown(kind: str, loc: tuple[int | str, ...]) -> bool:
    return kind == "extra_forbidden" or KEY_OF_DICT in loc


def _stands_in(loc: tuple[int | str, ...], data: Any) -> bool:
    for part in loc:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            return False
    return True


def _refuse_unknown_sections() -> None:
    """A misspelt section in a variable's name would be passed over without a word."""
    for variable in sorted(os.environ):
        section = variable.removeprefix(ENV_PREFIX).partition("__")[0].lower()
        if variable.startswith(ENV_PREFIX) and section not in Settings.model_fields:
            message = f'unknown setting "{section}"'
            raise UserError("unknown_setting", message, _nearest((section,)), f"environment {variable}")


def _nearest(loc: tuple[int | str, ...]) -> str:
    known = _known_keys(loc[:-1])
    near = difflib.get_close_matches(str(loc[-1]), known, n=1, cutoff=0.5)
    if _may_be_secret(loc[-1:]) and near in ([], ["api_key_env"]):
        return "secrets are read from the environment only: set api_key_env to the variable's name"
    return f'did you mean "{near[0]}"?' if near else f"known here: {', '.join(sorted(known))}"


def _known_keys(loc: tuple[int | str, ...]) -> list[str]:
    sections: dict[str, type[BaseModel]] = {
        name: type(field.default)
        for name, field in Settings.model_fields.items()
        if isinstance(field.default, Section)
    }
    sections["annotators"], sections["judges"] = AnnotatorSection, JudgeSection
    if loc == ("features",):
        return [*SOURCE_STAGES, *FEATURE_STAGES, *MORE_STAGES]
    model = sections.get(str(loc[0])) if loc else Settings
    for key in (part for part in loc[1:] if isinstance(part, str)):
        field = model.model_fields.get(key) if model else None
        model = type(field.default) if field is not None and isinstance(field.default, Section) else None
    return list(model.model_fields) if model else []


def line_of(loc: tuple[int | str, ...], text: str) -> int | None:
    """The line of a key in TOML text: its table's header first, then the key below it."""
    keys = [part for part in loc if isinstance(part, str)]
    nth = next((part for part in loc if isinstance(part, int)), None)
    if nth is not None:
        return _line_in_array(keys, nth, text.splitlines())
    return _line_among(keys, text.splitlines())


def _line_in_array(keys: list[str], nth: int, lines: list[str]) -> int | None:
    """In the nth table of an array, which ends where the next one begins; its own tables are in it."""
    header = re.compile(rf"^\s*\[\[\s*{re.escape(keys[0])}\s*\]\]")
    starts = [number for number, line in enumerate(lines) if header.match(line)]
    if len(starts) <= nth:
        return _line_among(keys[:1], lines)
    line = _line_among(keys, lines[starts[nth] : [*starts, len(lines)][nth + 1]])
    return None if line is None else starts[nth] + line


def _line_among(keys: list[str], lines: list[str]) -> int | None:
    for depth in range(len(keys), 0, -1):
        header = re.compile(rf"^\s*\[\[?\s*{re.escape('.'.join(keys[:depth]))}\s*\]\]?")
        starts = [number for number, line in enumerate(lines) if header.match(line)]
        if not starts:
            continue
        start = starts[0]
        if depth == len(keys):
            return start + 1
        key = re.compile(rf"^\s*\"?{re.escape(keys[depth])}\"?\s*[=.]")
        for number in range(start + 1, len(lines)):
            if lines[number].lstrip().startswith("["):
                break
            if key.match(lines[number]):
                return number + 1
        return start + 1
    plain = re.compile(rf"^\s*\"?{re.escape(keys[0])}\"?\s*[=.]") if keys else None
    return next((n + 1 for n, line in enumerate(lines) if plain and plain.match(line)), None)


@contextmanager
def pointing_at(project_dir: Path, *loc: str | int) -> Iterator[None]:
    """Give a `UserError` raised inside the file and line of the setting that caused it, e.g. ("judges", 0).

    Raises:
        UserError: what was raised inside, with its place.
    """
    try:
        yield
    except UserError as error:
        if error.file is not None:
            raise
        path = project_dir / PROJECT_FILE
        line = line_of((*loc, *error.place), path.read_text(encoding="utf-8"))
        raise replace(error, file=str(path), line=line) from error
