"""The house's walls: who may import whom, what must not stand in the code, and how large files get."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agents.providers import PROVIDERS
from agents.questions.embeddings import EMBEDDINGS
from agents.questions.examples import DIVERSITIES
from pipeline.aggregate import AGGREGATORS
from pipeline.features import EXTRACTORS
from pipeline.features.denoise import DENOISERS
from pipeline.importers import IMPORTERS
from pipeline.metrics import METRICS
from pipeline.pictures import LIKENESS
from pipeline.segment import SEGMENTERS
from schemas.registry import resolve

REPO = Path(__file__).resolve().parents[1]
PACKAGES = ("schemas", "agents", "pipeline", "review_ui")
MAX_LINES = 400
REGISTRIES = {
    "provider": PROVIDERS,
    "aggregation method": AGGREGATORS,
    "extractor": EXTRACTORS,
    "denoiser": DENOISERS,
    "manifest format": IMPORTERS,
    "segmentation rule": SEGMENTERS,
    "way to choose key frames": LIKENESS,
    "embedding": EMBEDDINGS,
    "diversity": DIVERSITIES,
    "metric": METRICS,
}
REVIEW_MAY_SEE = (
    "schemas", "pipeline.policy", "pipeline.artifacts", "pipeline.metrics", "pipeline.facts",
    "pipeline.aggregate.readings", "pipeline.aggregate.scores", "review_ui",
)  # fmt: skip
NOT_FOR_SCHEMAS = {"numpy", "torch", "fastapi", "starlette", "flask", "prefect", "av", "pyarrow"}
# They run in environments of their own, as programs: they print, and they may be long.
WORKERS = REPO / "pipeline" / "workers"


def sources(*packages: str) -> list[Path]:
    found = [path for package in packages or PACKAGES for path in sorted((REPO / package).rglob("*.py"))]
    return [path for path in found if WORKERS not in path.parents]


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, anywhere in it, with the names taken from it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield from (f"{node.module}.{name.name}" for name in node.names)


def importers_of(module: str, *packages: str) -> set[str]:
    """Files that import a module or something in it."""
    return {
        path.relative_to(REPO).as_posix()
        for path in sources(*packages)
        if any(name == module or name.startswith(f"{module}.") for name in imports(path))
    }


def test_the_layers_hold() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [linter, "--no-cache"], cwd=REPO, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


def test_the_packages_are_those_of_this_repository() -> None:
    for name in PACKAGES:
        assert Path(str(importlib.import_module(name).__file__)).parent == REPO / name


def test_prefect_stands_at_the_edge() -> None:
    assert importers_of("prefect") == {"pipeline/flows.py"}


def test_schemas_are_light() -> None:
    heavy = {(path.name, name) for path in sources("schemas") for name in imports(path)}
    assert not {pair for pair in heavy if pair[1].split(".")[0] in NOT_FOR_SCHEMAS}


def test_agents_know_neither_store_nor_ledger() -> None:
    for module in ("schemas.store", "schemas.rows", "pipeline", "sqlmodel", "sqlalchemy", "sqlite3"):
        assert importers_of(module, "agents") == set()


def test_the_review_page_sees_little() -> None:
    own = {name for path in sources("review_ui") for name in imports(path)}
    house = {name for name in own if name.split(".")[0] in PACKAGES}
    assert {name for name in house if not name.startswith(REVIEW_MAY_SEE)} == set()
    assert house  # the scan sees something


@pytest.mark.parametrize(
    ("what", "name"), [(what, name) for what, names in REGISTRIES.items() for name in names]
)
def test_every_registered_name_leads_to_an_object(what: str, name: str) -> None:
    assert callable(resolve(REGISTRIES[what], name, what=what)) or what == "segmentation rule"


def test_no_file_is_too_long() -> None:
    lengths = {
        path.relative_to(REPO).as_posix(): path.read_text(encoding="utf-8").count("\n") for path in sources()
    }
    longest = max(lengths, key=lambda name: lengths[name])
    assert lengths[longest] <= MAX_LINES, f"{longest} has {lengths[longest]} lines"


def test_only_the_command_line_prints() -> None:
    printing = {
        path.relative_to(REPO).as_posix()
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ("print", "pprint")
    }
    assert printing == set()


def test_nothing_is_pickled() -> None:
    assert {
        module: importers_of(module) for module in ("pickle", "joblib", "dill", "shelve", "cloudpickle")
    } == {module: set() for module in ("pickle", "joblib", "dill", "shelve", "cloudpickle")}


def test_heavy_packages_wait_in_leaf_modules() -> None:
    """Importing a package must cost nothing: its registry holds names only."""
    heavy = {
        "av",
        "numpy",
        "scipy",
        "pyarrow",
        "openai",
        "google",
        "prefect",
        "faster_whisper",
        "pocketsphinx",
    }
    loading = {
        path.relative_to(REPO).as_posix()
        for path in sources()
        if path.name == "__init__.py" and any(name.split(".")[0] in heavy for name in imports(path))
    }
    assert loading == set()
