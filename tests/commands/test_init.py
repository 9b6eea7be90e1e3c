"""The project that `emotrace init` makes can be loaded, whatever its folder is called."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.commands.init import create_project, project_name
from schemas.errors import UserError
from schemas.settings_file import load_settings

FOLDER_NAMES = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=60
).filter(lambda name: name not in (".", ".."))


@example("zeichen ü")
@example("".join(["ä"] * 60))
@example("{name}")
@example('a"b\\')
@given(name=FOLDER_NAMES)
def test_whatever_the_folder_is_called_its_project_loads(name: str) -> None:
    with tempfile.TemporaryDirectory() as parent:
        path = create_project(Path(parent) / name)
        settings = load_settings(path.parent)
    assert settings.project.name == project_name(name)


def test_a_plain_name_is_kept_and_a_long_one_cut() -> None:
    assert project_name("My_study-2.1") == "My_study-2.1"
    assert project_name("zeichen ü") == "zeichen"
    assert project_name("日本") == "project"
    assert project_name("x" * 200) == "x" * 64


def test_a_project_is_never_overwritten(tmp_path: Path) -> None:
    create_project(tmp_path)
    with pytest.raises(UserError) as error:
        create_project(tmp_path)
    assert error.value.code == "project_exists"


def test_the_label_set_is_written_into_the_file_and_must_exist(tmp_path: Path) -> None:
    create_project(tmp_path / "a", "sentiment-continuous")
    assert load_settings(tmp_path / "a").project.taxonomy == "sentiment-continuous"
    with pytest.raises(UserError, match='did you mean "iemocap'):
        create_project(tmp_path / "b", "iemocap5")
    assert not (tmp_path / "b").exists()
