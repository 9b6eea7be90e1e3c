"""Writes the generated parts of the documentation anew; with `--check` only tells which of them are stale.

What the code knows (settings, backend options, help, JSON output) is generated; what a setting means stands in
`meanings.toml`. Generated text lies between `<!-- generated: NAME -->` and `<!-- end of generated -->`.
"""

from __future__ import annotations

import csv
import json
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from pydantic import BaseModel

from agents.evidence.claim_words import UNMEASURED_FILE
from agents.providers import PROVIDERS
from pipeline.cli import app
from pipeline.features import EXTRACTORS
from pipeline.features.backends import list_backends
from pipeline.features.select import _params_class
from pipeline.outputs import OUTPUTS
from schemas.cues import cue_table
from schemas.registry import resolve
from schemas.settings import FeatureSection, Settings
from schemas.settings_models import AnnotatorSection, JudgeSection
from schemas.settings_types import Section

DOCS = Path(__file__).parent
PAGES = ("cli.md", "configuration.md", "cues.md", "providers.md")
SCHEMAS = "json"
HELP_WIDTH = 100
DRAFT = "https://json-schema.org/draft/2020-12/schema"
REGION = re.compile(r"(<!-- generated: ([\w. -]+?) -->\n).*?(<!-- end of generated -->)", re.DOTALL)


class StaleMeaning(Exception):  # noqa: N818 - it says what is wrong
    """`meanings.toml` and the code do not name the same settings."""


def main(arguments: list[str]) -> int:
    """Write all generated files, or with `--check` list those that are not current; 1 when that cannot be."""
    try:
        wanted = generated_files()
    except StaleMeaning as error:
        sys.stderr.write(f"{error}\n")
        return 1
    stale = [path for path, text in wanted.items() if not path.is_file() or path.read_text("utf-8") != text]
    left_over = [path for path in sorted((DOCS / SCHEMAS).glob("*.json")) if path not in wanted]
    if "--check" in arguments:
        for path in stale + left_over:
            sys.stderr.write(f"not current: {path.relative_to(DOCS.parent)} -> make docs\n")
        return 1 if stale or left_over else 0
    for path in stale:
        path.parent.mkdir(exist_ok=True)
        path.write_text(wanted[path], encoding="utf-8")
    for path in left_over:
        path.unlink()
    return 0


def generated_files() -> dict[Path, str]:
    """Path -> text of every file that is generated, wholly or in part."""
    regions = dict(all_regions())
    files = {DOCS / name: fill(DOCS / name, regions) for name in PAGES}
    for name, output in OUTPUTS.items():
        schema = output.model_json_schema(mode="serialization")
        title = f"emotrace {name} --json" if name != "error" else "any command that fails with --json"
        text = json.dumps({**schema, "$schema": DRAFT, "title": title}, indent=2, ensure_ascii=False)
        files[DOCS / SCHEMAS / f"{name}.schema.json"] = text + "\n"
    return files


def fill(page: Path, regions: dict[str, str]) -> str:
    """The text of a page with its generated regions as they should be.

    Raises:
        KeyError: the page names a region that nothing generates.
    """
    return REGION.sub(lambda found: f"{found[1]}\n{regions[found[2]]}\n\n{found[3]}", page.read_text("utf-8"))


def all_regions() -> Iterator[tuple[str, str]]:
    """(name, text) of everything that a page may show.

    Raises:
        StaleMeaning: a setting without a meaning, or a meaning without a setting.
    """
    meanings = tomllib.loads((DOCS / "meanings.toml").read_text("utf-8"))
    for name, model in sections().items():
        known = meanings.pop(name, {})
        for key, inner in tables_of(model).items():
            yield f"{name}.{key}", settings_table(f"{name}.{key}", inner, known.pop(key, {}))
            known[key] = f"The table `[{name}.{key}]`, see below."
        yield name, settings_table(name, model, known)
    for key in EXTRACTORS:
        if (params := _params_class(key)) is not None:
            stage, _, backend = key.partition(".")
            known = meanings.get("options", {}).get(stage, {}).pop(backend, {})
            yield f"options.{key}", settings_table(f"options.{key}", params, known)
    told = meanings.pop("providers", {})
    for name in PROVIDERS:
        options = resolve(PROVIDERS, name, what="provider").options
        if options.model_fields:
            yield f"providers.{name}", settings_table(f"providers.{name}", options, told.pop(name, {}))
    left = [name for name in meanings if name != "options"]
    left += [f"providers.{name}" for name in told]
    left += [f"{s}.{b}" for s, backends in meanings.get("options", {}).items() for b in backends]
    if left:
        raise StaleMeaning(f"meanings.toml explains what does not exist: {', '.join(left)}")
    yield "backends", backend_table()
    yield "commands", help_texts()
    yield "outputs", output_table()
    yield "cues", cue_table().as_markdown()
    yield "unmeasured", unmeasured_table()
    yield (
        "cue references",
        "\n".join(f"- {name}" for name in sorted({c.reference for c in cue_table().cues.values()})),
    )


def unmeasured_table() -> str:
    """What models like to claim and nothing measures, from schemas/data/unmeasured.csv."""
    with UNMEASURED_FILE.open(encoding="utf-8", newline="") as file:
        rows = [[row["words"].replace("|", ", "), row["reason"]] for row in csv.DictReader(file)]
    return table(["words", "why"], rows)


# --- settings --------------------------------------------------------------------------------------


def sections() -> dict[str, type[Section]]:
    """Section name -> its model, in the order of the project file."""
    models: dict[str, type[Section]] = {}
    several: dict[str, type[Section]] = {
        "features": FeatureSection,
        "annotators": AnnotatorSection,
        "judges": JudgeSection,
    }
    for name, field in Settings.model_fields.items():
        models[name] = several[name] if name in several else type(field.default)
    return models


def tables_of(model: type[Section]) -> dict[str, type[Section]]:
    """The tables within a table, by key."""
    fields = model.model_fields.items()
    return {key: type(field.default) for key, field in fields if isinstance(field.default, Section)}


def settings_table(name: str, model: type[BaseModel], meanings: dict[str, str]) -> str:
    """Key, type, default and meaning of every field of a model."""
    schema = model.model_json_schema()
    properties = schema["properties"]
    if set(properties) != set(meanings):
        unclear = sorted(set(properties) ^ set(meanings))
        raise StaleMeaning(f"docs/meanings.toml, [{name}]: {', '.join(unclear)} missing or unknown")
    rows = [
        [f"`{key}`", type_text(value, schema), default_text(key, value, schema), meanings[key]]
        for key, value in properties.items()
    ]
    return table(["key", "type", "default", "meaning"], rows)


def type_text(value: dict[str, Any], schema: dict[str, Any]) -> str:
    """A JSON schema as a few words: "number > 0", '"a" or "b"', "list of ..."."""
    if "anyOf" in value:
        return " or ".join(type_text(one, schema) for one in value["anyOf"] if one != {"type": "null"})
    if "$ref" in value or "enum" in value:
        return "table" if "$ref" in value else " or ".join(f'`"{one}"`' for one in value["enum"])
    kind = value["type"]
    if kind == "array":
        return f"list of {type_text(value['items'], schema)}"
    words = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    limits = [f"{sign} {value[key]:g}" for key, sign in signs.items() if key in value]
    return " ".join([words.get(kind, "table"), " and ".join(limits)]).strip()


def default_text(key: str, value: dict[str, Any], schema: dict[str, Any]) -> str:
    if key in schema.get("required", []):
        return "needed"
    default = value.get("default")
    return "unset" if default is None else f"`{json.dumps(default)}`"


def backend_table() -> str:
    """What `emotrace backends` knows that does not depend on the machine."""
    rows = [
        [f"`{row['stage']}`", f"`{row['name']}`", row["licence"], row["download"] or "nothing"]
        for row in list_backends()
    ]
    return table(["stage", "backend", "licence", "what it downloads"], rows)


# --- commands --------------------------------------------------------------------------------------


def help_texts() -> str:
    """`emotrace --help` and that of every command, as they are shown 100 characters wide."""
    group: Any = typer.main.get_command(app)
    context = group.context_class(group, info_name="emotrace", terminal_width=HELP_WIDTH)
    parts = [f"### emotrace\n\n```\n{_tidy(group.get_help(context))}\n```"]
    for name, command in group.commands.items():
        own = command.context_class(command, info_name=name, parent=context, terminal_width=HELP_WIDTH)
        parts.append(f"### emotrace {name}\n\n```\n{_tidy(command.get_help(own))}\n```")
    return "\n\n".join(parts)


def _tidy(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def output_table() -> str:
    rows = [
        [f"`emotrace {name}`" if name != "error" else "every command, on an error", _schema_link(name)]
        for name in OUTPUTS
        if name == "error" or name in {command.name for command in app.registered_commands}
    ]
    return table(["command", "schema"], rows)


def _schema_link(name: str) -> str:
    return f"[{name}.schema.json]({SCHEMAS}/{name}.schema.json)"


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table; a bar inside a cell is escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
