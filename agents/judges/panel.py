"""All judges of a project together: who is asked what about an annotation, and who must not be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from agents.asking import Question
from agents.judges.families import family_of, kinship
from agents.judges.judge import Case, Judge, Juror
from agents.judges.mme import MmeJudge
from agents.judges.second_look import SecondLook
from schemas.records import Judgement
from schemas.settings_models import JudgeSection, ModelSection
from schemas.taxonomy import Taxonomy


def panel(
    judges: Sequence[JudgeSection], annotators: Sequence[ModelSection], taxonomy: Taxonomy, *, seed: int
) -> list[Juror]:
    """Everybody who is asked about annotations; a judge's second look is a juror of its own."""
    families = {section.name: family_of(section) for section in annotators}
    languages = {section.name: section.answer_language for section in annotators}
    found: list[Juror] = []
    for section in judges:
        if section.rubric == "mme_emotion":
            found.append(MmeJudge(section, taxonomy, seed=seed, families=families))
            continue
        judge = Judge(section, taxonomy, seed=seed, families=families)
        found.append(judge)
        if section.second_look and judge.model.wire and taxonomy.asks_labels:
            found.append(SecondLook(section, taxonomy, seed=seed, families=families, languages=languages))
    return found


def asked_about(jurors: Sequence[Juror], case: Case) -> Iterator[Question[Case, Judgement]]:
    """The questions about one annotation."""
    for juror in jurors:
        if juror.unasked(case) is None:
            for repetition in range(juror.repetitions):
                yield juror, case, repetition


def kin_of(judge: JudgeSection, annotators: Sequence[ModelSection]) -> dict[str, list[str]]:
    """Kinship -> names of the annotators that stand so to a judge."""
    found: dict[str, list[str]] = {"same_family": [], "family_unknown": [], "other_family": []}
    for section in annotators:
        found[kinship(family_of(judge), family_of(section))].append(section.name)
    return found
