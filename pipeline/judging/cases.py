"""What a project's judges are asked about: its annotations and, for judges that evaluate, the true labels."""

from __future__ import annotations

from collections.abc import Sequence

from agents.judge import Case
from pipeline.judging.rows import true_labels
from pipeline.project import Project
from pipeline.stages.samples import cases
from schemas.records import Sample


def cases_of(project: Project, sample_ids: Sequence[str]) -> list[Case]:
    """The cases of some samples; true labels are looked up only where a judge is told them."""
    settings, references = project.settings, {}
    if any(judge.rubric == "mme_emotion" for judge in settings.judges):
        references = true_labels(project, project.store.by_id(Sample, sample_ids))
    return cases(project.store, sample_ids, seed=settings.project.seed, references=references)
