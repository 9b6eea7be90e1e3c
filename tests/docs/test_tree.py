"""What must not stand anywhere in the repository, and what must stand in THIRD_PARTY.md."""

from __future__ import annotations

import importlib.metadata
import re
import tomllib
from pathlib import Path

import pytest

from tests.docs.pages import REPO, text

OWN_PLACES = ("schemas", "agents", "pipeline", "review_ui", "tests", "benchmarks", "deploy", "docs")
ENDINGS = {
    ".py",
    ".md",
    ".toml",
    ".json",
    ".csv",
    ".txt",
    ".html",
    ".css",
    ".js",
    ".svg",
    ".yml",
    ".yaml",
    "",
}
# In pieces, so that this file does not hold what it looks for.
MACHINE_PATH = re.compile(
    "(?<![\\w.])/(?:" + "|".join(("work", "root", "home/(?!someone/)\\w+", "tmp", "Users/\\w+")) + ")/"
)
HEAVY_EXTRAS = ("whisperx", "pyannote", "pyfeat")
PACKAGE_NAME = re.compile(r"[A-Za-z0-9_.-]+")
PEP_723 = re.compile(r"^# /// script\n(.*?)^# ///$", re.DOTALL | re.MULTILINE)


def own_files() -> list[Path]:
    inside = [path for place in OWN_PLACES for path in (REPO / place).rglob("*")]
    files = [path for path in (*REPO.glob("*"), *inside) if path.is_file() and path.suffix in ENDINGS]
    return [path for path in files if "__pycache__" not in path.parts and path.name != ".git"]


def test_no_paths_of_a_machine() -> None:
    assert len(own_files()) > 100
    found = [
        f"{path.relative_to(REPO)}:{number}: {line.strip()[:80]}"
        for path in own_files()
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if MACHINE_PATH.search(line)
    ]
    assert found == []


def normal(package: str) -> str:
    found = PACKAGE_NAME.match(package)
    assert found is not None
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table below a heading of THIRD_PARTY.md."""
    part = re.split(r"^## ", text("THIRD_PARTY.md"), flags=re.MULTILINE)
    section = next(one for one in part if one.startswith(heading))
    lines = re.search(r"^\|.*?(?=^$|\Z)", section, re.DOTALL | re.MULTILINE)
    assert lines is not None
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[0].splitlines()[2:]]


def test_third_party_names_every_direct_dependency() -> None:
    project = tomllib.loads((REPO / "pyproject.toml").read_text("utf-8"))["project"]
    groups = {"The core": project["dependencies"]}
    titles = {"dev": "Development"}
    for name, packages in project["optional-dependencies"].items():
        groups[titles.get(name, f"Optional: `{name}`")] = packages
    for heading, packages in groups.items():
        wanted = {normal(package) for package in packages} - {"emotrace"}
        assert {normal(row[0]) for row in rows(heading)} == wanted, heading


def worker_packages() -> list[tuple[str, str]]:
    """(worker, requirement) of every package that a worker script names."""
    found = []
    scripts = sorted((REPO / "pipeline" / "workers").glob("*.py"))
    # Imported by the scripts beside them, in their environments.
    shared = {"caller.py", "demo_voice.py", "lean.py", "pictures.py"}
    shared |= {"chat_media.py", "chat_protocol.py", "chat_server.py"}
    for script in [script for script in scripts if script.name not in shared]:
        block = PEP_723.search(script.read_text("utf-8"))
        assert block is not None, f"{script.name} has no PEP 723 block"
        toml = "\n".join(line.removeprefix("#").removeprefix(" ") for line in block[1].splitlines())
        found += [(script.stem, package) for package in tomllib.loads(toml)["dependencies"]]
    return found


def test_third_party_names_every_package_of_a_worker() -> None:
    wanted = {(worker, normal(package)) for worker, package in worker_packages()}
    assert {(row[0], normal(row[1])) for row in rows("Workers")} == wanted


def test_extras_and_workers_name_the_same_versions() -> None:
    extras = tomllib.loads((REPO / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    pinned = {normal(one): one for names in HEAVY_EXTRAS for one in extras[names]}
    assert all("==" in requirement for requirement in pinned.values())
    for worker, requirement in worker_packages():
        wanted = pinned.get(normal(requirement), requirement)
        assert requirement.replace(" ", "") == wanted, worker


@pytest.mark.parametrize(
    "heading",
    [
        "The core",
        "Optional: `keyframes`",
        "Optional: `postgres`",
        "Optional: `whisperx`",
        "Optional: `pyannote`",
        "Optional: `pyfeat`",
        "Optional: `release-check`",
        "Optional: `test-oracle`",
        "Development",
    ],
)
def test_licences_are_those_of_the_installed_packages(heading: str) -> None:
    for package, licence, _use in rows(heading):
        try:
            said = importlib.metadata.metadata(package)
        except importlib.metadata.PackageNotFoundError:
            continue
        fields = [(said.get_all(field) or [""])[0][:60] for field in ("License-Expression", "License")]
        stated = " ".join([*fields, *(c for c in said.get_all("Classifier") or [] if "License" in c)])
        family = re.sub(r"[-\d.]+.*|;.*|, .*", "", licence.replace("*", "")).split()
        if stated.strip():
            assert family[0].lower() in stated.lower(), f"{package}: {licence} / {stated}"
        copyleft = re.search(r"(?<![A-Z])A?GPL", stated)
        assert copyleft is None or "GPL" in licence, package


def test_the_licence_file_is_apache_2() -> None:
    licence = (REPO / "LICENSE").read_text("utf-8")
    assert "Apache License" in licence
    assert "Version 2.0, January 2004" in licence
