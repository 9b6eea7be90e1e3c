"""The project file that `emotrace init` writes."""

from __future__ import annotations

import json
import re
from pathlib import Path

from schemas.errors import UserError
from schemas.settings import PROJECT_FILE
from schemas.taxonomy import load_taxonomy

NAME_CHARS = 64  # as many as the settings take
TEMPLATE = """\
# Settings of this project. Every key may be left out; docs/configuration.md explains them all.
# An environment variable wins over this file: EMOTRACE__SEGMENT__MAX_S=20

[project]
name = "{name}"
taxonomy = {taxonomy}        # a shipped label set, or the path of your own TOML file
# language = "en"          # the language spoken, unless a manifest says otherwise

[segment]
rule = "both"              # shots | speech | both | fixed | given | whole
max_s = 15.0

# Without [[annotators]] three keyless ones stand: lexicon, prosody, facial. A model is added like this;
# its key is read from the environment variable that api_key_env names.
#
# [[annotators]]
# name = "gpt"
# provider = "openai_compatible"
# model = "MODEL NAME"
# api_key_env = "OPENAI_API_KEY"
# takes = ["text", "images"]
#
# [budget]
# usd = 5.0                # a run stops cleanly when this is spent

[release]
# license = "CC-BY-4.0"    # of the labels; recordings keep their own, stated at ingest
split_policy = "speaker"   # speaker | source | single
"""


def create_project(folder: Path, taxonomy: str = "ekman7") -> Path:
    """Make the folder and its settings file; returns the file. A path of a label set is taken from the folder.

    Raises:
        UserError: there is a project already, no such label set, or the folder cannot be made.
    """
    path = folder / PROJECT_FILE
    if path.exists():
        raise UserError(
            "project_exists", "this folder is a project already", "use it, or init another", str(path)
        )
    load_taxonomy(taxonomy, folder)
    name = project_name(folder.resolve().name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(
            TEMPLATE.format(name=name, taxonomy=json.dumps(taxonomy, ensure_ascii=False)), encoding="utf-8"
        )
    except OSError as error:
        raise UserError(
            "cannot_create", f"cannot make {path}: {error.strerror}", "choose another folder"
        ) from error
    return path


def project_name(folder_name: str) -> str:
    """A name that every command takes, from any folder name: ASCII letters, digits, dots, dashes, underscores."""
    return re.sub(r"[^A-Za-z0-9_.-]", "-", folder_name).strip("-._")[:NAME_CHARS] or "project"
