"""What a project's judges are asked about: its annotations and, for judges that evaluate, the true labels."""

from __future__ import annotations

from collections.abc import Sequence

from agents.judges.judge import Case
from pipeline.judging.rows import true_labels
from pipeline.project import Project
from pipeline.stages.samples import cases
from schemas.records import Sample


def cases_of(project: Project, sample_ids: Sequence[str]) -> list[Case]:
    """The cases of some samples, with their true labels where a judge is told them."""
    seed, references = project.settings.project.seed, references_of(project, sample_ids)
    return cases(project.store, sample_ids, seed=seed, references=references)


def references_of(project: Project, sample_ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Sample -> its true label; looked up only where a judge is told it."""
    if not any(judge.rubric == "mme_emotion" for judge in project.settings.judges):
        return {}
    return true_labels(project, project.store.by_id(Sample, sample_ids))
