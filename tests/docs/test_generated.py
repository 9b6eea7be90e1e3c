"""What is generated is current, and generating notices what is missing."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from docs import generate
from pipeline.outputs import OUTPUTS
from schemas.settings import Settings
from schemas.settings_models import BudgetSection
from tests.docs.pages import REPO, text


def test_generated_files_are_current(capsys: pytest.CaptureFixture[str]) -> None:
    status = generate.main(["--check"])
    assert status == 0, capsys.readouterr().err


def test_check_names_a_stale_and_a_left_over_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    docs = tmp_path / "docs"
    (docs / "json").mkdir(parents=True)
    for page in (*generate.PAGES, "meanings.toml"):
        (docs / page).write_text((generate.DOCS / page).read_text("utf-8"), "utf-8")
    monkeypatch.setattr(generate, "DOCS", docs)
    assert generate.main(["--check"]) == 1
    assert "docs/json/run.schema.json" in capsys.readouterr().err
    (docs / "json" / "old.schema.json").write_text("{}", "utf-8")
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0
    assert {path.name for path in (docs / "json").iterdir()} == {f"{name}.schema.json" for name in OUTPUTS}


def test_a_setting_without_a_meaning_is_refused() -> None:
    with pytest.raises(generate.StaleMeaning, match="calls"):
        generate.settings_table("budget", BudgetSection, {"usd": "money"})
    with pytest.raises(generate.StaleMeaning, match="cents"):
        generate.settings_table("budget", BudgetSection, {"usd": "money", "calls": "calls", "cents": "?"})


def test_every_section_and_backend_has_its_table() -> None:
    shown = set(generate.REGION.findall("".join(map(text, (f"docs/{page}" for page in generate.PAGES)))))
    names = {found[1] for found in shown}
    assert names == dict(generate.all_regions()).keys()
    assert set(Settings.model_fields) <= names


def test_make_docs_writes_them() -> None:
    recipe = (REPO / "Makefile").read_text("utf-8").split("\ndocs:", 1)[1].split("\n\n", 1)[0]
    assert "python -m docs.generate" in recipe


def test_the_changelog_names_the_version() -> None:
    version = tomllib.loads((REPO / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    changelog = text("CHANGELOG.md")
    assert f"The next version is {version}" in changelog or f"## [{version}]" in changelog
