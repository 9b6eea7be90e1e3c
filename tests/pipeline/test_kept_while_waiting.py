"""What stands about a clip stays while an answer about it is waited for, whoever is to give it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.project import open_project
from pipeline.release.build import current_items
from pipeline.run import local_engine, run
from schemas.errors import UserError
from schemas.records import Annotation, Consensus, Decision
from tests.pipeline.project import take, talk, write_settings
from tests.pipeline.records import Quiet
from tests.pipeline.test_batches import BATCH
from tests.pipeline.test_dead_letters import model
from tests.wire.server import FakeModels, Reply

LEXICON = """[[annotators]]
name = "lexicon"
provider = "cues"
model = "lexicon"
"""
SETTINGS = """
[project]
language = "en"
[segment]
rule = "whole"
[select]
near_duplicates = "keep"
{model}
[policy]
random_review_share = 0
"""
WARMER = "temperature = 0.5\n"  # another question


@pytest.fixture
def models() -> Iterator[FakeModels]:
    with FakeModels() as server:
        yield server


@pytest.fixture
def root(models: FakeModels, tmp_path: Path) -> Path:
    """A project of two clips that everybody has answered about."""
    (tmp_path / "recordings").mkdir()
    for n, text in enumerate(("I am so happy about this.", "We waited for an hour.")):
        talk(tmp_path / "recordings" / f"{n}.mp4", text=text, seed=n)
    root = asking(tmp_path / "project", model(models.openai_url))
    with open_project(root) as project:
        take(project, tmp_path / "recordings")
    run_it(root)
    assert (said(root), *map(len, standing(root))) == (2, 2, 2)
    return root


def asking(root: Path, section: str, others: str = LEXICON) -> Path:
    return write_settings(root, SETTINGS.format(model=others + section))


def run_it(root: Path) -> None:
    with open_project(root) as project:
        run(project, local_engine(), progress=Quiet())


def standing(root: Path) -> tuple[set[str], set[str]]:
    """Ids of the consensuses and decisions that stand."""
    with open_project(root) as project:
        return project.store.live_ids(Consensus), project.store.live_ids(Decision)


def said(root: Path) -> int:
    """How many answers of the model stand."""
    with open_project(root) as project:
        return sum(annotation.annotator == "m" for annotation in project.store.live(Annotation))


def test_what_stands_is_kept_until_a_batch_has_answered(models: FakeModels, root: Path) -> None:
    before = standing(root)
    asking(root, model(models.openai_url, more=BATCH + WARMER))
    for _ in range(2):  # the job is begun, then under way
        run_it(root)
        assert (said(root), standing(root)) == (0, before)
    with open_project(root) as project, pytest.raises(UserError, match="batch jobs are under way") as error:
        list(current_items(project.store, project.settings, project.taxonomy))
    assert error.value.code == "stale_decisions"
    run_it(root)
    after = standing(root)
    assert said(root) == 2
    assert [len(ids) for ids in after] == [2, 2]
    assert all(old.isdisjoint(new) for old, new in zip(before, after, strict=True))
    with open_project(root) as project:
        assert len(list(current_items(project.store, project.settings, project.taxonomy))) == 2


def test_what_stands_is_kept_until_a_server_is_there_again(models: FakeModels, root: Path) -> None:
    before = standing(root)
    warmer = f"{WARMER}replicates = 20\n"  # enough questions to tell that it is the server's fault
    asking(root, model(models.openai_url, patience_s=0.01, more=warmer))
    models.replies += [Reply(status=503)] * 100
    run_it(root)
    assert said(root) < 40
    assert standing(root) == before
    models.replies.clear()
    run_it(root)
    assert said(root) == 40
    assert all(old.isdisjoint(new) for old, new in zip(before, standing(root), strict=True))


def test_what_stands_is_kept_until_there_is_money_again(models: FakeModels, root: Path) -> None:
    """Also where nobody else has said anything about the clips."""
    asking(root, model(models.openai_url), others="")
    run_it(root)
    before, sent = standing(root), len(models.requests)
    asking(root, model(models.openai_url, more=f"{WARMER}[budget]\ncalls = {sent}\n"), others="")
    with pytest.raises(UserError, match="budget"):
        run_it(root)
    assert (said(root), len(models.requests), standing(root)) == (0, sent, before)


def test_nothing_is_decided_or_released_without_a_model_whose_key_is_refused(
    models: FakeModels, root: Path, tmp_path: Path
) -> None:
    models.script(Reply(status=401, times=0))
    refused = asking(tmp_path / "refused", model(models.openai_url))
    with open_project(refused) as project:
        take(project, tmp_path / "recordings")
    run_it(refused)
    assert standing(refused) == (set(), set())
    with open_project(refused) as project, pytest.raises(UserError, match="no decision yet") as error:
        list(current_items(project.store, project.settings, project.taxonomy))
    assert error.value.code == "stale_decisions"
