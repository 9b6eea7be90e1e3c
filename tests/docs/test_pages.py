"""What the pages say exists: links, commands, options, settings, registry names, error codes."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer

from agents.providers import PROVIDERS
from agents.providers.cues import ANNOTATORS
from pipeline.aggregate import AGGREGATORS
from pipeline.cli import app
from pipeline.features import EXTRACTORS
from pipeline.features.denoise import DENOISERS
from pipeline.importers import IMPORTERS
from pipeline.importers.manifest import COLUMNS
from pipeline.metrics import METRICS
from pipeline.pictures import LIKENESS
from pipeline.segment import SEGMENTERS
from schemas.registry import resolve
from schemas.settings import Settings
from schemas.settings_file import load_settings
from schemas.taxonomy import load_taxonomy, shipped_taxonomies
from tests.docs.pages import REPO, blocks, commands, name, pages, text

LINK = re.compile(r"\]\(([^)\s]+)\)")
REGISTRIES = {
    "extractor": EXTRACTORS,
    "denoiser": DENOISERS,
    "provider": PROVIDERS,
    "segmenter": SEGMENTERS,
    "aggregation": AGGREGATORS,
    "importer": IMPORTERS,
    "way to choose key frames": LIKENESS,
    "metric": METRICS,
}
GROUP: Any = typer.main.get_command(app)
PAGES = [name(page) for page in pages()]


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    headings = re.findall(
        r"^#+ (.+)$", re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL), re.M
    )
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for link in LINK.findall(re.sub(r"```.*?```", "", text(page), flags=re.DOTALL)):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (REPO / page).parent / path if path else REPO / page
        assert target.exists(), f"{page}: {link}"
        assert not anchor or anchor in anchors(target), f"{page}: {link}"


def test_every_page_is_in_the_index() -> None:
    index = {(REPO / "docs" / link).resolve() for link in LINK.findall(text("docs/README.md"))}
    lost = [page for page in pages() if page.resolve() not in index and page.name != "README.md"]
    assert not lost


@pytest.mark.parametrize("page", PAGES)
def test_commands_and_their_options_exist(page: str) -> None:
    for words in commands(page, "emotrace"):
        if len(words) == 1 or words[1].startswith("-"):
            continue
        assert words[1] in GROUP.commands, f"{page}: {' '.join(words)}"
        known = {option for param in GROUP.commands[words[1]].params for option in param.opts} | {"--help"}
        used = {word.partition("=")[0] for word in words[2:] if word.startswith("--")}
        assert used <= known, f"{page}: {' '.join(words)}"


@pytest.mark.parametrize("page", PAGES)
def test_make_targets_exist(page: str) -> None:
    targets = set(re.findall(r"^([a-z]+):", (REPO / "Makefile").read_text("utf-8"), re.M))
    used = {word for words in commands(page, "make") for word in words[1:] if re.fullmatch(r"[a-z]+", word)}
    assert used <= targets, page


def test_the_readme_tells_the_two_commands_and_the_walk() -> None:
    assert {("demo",), ("test",)} <= {tuple(words[1:]) for words in commands("README.md", "make")}
    walk = [words[1] for words in commands("README.md", "emotrace") if len(words) > 1]
    steps = ["init", "ingest", "run", "release", "verify", "review"]
    assert [word for word in walk if word in steps][: len(steps)] == steps
    assert len(text("README.md").splitlines()) <= 150


def test_every_command_is_in_the_changelog_and_in_cli_md() -> None:
    told = {words[1] for words in commands("CHANGELOG.md", "emotrace") if len(words) > 1}
    told |= {word for word in re.findall(r"`(\w+)`", text("CHANGELOG.md")) if word in GROUP.commands}
    assert told == set(GROUP.commands)
    assert all(f"### emotrace {command}\n" in text("docs/cli.md") for command in GROUP.commands)


@pytest.mark.parametrize("what", REGISTRIES)
def test_registry_names_resolve_and_are_documented(what: str) -> None:
    everything = "\n".join(text(page) for page in PAGES)
    for key, path in REGISTRIES[what].items():
        assert callable(resolve(REGISTRIES[what], key, what=what)) or what == "segmenter"
        assert f"`{key.rpartition('.')[2] if what == 'extractor' else key}`" in everything, key
        assert (REPO / path.partition(":")[0].replace(".", "/")).with_suffix(".py").is_file()


def test_the_extension_table_names_files_that_exist() -> None:
    rows = [line for line in text("README.md").splitlines() if re.match(r"\| \w[\w ]+ \| `\w+/", line)]
    assert len(rows) == len(REGISTRIES)
    for path in re.findall(r"`((?:agents|pipeline)/[\w/.]*)`", "\n".join(rows)):
        assert (REPO / path).exists(), path


def test_providers_options_models_columns_and_label_sets_are_documented() -> None:
    page = text("docs/configuration.md")
    for path in PROVIDERS.values():
        source = (REPO / path.partition(":")[0].replace(".", "/")).with_suffix(".py").read_text("utf-8")
        options = re.findall(r"^`(\w+)`:", source.split('"""')[1], re.M)
        assert [option for option in options if f"`{option}`" not in page] == [], path
    assert [one for one in ANNOTATORS if f"`{one}`" not in page] == []
    columns = "".join(
        line for line in text("docs/dataset-builders.md").splitlines() if line.startswith("| `")
    )
    assert [column for column in COLUMNS if f"`{column}`" not in columns] == []


def test_every_shipped_label_set_is_told_with_its_classes_scales_and_source() -> None:
    rows = [line for line in text("docs/taxonomies.md").splitlines() if line.startswith("| `")]
    for one in shipped_taxonomies():
        (row,) = (line for line in rows if line.startswith(f"| `{one}` |"))
        taxonomy = load_taxonomy(one)
        classes = row.split("|")[2]
        assert [label for label in (*taxonomy.names, *taxonomy.dimensions) if label not in classes] == []
        for scale in taxonomy.dimensions.values():
            assert f"from {scale.low:g} to {scale.high:g}" in classes
        told, known = _publications(row), _publications(taxonomy.source)
        repeats = re.search("the same|as above", row)  # what a row before it has links to
        assert known
        assert told <= known if repeats else told == known


def _publications(text: str) -> set[str]:
    """The DOIs and arXiv numbers in a text."""
    return set(re.findall(r"10\.\d{4,}/[\w./()-]+(?<![.)])|\b\d{4}\.\d{5}\b", text))


def test_error_codes_of_the_remedies_exist() -> None:
    table = text("docs/dataset-builders.md").split("## What goes wrong", 1)[1]
    first_cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| ")]
    codes = {code for cell in first_cells for code in re.findall(r"`([a-z]+_[a-z_]+|unauthorized)`", cell)}
    source = "\n".join(
        path.read_text("utf-8")
        for room in ("schemas", "agents", "pipeline")
        for path in (REPO / room).rglob("*.py")
    )
    assert len(codes) >= 10
    assert [code for code in sorted(codes) if f'"{code}"' not in source] == []


@pytest.mark.parametrize("page", PAGES)
def test_settings_in_the_pages_load(page: str, tmp_path: Path) -> None:
    for number, block in enumerate(blocks(page, "toml")):
        if "\ninstruction = " in block:
            path = tmp_path / f"{number}.toml"
            path.write_text(block, "utf-8")
            assert len(load_taxonomy(str(path)).names) > 1
        else:
            (tmp_path / "emotrace.toml").write_text(block, "utf-8")
            assert load_settings(tmp_path).annotators


def test_the_example_file_loads_and_shows_every_setting(tmp_path: Path) -> None:
    example = (REPO / "deploy" / "emotrace.example.toml").read_text("utf-8")
    (tmp_path / "emotrace.toml").write_text(example, "utf-8")
    settings = load_settings(tmp_path)
    data = tomllib.loads(example)
    assert set(data) == set(Settings.model_fields)
    for section, value in data.items():
        if section == "features":
            assert {key for stage in value.values() for key in stage} >= {"backend", "enabled"}
            continue
        model = getattr(settings, section)
        fields = set(type(model[0] if isinstance(model, tuple) else model).model_fields)
        given = {key for table in (value if isinstance(value, list) else [value]) for key in table}
        assert given <= fields
        assert section == "judges" or given == fields, section


def test_the_example_file_shows_the_defaults(tmp_path: Path) -> None:
    example = tomllib.loads((REPO / "deploy" / "emotrace.example.toml").read_text("utf-8"))
    (tmp_path / "emotrace.toml").write_text("", "utf-8")
    defaults = load_settings(tmp_path).model_dump(mode="json")
    unlike = {
        f"{section}.{key}"
        for section, value in example.items()
        if isinstance(value, dict) and section not in ("features", "project")
        for key, given in value.items()
        if defaults[section][key] is not None and defaults[section][key] != given
    }
    assert unlike == set()
